// Files that extend files, overrides, and what happens to settings when a component's type changes.
#include "support/config_load.h"

#include "base/file.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/test_config_XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void write_yaml(const char *name, const char *yaml) {
    char path[256], parent[256];
    error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(folder_create(parent, &err), OK);
    assert_int_equal(file_write(path, yaml, strlen(yaml), &err), OK);
}

static loaded load_file(const char *name, const char *const *overrides) {
    loaded l = {.memory = arena_new()};
    char path[256];
    int count = 0;
    while (overrides && overrides[count]) count++;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char library[256];
    snprintf(library, sizeof library, "%s/library", folder);
    l.result = config_load(&test_root, path, library, overrides, count, l.memory, &l.c, &l.p, &l.err);
    l.s = l.c.settings;
    return l;
}

// A problem's text with the folder's name replaced, so that it can be compared.
static void assert_problem_in_folder(const loaded *l, const char *expected) {
    char buffer[4096], full[4096];
    snprintf(full, sizeof full, expected, folder);
    for (int i = 0; i < l->p.count; i++)
        if (strstr(error_text(&l->p.items[i].what, buffer, sizeof buffer), full)) return;
    print_all(l);
    fail_msg("not found: %s", full);
}

// ---- extends

static void test_mappings_merge_and_lists_replace(void **state) {
    (void)state;
    write_yaml("base/a.yaml", "name: base\nseed: 7\ndataset: {source: [a, b], split: [0.8, 0.1, 0.1]}\n"
                              "model:\n  width: 64\n  layers: [embedding, mlp]\n");
    write_yaml("x.yaml",
               "extends: base/a.yaml\nname: x\ndataset: {source: [c]}\nmodel: {layers: [mlp], depth: 2}\n");
    loaded l = load_file("x.yaml", NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "x");
    assert_int_equal(l.s->seed, 7);
    assert_int_equal(l.s->dataset.source.count, 1);
    assert_true(l.s->dataset.split.values[0] == 0.8);
    assert_int_equal(l.s->model.width, 64);
    assert_int_equal(l.s->model.depth, 2);
    assert_int_equal(l.s->model.layers.count, 1);
    assert_null(node_find(l.c.root, "extends"));
    char from[300];
    snprintf(from, sizeof from, "%s/base/a.yaml:5", folder);
    assert_string_equal(node_find(l.c.root, "model.width")->from.text, from);
    assert_int_equal(node_find(l.c.root, "model.width")->from.rank, 1);
    assert_int_equal(node_find(l.c.root, "model.depth")->from.rank, 2);
    done(&l);
}

static void test_bases_of_the_library(void **state) {
    (void)state;
    write_yaml("library/shared/a.yaml", "seed: 7\nextends: b.yaml\n");
    write_yaml("library/shared/b.yaml", "training: {max_steps: 5}\n");
    write_yaml("mine/x.yaml", "extends: shared/a.yaml\n" HEAD);
    loaded l = load_file("mine/x.yaml", NULL);
    assert_fine(&l);
    assert_int_equal(l.s->seed, 7);
    assert_int_equal(l.s->training.max_steps, 5);
    done(&l);
    // What is beside the file comes first.
    write_yaml("mine/shared/a.yaml", "seed: 8\n");
    l = load_file("mine/x.yaml", NULL);
    assert_fine(&l);
    assert_int_equal(l.s->seed, 8);
    done(&l);
    // A path that says where the file is means no other.
    write_yaml("mine/y.yaml", "extends: ./shared/b.yaml\n" HEAD);
    l = load_file("mine/y.yaml", NULL);
    assert_problem_in_folder(&l, "error: cannot read %s/mine/./shared/b.yaml: No such file");
    done(&l);
}

static void test_nearest_base(void **state) {
    (void)state;
    write_yaml("base/models.yaml", "seed: 1\n");
    write_yaml("library/base/others.yaml", "seed: 1\n");
    write_yaml("x.yaml", "extends: base/modles.yaml\n" HEAD);
    loaded l = load_file("x.yaml", NULL);
    assert_some_problem(&l, "  did you mean base/models.yaml?\n");
    done(&l);
    write_yaml("x.yaml", "extends: base/othres.yaml\n" HEAD);
    l = load_file("x.yaml", NULL);
    assert_some_problem(&l, "  did you mean base/others.yaml?\n");
    done(&l);
    write_yaml("x.yaml", "extends: nothing_like_it.yaml\n" HEAD);
    l = load_file("x.yaml", NULL);
    assert_problem_in_folder(
        &l, "paths in extends are relative to the file that contains them, or to %s/library\n");
    done(&l);
}

static void test_several_bases_in_order(void **state) {
    (void)state;
    write_yaml("one.yaml", "name: one\nseed: 1\ntraining: {batch_size: 1}\n");
    write_yaml("two.yaml", "seed: 2\ndataset: {source: two}\n");
    write_yaml("middle.yaml", "extends: [one.yaml, two.yaml]\ntraining: {max_steps: 5}\n");
    write_yaml("last.yaml", "extends: middle.yaml\n");
    loaded l = load_file("last.yaml", NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "one");
    assert_int_equal(l.s->seed, 2);
    assert_int_equal(l.s->training.batch_size, 1);
    assert_int_equal(l.s->training.max_steps, 5);
    done(&l);
}

static void test_paths_belong_to_their_file(void **state) {
    (void)state;
    write_yaml("base/p.yaml", "name: x\ndataset: {source: ./text.txt, cache: ../cache}\n");
    write_yaml("q.yaml", "extends: base/p.yaml\n");
    loaded l = load_file("q.yaml", NULL);
    assert_fine(&l);
    char expected[300];
    snprintf(expected, sizeof expected, "%s/base/text.txt", folder);
    assert_string_equal(l.s->dataset.source.values[0], expected);
    snprintf(expected, sizeof expected, "%s/cache", folder);
    assert_string_equal(l.s->dataset.cache, expected);
    done(&l);
}

static void test_cycles_are_refused(void **state) {
    (void)state;
    write_yaml("c1.yaml", "extends: c2.yaml\nname: x\n");
    write_yaml("c2.yaml", "extends: ./c1.yaml\n");
    loaded l = load_file("c1.yaml", NULL);
    assert_int_equal(l.p.count, 1);
    assert_problem_in_folder(
        &l, "%1$s/c2.yaml:1:10: error: %1$s/./c1.yaml extends itself through the files that it extends\n");
    done(&l);
    write_yaml("self.yaml", "extends: self.yaml\n");
    l = load_file("self.yaml", NULL);
    assert_problem_in_folder(&l, "%1$s/self.yaml:1:10: error: %1$s/self.yaml extends itself\n");
    done(&l);
}

static void test_many_files_are_refused(void **state) {
    (void)state;
    // Each file extends the next one twice: 2^12 reads if nothing stopped them.
    for (int i = 0; i < 12; i++) {
        char name[32], yaml[64];
        snprintf(name, sizeof name, "m%d.yaml", i);
        snprintf(yaml, sizeof yaml, i < 11 ? "extends: [m%d.yaml, m%d.yaml]\n" : "seed: 1\n", i + 1, i + 1);
        write_yaml(name, yaml);
    }
    loaded l = load_file("m0.yaml", NULL);
    assert_some_problem(&l, "extends reads more than 64 files");
    done(&l);
}

static void test_bad_bases(void **state) {
    (void)state;
    write_yaml("bad.yaml", "seed: [1\n");
    write_yaml("list.yaml", "- 1\n");
    write_yaml("y.yaml", "extends: [no.yaml, bad.yaml, list.yaml, 3, [4], \"${name}\"]\n");
    loaded l = load_file("y.yaml", NULL);
    assert_int_equal(l.result, ERR_CONFIG);
    assert_int_equal(l.p.count, 6);
    assert_problem_in_folder(
        &l, "%1$s/y.yaml:1:11: error: cannot read %1$s/no.yaml: No such file or directory\n");
    assert_problem_in_folder(&l, "%1$s/bad.yaml:1:7: error: a bracket [ or { is opened but never closed\n");
    assert_problem_in_folder(&l,
                             "%1$s/list.yaml:1:1: error: %1$s/list.yaml is not an experiment but a list\n");
    assert_problem_in_folder(&l, "%1$s/y.yaml:1:44: error: extends must be a path or a list of paths\n");
    assert_some_problem(&l, "extends cannot contain references");
    done(&l);
}

static void test_problems_of_a_base_are_shown_there(void **state) {
    (void)state;
    write_yaml("wrong.yaml", "name: x\ndataset: {source: a}\n\nseed: z\n");
    write_yaml("z.yaml", "extends: wrong.yaml\n");
    loaded l = load_file("z.yaml", NULL);
    assert_int_equal(l.p.count, 1);
    assert_problem_in_folder(&l, "%1$s/wrong.yaml:4:7: error: seed must be an integer");
    done(&l);
}

// --- a component's type changes

static void test_settings_of_the_old_type_are_dropped(void **state) {
    (void)state;
    write_yaml("adam.yaml",
               "name: x\ndataset: {source: a}\noptimizer: {type: adamw, lr: 0.5, betas: [0.5, 0.5]}\n");
    write_yaml("sgd.yaml", "extends: adam.yaml\noptimizer: sgd\n");
    loaded l = load_file("sgd.yaml", NULL);
    assert_fine(&l);
    assert_ptr_equal(l.s->optimizer.about, &optimizer_sgd);
    assert_true(((sgd_settings *)l.s->optimizer.settings)->lr == 0.5); // both have it: kept
    assert_int_equal(l.c.notes.count, 1);
    char note[600];
    snprintf(
        note, sizeof note,
        "optimizer.betas (%1$s/adam.yaml:3) is ignored: sgd, chosen later (%1$s/sgd.yaml:2), has no such setting",
        folder);
    assert_string_equal(l.c.notes.values[0], note);
    assert_null(node_find(l.c.root, "optimizer.betas"));
    done(&l);

    const char *overrides[] = {"optimizer.type=sgd", NULL};
    l = load_file("adam.yaml", overrides);
    assert_fine(&l);
    assert_int_equal(l.c.notes.count, 1);
    done(&l);
    // The order of overrides does not matter.
    const char *both[] = {"optimizer.momentum=0.5", "optimizer.type=sgd", NULL};
    l = load_file("adam.yaml", both);
    assert_fine(&l);
    assert_true(((sgd_settings *)l.s->optimizer.settings)->momentum == 0.5);
    done(&l);
}

static void test_settings_of_no_type_are_not_dropped(void **state) {
    (void)state;
    write_yaml("typo.yaml", "name: x\ndataset: {source: a}\noptimizer: {type: adamw, beta: [0.5, 0.5]}\n");
    const char *overrides[] = {"optimizer=sgd", NULL};
    loaded l = load_file("typo.yaml", overrides);
    assert_some_problem(&l, "unknown key \"beta\" in optimizer");
    done(&l);
    // Of the same rank as the type, or higher: a mistake.
    const char *late[] = {"optimizer=sgd", "optimizer.weight_decay=0.1", NULL};
    l = load_file("typo.yaml", late);
    assert_some_problem(&l, "command line: error: unknown key \"weight_decay\" in optimizer");
    done(&l);
}

static void test_name_of_the_same_type_keeps_settings(void **state) {
    (void)state;
    write_yaml("keep.yaml", "name: x\ndataset: {source: a}\noptimizer: {type: adamw, lr: 0.5}\n");
    write_yaml("kept.yaml", "extends: keep.yaml\noptimizer: adamw\n");
    loaded l = load_file("kept.yaml", NULL);
    assert_fine(&l);
    assert_true(((adam_settings *)l.s->optimizer.settings)->lr == 0.5);
    done(&l);
}

static void test_null_undoes_what_is_extended(void **state) {
    (void)state;
    write_yaml("has.yaml",
               "name: x\ndescription: long\ndataset: {source: a}\nsecond: {type: sgd, lr: 0.5}\n");
    write_yaml("undo.yaml", "extends: has.yaml\ndescription: null\nsecond: ~\ntraining:\n");
    loaded l = load_file("undo.yaml", NULL);
    assert_fine(&l);
    assert_null(l.s->description);
    assert_null(l.s->second.about);
    done(&l);
}

// --- overrides

#define DEEP                                                                                               \
    HEAD                                                                                                   \
        "model:\n  layers:\n    - embedding\n    - repeat:\n        times: 2\n        layers:\n"           \
        "          - residual: [layernorm, {mlp: {hidden: 8}}]\n          - parallel: [[layernorm], [mlp]]\n"

static const mlp_settings *inner_mlp(const loaded *l) {
    const repeat_settings *repeat = l->s->model.layers.items[1].settings;
    const residual_settings *residual = repeat->layers.items[0].settings;
    return residual->layers.items[1].settings;
}

static void test_overrides_reach_everything(void **state) {
    (void)state;
    loaded l = load(DEEP, "seed=5", "dataset.split.0=1", "dataset.split.1=0.5",
                    "model.layers.1.repeat.layers.0.residual.1.mlp.hidden=16",
                    "model.layers.1.repeat.0.residual.layers.1.mlp.activation=relu",
                    "model.layers.1.repeat.layers.1.parallel.branches.0.0.layernorm.eps=0.5",
                    "optimizer.betas.0=0.25", "model.layers.0=mlp");
    assert_fine(&l);
    assert_int_equal(l.s->seed, 5);
    assert_true(l.s->dataset.split.values[0] == 1 && l.s->dataset.split.values[1] == 0.5);
    assert_int_equal(inner_mlp(&l)->hidden, 16);
    assert_int_equal(inner_mlp(&l)->activation, 1);
    const repeat_settings *repeat = l.s->model.layers.items[1].settings;
    const parallel_settings *parallel = repeat->layers.items[1].settings;
    assert_true(((norm_settings *)parallel->branches.lists[0].items[0].settings)->eps == 0.5);
    assert_true(((adam_settings *)l.s->optimizer.settings)->betas.values[0] == 0.25);
    assert_ptr_equal(l.s->model.layers.items[0].about, &layer_mlp);
    assert_string_equal(node_find(l.c.root, "seed")->from.text, "override seed=5");
    assert_int_equal(l.c.overrides.count, 8);
    assert_string_equal(l.c.overrides.values[0], "seed=5");
    done(&l);
}

static void test_overrides_of_defaults(void **state) {
    (void)state;
    loaded l =
        load(HEAD, "model.layers.1.residual.1.mlp.hidden=16", "dataset.split.0=0.5", "second.type=sgd",
             "second.lr=2", "vars.h=3", "training.max_steps=${vars.h}", "description=\"a: b\"");
    assert_fine(&l);
    const residual_settings *residual = l.s->model.layers.items[1].settings;
    assert_int_equal(((mlp_settings *)residual->layers.items[1].settings)->hidden, 16);
    assert_true(l.s->dataset.split.values[0] == 0.5 && l.s->dataset.split.values[1] == 0.05);
    assert_true(((sgd_settings *)l.s->second.settings)->lr == 2);
    assert_int_equal(l.s->training.max_steps, 3);
    assert_string_equal(l.s->description, "a: b");
    done(&l);
}

static void test_overrides_merge_mappings(void **state) {
    (void)state;
    loaded l = load(HEAD "training: {max_steps: 7}\n", "training={batch_size: 3}",
                    "model.layers.1.residual={layers: [mlp]}", "model.layers.2.layernorm={eps: 0.5}",
                    "description=", "optimizer={lr: 3}");
    assert_fine(&l);
    assert_int_equal(l.s->training.max_steps, 7);
    assert_int_equal(l.s->training.batch_size, 3);
    assert_int_equal(((residual_settings *)l.s->model.layers.items[1].settings)->layers.count, 1);
    assert_true(((norm_settings *)l.s->model.layers.items[2].settings)->eps == 0.5);
    assert_string_equal(l.s->description, "");
    assert_true(((adam_settings *)l.s->optimizer.settings)->lr == 3);
    done(&l);
    // The whole list of a container, under its own name or under its key.
    l = load(DEEP, "model.layers.1.repeat.layers.0.residual=[mlp]");
    assert_fine(&l);
    done(&l);
    l = load(DEEP, "model.layers.1.repeat.layers=[mlp, mlp, mlp]");
    assert_fine(&l);
    assert_int_equal(((repeat_settings *)l.s->model.layers.items[1].settings)->layers.count, 3);
    done(&l);
}

// What YAML would read in another way is text where text is wanted.
static void test_texts_of_overrides_are_taken_whole(void **state) {
    (void)state;
    static const char *const texts[] = {"Act #2", "#x",          "ROMEO: x", "[1", "{a",      " two  ",
                                        "it's",   "a 'b' \"c\"", "- x",      "&a", "\xD0\xB0"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char override[64];
        snprintf(override, sizeof override, "description=%s", texts[i]);
        loaded l = load(HEAD, override);
        assert_fine(&l);
        assert_string_equal(l.s->description, texts[i]);
        done(&l);
    }
    loaded l = load(HEAD, "description=\"a\\tb\""); // in quotes as YAML has it
    assert_fine(&l);
    assert_string_equal(l.s->description, "a\tb");
    done(&l);
    l = load(HEAD "description: x\n", "description=null"); // undoes it, as in a file
    assert_fine(&l);
    assert_null(l.s->description);
    done(&l);
}

static void test_settings_given_twice_are_refused(void **state) {
    (void)state;
    loaded l = load(HEAD, "seed=1", "seed=2");
    assert_one_problem(&l, "command line: error: given twice: `seed=1` and `seed=2`\n"
                           "    seed=2\n         ^\n  leave one of the two out\n");
    static const char *const pairs[][2] = {
        {"seed=1", "seed=1"},
        {"training.max_steps=3", "training={max_steps: 4}"},
        {"training={max_steps: 4}", "training.max_steps=3"},
        {"dataset.split=[1, 0, 0]", "dataset.split.1=0.5"},
        {"dataset.split.1=0.5", "dataset.split=[1, 0, 0]"},
        {"optimizer=sgd", "optimizer.type=adam"},
        {"model.layers.1.residual.1.mlp.hidden=16", "model.layers=[mlp]"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        l = load(HEAD, pairs[i][0], pairs[i][1]);
        assert_some_problem(&l, "given twice");
        done(&l);
    }
    // What only adds to a choice is no second value.
    l = load(HEAD, "second=sgd", "second.lr=2", "training={max_steps: 4}", "training.batch_size=3");
    assert_fine(&l);
    done(&l);
}

static void test_wrong_overrides(void **state) {
    (void)state;
    loaded l = load(HEAD, "model.widht=3");
    assert_one_problem(
        &l, "command line: error: unknown key \"widht\" in model\n    model.widht=3\n          ^\n"
            "  did you mean width?\n");
    l = load(HEAD, "modle.width=3");
    assert_one_problem(&l, "command line: error: unknown key \"modle\"\n    modle.width=3\n    ^\n"
                           "  did you mean model?\n");
    l = load(HEAD, "seed");
    assert_one_problem(&l, "command line: error: this is not an override: it has no =\n    seed\n    ^\n"
                           "  write key.path=value\n");
    l = load(HEAD, "model..width=3");
    assert_one_problem(
        &l, "command line: error: the path of this override has an empty part\n    model..width=3\n"
            "          ^\n  write key.path=value\n");
    l = load(HEAD, "=3");
    assert_some_problem(&l, "has an empty part");
    done(&l);
    l = load(HEAD, "training.max_steps=1e-4x");
    assert_one_problem(
        &l, "command line: error: training.max_steps must be an integer from 1 to 1000000000 (steps), not "
            "\"1e-4x\"\n    training.max_steps=1e-4x\n                       ^\n"
            "  max_steps: steps of the optimizer (default 2000)\n");
    l = load(HEAD, "dataset.split=[1, 0] # two");
    assert_one_problem(&l, "command line: error: YAML takes this for a comment, which would be ignored\n"
                           "    dataset.split=[1, 0] # two\n                         ^\n"
                           "  put what contains the # in quotes\n");
    l = load(HEAD, "dataset.split=[1");
    assert_one_problem(
        &l, "command line: error: a bracket [ or { is opened but never closed\n    dataset.split=[1\n"
            "                  ^\n  add the closing bracket\n");
    l = load(HEAD, "dataset.split.3=1");
    assert_one_problem(&l, "command line: error: there is no entry \"3\" in this list of 3\n"
                           "    dataset.split.3=1\n                  ^\n"
                           "  entries are numbered from 0\n");
    l = load(HEAD, "dataset.split.x=1");
    assert_some_problem(&l, "there is no entry \"x\" in this list of 3");
    done(&l);
    l = load(HEAD, "model.layers.1.mlp.hidden=1");
    assert_one_problem(
        &l, "command line: error: the entry here is residual, not \"mlp\"\n"
            "    model.layers.1.mlp.hidden=1\n                   ^\n  write that name instead\n");
    l = load(HEAD, "seed.x=1");
    assert_some_problem(&l, "the path goes on with \"x\", but this value is");
    done(&l);
    l = load(HEAD "vars: {block: [mlp]}\nmodel: {layers: \"${vars.block}\"}\n",
             "model.layers.0.mlp.hidden=1");
    assert_one_problem(
        &l, "command line: error: the path goes on, but this value is the reference ${vars.block}\n"
            "    model.layers.0.mlp.hidden=1\n                 ^\n"
            "  override the setting that it refers to, or the whole value\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mappings_merge_and_lists_replace),
        cmocka_unit_test(test_bases_of_the_library),
        cmocka_unit_test(test_nearest_base),
        cmocka_unit_test(test_several_bases_in_order),
        cmocka_unit_test(test_paths_belong_to_their_file),
        cmocka_unit_test(test_cycles_are_refused),
        cmocka_unit_test(test_many_files_are_refused),
        cmocka_unit_test(test_bad_bases),
        cmocka_unit_test(test_problems_of_a_base_are_shown_there),
        cmocka_unit_test(test_settings_of_the_old_type_are_dropped),
        cmocka_unit_test(test_settings_of_no_type_are_not_dropped),
        cmocka_unit_test(test_name_of_the_same_type_keeps_settings),
        cmocka_unit_test(test_null_undoes_what_is_extended),
        cmocka_unit_test(test_overrides_reach_everything),
        cmocka_unit_test(test_overrides_of_defaults),
        cmocka_unit_test(test_overrides_merge_mappings),
        cmocka_unit_test(test_texts_of_overrides_are_taken_whole),
        cmocka_unit_test(test_settings_given_twice_are_refused),
        cmocka_unit_test(test_wrong_overrides),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
