// The ceilings of the machine, as `runexp time` measures them.
#include "kernels/kernels.h"
#include "timing/ceilings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_ceilings_only_rise(void **state) {
    (void)state;
    error err = {0};
    ceilings c = {0};
    kernels_set_threads(2);
    assert_true(ceilings_run_multiply_adds() > 0);
    assert_int_equal(ceilings_measure(0, &c, &err), OK);
    assert_true(c.flops > 0 && c.read > 0 && c.triad > 0);
    const ceilings first = c;
    assert_int_equal(ceilings_measure(0, &c, &err), OK);
    assert_true(c.flops >= first.flops && c.read >= first.read && c.triad >= first.triad);
    kernels_set_threads(1);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceilings_only_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
