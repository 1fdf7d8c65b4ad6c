// Schedules: warm-up, ends, and the forms that PyTorch does not have. The others are compared with PyTorch
// in tests/parity/test_schedules.c.
#include "support/settings.h"

#include "train/schedules/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static arena *memory;

static double rate(const char *settings, int64_t step, int64_t max_steps, int64_t steps_per_epoch) {
    const component_choice choice = settings_choose(schedule_registry, settings, memory);
    const schedule_progress progress = {step, max_steps, steps_per_epoch};
    const schedule s = schedule_begin(&choice, 2.0);
    return schedule_rate(&s, &progress);
}

static void check(const char *settings, int64_t step, double expected) {
    const double got = rate(settings, step, 100, STEPS_PER_EPOCH);
    if (!(fabs(got - expected) <= 1e-12))
        fail_msg("%s at step %d: %.15g instead of %.15g", settings, (int)step, got, expected);
}

// Every schedule rises in the same straight line and has reached the base rate, or its own beginning, at
// its end.
static void test_warm_up(void **state) {
    (void)state;
    for (const component *const *c = schedule_registry; *c; c++) {
        const char *settings = arena_format(memory, "{type: %s, warmup_steps: 9}", (*c)->name);
        for (int step = 0; step < 9; step++) check(settings, step, 2.0 * (step + 1) / 10);
        if (strcmp((*c)->name, "one_cycle") == 0)
            check(settings, 9, 2.0 / 25);
        else
            check(settings, 9, 2.0);
    }
    assert_true(rate("{type: constant, warmup_steps: 9}", 1000000, 100, 10) == 2.0);
}

// Whatever the length of training, every rate is a positive, finite number not above the base rate.
static void test_odd_lengths(void **state) {
    (void)state;
    for (const component *const *c = schedule_registry; *c; c++)
        for (int max_steps = 1; max_steps < 5; max_steps++)
            for (int warmup = 0; warmup < 7; warmup += 3)
                for (int step = 0; step < max_steps + 3; step++) {
                    const char *settings =
                        arena_format(memory, "{type: %s, warmup_steps: %d}", (*c)->name, warmup);
                    const double got = rate(settings, step, max_steps, 0);
                    if (!(got >= 0 && got <= 2.0))
                        fail_msg("%s, step %d of %d: %g", settings, step, max_steps, got);
                }
}

static void test_exponential(void **state) {
    (void)state;
    // Ten steps are an epoch: the first reduction comes when three epochs are done.
    const char *late = "{type: exponential, gamma: 0.5, after: 3}";
    check(late, 29, 2.0);
    check(late, 30, 1.0);
    check(late, 39, 1.0);
    check(late, 40, 0.5);
    // Per step it counts from the end of the warm-up, per epoch from the beginning.
    check("{type: exponential, per: step, gamma: 0.5, warmup_steps: 20}", 20, 2.0);
    check("{type: exponential, per: step, gamma: 0.5, warmup_steps: 20}", 22, 0.5);
    check("{type: exponential, per: epoch, gamma: 0.5, warmup_steps: 20}", 20, 0.5);
    // Data without epochs never reduces.
    assert_true(rate("{type: exponential, gamma: 0.5}", 99, 100, 0) == 2.0);
}

static void test_cosine_and_linear(void **state) {
    (void)state;
    check("{type: cosine, min_lr: 0.5, warmup_steps: 20}", 60, 0.5 + 0.75);
    check("{type: cosine, min_lr: 0.5, warmup_steps: 20}", 100, 0.5);
    check("{type: cosine, min_lr: 0.5, decay_steps: 50}", 25, 1.25);
    check("{type: cosine, min_lr: 0.5, decay_steps: 50}", 50, 0.5);
    check("{type: cosine, min_lr: 0.5, decay_steps: 50}", 99, 0.5);
    check("{type: linear, min_lr: 1.0, warmup_steps: 20}", 60, 1.5);
    check("{type: linear}", 100, 0);
}

static void test_inverse_sqrt(void **state) {
    (void)state;
    check("{type: inverse_sqrt, warmup_steps: 16}", 64, 1.0);
    check("{type: inverse_sqrt, warmup_steps: 0}", 0, 2.0);
    check("{type: inverse_sqrt, warmup_steps: 0}", 4, 1.0);
}

static void test_wsd(void **state) {
    (void)state;
    const char *linear = "{type: wsd, decay_fraction: 0.25, min_lr: 0.4, warmup_steps: 5}";
    check(linear, 75, 2.0);
    check(linear, 80, 0.4 + 1.6 * 0.8);
    check(linear, 100, 0.4);
    check("{type: wsd, decay_fraction: 0.25, shape: sqrt}", 84, 2.0 * (1 - 0.6));
    check("{type: wsd, decay_fraction: 0}", 99, 2.0);
    check("{type: wsd, decay_fraction: 1}", 50, 1.0);
}

static void test_step(void **state) {
    (void)state;
    check("{type: step, period: 10, gamma: 0.5, warmup_steps: 15}", 15,
          1.0); // periods count from the start
    check("{type: step, milestones: [30, 70], gamma: 0.5}", 29, 2.0);
    check("{type: step, milestones: [30, 70], gamma: 0.5}", 30, 1.0);
    check("{type: step, milestones: [30, 70], gamma: 0.5}", 70, 0.5);
}

// Lengths in epochs are those in steps.
static void test_epochs(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"{type: constant, warmup_steps: 2 epochs}", "{type: constant, warmup_steps: 20}"},
        {"{type: cosine, warmup_steps: 0.5 epochs, decay_steps: 8 epochs}",
         "{type: cosine, warmup_steps: 5, decay_steps: 80}"},
        {"{type: inverse_sqrt, warmup_steps: 1 epoch}", "{type: inverse_sqrt, warmup_steps: 10}"},
        {"{type: one_cycle, warmup_steps: 1 epoch}", "{type: one_cycle, warmup_steps: 10}"},
        {"{type: exponential, per: step, warmup_steps: 1 epoch}",
         "{type: exponential, per: step, warmup_steps: 10}"},
        {"{type: step, period: 2 epochs, gamma: 0.5}", "{type: step, period: 20, gamma: 0.5}"},
        {"{type: step, milestones: [3 epochs, 55, 7.5 epochs]}", "{type: step, milestones: [30, 55, 75]}"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int step = 0; step < 100; step++)
            check(pairs[i][0], step, rate(pairs[i][1], step, 100, STEPS_PER_EPOCH));
}

// The state of a schedule is all in its numbers: from a copy of them it goes on alike.
static void test_plateau_resumes(void **state) {
    (void)state;
    const component_choice choice = settings_choose(
        schedule_registry, "{type: plateau, patience: 1, factor: 0.5, cooldown: 1}", memory);
    const double losses[] = {3, 2, 2, 2, 2, 1.9, NAN, 2, 2, 2, 2};
    enum { COUNT = sizeof losses / sizeof *losses };
    double rates[COUNT];
    for (int cut = 0; cut < COUNT; cut++) {
        schedule run = schedule_begin(&choice, 2.0);
        for (int i = 0; i < COUNT; i++) {
            if (i == cut) {
                schedule resumed = schedule_begin(&choice, 2.0);
                for (int k = 0; k < run.type->state_count; k++) resumed.state[k] = run.state[k];
                run = resumed;
            }
            schedule_observe(&run, losses[i]);
            const double got = schedule_rate(&run, &(schedule_progress){.step = i, .max_steps = 100});
            if (cut > 0) assert_true(got == rates[i]);
            rates[i] = got;
        }
    }
    assert_true(rates[2] == 2.0);        // one evaluation without improvement changes nothing
    assert_true(rates[3] == 1.0);        // the second does
    assert_true(rates[COUNT - 1] < 1.0); // NaN is no improvement either
}

// Schedules without a state do not look at losses.
static void test_constant_observes_nothing(void **state) {
    (void)state;
    const component_choice choice = settings_choose(schedule_registry, "constant", memory);
    schedule s = schedule_begin(&choice, 2.0);
    assert_int_equal(s.type->state_count, 0);
    for (int i = 0; i < 20; i++) schedule_observe(&s, 3.0);
    assert_true(schedule_rate(&s, &(schedule_progress){.step = 20, .max_steps = 100}) == 2.0);
}

static int open_arena(void **state) {
    (void)state;
    memory = arena_new();
    return 0;
}

static int close_arena(void **state) {
    (void)state;
    arena_free(memory);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm_up),
        cmocka_unit_test(test_odd_lengths),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_cosine_and_linear),
        cmocka_unit_test(test_inverse_sqrt),
        cmocka_unit_test(test_wsd),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_plateau_resumes),
        cmocka_unit_test(test_constant_observes_nothing),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
