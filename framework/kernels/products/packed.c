// Products of a few rows with a matrix that is used again and again, as when decoding: y = x W^T, with W
// laid out beforehand so that it is read from beginning to end, once for many rows.
//
// Layout: panels of VEC rows of W, element (n, k) of W at (n / VEC * K + k) * VEC + n % VEC, zero beyond N.
// Every result is one sum in the order of k, however many rows there are and whoever computes it: a row's
// results do not depend on the rows beside it.
#include "kernels/activation.h"
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/products/tile.h"

// Sums kept in registers: rows x panels. One row needs many panels to hide the latency of additions; many
// rows need few panels to keep the processor's units busy, and should all be done when a panel comes by.
#define MANY_REGISTERS (KERNEL_TILE_ROWS > 6)
enum {
    ROWS = TILE_ROWS,
    FEW_ROWS = MANY_REGISTERS ? 5 : 2,
    PANELS_ONE = 8,
    PANELS_FEW = 4,
    PANELS_MANY = 2,
    SUMS = ROWS * PANELS_MANY // the most of them
};

static int panel_count(int N) {
    return (N + VEC - 1) / VEC;
}

size_t packed_reals(int N, int K) {
    return (size_t)panel_count(N) * (size_t)K * VEC;
}

typedef struct filling {
    int N, K;
    const real *W;
    real *packed;
} filling;

static void fill_panels(const void *context, pool_share s) {
    const filling *f = context;
    for (int p = s.begin; p < s.end; p++)
        tile_pack_panel(true, f->N - p * VEC < VEC ? f->N - p * VEC : VEC, f->K,
                        f->W + (size_t)p * VEC * f->K, f->K, f->packed + (size_t)p * f->K * VEC);
}

void packed_fill(int N, int K, const real *W, real *packed) {
    parallel_for(panel_count(N), (double)panel_count(N) * K * 4, fill_panels, &(filling){N, K, W, packed});
}

typedef struct product {
    int M, N, K;
    const real *x, *packed;
    real *y;
    const gemm_epilogue *after;
} product;

// Makes results of sums for rows x panels: [row][panel].
static void finish(const product *p, int row, int rows, int panel, int panels, const vec *sums) {
    const gemm_epilogue *e = p->after;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < panels; j++) {
            const int column = (panel + j) * VEC, left = p->N - column;
            const size_t at = (size_t)(row + r) * (size_t)p->N + (size_t)column;
            vec v = activation_value(e->act, sums[r * panels + j]);
            if (e->residual) v += vec_get(e->residual + at, left);
            vec_put(p->y + at, v, left);
        }
}

// rows and panels are constants of the caller, so that the sums stay in registers.
static ALWAYS_INLINE void multiply_panels_of(const int rows, const int panels, const product *p, int row,
                                             int panel) {
    const real *bias = p->after->bias, *x = p->x + (size_t)row * (size_t)p->K, *w[PANELS_ONE];
    const size_t apart = (size_t)p->K;
    vec sums[SUMS];
#pragma GCC unroll 8
    for (int j = 0; j < panels; j++) {
        const int column = (panel + j) * VEC;
        const vec start = bias ? vec_get(bias + column, p->N - column) : (vec){0};
        w[j] = p->packed + (size_t)(panel + j) * apart * VEC;
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) sums[r * panels + j] = start;
    }
    for (int k = 0; k < p->K; k++, x++) {
        vec right[PANELS_ONE];
#pragma GCC unroll 8
        for (int j = 0; j < panels; j++) right[j] = vec_load(w[j] + (size_t)k * VEC);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const vec left = vec_set(x[(size_t)r * apart]);
#pragma GCC unroll 8
            for (int j = 0; j < panels; j++) sums[r * panels + j] += left * right[j];
        }
    }
    vec done[SUMS];
#pragma GCC unroll 24
    for (int i = 0; i < rows * panels; i++) done[i] = sums[i];
    finish(p, row, rows, panel, panels, done);
}

typedef void block_function(const product *p, int row, int panel);

#define BLOCK(rows, panels)                                                                                \
    static void block_##rows##_##panels(const product *p, int row, int panel) {                            \
        multiply_panels_of(rows, panels, p, row, panel);                                                   \
    }
// clang-format off
BLOCK(1, 1) BLOCK(2, 1) BLOCK(3, 1) BLOCK(4, 1) BLOCK(5, 1) BLOCK(6, 1)
BLOCK(1, 2) BLOCK(2, 2) BLOCK(3, 2) BLOCK(4, 2) BLOCK(5, 2) BLOCK(6, 2)
BLOCK(1, 4) BLOCK(2, 4) BLOCK(1, 8)
#if MANY_REGISTERS
BLOCK(7, 1) BLOCK(8, 1) BLOCK(9, 1) BLOCK(10, 1)
BLOCK(7, 2) BLOCK(8, 2) BLOCK(9, 2) BLOCK(10, 2)
BLOCK(3, 4) BLOCK(4, 4) BLOCK(5, 4)
#endif
#if KERNEL_TILE_ROWS > 10
BLOCK(11, 1) BLOCK(12, 1) BLOCK(11, 2) BLOCK(12, 2)
#endif

static block_function
    *const by_one[] = {block_1_1, block_2_1, block_3_1, block_4_1, block_5_1, block_6_1,
#if MANY_REGISTERS
                       block_7_1, block_8_1, block_9_1, block_10_1,
#endif
#if KERNEL_TILE_ROWS > 10
                       block_11_1, block_12_1,
#endif
                      },
    *const by_two[] = {block_1_2, block_2_2, block_3_2, block_4_2, block_5_2, block_6_2,
#if MANY_REGISTERS
                       block_7_2, block_8_2, block_9_2, block_10_2,
#endif
#if KERNEL_TILE_ROWS > 10
                       block_11_2, block_12_2,
#endif
                      },
    *const by_four[] = {block_1_4, block_2_4,
#if MANY_REGISTERS
                        block_3_4, block_4_4, block_5_4,
#endif
                       };
// clang-format on

// All rows times some panels, in blocks of nearly the same number of rows: the panels come from memory for
// the first and from the cache for the others.
static void multiply_panels(block_function *const by_rows[], const product *p, int panel) {
    const int blocks = (p->M + ROWS - 1) / ROWS;
    for (int i = 0, row = 0; i < blocks; i++) {
        const int end = (int)((int64_t)p->M * (i + 1) / blocks);
        by_rows[end - row - 1](p, row, panel);
        row = end;
    }
}

static void multiply_share(const void *context, pool_share s) {
    const product *p = context;
    const int end = s.end;
    int panel = s.begin;
    if (p->M == 1)
        for (; panel + PANELS_ONE <= end; panel += PANELS_ONE) block_1_8(p, 0, panel);
    if (p->M <= FEW_ROWS)
        for (; panel + PANELS_FEW <= end; panel += PANELS_FEW) multiply_panels(by_four, p, panel);
    for (; panel + PANELS_MANY <= end; panel += PANELS_MANY) multiply_panels(by_two, p, panel);
    for (; panel < end; panel++) multiply_panels(by_one, p, panel);
}

void packed_multiply(int M, int N, int K, const real *x, const real *packed, real *y,
                     const gemm_epilogue *epilogue) {
    const product p = {M, N, K, x, packed, y, epilogue};
    parallel_for_short(panel_count(N), (double)M * panel_count(N) * K, multiply_share, &p);
}
