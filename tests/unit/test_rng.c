// The random numbers are part of the file format: a resumed run must draw what the first would have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"

#include <math.h>

// Known answers published with the Random123 library for Philox4x32-10.
static void test_philox_gives_the_published_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        philox(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void test_streams_keep_their_layout(void **state) {
    (void)state;
    const rng_stream s = {1337, RNG_DROPOUT, 2, 3, 0};
    static const uint32_t wanted[4] = {0xdcff2e17, 0xeb96d3db, 0x14cecb66, 0xc7c188fa};
    uint32_t out[4];
    rng_block(&s, 5, out);
    assert_memory_equal(out, wanted, sizeof out);
    for (uint64_t element = 20; element < 24; element++)
        assert_int_equal(rng_bits(&s, element), wanted[element - 20]);
    assert_int_equal(rng_half(&s, 40), 0x2e17);
    assert_int_equal(rng_half(&s, 41), 0xdcff);
    assert_int_equal(rng_half(&s, 47), 0xc7c1);
    double z[4];
    rng_normal_block(&s, 5, z);
    assert_true(fabs(z[0] - 0.4756388) < 1e-7);
    assert_true(fabs(z[1] + 0.2604343) < 1e-7);
}

static void test_every_part_of_a_stream_counts(void **state) {
    (void)state;
    const rng_stream s = {5, RNG_DROPOUT, 2, 3, 4};
    const rng_stream others[] = {{6, RNG_DROPOUT, 2, 3, 4}, {5 | (uint64_t)1 << 32, RNG_DROPOUT, 2, 3, 4},
                                 {5, RNG_DATA, 2, 3, 4},    {5, RNG_DROPOUT, 1, 3, 4},
                                 {5, RNG_DROPOUT, 2, 4, 4}, {5, RNG_DROPOUT, 2, 3, 5}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_not_equal(rng_bits(&s, 17), rng_bits(&others[i], 17));
}

static void test_uniforms_and_normals_have_their_moments(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    const rng_stream s = {11, RNG_INIT, 0, 0, 0};
    double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double u = rng_uniform(&s, i);
        assert_true(u >= 0 && u < 1);
        sum += u, squares += u * u;
    }
    for (uint64_t block = 0; block < COUNT / 4; block++) {
        double z[4];
        rng_normal_block(&s, block, z);
        for (int k = 0; k < 4; k++) normal_sum += z[k], normal_squares += z[k] * z[k];
    }
    // Five standard errors of each mean.
    assert_true(fabs(sum / COUNT - 0.5) < 5 * 0.2887 / 200);
    assert_true(fabs(squares / COUNT - 1 / 3.0) < 5 * 0.298 / 200);
    assert_true(fabs(normal_sum / COUNT) < 5 * 1.0 / 200);
    assert_true(fabs(normal_squares / COUNT - 1) < 5 * 1.4143 / 200);
}

static void test_limits_are_kept(void **state) {
    (void)state;
    const rng_stream s = {3, RNG_DATA, 0, 0, 0};
    int seen[7] = {0};
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t value = rng_below(&s, i, 7);
        assert_true(value < 7);
        seen[value]++;
    }
    for (int k = 0; k < 7; k++) assert_true(seen[k] > 200);
    assert_int_equal(rng_below(&s, 1, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_gives_the_published_answers),
        cmocka_unit_test(test_streams_keep_their_layout),
        cmocka_unit_test(test_every_part_of_a_stream_counts),
        cmocka_unit_test(test_uniforms_and_normals_have_their_moments),
        cmocka_unit_test(test_limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
