// What the processor and its memory can do at most: loops that do nothing but multiply and add in
// registers, and nothing but read and write memory. timing/ceilings.h times them.
#include "kernels/declarations.h"

// Chains of dependent multiply-adds, interleaved: enough to hide their latency on every unit, as many as
// the instruction sets' registers hold (16 of up to 256 bits; 32 of 512 bits and on aarch64).
#if defined(__AVX512F__) || defined(__aarch64__)
enum { CHAINS = 24 };
#else
enum { CHAINS = 12 };
#endif

double peak_multiply_adds(long rounds, real *out) {
    const vec x = vec_set((real)0.5);
    vec chain[CHAINS];
    for (int i = 0; i < CHAINS; i++) chain[i] = vec_set((real)i);
    for (long r = 0; r < rounds; r++)
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * x + x;
    for (int i = 1; i < CHAINS; i++) chain[0] += chain[i];
    *out = vec_sum(chain[0]);
    return (double)CHAINS * VEC * (double)rounds;
}

real read_all(size_t n, const real *x) {
    enum { SUMS = 8 };
    vec sum[SUMS] = {{0}};
    for (size_t i = 0; i < n; i += SUMS * VEC)
#pragma GCC unroll 8
        for (int k = 0; k < SUMS; k++) sum[k] += vec_load(x + i + k * VEC);
    for (int k = 1; k < SUMS; k++) sum[0] += sum[k];
    return vec_sum(sum[0]);
}

void triad(size_t n, real factor, const real *a, const real *b, real *y) {
    for (size_t i = 0; i < n; i += VEC) vec_store(y + i, vec_load(a + i) + factor * vec_load(b + i));
}
