// Every schedule that PyTorch has, against torch.optim.lr_scheduler.
#include "support/fixture.h"
#include "support/settings.h"

#include "train/schedules/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check_rate(const char *name, size_t step, double got, double expected) {
    if (!(fabs(got - expected) <= 1e-13 * 0.3 + 1e-13 * fabs(expected)))
        fail_msg("%s, step %zu: rate %.17g instead of %.17g", name, step, got, expected);
}

static void test_functions_of_the_step(void **state) {
    (void)state;
    fixture f = fixture_open("schedules.h5");
    const double lr = *fixture_numbers(&f, NULL, "", "lr");
    int count;
    char **names = fixture_names(&f, "cases", &count);
    assert_true(count >= 9);
    for (int i = 0; i < count; i++) {
        size_t steps;
        const char *folder = arena_format(f.memory, "cases/%s", names[i]);
        const double *rates = fixture_numbers(&f, &steps, folder, "rates");
        const component_choice choice =
            settings_choose(schedule_registry, fixture_text(&f, folder, "settings"), f.memory);
        schedule_progress progress = {.max_steps = (int64_t)steps,
                                      .steps_per_epoch =
                                          *fixture_integers(&f, NULL, folder, "steps_per_epoch")};
        const schedule s = schedule_begin(&choice, lr);
        for (size_t t = 0; t < steps; t++) {
            progress.step = (int64_t)t;
            check_rate(names[i], t, schedule_rate(&s, &progress), rates[t]);
        }
    }
    fixture_close(&f);
}

static void test_plateau(void **state) {
    (void)state;
    fixture f = fixture_open("schedules.h5");
    const double lr = *fixture_numbers(&f, NULL, "", "lr");
    size_t evaluations;
    const double *losses = fixture_numbers(&f, &evaluations, "", "losses");
    int count;
    char **names = fixture_names(&f, "plateaus", &count);
    assert_true(count >= 3);
    for (int i = 0; i < count; i++) {
        const char *folder = arena_format(f.memory, "plateaus/%s", names[i]);
        const double *rates = fixture_numbers(&f, NULL, folder, "rates");
        const component_choice choice =
            settings_choose(schedule_registry, fixture_text(&f, folder, "settings"), f.memory);
        const schedule_progress progress = {.step = 100, .max_steps = 1000};
        schedule s = schedule_begin(&choice, lr);
        assert_true(schedule_rate(&s, &progress) == lr);
        for (size_t t = 0; t < evaluations; t++) {
            schedule_observe(&s, losses[t]);
            check_rate(names[i], t, schedule_rate(&s, &progress), rates[t]);
        }
        assert_true(rates[evaluations - 1] < 0.5 * lr); // the losses do call for reductions
    }
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_of_the_step),
        cmocka_unit_test(test_plateau),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
