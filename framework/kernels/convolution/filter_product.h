// Matrix products in double precision, of the small matrices of implicit filters.
#ifndef RUNEXP_KERNELS_FILTER_PRODUCT_H
#define RUNEXP_KERNELS_FILTER_PRODUCT_H

#include "kernels/wide.h"

#include <stdbool.h>
#include <stddef.h>

// C (M x N) (+)= A B (+ bias in every row), where A[m][k] = A[m * down + k * across]. N is a multiple of
// WIDE.
static ALWAYS_INLINE void product_tile(const int rows, const int vectors, int K, const double *A,
                                       size_t down, size_t across, const double *B, size_t ldb, double *C,
                                       size_t ldc, const double *bias, bool accumulate) {
    wide sum[8][4];
    for (int m = 0; m < rows; m++)
        for (int v = 0; v < vectors; v++)
            sum[m][v] = accumulate ? wide_load(C + (size_t)m * ldc + v * WIDE)
                        : bias     ? wide_load(bias + v * WIDE)
                                   : (wide){0};
    for (int k = 0; k < K; k++) {
        wide b[4];
        for (int v = 0; v < vectors; v++) b[v] = wide_load(B + (size_t)k * ldb + v * WIDE);
        for (int m = 0; m < rows; m++) {
            const wide a = wide_set(A[(size_t)m * down + (size_t)k * across]);
            for (int v = 0; v < vectors; v++) sum[m][v] += a * b[v];
        }
    }
    for (int m = 0; m < rows; m++)
        for (int v = 0; v < vectors; v++) wide_store(C + (size_t)m * ldc + v * WIDE, sum[m][v]);
}

static void product(int M, size_t N, int K, const double *A, size_t down, size_t across, const double *B,
                    size_t ldb, double *C, size_t ldc, const double *bias, bool accumulate) {
    enum { ROWS = 4, VECTORS = KERNEL_VECTOR_BYTES == 64 ? 4 : 2 };
    for (size_t n = 0; n < N;) {
        const int vectors = N - n >= VECTORS * WIDE ? VECTORS : 1;
        const double *from = B + n, *add = bias ? bias + n : NULL;
        for (int m = 0; m < M;) {
            const double *a = A + (size_t)m * down;
            double *to = C + (size_t)m * ldc + n;
            const int rows = M - m >= ROWS ? ROWS : 1;
            if (vectors == VECTORS && rows == ROWS)
                product_tile(ROWS, VECTORS, K, a, down, across, from, ldb, to, ldc, add, accumulate);
            else if (vectors == VECTORS)
                product_tile(1, VECTORS, K, a, down, across, from, ldb, to, ldc, add, accumulate);
            else if (rows == ROWS)
                product_tile(ROWS, 1, K, a, down, across, from, ldb, to, ldc, add, accumulate);
            else
                product_tile(1, 1, K, a, down, across, from, ldb, to, ldc, add, accumulate);
            m += rows;
        }
        n += (size_t)vectors * WIDE;
    }
}

#endif
