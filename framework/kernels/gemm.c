// Matrix products: operands packed into panels and blocks (tile.h), K in passes of at most DEPTH, columns
// in strips, rows in tiles that fit the second-level cache.
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
    BLOCKS = 8, // blocks of TILE_ROWS rows that a thread packs at a time
    BLOCK_REALS = TILE_ROWS * A_ROW,
    STRIP = 32 * TILE_COLUMNS,       // columns packed at a time
    STRIP_SERIAL = 8 * TILE_COLUMNS, // in gemm_serial, whose workspace is a thread's own
    AHEAD = 8,                       // rows of A that packing asks for before it needs them
    THIN = 4,                        // with so few rows packing costs more than it saves
};

typedef struct product {
    bool transpose_a, transpose_b;
    int M, N, K;
    real alpha;
    const real *A, *B;
    real *C;
    ptrdiff_t lda, ldb, ldc;
    gemm_epilogue after;
    int strip;    // columns packed at a time
    real *panels; // a strip; two, used in turn, when threads share them
    real *blocks; // BLOCKS * BLOCK_REALS for each thread
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

// One column of a block of a transposed A. Whole vectors where `left` values can be read: what is written
// too many is overwritten by the next column, or lies in the room that A_ROW leaves after the last.
static ALWAYS_INLINE void pack_column(const real *from, int left, real alpha, real *to) {
    enum { VECTORS = (TILE_ROWS + VEC - 1) / VEC };
    if (left >= VECTORS * VEC) {
        for (int v = 0; v < VECTORS; v++) vec_store(to + v * VEC, vec_load(from + v * VEC) * alpha);
    } else {
        for (int i = 0; i < TILE_ROWS && i < left; i++) to[i] = from[i] * alpha;
    }
}

// Rows [row, row + rows) of op(A), depth [k, k + depth), into blocks.
static void pack_blocks(const product *p, int row, int rows, int k, int depth, real *blocks) {
    if (p->transpose_a) {
        for (int d = 0; d < depth; d++) {
            const real *from = p->A + (k + d) * p->lda + row;
            const real *ahead = p->A + smaller(k + d + AHEAD, p->K - 1) * p->lda + row;
            for (int r = 0; r < rows; r += TILE_ROWS) {
                __builtin_prefetch(ahead + r);
                pack_column(from + r, p->M - row - r, p->alpha,
                            blocks + r / TILE_ROWS * BLOCK_REALS + d * TILE_ROWS);
            }
        }
        return;
    }
    for (int r = 0; r < rows; r++) {
        const real *from = p->A + (row + r) * p->lda + k;
        const real *ahead = p->A + smaller(row + r + AHEAD, p->M - 1) * p->lda + k;
        real *to = blocks + r * A_ROW;
        for (int d = 0; d < depth; d += VEC) {
            __builtin_prefetch(ahead + d);
            vec_put(to + d, vec_get(from + d, depth - d) * p->alpha, depth - d);
        }
    }
}

// What remains once the sums of a region are complete: they lie lds apart and may be C or pre; row and
// column say where the region lies. bias and accumulate: what they do not hold yet.
static void finish(const product *p, int row, int column, int rows, int columns, const real *sums,
                   ptrdiff_t lds, const real *bias, bool accumulate) {
    const gemm_epilogue *e = &p->after;
    for (int r = 0; r < rows; r++) {
        const real *from = sums + r * lds;
        const ptrdiff_t at = (row + r) * p->ldc + column;
        for (int i = 0; i < columns; i += VEC) {
            const int left = columns - i;
            vec v = vec_get(from + i, left);
            if (bias) v += vec_get(bias + column + i, left);
            if (e->pre) vec_put(e->pre + at + i, v, left);
            v = activation_value(e->act, v);
            if (e->residual) v += vec_get(e->residual + at + i, left);
            if (accumulate) v += vec_get(p->C + at + i, left);
            vec_put(p->C + at + i, v, left);
        }
    }
}

typedef struct pass {
    int k, depth;
    bool first, last;
} pass;

// One block of rows times one panel of columns, for one pass.
static void multiply_block(const product *p, const pass *s, int row, int column, int rows, int columns,
                           const real *block, const real *panel) {
    const gemm_epilogue *e = &p->after;
    // Sums wait in C, or in pre when C still holds something that counts.
    const bool later = e->act != ACTIVATION_NONE || e->pre || (e->residual && e->accumulate);
    const ptrdiff_t at = row * p->ldc + column;
    real *sums = (e->pre ? e->pre : p->C) + at, padded[TILE_COLUMNS];
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
        if (e->accumulate && !e->pre) added = sums;
    }
    KERNEL(tile_multiply)
    (rows, columns, s->depth, block, p->transpose_a ? TILE_ROWS : 0, panel, initial, added, sums, p->ldc);
    if (later && s->last)
        finish(p, row, column, rows, columns, sums, p->ldc, NULL, e->pre && e->accumulate);
}

// The part of one thread. Everybody packs a share of the strip, then multiplies a rectangle of the result.
static void multiply_part(const product *p, int thread, int threads) {
    const int block_count = divide_up(p->M, TILE_ROWS);
    // How many threads share the rows; the others divide the columns. Chosen to make the largest rectangle
    // small.
    int row_parts = 1, best = 0;
    for (int parts = 1; parts <= threads; parts++) {
        if (threads % parts) continue;
        int strip_panels = divide_up(smaller(p->strip, p->N), TILE_COLUMNS);
        int largest = divide_up(block_count, parts) * divide_up(strip_panels, threads / parts);
        if (best == 0 || largest <= best) best = largest, row_parts = parts;
    }
    const int column_parts = threads / row_parts;
    const range blocks = share(block_count, thread / column_parts, row_parts);
    real *const packed = p->blocks + (size_t)thread * BLOCKS * BLOCK_REALS;
    const int depth = pass_depth(p->K);
    int turn = 0;
    for (int strip = 0; strip < p->N; strip += p->strip) {
        const int panel_count = divide_up(smaller(p->N - strip, p->strip), TILE_COLUMNS);
        const range own = share(panel_count, thread % column_parts, column_parts);
        for (int k = 0; k < p->K; k += depth) {
            const pass s = {k, smaller(depth, p->K - k), k == 0, k + depth >= p->K};
            real *const panels = p->panels + (size_t)turn * strip_reals(smaller(p->N, p->strip), depth);
            const range to_pack = share(panel_count, thread, threads);
            for (int j = to_pack.begin; j < to_pack.end; j++) {
                const int column = strip + j * TILE_COLUMNS;
                KERNEL(tile_pack_panel)
                (p->transpose_b, smaller(TILE_COLUMNS, p->N - column), s.depth,
                 p->transpose_b ? p->B + column * p->ldb + k : p->B + k * p->ldb + column, p->ldb,
                 panels + (size_t)j * TILE_COLUMNS * (size_t)s.depth);
            }
            // Two strips in turn: whoever is past this barrier may fill the other one while the rest still
            // read this one.
            if (threads > 1) {
#pragma omp barrier
                turn ^= 1;
            }
            for (int first = blocks.begin; first < blocks.end; first += BLOCKS) {
                const int last = smaller(first + BLOCKS, blocks.end), row = first * TILE_ROWS;
                pack_blocks(p, row, smaller(last * TILE_ROWS, p->M) - row, k, s.depth, packed);
                for (int j = own.begin; j < own.end; j++)
                    for (int i = first; i < last; i++) {
                        const int column = strip + j * TILE_COLUMNS;
                        multiply_block(p, &s, i * TILE_ROWS, column,
                                       smaller(TILE_ROWS, p->M - i * TILE_ROWS),
                                       smaller(TILE_COLUMNS, p->N - column),
                                       packed + (size_t)(i - first) * BLOCK_REALS,
                                       panels + (size_t)j * TILE_COLUMNS * (size_t)s.depth);
                    }
            }
        }
    }
}

// A few rows times a transposed B: dot products straight from the rows of B, which are read once.
static ALWAYS_INLINE void dot_products(const product *p, const int rows, int column, int columns,
                                       real *sums, int lds) {
    enum { TOGETHER = 4 };
    for (int n = 0; n < columns; n += TOGETHER) {
        const real *b[TOGETHER];
        vec part[THIN][TOGETHER];
#pragma GCC unroll 4
        for (int j = 0; j < TOGETHER; j++) {
            b[j] = p->B + (column + smaller(n + j, columns - 1)) * p->ldb;
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) part[r][j] = (vec){0};
        }
        for (int k = 0; k < p->K; k += VEC) {
            vec right[TOGETHER];
#pragma GCC unroll 4
            for (int j = 0; j < TOGETHER; j++) right[j] = vec_get(b[j] + k, p->K - k);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                const vec left = vec_get(p->A + r * p->lda + k, p->K - k);
#pragma GCC unroll 4
                for (int j = 0; j < TOGETHER; j++) part[r][j] += left * right[j];
            }
        }
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < TOGETHER && n + j < columns; j++)
                sums[r * lds + n + j] = vec_sum(part[r][j]);
    }
}

static void multiply_thin(const product *p, int threads) {
    enum { TOGETHER = 64 };
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int column = 0; column < p->N; column += TOGETHER) {
        real sums[THIN * TOGETHER];
        const int columns = smaller(TOGETHER, p->N - column);
        if (p->M == 1)
            dot_products(p, 1, column, columns, sums, TOGETHER);
        else if (p->M == 2)
            dot_products(p, 2, column, columns, sums, TOGETHER);
        else if (p->M == 3)
            dot_products(p, 3, column, columns, sums, TOGETHER);
        else
            dot_products(p, 4, column, columns, sums, TOGETHER);
        finish(p, 0, column, p->M, columns, sums, TOGETHER, p->after.bias, p->after.accumulate);
    }
}

static size_t strip_count(int N, int K) {
    return K > DEPTH || N > STRIP ? 2 : 1;
}

size_t KERNEL(gemm_workspace)(int M, int N, int K, int threads) {
    (void)M;
    return (strip_count(N, K) * strip_reals(smaller(N, STRIP), pass_depth(K)) +
            (size_t)threads * BLOCKS * BLOCK_REALS) *
           sizeof(real);
}

void KERNEL(gemm)(bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda,
                  const real *B, int ldb, real *C, int ldc, const gemm_epilogue *epilogue,
                  void *workspace) {
    static const gemm_epilogue none = {0};
    const product p = {.transpose_a = transpose_a,
                       .transpose_b = transpose_b,
                       .M = M,
                       .N = N,
                       .K = K,
                       .alpha = 1,
                       .A = A,
                       .B = B,
                       .C = C,
                       .lda = lda,
                       .ldb = ldb,
                       .ldc = ldc,
                       .after = epilogue ? *epilogue : none,
                       .strip = STRIP,
                       .panels = workspace,
                       .blocks = (real *)workspace +
                                 strip_count(N, K) * strip_reals(smaller(N, STRIP), pass_depth(K))};
    const int threads = threads_for((double)M * N * K / (2 * VEC)); // two multiply-adds at a time
    if (!transpose_a && transpose_b && M <= THIN) {
        multiply_thin(&p, threads);
    } else if (threads == 1) {
        multiply_part(&p, 0, 1);
    } else {
#pragma omp parallel num_threads(threads)
        multiply_part(&p, omp_get_thread_num(), omp_get_num_threads());
    }
}

size_t KERNEL(gemm_serial_workspace)(void) {
    return (strip_reals(STRIP_SERIAL, DEPTH) + BLOCKS * BLOCK_REALS) * sizeof(real);
}

void KERNEL(gemm_serial)(bool transpose_a, bool transpose_b, int M, int N, int K, real alpha, const real *A,
                         int lda, const real *B, int ldb, real *C, int ldc, bool accumulate,
                         void *workspace) {
    const product p = {.transpose_a = transpose_a,
                       .transpose_b = transpose_b,
                       .M = M,
                       .N = N,
                       .K = K,
                       .alpha = alpha,
                       .A = A,
                       .B = B,
                       .C = C,
                       .lda = lda,
                       .ldb = ldb,
                       .ldc = ldc,
                       .after = {.accumulate = accumulate},
                       .strip = STRIP_SERIAL,
                       .panels = workspace,
                       .blocks = (real *)workspace + strip_reals(STRIP_SERIAL, DEPTH)};
    multiply_part(&p, 0, 1);
}
