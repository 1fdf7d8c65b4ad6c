// What compared runs are called: labels, titles, and the number that was swept.
#include "report/compare_labels.h"
#include "support/report_runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static arena *memory;

enum { MOST = 200 };

// Labels and title of runs, which are made of names and settings, or of one of the two.
typedef struct compared {
    report_run runs[MOST];
    const char **labels, *title;
    differing_setting *settings;
    int independent;
    swept_number swept;
} compared;

static compared *compare(const char *const *names, const char *const *yaml, int count) {
    compared *c = arena_alloc(memory, sizeof *c);
    for (int i = 0; i < count; i++)
        c->runs[i] = run_with_settings(memory, names ? names[i] : arena_format(memory, "run%d", i),
                                       yaml ? yaml[i] : "{}");
    report_differences(c->runs, count, memory, &c->settings, &c->independent);
    c->labels = report_labels(c->runs, count, c->settings, c->independent, memory);
    c->title = report_compare_title(c->runs, count, c->settings, c->independent, memory);
    c->swept = report_swept_number(c->settings, c->independent, count, memory);
    return c;
}

#define NAMED(...)                                                                                         \
    compare((const char *[]){__VA_ARGS__}, NULL, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))
#define SET(...)                                                                                           \
    compare(NULL, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void test_short_names_are_labels(void **state) {
    (void)state;
    const compared *c = NAMED("gpt", "hyena", "lstm");
    assert_string_equal(c->labels[0], "gpt");
    assert_string_equal(c->labels[2], "lstm");
    assert_string_equal(c->title, "gpt, hyena and lstm");
}

static void test_one_run(void **state) {
    (void)state;
    const compared *c = NAMED("gpt,optimizer.lr=1e-3");
    assert_string_equal(c->labels[0], "gpt");
    assert_string_equal(c->title, "gpt,optimizer.lr=1e-3");
}

static void test_settings_tell_runs_apart(void **state) {
    (void)state;
    const char *const names[] = {"gpt,optimizer.lr=1e-3", "gpt,optimizer.lr=2e-3", "gpt"};
    const char *const yaml[] = {"{optimizer: {lr: 1e-3}, model: {depth: 4}}",
                                "{optimizer: {lr: 2e-3}, model: {depth: 4}}",
                                "{optimizer: {lr: 2e-3}, model: {depth: 6}}"};
    const compared *c = compare(names, yaml, 2);
    assert_string_equal(c->labels[0], "lr 1e-3");
    assert_string_equal(c->labels[1], "lr 2e-3");
    assert_string_equal(c->title, "gpt: 2 runs compared by lr");
    c = compare(names, yaml, 3);
    assert_string_equal(c->labels[2], "lr 2e-3, depth 6");
    assert_string_equal(c->title, "gpt: 3 runs compared by lr and depth");
}

static void test_common_overrides_are_left_out(void **state) {
    (void)state;
    const compared *c = NAMED("gpt,optimizer.betas=[0.9, 0.95],training.max_steps=10,optimizer.lr=1e-3",
                              "gpt,optimizer.betas=[0.9, 0.99],optimizer.type=sgd,training.max_steps=10");
    assert_string_equal(c->labels[0], "betas=[0.9, 0.95], lr=1e-3");
    assert_string_equal(c->labels[1], "betas=[0.9, 0.99], optimizer.type=sgd");
    assert_string_equal(c->title, "gpt: 2 runs compared");
    c = NAMED("gpt,optimizer.lr=1", "hyena,optimizer.lr=1", "gpt,seed=2,optimizer.lr=1");
    assert_string_equal(c->labels[0], "gpt");
    assert_string_equal(c->labels[1], "hyena");
    assert_string_equal(c->labels[2], "gpt, seed=2");
    assert_string_equal(c->title, "gpt and hyena: 3 runs compared");
}

#define LONG "a_transformer_on_all_the_texts_of_the_city_library"

static void test_common_words_of_long_names_are_left_out(void **state) {
    (void)state;
    const compared *c =
        NAMED(LONG "_with_dropout_seed_1", LONG "_without_seed_1", LONG "_with_dropouts_seed_1");
    assert_string_equal(c->labels[0], "…with_dropout…");
    assert_string_equal(c->labels[1], "…without…");
    assert_string_equal(c->labels[2], "…with_dropouts…");
    assert_string_equal(c->title, "a_transformer_on_all_the…ts_of_the_city_library…: 3 runs compared");
    // One name begins with the other: something remains of both.
    c = NAMED(LONG, LONG "_again");
    assert_string_equal(c->labels[0], "…library");
    assert_string_equal(c->labels[1], "…library_again");
    // A number has its word with it.
    c = NAMED(LONG "_seed_1_x", LONG "_seed_2_x");
    assert_string_equal(c->labels[0], "…seed_1…");
    // The first word differs.
    c = NAMED("x" LONG, "y" LONG);
    assert_string_equal(c->labels[0], "xa…");
    assert_string_equal(c->labels[1], "ya…");
}

static void test_other_scripts(void **state) {
    (void)state;
    const compared *c =
        NAMED("Модель с длинным названием, первая попытка", "Модель с длинным названием, вторая попытка");
    assert_string_equal(c->labels[0], "…первая…");
    assert_string_equal(c->labels[1], "…вторая…");
    assert_string_equal(c->title, "Модель с длинным названием…: 2 runs compared");
    // Letters that share their first byte are not cut apart.
    c = NAMED("трансформер_с_очень_длинным_названием_ж", "трансформер_с_очень_длинным_названием_з");
    assert_string_equal(c->labels[0], "…ж");
    c = NAMED("🦊_model", "🐻_model");
    assert_string_equal(c->labels[0], "🦊_model");
    assert_string_equal(c->title, "🦊_model and 🐻_model");
}

static void test_special_characters_are_kept(void **state) {
    (void)state;
    const compared *c = NAMED("x_{i}^2@y", "a&b~c\\n%d");
    assert_string_equal(c->labels[0], "x_{i}^2@y");
    assert_string_equal(c->title, "x_{i}^2@y and a&b~c\\n%d");
}

static void test_same_name_in_several_folders(void **state) {
    (void)state;
    compared *c = NAMED("gpt", "gpt", "hyena");
    c->runs[0].folder = "/data/monday/runs/gpt";
    c->runs[1].folder = "/data/tuesday/runs/gpt";
    c->runs[2].folder = "/data/tuesday/runs/hyena";
    const char **labels = report_labels(c->runs, 2, NULL, 0, memory);
    assert_string_equal(labels[0], "monday");
    assert_string_equal(labels[1], "tuesday");
    assert_string_equal(report_compare_title(c->runs, 2, NULL, 0, memory), "gpt: 2 runs compared");
    labels = report_labels(c->runs, 3, NULL, 0, memory);
    assert_string_equal(labels[1], "tuesday/runs/gpt");
    assert_string_equal(labels[2], "tuesday/runs/hyena");
    c->runs[1].folder = c->runs[0].folder; // a run beside itself
    assert_string_equal(report_labels(c->runs, 2, NULL, 0, memory)[1], "gpt");
}

static void test_titles_of_many_runs(void **state) {
    (void)state;
    const char *names[MOST];
    for (int i = 0; i < MOST; i++) names[i] = arena_format(memory, "experiment%d", i);
    for (int n = 2; n <= MOST; n++) {
        const compared *c = compare(names, NULL, n);
        assert_true(utf8_columns(c->title) <= 80);
        assert_ptr_equal(strstr(c->title, "experiment0"), c->title);
    }
    assert_string_equal(compare(names, NULL, 20)->title,
                        "experiment0, experiment1, experiment2, experiment3 and 16 others");
    // Two very long names: the title names both.
    const compared *c = NAMED("x" LONG LONG, "y" LONG LONG);
    assert_string_equal(c->title,
                        "xa_transformer_on_…_the_city_library and ya_transformer_on_…_the_city_library");
}

static void test_list_of_settings(void **state) {
    (void)state;
    const differing_setting s[] = {{.heading = "lr"}, {.heading = "weight_decay"}, {.heading = "depth"}};
    assert_string_equal(report_setting_list(s, 0, 40, memory), "");
    assert_string_equal(report_setting_list(s, 1, 40, memory), "lr");
    assert_string_equal(report_setting_list(s, 3, 40, memory), "lr, weight_decay and depth");
    assert_string_equal(report_setting_list(s, 3, 25, memory), "lr and 2 more");
    assert_string_equal(report_setting_list(s, 3, 1, memory), "lr and 2 more");
}

static void test_swept_number(void **state) {
    (void)state;
    const compared *c =
        SET("{optimizer: {lr: 1e-2}}", "{optimizer: {lr: 0.001}}", "{optimizer: {lr: 3.0e-3}}");
    assert_string_equal(c->swept.setting->path, "optimizer.lr");
    assert_float_equal(c->swept.low, 1e-3, 1e-12);
    assert_float_equal(c->swept.high, 1e-2, 1e-12);
    assert_float_equal(c->swept.values[2], 3e-3, 1e-12);
    assert_true(c->swept.logarithmic);
    c = SET("{model: {depth: 2}}", "{model: {depth: 4}}", "{model: {depth: 8}}");
    assert_non_null(c->swept.setting);
    assert_false(c->swept.logarithmic); // less than a factor of 8
    c = SET("{a: 0}", "{a: 1e-4}", "{a: 1}");
    assert_non_null(c->swept.setting);
    assert_false(c->swept.logarithmic); // no logarithm of zero
    c = SET("{a: -1}", "{a: 2}", "{a: 100}");
    assert_non_null(c->swept.setting);
    assert_false(c->swept.logarithmic);
}

static void test_swept_epochs(void **state) {
    (void)state;
    const compared *c = SET("{max_steps: 2 epochs}", "{max_steps: 10 epochs}", "{max_steps: 0.5 epochs}");
    assert_string_equal(c->swept.setting->path, "max_steps");
    assert_true(c->swept.in_epochs);
    assert_true(c->swept.low == 0.5 && c->swept.high == 10);
    c = SET("{max_steps: 200}", "{max_steps: 10 epochs}", "{max_steps: 300}");
    assert_null(c->swept.setting); // nobody knows which is longer
    c = SET("{max_steps: 10 epochs}", "{max_steps: 200}", "{max_steps: 300}");
    assert_null(c->swept.setting);
    c = SET("{max_steps: 1 epoch, a: 1}", "{max_steps: 1.0 epochs, a: 2}", "{max_steps: 1 epoch, a: 3}");
    assert_string_equal(c->swept.setting->path, "a");
    assert_false(c->swept.in_epochs);
}

static void test_seeds_do_not_hide_a_sweep(void **state) {
    (void)state;
    const compared *c = SET("{seed: 1, lr: 1}", "{seed: 2, lr: 2}", "{seed: 3, lr: 3}");
    assert_string_equal(c->swept.setting->path, "lr");
    c = SET("{seed: 1}", "{seed: 2}", "{seed: 3}");
    assert_null(c->swept.setting); // they have no order
}

static void test_no_swept_number(void **state) {
    (void)state;
    assert_null(SET("{a: 1, b: 1}", "{a: 2, b: 2}", "{a: 3, b: 4}")->swept.setting); // two settings
    assert_null(SET("{a: x}", "{a: y}", "{a: z}")->swept.setting);                   // no numbers
    assert_null(SET("{a: 1}", "{a: 2}", "{a: none}")->swept.setting);
    assert_null(SET("{a: 1}", "{a: 2}", "{}")->swept.setting);          // one run lacks it
    assert_null(SET("{a: 1}", "{a: 2}", "{a: 2.0}")->swept.setting);    // two values
    assert_null(SET("{a: 1}", "{a: 1.0}", "{a: 1}")->swept.setting);    // equal
    assert_null(SET("{a: nan}", "{a: 1}", "{a: 2}")->swept.setting);    // not in a colour scale
    assert_null(SET("{a: [1]}", "{a: [2]}", "{a: []}")->swept.setting); // a list that is empty
}

static int set_up(void **state) {
    (void)state;
    memory = arena_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_free(memory);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_names_are_labels),
        cmocka_unit_test(test_one_run),
        cmocka_unit_test(test_settings_tell_runs_apart),
        cmocka_unit_test(test_common_overrides_are_left_out),
        cmocka_unit_test(test_common_words_of_long_names_are_left_out),
        cmocka_unit_test(test_other_scripts),
        cmocka_unit_test(test_special_characters_are_kept),
        cmocka_unit_test(test_same_name_in_several_folders),
        cmocka_unit_test(test_titles_of_many_runs),
        cmocka_unit_test(test_list_of_settings),
        cmocka_unit_test(test_swept_number),
        cmocka_unit_test(test_swept_epochs),
        cmocka_unit_test(test_seeds_do_not_hide_a_sweep),
        cmocka_unit_test(test_no_swept_number),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
