// Pictures of compared runs: their panels, legends, colours and axes, whatever the runs look like.
#include "base/file.h"
#include "base/log.h"
#include "report/compare.h"
#include "support/report_runs.h"
#include "support/temporary_folder.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static arena *memory;
static error err;
static char folder[] = "/tmp/runexp-compare-XXXXXX";
static const gnuplot installed = {.program = NULL}, missing = {.program = "/nonexistent/gnuplot"};

enum { MOST = 200, NAMED = 12, LOSS_PANEL = 430, RATE_PANEL = 215 };

static report_run run_of(const char *name, const char *yaml, int steps, int interval, double last) {
    report_run r = run_with_settings(memory, name, yaml);
    add_losses(memory, &r, steps, interval, last);
    return r;
}

// Runs that differ in name alone, the best first.
static report_run *many_runs(int count) {
    report_run *runs = arena_alloc(memory, (size_t)count * sizeof *runs);
    for (int i = 0; i < count; i++)
        runs[i] = run_of(arena_format(memory, "run%d", i), "{}", 30, 5, 2 + 0.005 * i);
    return runs;
}

// Writes the scripts into a folder of their own; returns the path of the one over `axis`.
static const char *write_scripts(const report_run *runs, int count, const char *axis) {
    static int number = 0;
    const char *plots = path_join(memory, folder, arena_format(memory, "plots%d", number++));
    assert_int_equal(report_compare(runs, count, plots, &missing, &err), OK);
    glob_t found;
    assert_int_equal(glob(arena_format(memory, "%s/*/%s.gp", plots, axis), 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    const char *path = arena_copy_text(memory, found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static const char *script_of(const report_run *runs, int count) {
    static char *bytes; // static: gcc 12 takes a pointer into the file for one to this variable
    size_t length;
    assert_int_equal(file_read(write_scripts(runs, count, "steps"), memory, &bytes, &length, &err), OK);
    return bytes;
}

static int occurrences(const char *script, const char *what) {
    int n = 0;
    for (const char *at = strstr(script, what); at; at = strstr(at + 1, what)) n++;
    return n;
}

typedef struct panel {
    double top, bottom; // pixels from below
    double low, high;   // of y
} panel;

// The panels of a script from top to bottom; *height of the picture. Returns how many.
static int panels_of(const char *script, panel out[4], int *height) {
    const char *size = strstr(script, "size 1000,"), *at = strstr(script, "set multiplot");
    int n = 0;
    assert_non_null(size);
    assert_non_null(at);
    assert_int_equal(sscanf(size, "size 1000,%d", height), 1);
    for (at = strstr(at, "set tmargin"); at; at = strstr(at + 1, "set tmargin"), n++) {
        assert_true(n < 4);
        const char *y = strstr(at, "set yrange");
        assert_non_null(y);
        assert_int_equal(
            sscanf(at, "set tmargin at screen %lf\nset bmargin at screen %lf", &out[n].top, &out[n].bottom),
            2);
        assert_int_equal(sscanf(y, "set yrange [%lf:%lf]", &out[n].low, &out[n].high), 2);
        out[n].top *= *height;
        out[n].bottom *= *height;
    }
    return n;
}

// All of the legend lies above the panels.
static void assert_legend_above(const char *script, double top, int height) {
    int lines = 0;
    for (const char *at = strstr(script, "set arrow from screen"); at;
         at = strstr(at + 1, "set arrow from screen")) {
        double left, middle;
        assert_int_equal(sscanf(at, "set arrow from screen %lf, screen %lf", &left, &middle), 2);
        assert_true(middle * height > top + 8);
        assert_true(left < 0.9);
        lines++;
    }
    assert_true(lines > 0);
}

static void test_panels_have_one_height(void **state) {
    (void)state;
    const report_run *runs = many_runs(MOST);
    const int counts[] = {1, 2, 3, 6, 7, 12, 13, 14, 60, 120, MOST};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *script = script_of(runs, counts[i]);
        panel p[4];
        int height;
        assert_int_equal(panels_of(script, p, &height), 2);
        assert_float_equal(p[0].top - p[0].bottom, LOSS_PANEL, 0.5);
        assert_float_equal(p[1].top - p[1].bottom, RATE_PANEL, 0.5);
        assert_true(height < 1100);
        assert_legend_above(script, p[0].top, height);
    }
}

static void test_best_dozen_is_named_and_the_rest_grey(void **state) {
    (void)state;
    const char *script = script_of(many_runs(40), 40);
    const char *key = "nohead ";
    assert_int_equal(occurrences(script, key), NAMED + 1);
    assert_non_null(strstr(script, "\"run0 (best 2.1"));
    assert_non_null(strstr(script, "\"run11 (best 2.1"));
    assert_null(strstr(script, "\"run12 (best"));
    assert_non_null(strstr(script, "\"28 other runs\""));
    assert_int_equal(occurrences(script, "linecolor rgb '#BBBBBB'"), 2 * 28 + 1);
    // Grey lines lie below.
    assert_true(strstr(script, "$val39 using") < strstr(script, "$val0 using"));
    assert_non_null(strstr(script_of(many_runs(13), 13), "\"1 other run\""));
    assert_null(strstr(script_of(many_runs(12), 12), "other run"));
}

static void test_swept_number_has_a_colour_scale(void **state) {
    (void)state;
    report_run runs[20];
    for (int i = 0; i < 20; i++) {
        const char *lr = arena_format(memory, "%.3g", 1.2e-3 * pow(1.12, i));
        runs[i] = run_of(arena_format(memory, "gpt,optimizer.lr=%s", lr),
                         arena_format(memory, "{optimizer: {lr: %s}}", lr), 30, 5, 2 + 0.01 * i);
    }
    const char *script = script_of(runs, 20);
    assert_non_null(strstr(script, "set logscale cb"));
    assert_non_null(strstr(script, "set cblabel \"lr\""));
    assert_non_null(strstr(script, "set cbrange [0.0012:0.0103]"));
    assert_non_null(strstr(script, "set cbtics (0.002, 0.005, 0.01)"));
    assert_non_null(strstr(script, "palette cb 0.0012"));
    assert_null(strstr(script, "other runs"));
    assert_non_null(strstr(script, "\"gpt: 20 runs compared by lr\""));
    assert_null(strstr(script_of(many_runs(3), 3), "palette"));
    for (int i = 0; i < 3; i++) {
        const char *length = arena_format(memory, "%d epochs", 3 * i + 2);
        runs[i] = run_of(arena_format(memory, "gpt,training.max_steps=%s", length),
                         arena_format(memory, "{training: {max_steps: %s}}", length), 30, 5, 2 + 0.01 * i);
    }
    script = script_of(runs, 3);
    assert_non_null(strstr(script, "set cblabel \"max_steps\" . \" (epochs)\""));
    assert_non_null(strstr(script, "set cbrange [2:8]"));
}

static void test_much_worse_run_has_a_strip(void **state) {
    (void)state;
    report_run *runs = many_runs(3);
    for (int i = 1; i < 6; i++) runs[2].metrics.eval[SPLIT_VAL][i].loss = 1e3 + 100 * i;
    history_derive(&runs[2].metrics, memory, &runs[2].history);
    const char *script = script_of(runs, 3);
    panel p[4];
    int height;
    assert_int_equal(panels_of(script, p, &height), 3);
    assert_float_equal(p[0].top - p[1].bottom, LOSS_PANEL, 0.5);
    assert_true(p[0].bottom > p[1].top);
    assert_true(p[0].low < 1100 && p[0].high > 1500);
    assert_true(p[1].low < 2.1 && p[1].high < 5);
    assert_float_equal(p[2].top - p[2].bottom, RATE_PANEL, 0.5);
    assert_non_null(strstr(script, "set ytics (\"1100\" 1100, \"1500\" 1500)"));
    assert_legend_above(script, p[0].top, height);
}

static void test_strange_runs_are_named(void **state) {
    (void)state;
    report_run runs[] = {run_of("usual", "{}", 30, 5, 2), run_of("one", "{}", 30, 30, 2),
                         run_of("none", "{}", 30, 0, 2), run_of("diverged", "{}", 30, 5, 2),
                         run_of("at_once", "{}", 30, 0, 2)};
    for (int i = 20; i < 30; i++) runs[3].metrics.train[i].loss = NAN;
    for (int i = 4; i < 6; i++) runs[3].metrics.eval[SPLIT_VAL][i].loss = NAN;
    runs[4].metrics.train_count = 0;
    runs[4].metrics.status = "diverged";
    for (int i = 0; i < 5; i++) history_derive(&runs[i].metrics, memory, &runs[i].history);
    const char *script = script_of(runs, 5);
    assert_non_null(strstr(script, "\"none (training loss only)\""));
    assert_non_null(strstr(script, "diverged after step 20)\""));
    assert_non_null(strstr(script, "\"at_once (diverged after step 0)\""));
    // The best first: usual and one are equal, in the order of the command line.
    assert_non_null(strstr(script, "$val1 using ($1/1):2 with linespoints"));
    assert_non_null(strstr(script, "$val0 using ($1/1):2 with lines "));
}

#define LONG                                                                                               \
    "a_transformer_on_all_the_texts_of_the_city_library_and_of_the_museum_of_the_city_that_nobody_reads_"

static void test_long_texts_are_cut_in_their_middle(void **state) {
    (void)state;
    report_run runs[] = {run_of("x" LONG LONG "1", "{a: 1, b: 2, c: 3, d: 4, e: 5}", 30, 5, 2),
                         run_of("y" LONG LONG "2", "{}", 30, 5, 2.1)};
    const char *script = script_of(runs, 2);
    assert_non_null(strstr(script, "_reads_1 (best 2.1000 at step 30)\""));
    assert_non_null(strstr(script, "_reads_2 (best 2.2000 at step 30)\""));
    assert_null(strstr(script, LONG));
    assert_non_null(strstr(
        script, "\"validation loss; thin: training loss, smoothed; runs differ in a, b, c, d and e\""));
}

// Every kind of comparison is a script that gnuplot draws.
static void test_comparisons_are_drawn(void **state) {
    (void)state;
    report_run *many = many_runs(MOST);
    const char *const names[] = {"Модель", "🦊_模型", "x_{i}^2@y&z~", "'\"`\\$1", LONG LONG};
    report_run named[5];
    for (int i = 0; i < 5; i++) {
        named[i] = run_of(names[i], arena_format(memory, "{optimizer: {lr: %d}}", i + 1), 30, 5, 2);
        named[i].folder = arena_format(memory, "run%d", i);
    }
    for (int i = 0; i < 30; i++) named[1].metrics.train[i].loss = 1e3 * i;
    for (int i = 0; i < 6; i++) named[1].metrics.eval[SPLIT_VAL][i].loss = 1e30 * i;
    for (int i = 0; i < 30; i++) named[2].metrics.train[i].lr = 1e-30 * i;
    for (int i = 0; i < 5; i++) history_derive(&named[i].metrics, memory, &named[i].history);
    const struct {
        const report_run *runs;
        int count;
    } all[] = {{many, 1}, {many, 13}, {many, MOST}, {named, 5}, {named + 2, 3}, {named + 1, 1}};
    static const char *const axes[] = {"steps", "tokens", "seconds"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *picture, *path = write_scripts(all[i].runs, all[i].count, axes[i % 3]);
        if (gnuplot_run(&installed, path, memory, &picture, &err) != OK) fail_msg("%s", err.message);
        if (!picture) skip();
    }
}

static int set_up(void **state) {
    (void)state;
    memory = arena_new();
    log_set_quiet(true);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    arena_free(memory);
    return temporary_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panels_have_one_height),
        cmocka_unit_test(test_best_dozen_is_named_and_the_rest_grey),
        cmocka_unit_test(test_swept_number_has_a_colour_scale),
        cmocka_unit_test(test_much_worse_run_has_a_strip),
        cmocka_unit_test(test_strange_runs_are_named),
        cmocka_unit_test(test_long_texts_are_cut_in_their_middle),
        cmocka_unit_test(test_comparisons_are_drawn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
