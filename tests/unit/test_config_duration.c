// Durations: how they are written, what is refused and with which words, and how they get their steps.
#include "config/config.h"
#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct part_settings {
    duration interval;
} part_settings;

typedef struct run_settings {
    duration length, rest;
    duration_list points;
    part_settings part;
    component_choice chosen;
} run_settings;

#define SETTINGS part_settings
static const option part_options[] = {DURATION(interval, "10", 0, "how often"), {0}};
#undef SETTINGS
static const component part_section = {
    .name = "part", .kind = "section", .options = part_options, .settings_size = sizeof(part_settings)};
static const component *const parts[] = {&part_section, NULL};

#define SETTINGS run_settings
static const option run_options[] = {
    DURATION(length, "100", 1, "how long"),
    DURATION(rest, "${length}", 0, "how long nothing happens"),
    DURATIONS(points, "[]", 0, "when something happens", .max_count = 3),
    SECTION(part, "a part"),
    COMPONENT(chosen, "part", parts, "a choice"),
    {0},
};
#undef SETTINGS
static const component run_component = {
    .name = "run", .kind = "file", .options = run_options, .settings_size = sizeof(run_settings)};

typedef struct loaded {
    arena *memory;
    config c;
    problems p;
    error err;
    run_settings *s;
} loaded;

static loaded load(const char *yaml, const char *override) {
    loaded l = {.memory = arena_new()};
    config_load_text(&run_component, "x.yaml", yaml, strlen(yaml), &override, override != NULL, l.memory,
                     &l.c, &l.p, &l.err);
    l.s = l.c.settings;
    return l;
}

static void done(loaded *l) {
    problems_free(&l->p);
    arena_free(l->memory);
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        const char *written;
        int64_t steps;
        double epochs;
    } right[] = {{"800", 800, 0},       {"1e3", 1000, 0},        {"0", 0, 0},
                 {"5 epochs", 0, 5},    {"1 epoch", 0, 1},       {"2 epoch", 0, 2},
                 {"0.5 epochs", 0, .5}, {"1.5e1 epochs", 0, 15}, {"0 epochs", 0, 0}};
    static const char *const wrong[] = {"",        "epochs",     " 5 epochs",  "5 epochs ",  "5  epochs",
                                        "5epochs", "5 epoch s",  "5 Epochs",   "5 hours",    "-1 epochs",
                                        "5.5",     "nan epochs", "inf epochs", "0x5 epochs", "5 6 epochs",
                                        "5 steps", "5\tepochs",  "five epochs"};
    duration d;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        if (!duration_read(right[i].written, &d)) fail_msg("refused: %s", right[i].written);
        assert_int_equal(d.steps, right[i].steps);
        assert_true(d.epochs == right[i].epochs);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (duration_read(wrong[i], &d)) fail_msg("accepted: \"%s\"", wrong[i]);
    assert_true(duration_same("1 epoch", "1.0 epochs"));
    assert_true(duration_same("1e3", "1000"));
    assert_false(duration_same("1 epoch", "1"));
    assert_false(duration_same("x", "x"));
}

static void test_what_may_have_been_meant(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"5epochs", "5 epochs"},
                                           {"5 epoch s", "5 epochs"},
                                           {"5  epochs", "5 epochs"},
                                           {"5 Epochs", "5 epochs"},
                                           {"0.5 epohcs", "0.5 epochs"},
                                           {"5 steps", "5"},
                                           {"epochs", NULL},
                                           {"5 hours", NULL},
                                           {"-1 epochs", NULL},
                                           {"1e3epochs", NULL},
                                           {"5", NULL},
                                           {"many", NULL}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        text t = {0};
        const bool found = duration_nearest(pairs[i][0], &t);
        assert_int_equal(found, pairs[i][1] != NULL);
        if (found) assert_string_equal(t.bytes, pairs[i][1]);
        text_free(&t);
    }
}

static void test_steps(void **state) {
    (void)state;
    assert_true(duration_steps(&(duration){.steps = 7}, 100) == 7);
    assert_true(duration_steps(&(duration){.epochs = 2}, 100) == 200);
    assert_true(duration_steps(&(duration){.epochs = 0.506}, 100) == 51);
    assert_true(duration_steps(&(duration){.epochs = 0.001}, 100) == 1); // never none
    assert_true(duration_steps(&(duration){.epochs = 1}, 1) == 1);
}

static void test_epochs_get_their_steps_wherever_they_are(void **state) {
    (void)state;
    loaded l = load("length: 3 epochs\npoints: [5, 1 epoch, 1.5 epochs]\npart: {interval: 0.25 epochs}\n"
                    "chosen: {type: part, interval: \"4 epochs\"}\n",
                    NULL);
    assert_int_equal(l.p.count, 0);
    assert_int_equal(l.s->length.steps, 0); // not known yet
    assert_int_equal(l.c.in_epochs.count, 6);
    assert_string_equal(l.c.in_epochs.items[0].path, "length");
    assert_string_equal(l.c.in_epochs.items[3].path, "points.2");
    assert_int_equal(durations_count_epochs(&l.c.in_epochs, 20, &l.err), OK);
    assert_int_equal(l.s->length.steps, 60);
    assert_int_equal(l.s->rest.steps, 60); // a reference
    assert_int_equal(l.s->points.values[0].steps, 5);
    assert_int_equal(l.s->points.values[1].steps, 20);
    assert_int_equal(l.s->points.values[2].steps, 30);
    assert_int_equal(l.s->part.interval.steps, 5);
    assert_int_equal(((part_settings *)l.s->chosen.settings)->interval.steps, 80);
    text yaml = {0}; // as they were written
    config_write(&l.c, false, 0, &yaml);
    assert_non_null(
        strstr(yaml.bytes, "length: 3 epochs\nrest: 3 epochs\npoints: [5, 1 epoch, 1.5 epochs]\n"));
    loaded again = load(yaml.bytes, NULL);
    assert_int_equal(again.p.count, 0);
    assert_int_equal(config_difference(&l.c, &again.c, NULL, &(text){0}), 0);
    text_free(&yaml);
    done(&again);
    done(&l);
}

static void test_too_many_steps(void **state) {
    (void)state;
    char message[1024];
    loaded l = load("part: {interval: 1 epoch}\n\nlength: 1e15 epochs\n", NULL);
    assert_int_equal(l.p.count, 0);
    assert_int_equal(durations_count_epochs(&l.c.in_epochs, 10, &l.err), ERR_CONFIG);
    assert_string_equal(
        error_text(&l.err, message, sizeof message),
        "x.yaml:3:9: error: length: 1e+15 epochs of 10 steps are more than 9007199254740992 steps\n"
        "    length: 1e15 epochs\n            ^\n");
    done(&l);
}

static void assert_refused(const char *yaml, const char *override, const char *expected) {
    char message[1024];
    loaded l = load(yaml, override);
    assert_int_equal(l.p.count, 1);
    assert_string_equal(error_text(&l.p.items[0].what, message, sizeof message), expected);
    done(&l);
}

static void test_refusals(void **state) {
    (void)state;
    assert_refused(
        "part: {interval: 5epochs}\n", NULL,
        "x.yaml:1:18: error: part.interval must be an integer >= 0 (steps), or a number of epochs "
        ">= 0, as in \"2 epochs\", not \"5epochs\"\n"
        "    part: {interval: 5epochs}\n                     ^\n"
        "  did you mean \"5 epochs\"?\n");
    assert_refused(
        "", "length=0 epochs",
        "command line: error: length must be an integer >= 1 (steps), or a number of epochs > 0, "
        "as in \"2 epochs\", not \"0 epochs\"\n"
        "    length=0 epochs\n           ^\n  length: how long (default 100)\n");
    assert_refused(
        "points: [1 epoch, 2 hours]\n", NULL,
        "x.yaml:1:19: error: points.1 must be an integer >= 0 (steps), or a number of epochs >= 0, "
        "as in \"2 epochs\", not \"2 hours\"\n"
        "    points: [1 epoch, 2 hours]\n                      ^\n"
        "  points: when something happens (default [])\n");
    assert_refused(
        "points: 1 epoch\n", NULL,
        "x.yaml:1:9: error: points must be a list of at most 3 steps or epochs, as in [1000, \"2 "
        "epochs\"], not \"1 epoch\"\n"
        "    points: 1 epoch\n            ^\n  points: when something happens (default [])\n");
}

static void test_differences(void **state) {
    (void)state;
    loaded a = load("length: 1 epoch\npoints: [1e3]\n", NULL),
           b = load("length: 1.0 epochs\npoints: [1000]\n", NULL),
           c = load("length: 1\npoints: [1000]\n", NULL);
    text out = {0};
    assert_int_equal(config_difference(&a.c, &b.c, NULL, &out), 0);
    assert_int_equal(config_difference(&b.c, &c.c, NULL, &out), 2); // the other one refers to it
    assert_string_equal(out.bytes, "length: 1.0 epochs -> 1\nrest: 1.0 epochs -> 1\n");
    text_free(&out);
    done(&a);
    done(&b);
    done(&c);
}

static void test_they_are_described(void **state) {
    (void)state;
    text page = {0}, schema = {0};
    component_describe(&run_component, 0, &page);
    assert_non_null(strstr(page.bytes, "  length   steps or epochs, >= 1"));
    config_schema(&run_component, &schema);
    assert_non_null(strstr(schema.bytes, "how long (steps or epochs; default 100)"));
    assert_non_null(strstr(schema.bytes, " epochs?$\""));
    text_free(&page);
    text_free(&schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_what_may_have_been_meant),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_epochs_get_their_steps_wherever_they_are),
        cmocka_unit_test(test_too_many_steps),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_they_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
