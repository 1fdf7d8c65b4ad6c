// Plots: every script is written, carries its data, and is drawn by gnuplot, whatever the run looks like.
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "report/compare.h"
#include "report/plot.h"
#include "support/temporary_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static arena *memory;
static error err;
static char folder[] = "/tmp/runexp-plots-XXXXXX";
static const gnuplot installed = {.program = NULL}, missing = {.program = "/nonexistent/gnuplot"};

static const char *path_of(const char *name) {
    return path_join(memory, folder, name);
}

static const char *content_of(const char *name) {
    static char *bytes; // static: gcc 12 takes a pointer into the file for one to this variable
    size_t length;
    assert_int_equal(file_read(path_of(name), memory, &bytes, &length, &err), OK);
    return bytes;
}

// A run of `steps` steps with an evaluation every `interval` (0: none) that overfits from its middle on.
static report_run run_of(const char *name, int64_t steps, int64_t interval) {
    report_run r = {.folder = name, .name = name, .description = "for tests", .grad_clip = 1};
    metrics_data *m = &r.metrics;
    m->status = "finished";
    m->train = arena_alloc(memory, (size_t)(steps + 1) * sizeof *m->train);
    m->eval[SPLIT_VAL] = arena_alloc(memory, (size_t)(steps + 1) * sizeof *m->eval[SPLIT_VAL]);
    for (int64_t step = 0; step <= steps; step++) {
        double part = steps ? (double)step / (double)steps : 0, loss = 4 / (1 + 2 * part);
        if (step > 0)
            m->train[m->train_count++] = (train_row){.step = step,
                                                     .tokens = 768 * step,
                                                     .seconds = 0.025 * (double)step,
                                                     .loss = loss + (step % 2 ? 0.1 : -0.1),
                                                     .lr = 1e-3 * (1 - 0.9 * part),
                                                     .grad_norm = 0.5 + part,
                                                     .tokens_per_second = 30000};
        double val = loss + 0.1 + 4 * fmax(0, part - 0.5);
        if (interval > 0 && step % interval == 0)
            m->eval[SPLIT_VAL][m->eval_count[SPLIT_VAL]++] = (eval_row){.step = step,
                                                                        .tokens = 768 * step,
                                                                        .seconds = 0.025 * (double)step,
                                                                        .loss = val,
                                                                        .perplexity = exp(val)};
    }
    return r;
}

static report_run *with_history(report_run *r) {
    history_derive(&r->metrics, memory, &r->history);
    return r;
}

// Filters that fall with the lag, faster in every further channel; the taps of the lags from `zero` on are
// 0.
static void add_filters(report_run *r, int count, int lags, int channels, int zero) {
    model_filter *filters = arena_alloc(memory, (size_t)count * sizeof *filters);
    for (int i = 0; i < count; i++) {
        real *taps = arena_alloc(memory, (size_t)lags * (size_t)channels * sizeof *taps);
        for (int k = 0; k < lags && k < zero; k++)
            for (int c = 0; c < channels; c++)
                taps[k * channels + c] = (real)((c % 2 ? -1 : 1) * exp(-0.01 * k * (c + 1)));
        filters[i] = (model_filter){arena_format(memory, "repeat/%d/hyena", i / 2), lags, channels, taps};
    }
    r->filters = filters;
    r->filter_count = count;
}

static void test_scripts_without_gnuplot(void **state) {
    (void)state;
    report_run r = run_of("no_gnuplot", 100, 10);
    add_filters(&r, 3, 200, 5, 200);
    assert_int_equal(report_plot_run(with_history(&r), folder, &missing, &err), OK);
    for (int i = 0; plot_registry[i]; i++) {
        const char *name = plot_registry[i]->name;
        const char *script = content_of(arena_format(memory, "no_gnuplot/%s.gp", name));
        assert_non_null(strstr(script, " << EOD\n"));
        assert_non_null(strstr(script, "\nplot $"));
        assert_false(file_exists(path_of(arena_format(memory, "no_gnuplot/%s.png", name))));
    }
    const char *loss = content_of("no_gnuplot/loss.gp");
    assert_non_null(strstr(loss, "overfitting starts at step 50"));
    assert_non_null(strstr(loss, "best 2.1000 at step 50"));
    const char *grad_norm = content_of("no_gnuplot/grad_norm.gp");
    assert_non_null(strstr(grad_norm, "clip at 1: 50% of steps"));
}

// Steps below and epochs above, over the same length; no epochs for a run whose length is in steps.
static void test_epochs_have_an_axis(void **state) {
    (void)state;
    static const char *const over_steps[] = {"loss", "perplexity", "gap", "lr", "grad_norm", "speed"};
    for (int epochs = 0; epochs < 2; epochs++) {
        report_run r = run_of("epochs", 100, 10);
        r.steps_per_epoch = epochs ? 40 : 0;
        assert_int_equal(report_plot_run(with_history(&r), folder, &installed, &err), OK);
        for (size_t i = 0; i < sizeof over_steps / sizeof *over_steps; i++) {
            const char *script = content_of(arena_format(memory, "epochs/%s.gp", over_steps[i]));
            assert_non_null(strstr(script, "set xlabel \"step\"\nset xrange [0:100]\n"));
            assert_int_equal(strstr(script, "set x2label \"epoch\"") != NULL, epochs);
            assert_int_equal(strstr(script, "set x2range [0:2.5]\n") != NULL, epochs);
            assert_true(file_exists(path_of(arena_format(memory, "epochs/%s.png", over_steps[i]))));
        }
    }
}

static size_t lines_of_block(const char *script, const char *block) {
    char heading[64];
    snprintf(heading, sizeof heading, "$%s << EOD\n", block);
    const char *start = strstr(script, heading);
    if (!start) return 0;
    const char *end = strstr(start, "\nEOD\n");
    size_t lines = 0;
    for (; start < end; start++) lines += *start == '\n';
    return lines;
}

// A line for each lag: quantiles of the channels' magnitudes; later lags share a line.
static void test_filters_are_summed_up(void **state) {
    (void)state;
    report_run r = run_of("filters", 100, 10);
    add_filters(&r, 3, 8192, 5, 8192);
    assert_int_equal(report_plot_run(with_history(&r), folder, &missing, &err), OK);
    const char *script = content_of("filters/filters.gp");
    // Lag 0 has magnitude 1 in all channels, lag 2 exp(-0.02 (c + 1)).
    assert_non_null(strstr(script, "$filter0 << EOD\n1 1 1 1 1 1\n"));
    char third[64];
    snprintf(third, sizeof third, "\n3 %.5g %.5g %.5g %.5g %.5g\n", exp(-0.1),
             0.6 * exp(-0.1) + 0.4 * exp(-0.08), exp(-0.06), 0.6 * exp(-0.02) + 0.4 * exp(-0.04),
             exp(-0.02));
    assert_non_null(strstr(script, third));
    assert_in_range(lines_of_block(script, "filter2"), 70, 110);
    assert_non_null(strstr(script, "\"repeat/0/hyena, convolution 2\""));
    assert_non_null(strstr(script, "\"repeat/1/hyena\""));
    assert_null(strstr(script, "$filter3"));
    assert_null(strstr(script, "set label 1 ")); // gnuplot numbers those of the legend from 1 on
    // Many filters: some of them.
    add_filters(&r, 101, 64, 2, 64);
    assert_int_equal(report_plot_run(&r, folder, &missing, &err), OK);
    script = content_of("filters/filters.gp");
    assert_non_null(strstr(script, "$filter23 << EOD"));
    assert_null(strstr(script, "$filter24"));
    assert_non_null(strstr(script, "\"repeat/50/hyena\""));
}

static void test_long_curves_are_thinned_and_keep_their_peaks(void **state) {
    (void)state;
    report_run r = run_of("long", 50000, 0);
    r.metrics.train[31234].loss = 7.125;
    r.metrics.train[11111].loss = NAN;
    assert_int_equal(report_plot_run(with_history(&r), folder, &missing, &err), OK);
    const char *script = content_of("long/loss.gp");
    assert_in_range(lines_of_block(script, "train_raw"), 1000, 2000);
    assert_int_equal(lines_of_block(script, "train"), 1000);
    assert_non_null(strstr(script, "31235 7.125\n"));
    assert_non_null(strstr(script, "11112 NaN\n"));
    r = run_of("short", 4000, 0);
    assert_int_equal(report_plot_run(with_history(&r), folder, &missing, &err), OK);
    assert_int_equal(lines_of_block(content_of("short/loss.gp"), "train_raw"), 4000);
}

static void test_names_cannot_break_a_script(void **state) {
    (void)state;
    script_heading heading = {.stem = "x", .height = SCRIPT_HEIGHT};
    heading.title = "it's `date` \"quoted\"\nprint 'boom' \xFF naïve";
    text s = {0};
    script_begin(&s, &heading);
    assert_non_null(strstr(
        s.bytes, "\"it\\0047s \\0140date\\0140 \\0042quoted\\0042 print \\0047boom\\0047 ? naïve\""));
    assert_null(strstr(s.bytes, "\nprint"));
    text_clear(&s);
    script_add_quoted(&s, "ÄÖÜäöü", 5); // in the room of five Latin ones
    assert_string_equal(s.bytes, "\"Ä…ü\"");
    text_free(&s);
}

static const char *const difficult_names[] = {
    "'Tis a test",   "''",        "a''b'",         "\"",      "say \"x\"",      "back\\slash\\",
    "100%d %s",      "@macro",    "{/Bold x}^2_y", "a\nb\tc", "naïve Привет",   "$1 $x",
    "`touch x`",     "# comment", "\xFE\xFF",      "\\",      "...'; print 1;", "title \\",
    "x] with [y, z", "\"\"\"",    "'\"'\"'`'\"`"};

// gnuplot prints back what it read: the string itself, with blanks for control characters.
static void test_gnuplot_reads_every_string(void **state) {
    (void)state;
    text script = {0}, expected = {0};
    text_add(&script, "set print '%s'\n", path_of("echo.png.tmp.echo"));
    for (size_t i = 0; i < sizeof difficult_names / sizeof *difficult_names; i++) {
        text_add(&script, "print ");
        script_add_quoted(&script, difficult_names[i], 0);
        text_add(&script, "\n");
        for (const char *c = difficult_names[i]; *c; c++)
            text_add(&expected, "%c",
                     *c == '\n' || *c == '\t'       ? ' '
                     : *c == '\xFE' || *c == '\xFF' ? '?'
                                                    : *c);
        text_add(&expected, "\n");
    }
    text_add(&script, "unset print\nset terminal dumb\nset output '%s' . suffix\nplot 1\n",
             path_of("echo.txt"));
    assert_int_equal(file_write(path_of("echo.gp"), script.bytes, script.length, &err), OK);
    const char *picture;
    if (gnuplot_run(&installed, path_of("echo.gp"), memory, &picture, &err) != OK)
        fail_msg("%s", err.message);
    if (picture) assert_string_equal(content_of("echo.png.tmp.echo"), expected.bytes);
    text_free(&script);
    text_free(&expected);
}

// What no font has is a box: pngcairo would draw it over the whole picture.
static void test_characters_without_a_font_are_boxes(void **state) {
    (void)state;
    const script_heading heading = {.stem = "fonts", .title = "", .height = SCRIPT_HEIGHT};
    text s = {0};
    script_begin(&s, &heading);
    text_add(&s, "set print '%s'\nif (device ne 'pngcairo') { device = 'pngcairo' }\nprint ",
             path_of("fonts.txt.printed"));
    script_add_quoted(&s, "a\U00010FFD\U00010FFD\u200D{b", 0);
    text_add(&s, "\nunset print\nplot 1\n");
    assert_int_equal(file_write(path_of("fonts.gp"), s.bytes, s.length, &err), OK);
    const char *picture;
    if (gnuplot_run(&installed, path_of("fonts.gp"), memory, &picture, &err) != OK)
        fail_msg("%s", err.message);
    if (picture) assert_string_equal(content_of("fonts.txt.printed"), "a□□{b\n");
    text_free(&s);
}

// A legend has as many columns as fit, so many lines, and what does not fit is cut in its middle.
static void test_legend(void **state) {
    (void)state;
    const legend_entry usual = {.look = "linewidth 2", .text = "run (best 1.2345 at step 1000)"};
    const legend_entry five[] = {usual, usual, usual, usual, usual};
    assert_int_equal(script_legend_height(five, 0), 0);
    assert_int_equal(script_legend_height(five, 1), script_legend_height(five, 2));
    assert_int_equal(script_legend_height(five, 5), 3 * script_legend_height(five, 1));
    const char *const wide = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQ";
    const legend_entry capitals[] = {{.look = "", .text = wide}, {.look = "", .text = wide}};
    assert_int_equal(script_legend_height(capitals, 2), 2 * script_legend_height(capitals, 1));
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const legend_entry too_long = {.look = "", .text = longest, .has_points = true};
    text s = {0};
    script_legend(&s, SCRIPT_HEIGHT, &too_long, 1, 0);
    assert_non_null(strstr(s.bytes, "xxx…xxx"));
    assert_non_null(strstr(s.bytes, " point pointtype 7"));
    assert_true(s.length < 500);
    text_free(&s);
}

static void test_logarithmic_tics(void **state) {
    (void)state;
    const struct {
        double low, high;
        const char *expected;
    } cases[] = {{1.2e-3, 9.9e-3, "set cbtics (0.002, 0.005)\n"},
                 {1e-4, 1e-2, "set cbtics (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01)\n"},
                 {1.2, 2.1, "set cbtics (1.5, 2)\n"},
                 {1, 1e5, "set cbtics autofreq\n"},
                 {1e-30, 1, "set cbtics autofreq\nset format cb '1e%T'\nset mcbtics 1\n"}};
    text s = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_clear(&s);
        script_logarithmic_tics(&s, "cb", cases[i].low, cases[i].high);
        assert_string_equal(s.bytes, cases[i].expected);
    }
    text_free(&s);
}

static void test_runs_with_difficult_names_are_drawn(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof difficult_names / sizeof *difficult_names; i++) {
        report_run runs[] = {run_of(arena_format(memory, "runs/difficult%zu", i), 3, 1),
                             run_of("runs/plain", 3, 1)};
        runs[0].name = runs[0].description = difficult_names[i];
        for (int k = 0; k < 2; k++) with_history(&runs[k]);
        assert_int_equal(report_plot_run(&runs[0], folder, &missing, &err), OK);
        assert_int_equal(report_compare(runs, 2, folder, &missing, &err), OK);
        for (int k = 0; k < 2; k++) {
            const char *picture,
                *name = k == 0 ? arena_format(memory, "difficult%zu/loss.gp", i)
                               : arena_format(memory, "compare-difficult%zu-plain/steps.gp", i);
            if (gnuplot_run(&installed, path_of(name), memory, &picture, &err) != OK)
                fail_msg("%s", err.message);
            if (!picture) skip();
        }
    }
}

// A script that fails after it has opened its picture.
static void test_failure_leaves_the_picture_alone(void **state) {
    (void)state;
    static const char script[] = "set terminal dumb\nset output '%s' . suffix\nplot 1\nnonsense\n";
    const char *content = arena_format(memory, script, path_of("kept.txt"));
    assert_int_equal(file_write(path_of("kept.txt"), "good", 4, &err), OK);
    assert_int_equal(file_write(path_of("kept.gp"), content, strlen(content), &err), OK);
    const char *picture;
    status result = gnuplot_run(&installed, path_of("kept.gp"), memory, &picture, &err);
    if (result == OK && !picture) skip();
    assert_int_equal(result, ERR_IO);
    assert_string_equal(content_of("kept.txt"), "good");
    assert_false(file_exists(path_of(arena_format(memory, "kept.txt.tmp.%ld", (long)getpid()))));
}

// Draws all of a run's plots and expects `count` pictures from scripts that gnuplot accepts.
static void draw(report_run *r, int count) {
    int scripts = 0;
    assert_int_equal(report_plot_run(with_history(r), folder, &missing, &err), OK);
    for (int i = 0; plot_registry[i]; i++) {
        const char *script = path_of(arena_format(memory, "%s/%s.gp", r->folder, plot_registry[i]->name));
        if (!file_exists(script)) continue;
        scripts++;
        const char *picture;
        if (gnuplot_run(&installed, script, memory, &picture, &err) != OK) fail_msg("%s", err.message);
        if (!picture) skip();
        struct stat info;
        assert_int_equal(stat(picture, &info), 0);
        assert_true(info.st_size > 1000);
    }
    assert_int_equal(scripts, count);
}

static void test_usual_run_is_drawn(void **state) {
    (void)state;
    report_run r = run_of("usual", 500, 50);
    r.metrics.eval[SPLIT_TEST] = r.metrics.eval[SPLIT_VAL];
    r.metrics.eval_count[SPLIT_TEST] = r.metrics.eval_count[SPLIT_VAL];
    r.metrics.eval[SPLIT_TRAIN] = r.metrics.eval[SPLIT_VAL];
    r.metrics.eval_count[SPLIT_TRAIN] = r.metrics.eval_count[SPLIT_VAL];
    add_filters(&r, 4, 256, 16, 256);
    draw(&r, 7);
}

static void test_strange_runs_are_drawn(void **state) {
    (void)state;
    report_run r = run_of("empty", 0, 0);
    draw(&r, 0);
    r = run_of("one_step", 1, 0);
    draw(&r, 5); // no gap without evaluations
    r = run_of("one_evaluation", 0, 1);
    draw(&r, 2); // loss and perplexity
    r = run_of("it's_odd {x}^2 @y `z` \"ü\"", 3, 1);
    draw(&r, 6);
    r = run_of("filters_alone", 0, 0);
    add_filters(&r, 1, 1, 1, 1); // one tap
    draw(&r, 1);
    add_filters(&r, 101, 50, 3, 20); // many, of which much is zero
    draw(&r, 1);
    add_filters(&r, 2, 50, 3, 0); // nothing else
    remove(path_of("filters_alone/filters.gp"));
    remove(path_of("filters_alone/filters.png"));
    draw(&r, 0);
}

static void test_diverged_runs_are_drawn(void **state) {
    (void)state;
    report_run r = run_of("diverged", 200, 20);
    for (int i = 150; i < 200; i++) r.metrics.train[i].loss = exp(i - 140);
    for (int i = 180; i < 200; i++) r.metrics.train[i].loss = r.metrics.train[i].grad_norm = NAN;
    r.metrics.eval[SPLIT_VAL][9].loss = INFINITY;
    r.metrics.eval[SPLIT_VAL][9].perplexity = INFINITY;
    draw(&r, 6);
    assert_non_null(strstr(content_of("diverged/loss.gp"), "diverged after step 179"));
    assert_non_null(strstr(content_of("diverged/loss.gp"), "set logscale y"));

    r = run_of("all_nan", 20, 5);
    for (int i = 0; i < 20; i++) {
        r.metrics.train[i].loss = NAN;
        r.metrics.train[i].grad_norm = INFINITY;
    }
    for (int i = 0; i < 5; i++) r.metrics.eval[SPLIT_VAL][i].loss = NAN;
    for (int i = 0; i < 5; i++) r.metrics.eval[SPLIT_VAL][i].perplexity = NAN;
    draw(&r, 2); // learning rate and speed are still numbers
}

// A loss so large that its perplexity is infinite.
static void test_infinite_perplexity_is_no_mark(void **state) {
    (void)state;
    report_run r = run_of("enormous", 100, 10);
    for (int i = 0; i < 100; i++) r.metrics.train[i].loss = 1e3 + i;
    for (int i = 0; i < 11; i++) {
        r.metrics.eval[SPLIT_VAL][i].loss = 1e3 + i;
        r.metrics.eval[SPLIT_VAL][i].perplexity = INFINITY;
    }
    r.metrics.train[0].loss = 4;
    draw(&r, 6);
    const char *script = content_of("enormous/perplexity.gp");
    assert_null(strstr(script, "best inf"));
    assert_non_null(strstr(script, "$train using 1:2 with linespoints")); // one point is left
}

static void test_speed_is_in_readable_units(void **state) {
    (void)state;
    report_run r = run_of("speed", 100, 10);
    draw(&r, 6);
    assert_non_null(strstr(content_of("speed/speed.gp"), "\"tokens per second (thousands)\""));
    assert_non_null(strstr(content_of("speed/speed.gp"), "$raw << EOD\n1 30\n"));
    assert_non_null(strstr(content_of("speed/speed.gp"), "\"over the whole run: 30.7 K\""));
    for (int i = 0; i < 100; i++) r.metrics.train[i].tokens_per_second = 300;
    draw(&r, 6);
    assert_non_null(strstr(content_of("speed/speed.gp"), "\"tokens per second\""));
}

static void test_comparison_is_drawn(void **state) {
    (void)state;
    report_run runs[] = {run_of("first", 300, 30), run_of("second", 500, 50), run_of("no_val", 100, 0)};
    for (int i = 0; i < 3; i++) with_history(&runs[i]);
    assert_int_equal(report_compare(runs, 3, folder, &missing, &err), OK);
    const char *const names[] = {"steps", "tokens", "seconds"};
    for (int i = 0; i < 3; i++) {
        const char *script = path_of(arena_format(memory, "compare-first-second-no_val/%s.gp", names[i]));
        const char *picture;
        if (gnuplot_run(&installed, script, memory, &picture, &err) != OK) fail_msg("%s", err.message);
        if (!picture) skip();
        assert_true(file_exists(picture));
    }
    assert_non_null(strstr(content_of("compare-first-second-no_val/steps.gp"), "set multiplot"));
}

static void test_picture_lands_beside_its_script(void **state) {
    (void)state;
    report_run r = run_of("beside", 50, 10);
    assert_int_equal(report_plot_run(with_history(&r), folder, &installed, &err), OK);
    const char *picture;
    assert_int_equal(gnuplot_run(&installed, path_of("beside/lr.gp"), memory, &picture, &err), OK);
    if (!picture) skip();
    assert_string_equal(picture, path_of("beside/lr.png"));
    assert_true(file_exists(path_of("beside/lr.png")));
}

static void test_failures_of_gnuplot_are_reported(void **state) {
    (void)state;
    const char *picture = "unset";
    assert_int_equal(gnuplot_run(&missing, "x.gp", memory, &picture, &err), OK);
    assert_null(picture);

    assert_int_equal(file_write(path_of("wrong.gp"), "plot nonsense(\n", 15, &err), OK);
    status result = gnuplot_run(&installed, path_of("wrong.gp"), memory, &picture, &err);
    if (result == OK && !picture) skip();
    assert_int_equal(result, ERR_IO);
    assert_non_null(strstr(err.message, "wrong.gp"));
    assert_true(err.hint[0]);

    const char *slow = path_of("slow");
    assert_int_equal(file_write(slow, "#!/bin/sh\nexec sleep 20\n", 24, &err), OK);
    assert_int_equal(chmod(slow, 0755), 0);
    double start = clock_seconds();
    const gnuplot impatient = {.program = slow, .timeout_seconds = 0.2};
    assert_int_equal(gnuplot_run(&impatient, "x.gp", memory, &picture, &err), ERR_IO);
    assert_non_null(strstr(err.message, "more than 0.2 s"));
    assert_true(clock_seconds() - start < 5);
}

static void test_unwritable_folder_is_an_error(void **state) {
    (void)state;
    report_run r = run_of("unwritable", 10, 0);
    assert_int_equal(report_plot_run(with_history(&r), "/proc/nowhere", &missing, &err), ERR_IO);
    assert_non_null(strstr(err.message, "/proc/nowhere"));
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
        cmocka_unit_test(test_scripts_without_gnuplot),
        cmocka_unit_test(test_epochs_have_an_axis),
        cmocka_unit_test(test_filters_are_summed_up),
        cmocka_unit_test(test_long_curves_are_thinned_and_keep_their_peaks),
        cmocka_unit_test(test_names_cannot_break_a_script),
        cmocka_unit_test(test_gnuplot_reads_every_string),
        cmocka_unit_test(test_characters_without_a_font_are_boxes),
        cmocka_unit_test(test_legend),
        cmocka_unit_test(test_logarithmic_tics),
        cmocka_unit_test(test_runs_with_difficult_names_are_drawn),
        cmocka_unit_test(test_failure_leaves_the_picture_alone),
        cmocka_unit_test(test_usual_run_is_drawn),
        cmocka_unit_test(test_strange_runs_are_drawn),
        cmocka_unit_test(test_diverged_runs_are_drawn),
        cmocka_unit_test(test_infinite_perplexity_is_no_mark),
        cmocka_unit_test(test_speed_is_in_readable_units),
        cmocka_unit_test(test_comparison_is_drawn),
        cmocka_unit_test(test_picture_lands_beside_its_script),
        cmocka_unit_test(test_failures_of_gnuplot_are_reported),
        cmocka_unit_test(test_unwritable_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
