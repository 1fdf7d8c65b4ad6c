// For tests: reproducible numbers and tokens, and comparisons of arrays.
#ifndef RUNEXP_TESTS_SUPPORT_NUMBERS_H
#define RUNEXP_TESTS_SUPPORT_NUMBERS_H

#include "base/real.h"
#include "base/rng.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

// Element i of the normal numbers of a stream that no part of the program draws from (seed 2024).
static inline double test_normal(uint32_t site, uint64_t i) {
    const rng_stream stream = {2024, RNG_INIT, site, 7, 0};
    double four[4];
    rng_normal_block(&stream, i / 4, four);
    return four[i % 4];
}

static inline void test_normals(uint32_t site, size_t count, double centre, double spread, double *out) {
    for (size_t i = 0; i < count; i++) out[i] = centre + spread * test_normal(site, i);
}

static inline void test_tokens(uint32_t site, size_t count, int vocabulary, int32_t *out) {
    const rng_stream stream = {2024, RNG_DATA, site, 7, 0};
    for (size_t i = 0; i < count; i++) out[i] = (int32_t)rng_below(&stream, i, (uint64_t)vocabulary);
}

static inline double largest(size_t count, const real *x) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

// The largest difference; infinite when a value is not finite.
static inline double largest_difference(size_t count, const real *a, const real *b) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) return INFINITY;
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    }
    return most;
}

// The same relative to the largest magnitude of b.
static inline double relative_difference(size_t count, const real *a, const real *b) {
    return largest_difference(count, a, b) / fmax(largest(count, b), 1e-30);
}

#endif
