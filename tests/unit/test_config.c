// Experiments to settings: types, ranges, defaults, components, paths, and the messages for all that is
// wrong.
#include "support/config_load.h"

#include <unistd.h>

static void test_defaults_fill_everything(void **state) {
    (void)state;
    loaded l = load(HEAD, NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "x");
    assert_null(l.s->description);
    assert_int_equal(l.s->seed, 1337);
    assert_int_equal(l.s->dataset.source.count, 1);
    assert_string_equal(l.s->dataset.source.values[0], "a");
    assert_null(l.s->dataset.cache);
    assert_int_equal(l.s->dataset.split.count, 3);
    assert_true(l.s->dataset.split.values[2] == 0.05);
    assert_int_equal(l.s->model.width, 128);
    assert_int_equal(l.s->model.layers.count, 3);
    assert_ptr_equal(l.s->model.layers.items[1].about, &layer_residual);
    const residual_settings *residual = l.s->model.layers.items[1].settings;
    assert_int_equal(residual->layers.count, 2);
    const mlp_settings *mlp = residual->layers.items[1].settings;
    assert_int_equal(mlp->activation, 0);
    assert_ptr_equal(l.s->optimizer.about, &optimizer_adamw);
    const adam_settings *adam = l.s->optimizer.settings;
    assert_true(adam->lr == 6.0e-4 && adam->weight_decay == 0.2 && adam->betas.values[1] == 0.95);
    assert_null(l.s->second.about);
    assert_string_equal(l.s->sampling.prompt, "\n");
    assert_false(l.s->training.shuffle);
    done(&l);
}

static void test_every_type_is_read(void **state) {
    (void)state;
    loaded l = load(
        "name: 007\ndescription: 'a: b'\nseed: 1e6\ndataset: {source: [a, b], split: [.8, 1e-1, 0.1]}\n"
        "model:\n  dropout: 0.5\n  layers:\n    - embedding:\n    - mlp: {activation: silu}\n"
        "training: {shuffle: true, grad_clip: \"2.5\"}\noptimizer: sgd\nsecond: {type: sgd, momentum: .9}\n",
        NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "007");
    assert_string_equal(l.s->description, "a: b");
    assert_int_equal(l.s->seed, 1000000);
    assert_int_equal(l.s->dataset.source.count, 2);
    assert_true(l.s->dataset.split.values[0] == 0.8);
    assert_int_equal(l.s->model.layers.count, 2);
    const mlp_settings *mlp = l.s->model.layers.items[1].settings;
    assert_int_equal(mlp->activation, 2);
    assert_true(mlp->dropout == 0.5); // its default is ${model.dropout}
    assert_true(l.s->training.shuffle);
    assert_true(l.s->training.grad_clip == 2.5);
    // A component chosen by the file does not inherit the default component's settings.
    assert_ptr_equal(l.s->optimizer.about, &optimizer_sgd);
    assert_true(((sgd_settings *)l.s->optimizer.settings)->lr == 0.1);
    assert_true(((sgd_settings *)l.s->second.settings)->momentum == 0.9);
    done(&l);
}

static void test_containers_take_lists_and_mappings(void **state) {
    (void)state;
    loaded l = load(
        HEAD "model:\n  layers:\n    - repeat: {times: 2, layers: [mlp]}\n    - residual: {layers: [mlp]}\n"
             "    - parallel:\n        - [layernorm, mlp]\n        - []\n"
             "    - parallel: {combine: concat, branches: [[mlp], [mlp]]}\n",
        NULL);
    assert_fine(&l);
    const component_choice *items = l.s->model.layers.items;
    assert_int_equal(((repeat_settings *)items[0].settings)->times, 2);
    const parallel_settings *sum = items[2].settings, *concat = items[3].settings;
    assert_int_equal(sum->branches.count, 2);
    assert_int_equal(sum->branches.lists[0].count, 2);
    assert_int_equal(sum->branches.lists[1].count, 0);
    assert_int_equal(concat->combine, 2);
    done(&l);
}

static void test_choices_know_their_place(void **state) {
    (void)state;
    loaded l = load(
        HEAD "model:\n  layers:\n    - embedding\n    - residual: [layernorm, {mlp: {hidden: 8}}]\n", NULL);
    assert_fine(&l);
    const component_choice *residual = &l.s->model.layers.items[1];
    assert_int_equal(residual->where.line, 6);
    assert_int_equal(residual->where.column, 7);
    const component_choice *mlp = &((residual_settings *)residual->settings)->layers.items[1];
    place hidden = problem_place(mlp->node, "hidden"), dropout = problem_place(mlp->node, "dropout");
    assert_string_equal(hidden.file, "x.yaml");
    assert_int_equal(hidden.line, 6);
    assert_int_equal(hidden.column, 44);
    assert_int_equal(dropout.column, 35); // not written: the place of the mlp's settings
    done(&l);
}

static void test_every_option_stands_in_the_tree(void **state) {
    (void)state;
    loaded l = load(HEAD "model:\n  layers: [{residual: [mlp]}]\nvars: {h: 3}\nseed: ${vars.h}\n", NULL);
    assert_fine(&l);
    assert_string_equal(node_find(l.c.root, "model.layers.0.residual.0.mlp.hidden")->scalar, "0");
    assert_string_equal(node_find(l.c.root, "model.layers.0.residual.layers.0.mlp.hidden")->scalar, "0");
    assert_string_equal(node_find(l.c.root, "optimizer.betas.1")->scalar, "0.95");
    assert_string_equal(node_find(l.c.root, "optimizer.type")->scalar, "adamw");
    assert_string_equal(node_find(l.c.root, "training.batch_size")->from.text, "default");
    assert_null(node_find(l.c.root, "vars"));
    assert_null(node_find(l.c.root, "training.nothing"));
    assert_null(node_find(l.c.root, "optimizer.betas.2"));
    // In the order of the table.
    assert_string_equal(l.c.root->entries[0].key, "name");
    assert_string_equal(l.c.root->entries[2].key, "seed");
    assert_string_equal(node_get(l.c.root, "optimizer")->entries[0].key, "type");
    done(&l);
}

static void test_paths_are_absolute(void **state) {
    (void)state;
    char here[1024], expected[2048];
    assert_non_null(getcwd(here, sizeof here));
    loaded l = load(
        "name: x\ndataset: {source: [shakespeare, ./b/../c.txt, /d/e, ~/f/*.txt], cache: ./f}\n", NULL);
    assert_fine(&l);
    assert_string_equal(l.s->dataset.source.values[0], "shakespeare");
    snprintf(expected, sizeof expected, "%s/c.txt", here);
    assert_string_equal(l.s->dataset.source.values[1], expected);
    assert_string_equal(l.s->dataset.source.values[2], "/d/e");
    assert_string_equal(l.s->dataset.source.values[3], "~/f/*.txt");
    snprintf(expected, sizeof expected, "%s/f", here);
    assert_string_equal(l.s->dataset.cache, expected);
    done(&l);
}

static void test_wrong_number(void **state) {
    (void)state;
    loaded l = load(HEAD "optimizer: {type: adamw, lr: \"1e-4x\"}\n", NULL);
    assert_one_problem(&l, "x.yaml:3:30: error: optimizer.lr must be a number > 0, not \"1e-4x\"\n"
                           "    optimizer: {type: adamw, lr: \"1e-4x\"}\n"
                           "                                 ^\n"
                           "  lr: peak learning rate (default 6.0e-4)\n");
}

static void test_wrong_values(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"seed: 1.5", "seed must be an integer from 0 to 1000000000000, not \"1.5\""},
        {"seed: 0x10", "not \"0x10\""},
        {"seed: [1]", "not a list of length 1"},
        {"seed: {a: 1}", "not a mapping"},
        {"seed: -1", "not \"-1\""},
        {"seed: 99999999999999999999", "not \"9999"},
        {"training: {batch_size: 0}", "training.batch_size must be an integer >= 1 (sequences), not \"0\""},
        {"training: {grad_clip: inf}", "must be a number >= 0, not \"inf\""},
        {"training: {grad_clip: nan}", "not \"nan\""},
        {"training: {shuffle: yes}", "training.shuffle must be true or false, not \"yes\""},
        {"training: {shuffle: True}", "not \"True\""},
        {"training: 3", "training must be a mapping of settings, not \"3\""},
        {"training: [1]", "training must be a mapping of settings, not a list of length 1"},
        {"sampling: {temperature: 0}", "must be a number > 0 and <= 10, not \"0\""},
        {"sampling: {temperature: 10.5}", "not \"10.5\""},
        {"sampling: {prompt: [a]}", "sampling.prompt must be a string, not a list of length 1"},
        {"model: {dropout: 1}", "model.dropout must be a number >= 0 and < 1, not \"1\""},
        {"model: {layers: []}", "model.layers must be a list of at least 1 layer, not an empty list"},
        {"model: {layers: mlp}", "model.layers must be a list of at least 1 layer, not \"mlp\""},
        {"model: {layers: [{mlp: {activation: geluu}}]}",
         "model.layers.0.mlp.activation must be one of gelu, relu, silu, not \"geluu\""},
        {"model: {layers: [{mlp: 3}]}", "model.layers.0.mlp must be a mapping of settings, not \"3\""},
        {"model: {layers: [{mlp: [mlp]}]}",
         "model.layers.0.mlp must be a mapping of settings, not a list of length 1"},
        {"model: {layers: [{residual: 3}]}", "must be a mapping of settings or a list, not \"3\""},
        {"model: {layers: [{residual: []}]}",
         "model.layers.0.residual.layers must be a list of at least 1 layer"},
        {"model: {layers: [{parallel: [[mlp]]}]}",
         "branches must be a list of at least 2 lists of layers, not a list of length 1"},
        {"model: {layers: [{parallel: [[mlp], mlp]}]}",
         "model.layers.0.parallel.branches.1 must be a list of layers, not \"mlp\""},
        {"model: {layers: [3]}", "model.layers.0: unknown layer \"3\""},
        {"model: {layers: [[mlp]]}",
         "model.layers.0: a layer must be NAME or {NAME: {its settings}}, not a list of length 1"},
        {"model: {layers: [~]}", "must be NAME or {NAME: {its settings}}, not ~"},
        {"model: {layers: [{mlp: {}, layernorm: {}}]}",
         "must be NAME or {NAME: {its settings}}, not a mapping with 2 keys"},
        {"model: {layers: [{type: mlp, hidden: 3}]}", "write {mlp: {its settings}}"},
        {"model: {layers: [{mlq: {}}]}", "unknown layer \"mlq\""},
        {"optimizer: {type: adamw, betas: 0.9}",
         "optimizer.betas must be a list of 2 numbers >= 0 and < 1, not \"0.9\""},
        {"optimizer: {type: adamw, betas: [0.9]}", "not a list of length 1"},
        {"optimizer: {type: adamw, betas: [0.9, 1]}",
         "optimizer.betas.1 must be a number >= 0 and < 1, not \"1\""},
        {"optimizer: {type: adan}", "optimizer.type: unknown optimizer \"adan\""},
        {"optimizer: {type: [a]}", "optimizer.type must be one of adamw, sgd, not a list of length 1"},
        {"optimizer: [adamw]",
         "optimizer must be one of adamw, sgd, or {type: NAME, its settings}, not a list of length 1"},
        {"second: {lr: 1}", "second.type is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[512];
        snprintf(yaml, sizeof yaml, "%s%s\n", HEAD, cases[i].yaml);
        loaded l = load(yaml, NULL);
        if (l.p.count != 1) print_error("%s: %d problems\n", cases[i].yaml, l.p.count);
        assert_int_equal(l.p.count, 1);
        assert_some_problem(&l, cases[i].message);
        assert_int_equal(l.p.items[0].what.line, 3);
        done(&l);
    }
}

static void test_unknown_keys(void **state) {
    (void)state;
    loaded l = load(HEAD "training: {max_step: 3}\n", NULL);
    assert_one_problem(&l, "x.yaml:3:12: error: unknown key \"max_step\" in training\n"
                           "    training: {max_step: 3}\n"
                           "               ^\n"
                           "  did you mean max_steps?\n");
    l = load(HEAD "momentum: 3\n", NULL);
    assert_one_problem(
        &l, "x.yaml:3:1: error: unknown key \"momentum\"\n"
            "    momentum: 3\n"
            "    ^\n"
            "  did you mean optimizer.momentum (of type sgd) or second.momentum (of type sgd)?\n");
    l = load(HEAD "model: {layers: [{embedding: {foo: 3}}]}\n", NULL);
    assert_one_problem(&l, "x.yaml:3:31: error: unknown key \"foo\" in model.layers.0.embedding\n"
                           "    model: {layers: [{embedding: {foo: 3}}]}\n"
                           "                                  ^\n"
                           "  embedding has no settings\n");
    l = load(HEAD "second: {type: sgd, betas: [0.9, 0.9]}\n", NULL);
    assert_some_problem(&l, "unknown key \"betas\" in second");
    done(&l);
}

static void test_what_is_missing(void **state) {
    (void)state;
    loaded l = load("dataset: {source: a}\nmodel: {layers: [{repeat: {layers: [mlp]}}]}\n", NULL);
    assert_int_equal(l.p.count, 2);
    assert_some_problem(&l, "x.yaml:1:1: error: name is missing\n");
    assert_some_problem(&l, "x.yaml:2:27: error: model.layers.0.repeat.times is missing\n");
    assert_string_equal(l.err.message, "2 problems in x.yaml");
    done(&l);
    l = load("", NULL);
    assert_int_equal(l.p.count, 2);
    assert_some_problem(&l, "dataset.source is missing");
    done(&l);
}

static void test_null(void **state) {
    (void)state;
    loaded l = load(HEAD "description: ~\nsecond: null\ntraining:\noptimizer:\n", NULL);
    assert_fine(&l);
    assert_null(l.s->description);
    assert_null(l.s->second.about);
    assert_int_equal(l.s->training.batch_size, 32);
    assert_ptr_equal(l.s->optimizer.about, &optimizer_adamw);
    done(&l);
    l = load(HEAD "description: \"~\"\nsampling: {prompt: \"\"}\n", NULL);
    assert_fine(&l);
    assert_string_equal(l.s->description, "~");
    assert_string_equal(l.s->sampling.prompt, "");
    done(&l);
    l = load(HEAD "seed: ~\n", NULL);
    assert_one_problem(&l, "x.yaml:3:7: error: seed must be an integer from 0 to 1000000000000, not ~\n"
                           "    seed: ~\n"
                           "          ^\n"
                           "  remove seed to get its default, 1337\n");
    l = load("name: ~\ndataset: {source: a}\n", NULL);
    assert_some_problem(&l, "name must be a string, not ~");
    done(&l);
    l = load(HEAD "sampling: {prompt: }\n", NULL);
    assert_some_problem(&l, "sampling.prompt must be a string, but is empty");
    done(&l);
}

static void test_all_problems_in_order(void **state) {
    (void)state;
    loaded l =
        load("nam: x\ndataset: {source: a, split: [1, 2, 3]}\nseed: x\nmodel: {layers: [mpl], width: 0}\n",
             "sed=1", "training.foo=2");
    assert_int_equal(l.result, ERR_CONFIG);
    assert_int_equal(l.p.count, 9);
    for (int i = 1; i < 7; i++) assert_true(l.p.items[i - 1].what.line <= l.p.items[i].what.line);
    // A range applies to every number of a list; overrides sort as a file of their own.
    assert_some_problem(&l, "dataset.split.1 must be a number from 0 to 1");
    assert_some_problem(
        &l, "command line: error: unknown key \"sed\"\n    sed=1\n    ^\n  did you mean seed?\n");
    assert_some_problem(
        &l, "command line: error: unknown key \"foo\" in training\n    training.foo=2\n             ^\n");
    done(&l);
}

static void test_many_problems_are_cut(void **state) {
    (void)state;
    text yaml = {0};
    text_add(&yaml, HEAD);
    for (int i = 0; i < 500; i++) text_add(&yaml, "key%d: 1\n", i);
    loaded l = load(yaml.bytes, NULL);
    assert_int_equal(l.p.count, 101);
    assert_string_equal(l.p.items[100].what.message,
                        "there are more than 100 problems; the others are not listed");
    text_free(&yaml);
    done(&l);
}

static void test_problems_sort_and_drop_repetitions(void **state) {
    (void)state;
    problems p = {0};
    problem_add(&p, (place){0}, NULL, "no place");
    problem_add(&p, (place){"b", 1, 1, NULL}, NULL, "later");
    problem_add(&p, (place){"a", 2, 1, NULL}, "a hint", "second");
    problem_add(&p, (place){"a", 1, 9, NULL}, NULL, "first");
    problem_add(&p, (place){"a", 2, 1, NULL}, "a hint", "second");
    problems_sort(&p);
    assert_int_equal(p.count, 4);
    assert_string_equal(p.items[0].what.message, "first");
    assert_string_equal(p.items[1].what.hint, "a hint");
    assert_string_equal(p.items[3].what.message, "no place");
    assert_int_equal(p.items[0].what.code, ERR_CONFIG);
    problems_free(&p);
    assert_int_equal(p.count, 0);
}

static void test_missing_file(void **state) {
    (void)state;
    arena *a = arena_new();
    config c;
    problems p = {0};
    error err;
    assert_int_equal(config_load(&test_root, "/nowhere/x.yaml", NULL, NULL, 0, a, &c, &p, &err), ERR_IO);
    assert_int_equal(p.count, 0);
    assert_int_equal(config_load(&test_root, "/", NULL, NULL, 0, a, &c, &p, &err), ERR_IO);
    arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_fill_everything),
        cmocka_unit_test(test_every_type_is_read),
        cmocka_unit_test(test_containers_take_lists_and_mappings),
        cmocka_unit_test(test_choices_know_their_place),
        cmocka_unit_test(test_every_option_stands_in_the_tree),
        cmocka_unit_test(test_paths_are_absolute),
        cmocka_unit_test(test_wrong_number),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_all_problems_in_order),
        cmocka_unit_test(test_many_problems_are_cut),
        cmocka_unit_test(test_problems_sort_and_drop_repetitions),
        cmocka_unit_test(test_missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
