// What is derived from metrics: smoothing, best and final evaluation, gap, overfitting, divergence.
#include "report/history.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static arena *memory;

static metrics_data run_of(const double *train, size_t train_count, const double *val, size_t val_count,
                           int64_t val_interval) {
    metrics_data m = {.status = "finished", .train_count = train_count};
    m.train = arena_alloc(memory, train_count * sizeof *m.train);
    for (size_t i = 0; i < train_count; i++)
        m.train[i] = (train_row){.step = (int64_t)i + 1,
                                 .tokens = 10 * ((int64_t)i + 1),
                                 .seconds = 0.5 * (double)(i + 1),
                                 .loss = train[i]};
    m.eval[SPLIT_VAL] = arena_alloc(memory, val_count * sizeof(eval_row));
    m.eval_count[SPLIT_VAL] = val_count;
    for (size_t i = 0; i < val_count; i++)
        m.eval[SPLIT_VAL][i] =
            (eval_row){.step = (int64_t)i * val_interval, .loss = val[i], .perplexity = exp(val[i])};
    return m;
}

static void test_no_rows(void **state) {
    (void)state;
    metrics_data m = {.status = "running"};
    history h;
    history_derive(&m, memory, &h);
    assert_false(h.has_val || h.overfits || h.diverged);
    assert_int_equal(h.gap_count, 0);
    assert_int_equal(h.steps, 0);
}

static void test_best_final_and_gap(void **state) {
    (void)state;
    const double train[] = {4, 3, 2.5, 2.25, 2}, val[] = {4, 3.1, 2.6, 2.6, 2.7};
    metrics_data m = run_of(train, 5, val, 5, 1);
    history h;
    history_derive(&m, memory, &h);
    assert_true(h.has_val);
    assert_int_equal(h.best.step, 2); // the first of equals
    assert_float_equal(h.best.loss, 2.6, 0);
    assert_int_equal(h.final.step, 4);
    assert_int_equal(h.steps, 5);
    assert_int_equal(h.tokens, 50);
    assert_float_equal(h.tokens_per_second, 20, 1e-6);
    assert_false(h.gap_is_evaluated);
    assert_int_equal(h.gap_count, 4); // nothing has been trained at step 0
    assert_int_equal(h.gaps[0].step, 1);
    assert_float_equal(h.gaps[0].gap, 3.1 - 4, 1e-6);
    assert_float_equal(h.gaps[3].gap, 2.7 - 2.25, 1e-6);
}

static void test_gap_prefers_evaluations_of_the_training_split(void **state) {
    (void)state;
    const double train[] = {4, 3}, val[] = {4, 3.5, 3.2};
    metrics_data m = run_of(train, 2, val, 3, 1);
    eval_row evaluated[] = {{.step = 0, .loss = 3.9}, {.step = 2, .loss = 3.0}};
    m.eval[SPLIT_TRAIN] = evaluated;
    m.eval_count[SPLIT_TRAIN] = 2;
    history h;
    history_derive(&m, memory, &h);
    assert_true(h.gap_is_evaluated);
    assert_int_equal(h.gap_count, 2);
    assert_float_equal(h.gaps[0].gap, 0.1, 1e-6);
    assert_int_equal(h.gaps[1].step, 2);
    assert_float_equal(h.gaps[1].gap, 0.2, 1e-6);
}

static bool overfits(const double *train, const double *val) {
    metrics_data m = run_of(train, 5, val, 5, 1);
    history h;
    history_derive(&m, memory, &h);
    return h.overfits;
}

static void test_overfitting(void **state) {
    (void)state;
    const double falling[] = {4, 3, 2.5, 2.2, 2}, rising[] = {4, 2.4, 2.5, 2.7, 3};
    assert_true(overfits(falling, (const double[]){4, 3.2, 2.8, 2.9, 3.0}));
    assert_false(overfits(falling, (const double[]){4, 3.2, 2.8, 2.7, 2.6}));
    assert_false(overfits(falling, (const double[]){4, 3.2, 2.8, 2.801, 2.802})); // noise
    assert_false(overfits(falling, (const double[]){4, 3.2, 3.0, 2.8, 3.0}));     // one bad evaluation
    assert_false(overfits(rising, (const double[]){4, 3.2, 2.8, 2.9, 3.0}));      // worse on everything
}

static void test_divergence(void **state) {
    (void)state;
    const double train[] = {4, 3, NAN, 2, INFINITY}, val[] = {4, NAN, 3, INFINITY};
    metrics_data m = run_of(train, 5, val, 4, 2);
    history h;
    history_derive(&m, memory, &h);
    assert_true(h.diverged);
    assert_int_equal(h.diverged_after, 1);
    assert_float_equal(h.best.loss, 3, 0);
    assert_true(isnan(h.smoothed[2]) && isnan(h.smoothed[4]));
    assert_float_equal(h.smoothed[3], 2, 0);

    // Training stops before it records a loss that is not finite; then the status says what happened.
    m = run_of((const double[]){4, 3}, 2, NULL, 0, 1);
    history_derive(&m, memory, &h);
    assert_false(h.diverged);
    m.status = "diverged";
    history_derive(&m, memory, &h);
    assert_true(h.diverged);
    assert_int_equal(h.diverged_after, 2);
}

static void test_smoothing(void **state) {
    (void)state;
    enum { N = 1000 };
    double noisy[N], smooth[N];
    for (int i = 0; i < N; i++) noisy[i] = 2 + (i % 2 ? 0.5 : -0.5);
    history_smooth(noisy, N, smooth);
    for (int i = 100; i < N - 100; i++) assert_float_equal(smooth[i], 2, 0.03);
    assert_float_equal(smooth[0], noisy[0], 0);
    for (int i = 0; i < N; i++) noisy[i] = 5 - 0.001 * i; // a straight line stays one
    history_smooth(noisy, N, smooth);
    for (int i = 0; i < N - 20; i++) assert_float_equal(smooth[i], noisy[i], 1e-9);
    noisy[500] = NAN;
    history_smooth(noisy, N, smooth);
    assert_true(isnan(smooth[500]) && isfinite(smooth[499]) && isfinite(smooth[501]));
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
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_best_final_and_gap),
        cmocka_unit_test(test_gap_prefers_evaluations_of_the_training_split),
        cmocka_unit_test(test_overfitting),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_smoothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
