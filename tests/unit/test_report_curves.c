// The curves of compared runs, and the ranges of the axes that show them.
#include "report/compare_curves.h"
#include "support/report_runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static arena *memory;

enum { MOST = 200, NAMED = 12 };

typedef struct curves {
    report_run runs[MOST];
    overlay o[MOST];
} curves;

static curves *runs_of(int count, int steps, int interval, double last) {
    curves *c = arena_alloc(memory, sizeof *c);
    for (int i = 0; i < count; i++) {
        c->runs[i] = run_with_settings(memory, "run", "{}");
        add_losses(memory, &c->runs[i], steps, interval, last);
    }
    return c;
}

static loss_ranges ranges_of(curves *c, int count) {
    for (int i = 0; i < count; i++) {
        history_derive(&c->runs[i].metrics, memory, &c->runs[i].history);
        c->o[i] = compare_overlay(&c->runs[i], OVER_STEPS, i, count, NAMED, memory);
    }
    return compare_loss_ranges(c->o, count);
}

// Every validation loss lies in one of the two ranges.
static void assert_shown(const curves *c, int count, loss_ranges r) {
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < c->o[i].val.count; k++) {
            const double y = c->o[i].val.y[k];
            if (isfinite(y))
                assert_true((y >= r.usual.low && y <= r.usual.high) ||
                            (y >= r.worse.low && y <= r.worse.high));
        }
}

static void test_curves_over_steps_tokens_and_seconds(void **state) {
    (void)state;
    curves *c = runs_of(1, 10, 5, 2);
    const double last[OVERS] = {10, 1000, 1};
    for (over x = OVER_STEPS; x < OVERS; x++) {
        const overlay o = compare_overlay(&c->runs[0], x, 0, 1, NAMED, memory);
        assert_true(o.has_val && o.has_train && o.has_lr && o.shows_train);
        assert_int_equal(o.val.count, 2);
        assert_float_equal(o.val.x[0], last[x] / 2, 1e-9);
        assert_float_equal(o.train.x[9], last[x], 1e-9);
        assert_float_equal(compare_last_x(&o, 1), last[x], 1e-9);
    }
}

static void test_usual_runs(void **state) {
    (void)state;
    curves *c = runs_of(2, 100, 10, 2);
    const loss_ranges r = ranges_of(c, 2);
    assert_int_equal(r.worse.count, 0);
    assert_shown(c, 2, r);
    assert_float_equal(r.usual.low, 2, 0.01);                  // of the training loss
    assert_float_equal(r.usual.high, c->o[0].val.y[0], 1e-12); // its beginning is left out
}

static void test_training_losses_of_many_runs_are_left_out(void **state) {
    (void)state;
    for (int count = 1; count <= 20; count++) {
        curves *c = runs_of(count, 100, 10, 2);
        const loss_ranges r = ranges_of(c, count);
        for (int i = 0; i < count; i++) assert_int_equal(c->o[i].shows_train, count <= 6);
        assert_float_equal(r.usual.low, count <= 6 ? 2 : 2.1, 0.01);
        assert_shown(c, count, r);
    }
    // But for those of runs that would show next to nothing.
    curves *c = runs_of(20, 100, 50, 2);
    add_losses(memory, &c->runs[19], 100, 0, 2);
    ranges_of(c, 20);
    for (int i = 0; i < 20; i++) assert_int_equal(c->o[i].shows_train, i < NAMED || i == 19);
}

static void test_much_worse_run(void **state) {
    (void)state;
    curves *c = runs_of(3, 100, 10, 2);
    for (int i = 1; i < 10; i++) c->runs[2].metrics.eval[SPLIT_VAL][i].loss = 1e3 + i;
    const loss_ranges r = ranges_of(c, 3);
    assert_shown(c, 3, r);
    assert_true(r.usual.high < 4);
    assert_float_equal(r.worse.low, 1001, 1e-9);
    assert_float_equal(r.worse.high, 1009, 1e-9);
}

static void test_only_worse_runs(void **state) {
    (void)state;
    curves *c = runs_of(2, 100, 10, 2);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 10; i++) c->runs[k].metrics.eval[SPLIT_VAL][i].loss = 1e3 + i;
    const loss_ranges r = ranges_of(c, 2);
    assert_shown(c, 2, r);
    assert_int_equal(r.worse.count, 0);
    assert_float_equal(r.usual.high, 1009, 1e-9);
}

// A bad initialisation is no reason to call the rest of that run, or others, worse.
static void test_high_first_losses(void **state) {
    (void)state;
    curves *c = runs_of(2, 100, 10, 2);
    for (int k = 0; k < 2; k++) c->runs[k].metrics.train[0].loss = 50;
    c->runs[0].metrics.eval[SPLIT_VAL][0].loss = 40;
    const loss_ranges r = ranges_of(c, 2);
    assert_shown(c, 2, r);
    assert_int_equal(r.worse.count, 0);
}

static void test_diverged_run(void **state) {
    (void)state;
    curves *c = runs_of(2, 100, 10, 2);
    metrics_data *m = &c->runs[1].metrics;
    for (int i = 40; i < 100; i++) m->train[i].loss = NAN;
    for (int i = 4; i < 10; i++) m->eval[SPLIT_VAL][i].loss = i % 2 ? INFINITY : NAN;
    loss_ranges r = ranges_of(c, 2);
    assert_shown(c, 2, r);
    assert_true(isfinite(r.usual.low) && isfinite(r.usual.high));
    assert_int_equal(r.worse.count, 0);
    // Nothing is finite.
    for (int i = 0; i < 100; i++) m->train[i].loss = NAN;
    for (int i = 0; i < 10; i++) m->eval[SPLIT_VAL][i].loss = NAN;
    r = ranges_of(c, 2);
    assert_false(c->o[1].has_val || c->o[1].has_train || c->o[1].shows_train);
    assert_shown(c, 2, r);
    c->runs[0] = c->runs[1];
    r = ranges_of(c, 2);
    assert_int_equal(r.usual.count, 0);
    assert_int_equal(r.worse.count, 0);
}

static void test_single_evaluation(void **state) {
    (void)state;
    curves *c = runs_of(1, 100, 100, 2);
    const loss_ranges r = ranges_of(c, 1);
    assert_shown(c, 1, r);
    assert_float_equal(r.usual.low, 2, 0.01);
    assert_true(r.usual.high > 3.5 && r.usual.high < 3.7); // the training loss but for its first tenth
    assert_true(script_has_lone_point(&c->o[0].val));
}

static void test_no_validation(void **state) {
    (void)state;
    curves *c = runs_of(2, 100, 10, 2);
    add_losses(memory, &c->runs[1], 100, 0, 2);
    const loss_ranges r = ranges_of(c, 2);
    assert_false(c->o[1].has_val);
    assert_true(c->o[1].shows_train);
    assert_float_equal(r.usual.low, 2, 0.01);
    assert_float_equal(r.usual.high, 4, 1e-9); // its training loss is all that there is of it
}

static void test_rates(void **state) {
    (void)state;
    curves *c = runs_of(2, 100, 10, 2);
    ranges_of(c, 2);
    bool logarithmic;
    range r = compare_rate_range(c->o, 2, &logarithmic);
    assert_false(logarithmic);
    assert_float_equal(r.high, 1e-3, 1e-12);
    for (int i = 0; i < 100; i++) c->runs[1].metrics.train[i].lr = 1e-1 * i / 100; // warms up from 0
    ranges_of(c, 2);
    r = compare_rate_range(c->o, 2, &logarithmic);
    assert_true(logarithmic);
    assert_float_equal(r.low, 1e-3 / 20, 1e-12);
    assert_float_equal(r.high, 0.099, 1e-12);
}

static void test_lone_points(void **state) {
    (void)state;
    const double x[] = {0, 1, 2, 3, 4};
    assert_true(script_has_lone_point(&(curve){x, (const double[]){1}, 1}));
    assert_false(script_has_lone_point(&(curve){x, (const double[]){1, 2}, 2}));
    assert_true(script_has_lone_point(&(curve){x, (const double[]){1, 2, NAN, 3}, 4}));
    assert_true(script_has_lone_point(&(curve){x, (const double[]){1, NAN, 2, 3}, 4}));
    assert_true(script_has_lone_point(&(curve){x, (const double[]){1, 2, NAN, 3, INFINITY}, 5}));
    assert_false(script_has_lone_point(&(curve){x, (const double[]){1, 2, NAN, NAN}, 4}));
    assert_false(script_has_lone_point(&(curve){x, (const double[]){NAN}, 1}));
    assert_false(script_has_lone_point(&(curve){x, NULL, 0}));
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
        cmocka_unit_test(test_curves_over_steps_tokens_and_seconds),
        cmocka_unit_test(test_usual_runs),
        cmocka_unit_test(test_training_losses_of_many_runs_are_left_out),
        cmocka_unit_test(test_much_worse_run),
        cmocka_unit_test(test_only_worse_runs),
        cmocka_unit_test(test_high_first_losses),
        cmocka_unit_test(test_diverged_run),
        cmocka_unit_test(test_single_evaluation),
        cmocka_unit_test(test_no_validation),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_lone_points),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
