// What the tests of kernels share: every instruction set, inputs, and comparison with double precision.
#ifndef RUNEXP_TESTS_SUPPORT_KERNELS_H
#define RUNEXP_TESTS_SUPPORT_KERNELS_H

// Before cmocka.h, which makes a macro of the name `fail`.
#include "base/rng.h"
#include "kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Runs a test once for each instruction set of this processor, starting from one thread.
static inline void on_every_isa(void (*test)(void)) {
    error err;
    for (int i = 0; kernels_available()[i]; i++) {
        assert_int_equal(kernels_select(kernels_available()[i], &err), OK);
        kernels_set_threads(1);
        test();
    }
    assert_int_equal(kernels_select("auto", &err), OK);
    kernels_set_threads(1);
}

// Memory of exactly n values, so that the address sanitizer sees the first access beyond.
static inline real *new_reals(size_t n) {
    real *x = malloc(n ? n * sizeof *x : 1);
    assert_non_null(x);
    return x;
}

// The same filled with normal values times scale, different for every site.
static inline real *new_normals(size_t n, uint32_t site, double scale) {
    const rng_stream stream = {7, RNG_INIT, site, 0, 0};
    real *x = new_reals(n);
    double z[4];
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0) rng_normal_block(&stream, i / 4, z);
        x[i] = (real)(scale * z[i % 4]);
    }
    return x;
}

static inline real *new_copy(const real *x, size_t n) {
    return memcpy(new_reals(n), x, n * sizeof *x);
}

static inline double *new_doubles(size_t n) {
    double *x = calloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline void *new_workspace(size_t bytes) {
    void *block = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    assert_non_null(block);
    memset(block, 0xFF, bytes); // NaN: nothing may be read before it is written
    return block;
}

// Fails when the largest difference exceeds limit times the largest wanted value (or 1e-8). The limit is
// for single precision; in the double precision build it is 1e-12.
static inline void check_close(const char *what, const real *got, const double *wanted, size_t n,
                               double limit) {
    double largest = 0, difference = 0;
    size_t worst = 0;
    if (sizeof(real) == 8) limit = 1e-12;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - wanted[i]);
        if (fabs(wanted[i]) > largest) largest = fabs(wanted[i]);
        if (!(d <= difference)) difference = d, worst = i;
    }
    if (largest < 1e-8) largest = 1e-8;
    if (!(difference <= limit * largest)) {
        print_error("%s (%s): element %zu is %.9g, wanted %.9g; relative to the largest %.3g, limit %.3g\n",
                    what, kernels->name, worst, (double)got[worst], wanted[worst], difference / largest,
                    limit);
        fail();
    }
}

// Fails unless both arrays hold the same bits.
static inline void check_same(const char *what, const real *a, const real *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0) {
            print_error("%s (%s): element %zu is %.9g, was %.9g with one thread\n", what, kernels->name, i,
                        (double)b[i], (double)a[i]);
            fail();
        }
}

#endif
