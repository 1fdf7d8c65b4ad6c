// ${a.b}: whole and in part, to defaults and lists, cycles, misspelt names, variables.
#include "support/config_load.h"

static void test_whole_and_part(void **state) {
    (void)state;
    loaded l = load("name: w${model.width}_d${ model.depth }\n", NULL);
    assert_some_problem(&l, "refers to nothing"); // no blanks inside
    done(&l);
    l = load(
        "name: w${model.width}_d${model.depth}\ndataset: {source: ${name}}\nmodel: {width: 32, depth: ${seed}}\nseed: 2\n"
        "description: ${name}!\n",
        NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "w32_d2");
    assert_string_equal(l.s->dataset.source.values[0], "w32_d2");
    assert_int_equal(l.s->model.depth, 2);
    assert_string_equal(l.s->description, "w32_d2!");
    const node *depth = node_find(l.c.root, "model.depth");
    assert_string_equal(depth->from.text, "${seed} at x.yaml:3");
    assert_int_equal(depth->from.rank, 1);
    done(&l);
}

static void test_to_defaults_and_from_defaults(void **state) {
    (void)state;
    loaded l =
        load(HEAD "model: {dropout: 0.25, layers: [mlp]}\ntraining: {max_steps: ${training.batch_size}}\n",
             NULL);
    assert_fine(&l);
    assert_int_equal(l.s->training.max_steps, 32);
    assert_true(((mlp_settings *)l.s->model.layers.items[0].settings)->dropout == 0.25);
    const node *dropout = node_find(l.c.root, "model.layers.0.mlp.dropout");
    assert_string_equal(dropout->from.text, "default (${model.dropout})");
    assert_int_equal(dropout->from.rank, 0);
    done(&l);
    // A default inside a component that the file does not mention, and its type.
    l = load(HEAD "training: {grad_clip: ${optimizer.lr}}\ndescription: ${optimizer.type}\n", NULL);
    assert_fine(&l);
    assert_true(l.s->training.grad_clip == 6.0e-4);
    assert_string_equal(l.s->description, "adamw");
    done(&l);
}

static void test_into_layers(void **state) {
    (void)state;
    loaded l = load(
        HEAD
        "model:\n  layers:\n    - repeat: {times: 2, layers: [{mlp: {hidden: 9}}]}\n    - residual: [mlp]\n"
        "seed: ${model.layers.0.repeat.layers.0.mlp.hidden}\n"
        "training: {max_steps: ${model.layers.0.repeat.0.mlp.hidden}}\n"
        "description: ${model.layers.1.residual.0.mlp.activation}${dataset.split.1}\n",
        NULL);
    assert_fine(&l);
    assert_int_equal(l.s->seed, 9);
    assert_int_equal(l.s->training.max_steps, 9);
    assert_string_equal(l.s->description, "gelu0.05");
    done(&l);
}

static void test_names_and_lists_by_reference(void **state) {
    (void)state;
    loaded l = load(
        HEAD
        "vars:\n  norm: layernorm\n  block: [\"${vars.norm}\", {mlp: {hidden: ${vars.h}}}]\n  h: 5\n  opt: sgd\n"
        "  betas: [0.5, 0.5]\n"
        "model:\n  layers:\n    - residual: ${vars.block}\n    - ${vars.norm}\n    - repeat: {times: 2, layers: ${vars.block}}\n"
        "optimizer: ${vars.opt}\nsecond: {type: adamw, betas: ${vars.betas}}\n",
        NULL);
    assert_fine(&l);
    const residual_settings *residual = l.s->model.layers.items[0].settings;
    assert_ptr_equal(residual->layers.items[0].about, &layer_norm);
    assert_int_equal(((mlp_settings *)residual->layers.items[1].settings)->hidden, 5);
    assert_ptr_equal(l.s->model.layers.items[1].about, &layer_norm);
    assert_int_equal(((repeat_settings *)l.s->model.layers.items[2].settings)->layers.count, 2);
    assert_ptr_equal(l.s->optimizer.about, &optimizer_sgd);
    assert_true(((adam_settings *)l.s->second.settings)->betas.values[1] == 0.5);
    done(&l);
}

static void test_literal_dollar_brace(void **state) {
    (void)state;
    loaded l = load(HEAD "description: $${name} ${name} $5 $$${a}\n", NULL);
    assert_fine(&l);
    assert_string_equal(l.s->description, "${name} x $5 $${a}");
    done(&l);
}

static void test_unknown_names(void **state) {
    (void)state;
    loaded l = load(HEAD "seed: 1\ntraining: {max_steps: ${model.widht}}\n", NULL);
    assert_one_problem(
        &l, "x.yaml:4:23: error: ${model.widht} refers to nothing: there is no `widht` in model\n"
            "    training: {max_steps: ${model.widht}}\n"
            "                          ^\n"
            "  did you mean ${model.width}?\n");
    l = load(HEAD "description: a ${modle.width} b\n", NULL);
    assert_one_problem(&l, "x.yaml:3:16: error: ${modle.width} refers to nothing: there is no `modle`\n"
                           "    description: a ${modle.width} b\n"
                           "                   ^\n"
                           "  did you mean ${model.width}?\n");
    l = load(HEAD "vars: {hidden: 3}\ndescription: ${vars.hiden}${vars.hidden}\n", NULL);
    assert_some_problem(&l, "did you mean ${vars.hidden}?");
    done(&l);
    l = load(HEAD "description: ${model.layers.9.mlp}\n", NULL);
    assert_some_problem(&l, "there is no `9` in model.layers\n");
    done(&l);
    l = load(HEAD "seed: ${model}\n", NULL);
    assert_some_problem(&l, "${model} is a mapping");
    done(&l);
    l = load(HEAD "name2: 1\n", "seed=${optimizer.momentum}");
    assert_some_problem(&l, "command line: error: ${optimizer.momentum} refers to nothing");
    done(&l);
}

static void test_malformed(void **state) {
    (void)state;
    static const char *const bad[] = {"${", "a ${name", "${}", "${.a}", "${a.}", "${a..b}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char yaml[128];
        snprintf(yaml, sizeof yaml, "%sdescription: \"%s\"\n", HEAD, bad[i]);
        loaded l = load(yaml, NULL);
        assert_int_equal(l.p.count, 1);
        assert_true(strstr(l.p.items[0].what.message, "is not closed") ||
                    strstr(l.p.items[0].what.message, "is not the name of a setting"));
        done(&l);
    }
    loaded l = load(HEAD "description: a ${dataset.split}\n", NULL);
    assert_some_problem(&l, "${dataset.split} is a list");
    done(&l);
    l = load(HEAD "sampling: {prompt: \"a ${description}\"}\n", NULL);
    assert_some_problem(&l, "${description} has no value");
    done(&l);
}

static void test_the_value_behind_is_checked_where_it_is_used(void **state) {
    (void)state;
    loaded l = load(HEAD "vars: {h: many}\nseed: ${vars.h}\n", NULL);
    assert_one_problem(
        &l,
        "x.yaml:4:7: error: seed must be an integer from 0 to 1000000000000, not \"many\" (from ${vars.h})\n"
        "    seed: ${vars.h}\n          ^\n  seed: of all random numbers (default 1337)\n");
}

static void test_cycles(void **state) {
    (void)state;
    loaded l =
        load(HEAD "vars: {a: \"${vars.b}\", b: \"x${vars.c}\", c: \"${vars.a}\"}\ndescription: ${vars.a}\n",
             NULL);
    assert_int_equal(l.p.count, 1);
    assert_some_problem(&l, "this value refers to itself: ${vars.b} -> ${vars.c} -> ${vars.a}");
    done(&l);
    static const char *const cycles[] = {
        "seed: ${seed}",
        "model: {layers: ${model.layers}}",
        "model: {layers: [{mlp: {hidden: \"${model.layers}\"}}]}",
        "model: {layers: [{mlp: {hidden: \"${model.layers.0.mlp.hidden}\"}}]}",
        "optimizer: ${optimizer.lr}",
        "optimizer: {type: ${optimizer.lr}}",
        "optimizer: {type: ${optimizer.type}}",
        "model: {dropout: ${model.layers.1.residual.1.mlp.dropout}}",
        "vars: {v: [{residual: \"${vars.v}\"}]}\nmodel: {layers: ${vars.v}}",
    };
    for (size_t i = 0; i < sizeof cycles / sizeof *cycles; i++) {
        char yaml[256];
        snprintf(yaml, sizeof yaml, "%s%s\n", HEAD, cycles[i]);
        l = load(yaml, NULL);
        assert_int_equal(l.result, ERR_CONFIG);
        assert_in_range(l.p.count, 1, 2);
        done(&l);
    }
}

static void test_variables(void **state) {
    (void)state;
    loaded l = load(HEAD "vars: {used: 3, idle: 4}\nseed: ${vars.used}\n", NULL);
    assert_one_problem(&l, "x.yaml:3:17: error: vars.idle is not used: there is no ${vars.idle}\n"
                           "    vars: {used: 3, idle: 4}\n                    ^\n  use it or remove it\n");
    l = load(HEAD "vars: {m: {a: 1}}\n", NULL);
    assert_some_problem(&l, "vars.m must be a single value or a list, not a mapping");
    done(&l);
    l = load(HEAD "vars: 3\n", NULL);
    assert_some_problem(&l, "vars must be a mapping of names to values, not \"3\"");
    done(&l);
    // Of what could not be read, the variables count as used.
    l = load(HEAD "vars: {h: 4}\nmodel: {layers: [{mpl: {hidden: \"${vars.h}\"}}]}\n", NULL);
    assert_int_equal(l.p.count, 1);
    done(&l);
    l = load(HEAD "vars: {h: 4}\nfoo: ${vars.h}\n", NULL);
    assert_int_equal(l.p.count, 1);
    done(&l);
}

static void test_multiplication_is_limited(void **state) {
    (void)state;
    text yaml = {0};
    text_add(&yaml, "%svars:\n  a0: xxxxxxxxxxxxxxxx\n", HEAD);
    for (int i = 1; i < 40; i++) text_add(&yaml, "  a%d: \"${vars.a%d}${vars.a%d}\"\n", i, i - 1, i - 1);
    text_add(&yaml, "description: ${vars.a39}\n");
    loaded l = load(yaml.bytes, NULL);
    assert_some_problem(&l, "expand to too much text");
    done(&l);
    text_clear(&yaml);
    text_add(&yaml, "%svars:\n  a0: [mlp, mlp]\n", HEAD);
    for (int i = 1; i < 40; i++)
        text_add(&yaml, "  a%d: [{residual: \"${vars.a%d}\"}, {residual: \"${vars.a%d}\"}]\n", i, i - 1,
                 i - 1);
    text_add(&yaml, "model: {layers: \"${vars.a39}\"}\n");
    l = load(yaml.bytes, NULL);
    assert_some_problem(&l, "expand to too much text");
    done(&l);
    text_clear(&yaml);
    text_add(&yaml, "%svars:\n  a0: 1\n", HEAD);
    for (int i = 1; i < 5000; i++) text_add(&yaml, "  a%d: \"${vars.a%d}\"\n", i, i - 1);
    text_add(&yaml, "seed: ${vars.a4999}\n");
    l = load(yaml.bytes, NULL);
    assert_some_problem(&l, "references to references are more than 64");
    done(&l);
    text_free(&yaml);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_part),
        cmocka_unit_test(test_to_defaults_and_from_defaults),
        cmocka_unit_test(test_into_layers),
        cmocka_unit_test(test_names_and_lists_by_reference),
        cmocka_unit_test(test_literal_dollar_brace),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_the_value_behind_is_checked_where_it_is_used),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_multiplication_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
