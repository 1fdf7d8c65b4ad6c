#include "kernels/convolution/direct.h"

// sums[i] += a_s b_i-s or, backwards, a_s b_s-i, for s from `begin` to end-1 and the DIRECT_ROWS rows from
// `first` on.
static ALWAYS_INLINE void add_tile(const bool backwards, int first, int begin, int end, const real *a,
                                   const real *b, vec sums[DIRECT_ROWS]) {
    vec tile[DIRECT_ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < DIRECT_ROWS; i++) tile[i] = sums[i];
    for (int s = begin; s < end; s++) {
        const vec value = vec_load(a + (ptrdiff_t)VEC * s);
        const real *at = b + (ptrdiff_t)VEC * (backwards ? s - first : first - s);
#pragma GCC unroll 8
        for (int i = 0; i < DIRECT_ROWS; i++) tile[i] += value * vec_load(at + VEC * (backwards ? -i : i));
    }
#pragma GCC unroll 8
    for (int i = 0; i < DIRECT_ROWS; i++) sums[i] = tile[i];
}

void direct_convolve(int rows, const real *w, const real *h, real *z) {
    for (int t = 0; t < rows; t += DIRECT_ROWS) {
        vec sums[DIRECT_ROWS] = {{0}};
        add_tile(false, t, 0, t + DIRECT_ROWS, w, h, sums);
        for (int i = 0; i < DIRECT_ROWS; i++) vec_store(z + (ptrdiff_t)VEC * (t + i), sums[i]);
    }
}

void direct_correlate(int rows, const real *a, const real *b, real *y, bool adds) {
    for (int k = 0; k < rows; k += DIRECT_ROWS) {
        vec sums[DIRECT_ROWS] = {{0}};
        for (int i = 0; adds && i < DIRECT_ROWS; i++) sums[i] = vec_load(y + (ptrdiff_t)VEC * (k + i));
        add_tile(true, k, k, rows, a, b, sums);
        for (int i = 0; i < DIRECT_ROWS; i++) vec_store(y + (ptrdiff_t)VEC * (k + i), sums[i]);
    }
}
