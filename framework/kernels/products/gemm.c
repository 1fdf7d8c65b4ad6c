// Matrix products: the right operand packed into panels (tile.h), K in passes of at most DEPTH, columns in
// strips whose panels go by for each block of rows. A block of the left operand stays in the nearest cache
// meanwhile, the strip in the next.
//
// Who computes a result depends on the number of threads, how never does: each is a sum over the passes of
// K in order, and those are cut by K alone.
#include "kernels/activation.h"
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/sizes.h"
#include "kernels/products/tile.h"

#include <string.h>

enum {
    STRIP_PANELS = 24,        // of columns that stay near while the rows go by
    BLOCKS = 4,               // of rows whose left operands are packed at a time
    PANELS_WORTH_PACKING = 4, // at least so many that they are multiplied by
};

// What it costs to pack a panel and to bring a block of rows near: how many blocks can be multiplied by a
// panel meanwhile.
static const double PACKING = 1, READING = 0.3;

typedef struct product {
    bool transpose_a, transpose_b;
    int M, N, K;
    const real *A, *B;
    real *C;
    ptrdiff_t lda, ldb, ldc;
    gemm_epilogue after;
    const real *packed; // all of B, or NULL: it is packed strip by strip on the way
    real *panels;       // then a strip for each part
    int parts;          // of the result, one for each thread
} product;

typedef struct range {
    int begin, end;
} range;

static range share(int count, int part, int parts) {
    return (range){(int)((int64_t)count * part / parts), (int)((int64_t)count * (part + 1) / parts)};
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

// One block of rows times one panel of columns, for one pass. a: the block, as `left` says.
static void multiply_block(const product *p, const pass *s, int row, int column, tile_left left,
                           const real *a, const real *panel) {
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
    const real *factor = e->factor && s->last ? e->factor + at : NULL;
    tile_multiply(rows, columns, s->depth, left, a, p->lda, panel, initial, added, factor, sums, p->ldc);
    if (later && s->last)
        finish(p, row, column, rows, columns, sums, p->ldc, NULL, e->slope && e->accumulate);
}

static void pack_panel(const product *p, const pass *s, int column, real *panel) {
    tile_pack_panel(p->transpose_b, smaller(TILE_COLUMNS, p->N - column), s->depth,
                    p->transpose_b ? p->B + column * p->ldb + s->k : p->B + s->k * p->ldb + column, p->ldb,
                    panel);
}

// Of one thread, in reals.
static size_t strip_room(int N, int K) {
    return strip_reals(smaller(N, STRIP_PANELS * TILE_COLUMNS), pass_depth(K));
}

static pass pass_from(int K, int k) {
    const int depth = pass_depth(K);
    return (pass){k, smaller(depth, K - k), k == 0, k + depth >= K};
}

// Asks for part `part` of `parts` of the left operand's rows from `row` on, for one pass.
static void ask_for_rows(const product *p, const pass *s, int row, int part, int parts) {
    const int rows = smaller(TILE_ROWS, p->M - row);
    const range own = share(s->depth, part, parts);
    for (int r = 0; r < rows; r++)
        for (int k = own.begin / VEC * VEC; k < own.end; k += VEC)
            __builtin_prefetch(p->A + (row + r) * p->lda + s->k + k);
}

// Rows `blocks` times the panels of a strip, for one pass. They lie in `panels`; packing, when not NULL, is
// the same place, and they are still to be put there.
static void multiply_strip(const product *p, const pass *s, range blocks, range strip, real *packing,
                           const real *panels) {
    real packed[BLOCKS * TILE_ROWS * DEPTH] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    const int panel_count = strip.end - strip.begin;
    const tile_left left = !p->transpose_a                      ? TILE_LEFT_ROWS
                           : panel_count < PANELS_WORTH_PACKING ? TILE_LEFT_COLUMNS
                                                                : TILE_LEFT_PACKED;
    for (int i = blocks.begin; i < blocks.end; i++) {
        const int row = i * TILE_ROWS;
        const real *a = p->transpose_a ? p->A + s->k * p->lda + row : p->A + row * p->lda + s->k;
        if (left == TILE_LEFT_PACKED) {
            const int before = (i - blocks.begin) % BLOCKS;
            const int rows = smaller(smaller(blocks.end - i, BLOCKS) * TILE_ROWS, p->M - row);
            if (before == 0) tile_pack_rows(rows, s->depth, a, p->lda, packed);
            a = packed + before * TILE_ROWS * s->depth;
        }
        for (int j = 0; j < panel_count; j++) {
            const int column = (strip.begin + j) * TILE_COLUMNS;
            const size_t at = strip_reals(j * TILE_COLUMNS, s->depth);
            if (packing && i == blocks.begin) pack_panel(p, s, column, packing + at);
            if (left == TILE_LEFT_ROWS && i + 1 < blocks.end)
                ask_for_rows(p, s, row + TILE_ROWS, j, panel_count);
            multiply_block(p, s, row, column, left, a, panels + at);
        }
    }
}

// How many threads share the rows; the others divide the columns. Least work for the busiest.
static int row_parts(const product *p, int threads) {
    int best = 1;
    double least = 0;
    for (int parts = 1; parts <= threads; parts++) {
        if (threads % parts) continue;
        const int blocks = divide_up(divide_up(p->M, TILE_ROWS), parts);
        const int panels = divide_up(divide_up(p->N, TILE_COLUMNS), threads / parts);
        const double work = (double)blocks * panels + (p->packed ? 0 : PACKING * panels) + READING * blocks;
        if (least == 0 || work <= least) least = work, best = parts;
    }
    return best;
}

// One part: a rectangle of the result. It packs what it needs of B by itself: to wait for others, and to
// fetch panels from their caches, would take longer.
static void multiply_part(const product *p, int part) {
    const int parts = row_parts(p, p->parts);
    const range blocks = share(divide_up(p->M, TILE_ROWS), part % parts, parts);
    const range columns = share(divide_up(p->N, TILE_COLUMNS), part / parts, p->parts / parts);
    const int width = columns.end - columns.begin, strips = divide_up(width, STRIP_PANELS);
    for (int i = 0; i < strips; i++) {
        range strip = share(width, i, strips);
        strip.begin += columns.begin, strip.end += columns.begin;
        for (int k = 0; k < p->K; k += pass_depth(p->K)) {
            const pass s = pass_from(p->K, k);
            real *const own = p->packed ? NULL : p->panels + part * strip_room(p->N, p->K);
            multiply_strip(p, &s, blocks, strip, own,
                           p->packed ? p->packed + strip_reals(p->N, k) +
                                           strip_reals(strip.begin * TILE_COLUMNS, s.depth)
                                     : own);
        }
    }
}

size_t gemm_workspace(int N, int K) {
    return (size_t)kernels_thread_count * strip_room(N, K) * sizeof(real);
}

static void multiply_parts(const void *context, pool_share s) {
    for (int part = s.begin; part < s.end; part++) multiply_part(context, part);
}

static void multiply_all(product *p) {
    p->parts = threads_for((double)p->M * p->N * p->K / (2 * VEC)); // two multiply-adds at a time
    pool_run(p->parts, p->parts, 1, multiply_parts, p);
}

void gemm(bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda, const real *B,
          int ldb, real *C, int ldc, const gemm_epilogue *epilogue, void *workspace) {
    product p = {.transpose_a = transpose_a,
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
    multiply_all(&p);
}

size_t gemm_packed_reals(int N, int K) {
    return strip_reals(N, K);
}

typedef struct packing {
    product p;
    int panels; // of a pass
    real *packed;
} packing;

static void pack_panels(const void *context, pool_share share) {
    const packing *a = context;
    const product *p = &a->p;
    for (int i = share.begin; i < share.end; i++) {
        const pass s = pass_from(p->K, i / a->panels * pass_depth(p->K));
        const int column = i % a->panels * TILE_COLUMNS;
        pack_panel(p, &s, column, a->packed + strip_reals(p->N, s.k) + strip_reals(column, s.depth));
    }
}

void gemm_pack(bool transpose_b, int N, int K, const real *B, int ldb, real *packed) {
    const packing a = {{.transpose_b = transpose_b, .N = N, .K = K, .B = B, .ldb = ldb},
                       divide_up(N, TILE_COLUMNS),
                       packed};
    parallel_for(divide_up(K, pass_depth(K)) * a.panels, (double)N * K / VEC * 2, pack_panels, &a);
}

void gemm_packed(bool transpose_a, int M, int N, int K, const real *A, int lda, const real *packed, real *C,
                 int ldc, const gemm_epilogue *epilogue) {
    product p = {.transpose_a = transpose_a,
                 .M = M,
                 .N = N,
                 .K = K,
                 .A = A,
                 .packed = packed,
                 .C = C,
                 .lda = lda,
                 .ldc = ldc,
                 .after = epilogue ? *epilogue : (gemm_epilogue){0}};
    multiply_all(&p);
}
