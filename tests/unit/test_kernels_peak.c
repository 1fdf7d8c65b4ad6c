// The loops behind the ceilings do the work that is counted for them, on every instruction set.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/numbers.h"

#include "kernels/kernels.h"

#include <cmocka.h>

static void test_multiply_adds_are_done_and_counted(void **state) {
    (void)state;
    error err = {0};
    for (const char *const *set = kernels_available(); *set; set++) {
        assert_int_equal(kernels_select(*set, &err), OK);
        const int lanes = kernels->vector_bytes / (int)sizeof(real);
        real started, once, settled;
        assert_true(kernels->peak_multiply_adds(0, &started) == 0);
        const double count = kernels->peak_multiply_adds(1, &once);
        // Chain i starts at i in every lane; x / 2 + 1/2 tends to 1.
        const double chains = count / lanes, sum = lanes * chains * (chains - 1) / 2;
        assert_true((double)started == sum);
        assert_true((double)once == sum / 2 + count / 2);
        assert_true(kernels->peak_multiply_adds(200, &settled) == 200 * count);
        assert_true(fabs((double)settled - count) < 1e-3);
    }
    assert_int_equal(kernels_select("auto", &err), OK);
}

static void test_memory_is_read_and_written(void **state) {
    (void)state;
    enum { N = 3 * 1024 };
    error err = {0};
    static real a[N], b[N], y[N + 1];
    double sum = 0;
    for (int i = 0; i < N; i++) {
        a[i] = (real)(i % 17);
        b[i] = (real)(i % 5);
        sum += i % 17;
    }
    for (const char *const *set = kernels_available(); *set; set++) {
        assert_int_equal(kernels_select(*set, &err), OK);
        assert_true((double)kernels->read_all(N, a) == sum);
        y[N] = -1;
        kernels->triad(N, (real)0.5, a, b, y);
        for (int i = 0; i < N; i++) assert_true((double)y[i] == i % 17 + 0.5 * (i % 5));
        assert_true((double)y[N] == -1);
    }
    assert_int_equal(kernels_select("auto", &err), OK);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multiply_adds_are_done_and_counted),
        cmocka_unit_test(test_memory_is_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
