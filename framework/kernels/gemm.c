// Matrix products: the right operand packed into panels (tile.h), K in passes of at most DEPTH, columns in
// strips, rows in groups of blocks whose results stay near while the panels of a strip go by.
//
// Who computes a result depends on the number of threads, how never does: each is a sum over the passes of
// K in order, and those are cut by K alone.
#include "kernels/activation.h"
#include "kernels/members.h"
#include "kernels/parallel.h"
#include "kernels/tile.h"

#include <omp.h>
#include <string.h>

enum {
    BLOCKS = 4,                // of TILE_ROWS rows that share a panel while it is near
    STRIP = 32 * TILE_COLUMNS, // columns packed at a time
};

typedef struct product {
    bool transpose_a, transpose_b;
    int M, N, K;
    const real *A, *B;
    real *C;
    ptrdiff_t lda, ldb, ldc;
    gemm_epilogue after;
    const real *packed; // all of B, or NULL: it is packed strip by strip on the way
    real *panels;       // then a strip; two, used in turn, when threads share them
} product;

typedef struct range {
    int begin, end;
} range;

static range share(int count, int part, int parts) {
    return (range){(int)((int64_t)count * part / parts), (int)((int64_t)count * (part + 1) / parts)};
}

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

// K is cut into equal passes, so that none is much shorter than the others.
static int pass_depth(int K) {
    return divide_up(K, divide_up(K, DEPTH));
}

static size_t strip_reals(int columns, int depth) {
    return (size_t)divide_up(columns, TILE_COLUMNS) * TILE_COLUMNS * (size_t)depth;
}

// What remains once the sums of a region are complete: they lie lds apart and may be C or slope; row and
// column say where the region lies. bias and accumulate: what they do not hold yet.
static ALWAYS_INLINE void finish_with(const activation act, const product *p, int row, int column, int rows,
                                      int columns, const real *sums, ptrdiff_t lds, const real *bias,
                                      bool accumulate) {
    const gemm_epilogue *e = &p->after;
    for (int r = 0; r < rows; r++) {
        const real *from = sums + r * lds;
        const ptrdiff_t at = (row + r) * p->ldc + column;
        for (int i = 0; i < columns; i += VEC) {
            const int left = columns - i;
            vec v = vec_get(from + i, left), slope;
            if (bias) v += vec_get(bias + column + i, left);
            if (e->slope) {
                v = activation_slope(act, v, &slope);
                vec_put(e->slope + at + i, slope, left);
            } else {
                v = activation_value(act, v);
            }
            if (e->residual) v += vec_get(e->residual + at + i, left);
            if (accumulate) v += vec_get(p->C + at + i, left);
            vec_put(p->C + at + i, v, left);
        }
    }
}

static void finish(const product *p, int row, int column, int rows, int columns, const real *sums,
                   ptrdiff_t lds, const real *bias, bool accumulate) {
#define FINISH(act)                                                                                        \
    case act:                                                                                              \
        finish_with(act, p, row, column, rows, columns, sums, lds, bias, accumulate);                      \
        break
    switch (p->after.act) {
        FINISH(ACTIVATION_NONE);
        FINISH(ACTIVATION_GELU);
        FINISH(ACTIVATION_GELU_TANH);
        FINISH(ACTIVATION_RELU);
        FINISH(ACTIVATION_RELU2);
        FINISH(ACTIVATION_SILU);
        FINISH(ACTIVATION_TANH);
        FINISH(ACTIVATION_SIGMOID);
    case ACTIVATION_COUNT:
        break;
    }
#undef FINISH
}

typedef struct pass {
    int k, depth;
    bool first, last;
} pass;

// One block of rows times one panel of columns, for one pass.
static void multiply_block(const product *p, const pass *s, int row, int column, const real *panel) {
    const gemm_epilogue *e = &p->after;
    const int rows = smaller(TILE_ROWS, p->M - row), columns = smaller(TILE_COLUMNS, p->N - column);
    // Sums wait in C, or in slope when C still holds something that counts.
    const bool later = e->act != ACTIVATION_NONE || e->slope || (e->residual && e->accumulate);
    const ptrdiff_t at = row * p->ldc + column;
    real *sums = (e->slope ? e->slope : p->C) + at, padded[TILE_COLUMNS];
    const real *initial = NULL, *added = sums;
    if (s->first) {
        added = NULL;
        if (e->bias) {
            initial = e->bias + column;
            if (columns != panel_width(columns)) {
                memset(padded, 0, sizeof padded);
                initial = memcpy(padded, initial, (size_t)columns * sizeof *padded);
            }
        }
        if (e->residual && !later) added = e->residual + at;
        if (e->accumulate && !e->slope) added = sums;
    }
    if (p->transpose_a) KERNEL(tile_multiply)
    (rows, columns, s->depth, p->A + s->k * p->lda + row, 1, p->lda, panel, initial, added, sums, p->ldc);
    else KERNEL(tile_multiply)(rows, columns, s->depth, p->A + row * p->lda + s->k, p->lda, 1, panel,
                               initial, added, sums, p->ldc);
    if (later && s->last)
        finish(p, row, column, rows, columns, sums, p->ldc, NULL, e->slope && e->accumulate);
}

// Panels `which` of the columns from `column` on, for one pass.
static void pack_panels(const product *p, const pass *s, int column, range which, real *panels) {
    for (int j = which.begin; j < which.end; j++) {
        const int first = column + j * TILE_COLUMNS;
        KERNEL(tile_pack_panel)
        (p->transpose_b, smaller(TILE_COLUMNS, p->N - first), s->depth,
         p->transpose_b ? p->B + first * p->ldb + s->k : p->B + s->k * p->ldb + first, p->ldb,
         panels + strip_reals(j * TILE_COLUMNS, s->depth));
    }
}

static pass pass_from(int K, int k) {
    const int depth = pass_depth(K);
    return (pass){k, smaller(depth, K - k), k == 0, k + depth >= K};
}

// The part of one thread: a rectangle of the result. When B is not packed yet, everybody packs a share of
// the strip before.
static void multiply_part(const product *p, int thread, int threads) {
    const int block_count = divide_up(p->M, TILE_ROWS);
    // How many threads share the rows; the others divide the columns. Chosen to make the largest rectangle
    // small.
    int row_parts = 1, best = 0;
    for (int parts = 1; parts <= threads; parts++) {
        if (threads % parts) continue;
        int strip_panels = divide_up(smaller(STRIP, p->N), TILE_COLUMNS);
        int largest = divide_up(block_count, parts) * divide_up(strip_panels, threads / parts);
        if (best == 0 || largest <= best) best = largest, row_parts = parts;
    }
    const int column_parts = threads / row_parts;
    const range blocks = share(block_count, thread / column_parts, row_parts);
    int turn = 0;
    for (int strip = 0; strip < p->N; strip += STRIP) {
        const int panel_count = divide_up(smaller(p->N - strip, STRIP), TILE_COLUMNS);
        const range own = share(panel_count, thread % column_parts, column_parts);
        for (int k = 0; k < p->K; k += pass_depth(p->K)) {
            const pass s = pass_from(p->K, k);
            const real *panels;
            if (p->packed) {
                panels = p->packed + strip_reals(p->N, k) + strip_reals(strip, s.depth);
            } else {
                real *const to =
                    p->panels + (size_t)turn * strip_reals(smaller(p->N, STRIP), pass_depth(p->K));
                pack_panels(p, &s, strip, share(panel_count, thread, threads), to);
                panels = to;
                // Two strips in turn: whoever is past this barrier may fill the other one while the rest
                // still read this one.
                if (threads > 1) {
#pragma omp barrier
                    turn ^= 1;
                }
            }
            for (int first = blocks.begin; first < blocks.end; first += BLOCKS)
                for (int j = own.begin; j < own.end; j++)
                    for (int i = first; i < first + BLOCKS && i < blocks.end; i++)
                        multiply_block(p, &s, i * TILE_ROWS, strip + j * TILE_COLUMNS,
                                       panels + strip_reals(j * TILE_COLUMNS, s.depth));
        }
    }
}

static size_t strip_count(int N, int K) {
    return K > DEPTH || N > STRIP ? 2 : 1;
}

size_t KERNEL(gemm_workspace)(int N, int K) {
    return strip_count(N, K) * strip_reals(smaller(N, STRIP), pass_depth(K)) * sizeof(real);
}

// Two multiply-adds at a time.
static int threads_for_product(int M, int N, int K) {
    return threads_for((double)M * N * K / (2 * VEC));
}

static void multiply(const product *p, int threads) {
    if (threads == 1) {
        multiply_part(p, 0, 1);
    } else {
#pragma omp parallel num_threads(threads)
        multiply_part(p, omp_get_thread_num(), omp_get_num_threads());
    }
}

void KERNEL(gemm)(bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda,
                  const real *B, int ldb, real *C, int ldc, const gemm_epilogue *epilogue,
                  void *workspace) {
    const product p = {.transpose_a = transpose_a,
                       .transpose_b = transpose_b,
                       .M = M,
                       .N = N,
                       .K = K,
                       .A = A,
                       .B = B,
                       .C = C,
                       .lda = lda,
                       .ldb = ldb,
                       .ldc = ldc,
                       .after = epilogue ? *epilogue : (gemm_epilogue){0},
                       .panels = workspace};
    multiply(&p, threads_for_product(M, N, K));
}

size_t KERNEL(gemm_packed_reals)(int N, int K) {
    return strip_reals(N, K);
}

void KERNEL(gemm_pack)(bool transpose_b, int N, int K, const real *B, int ldb, real *packed) {
    const product p = {.transpose_b = transpose_b, .N = N, .K = K, .B = B, .ldb = ldb};
    const int panels = divide_up(N, TILE_COLUMNS), passes = divide_up(K, pass_depth(K));
#pragma omp parallel for schedule(static) num_threads(threads_for((double)N *K / VEC * 2))
    for (int i = 0; i < passes * panels; i++) {
        const pass s = pass_from(K, i / panels * pass_depth(K));
        pack_panels(&p, &s, 0, (range){i % panels, i % panels + 1}, packed + strip_reals(N, s.k));
    }
}

void KERNEL(gemm_packed)(bool transpose_a, int M, int N, int K, const real *A, int lda, const real *packed,
                         real *C, int ldc, const gemm_epilogue *epilogue) {
    const product p = {.transpose_a = transpose_a,
                       .M = M,
                       .N = N,
                       .K = K,
                       .A = A,
                       .packed = packed,
                       .C = C,
                       .lda = lda,
                       .ldc = ldc,
                       .after = epilogue ? *epilogue : (gemm_epilogue){0}};
    multiply(&p, threads_for_product(M, N, K));
}
