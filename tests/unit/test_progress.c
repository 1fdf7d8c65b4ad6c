// The line of progress at every width.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "train/progress.h"

#include <cmocka.h>

static const progress halfway = {.step = 1500,
                                 .max_steps = 3000,
                                 .loss = 1.23456,
                                 .lr = 3e-4,
                                 .grad_norm = 0.512,
                                 .tokens_per_second = 12345,
                                 .seconds_left = 4000};

static void test_a_pipe_gets_everything(void **state) {
    (void)state;
    text t = {0};
    progress_line(&halfway, 0, &t);
    assert_string_equal(
        t.bytes,
        "step 1500/3000  loss 1.2346  lr 0.0003  grad_norm 0.512  12.3 K tokens/s  1 h 06 min left");
    text_free(&t);
}

static void test_epochs_follow_the_step(void **state) {
    (void)state;
    progress in_epochs = halfway;
    text t = {0};
    in_epochs.epoch = 1.25;
    in_epochs.epochs = 2.5;
    progress_line(&in_epochs, 0, &t);
    assert_memory_equal(t.bytes, "step 1500/3000  epoch 1.25/2.5  loss 1.2346  lr", 47);
    text_clear(&t);
    progress_line(&in_epochs, 30, &t); // room for less
    assert_string_equal(t.bytes, "step 1500/3000  loss 1.2346");
    text_free(&t);
}

static void test_the_line_fits_and_numbers_are_whole(void **state) {
    (void)state;
    static const char *const parts[] = {"step 1500/3000",  "loss 1.2346",     "lr 0.0003",
                                        "grad_norm 0.512", "12.3 K tokens/s", "1 h 06 min left"};
    for (int columns = 1; columns < 200; columns++) {
        text t = {0};
        progress_line(&halfway, columns, &t);
        const char *rest = t.bytes ? t.bytes : "";
        assert_true(utf8_columns(rest) < columns);
        if (*rest == '[') rest = strstr(rest, "] ") + 2;
        while (*rest) {
            size_t length = 0;
            for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
                if (strncmp(rest, parts[i], strlen(parts[i])) == 0) length = strlen(parts[i]);
            assert_true(length > 0);
            rest += length;
            if (*rest) rest += 2;
        }
        text_free(&t);
    }
}

static void test_a_bar_where_there_is_room(void **state) {
    (void)state;
    text t = {0};
    progress_line(&halfway, 160, &t);
    assert_memory_equal(t.bytes, "[===============>              ] step 1500/3000", 47);
    text_clear(&t);
    progress_line(&halfway, 90, &t);
    assert_memory_equal(t.bytes, "step 1500/3000", 14);
    text_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pipe_gets_everything),
        cmocka_unit_test(test_epochs_follow_the_step),
        cmocka_unit_test(test_the_line_fits_and_numbers_are_whole),
        cmocka_unit_test(test_a_bar_where_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
