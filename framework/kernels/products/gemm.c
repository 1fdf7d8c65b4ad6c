// Matrix products, blocked for the caches (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", ACM TOMS 34 (2008)): K in passes of at most KC, B packed into panels of NR columns, as
// many of which as L2 holds go by for each MR rows of A. What depends on the unit that multiplies is in its
// micro-kernel.
//
// Threads share out the results. How each is computed does not depend on them, nor on M: one chain of
// additions for each pass over K, which K alone cuts, and the passes in order.
#include "kernels/products/micro_kernel.h"

#include "kernels/activation.h"
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/sizes.h"

enum {
    NC_PANELS = 24, // of B: what stays in L2 while rows of A go by
    // As few rows as this read B once rather than often: threads share out the columns only, and always the
    // same ones, so that a B which is used again and again stays in the caches of their cores.
    FEW_ROWS = 64,
    // Then, this many vector operations pay for another thread: what it reads stays in its cache.
    FEW_ROWS_OPERATIONS = 1 << 10,
};

// In units of a register block's product: what it costs to pack a panel, and to bring a block of A into L1.
static const double PACKING_COST = 1, READING_COST = 0.3;

typedef struct product {
    const micro_kernel *unit;
    bool transpose_a, transpose_b;
    int M, N, K;
    int panels, depth; // of B; of a pass
    const real *A, *B;
    real *C;
    ptrdiff_t lda, ldb, ldc;
    gemm_epilogue epilogue;
    const unsigned char *packed; // all of B, or NULL: it is packed on the way
    unsigned char *workspace;    // then, workspace_bytes() for each part
    int parts;                   // of the result, one for each thread
} product;

typedef struct range {
    int begin, end;
} range;

static range share(int count, int part, int parts) {
    return (range){(int)((int64_t)count * part / parts), (int)((int64_t)count * (part + 1) / parts)};
}

typedef struct pass {
    int k, depth;
    bool first, last;
} pass;

// K is cut into equal passes, so that none is much shorter than the others.
static int pass_depth(const micro_kernel *unit, int K) {
    return round_up(divide_up(K, divide_up(K, unit->KC)), unit->KR);
}

static pass pass_from(const product *p, int k) {
    return (pass){k, smaller(p->depth, p->K - k), k == 0, k + p->depth >= p->K};
}

// Of a packed operand, MR rows or NR columns at a time.
static size_t packed_bytes(const micro_kernel *unit, int rows_or_columns, int depth) {
    const int padded = (depth + unit->KR - 1) & -unit->KR;
    return (size_t)rows_or_columns * (size_t)padded * unit->element;
}

// Where a panel of B begins: all of a pass lie one after the other, and so do the passes.
static size_t panel_offset(const product *p, const pass *s, int panel) {
    const micro_kernel *unit = p->unit;
    return packed_bytes(unit, p->panels * unit->NR, s->k) + packed_bytes(unit, panel * unit->NR, s->depth);
}

// The epilogue's part that waits for complete sums, on rows x columns of C. The sums are in C, or in slope.
static ALWAYS_INLINE void finish_with(const activation act, const product *p, int row, int column, int rows,
                                      int columns) {
    const gemm_epilogue *e = &p->epilogue;
    const bool accumulate = e->slope && e->accumulate; // else C was added before
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i += VEC) {
            const int left = columns - i;
            const ptrdiff_t at = (row + r) * p->ldc + column + i;
            vec v = vec_get((e->slope ? e->slope : p->C) + at, left), slope;
            if (e->slope) {
                v = activation_slope(act, v, &slope);
                vec_put(e->slope + at, slope, left);
            } else {
                v = activation_value(act, v);
            }
            if (e->residual) v += vec_get(e->residual + at, left);
            if (accumulate) v += vec_get(p->C + at, left);
            vec_put(p->C + at, v, left);
        }
}

static void finish(const product *p, int row, int column, int rows, int columns) {
#define FINISH(act)                                                                                        \
    case act:                                                                                              \
        finish_with(act, p, row, column, rows, columns);                                                   \
        break
    switch (p->epilogue.act) {
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

typedef void pack_function(int rows, int depth, const real *A, ptrdiff_t lda, void *packed);

// A rectangle of C, for one pass: blocks of MR rows times panels of NR columns.
typedef struct region {
    const product *p;
    pass s;
    range blocks, panels;
    unsigned char *b; // the panels
    bool packs_b;     // they are still to be put there
    size_t panel_bytes;
    pack_function *pack_a; // NULL: A is read where it lies
} region;

// A block of at most MR rows of A, as panels meet it.
typedef struct row_block {
    int row, rows;
    a_layout layout;
    const void *a;
} row_block;

static void multiply_block(const region *g, const row_block *rows, int column, int columns,
                           const unsigned char *b) {
    const product *p = g->p;
    const gemm_epilogue *e = &p->epilogue;
    // Sums are kept in C, or in slope while C holds a value that counts.
    const bool finishes = e->act != ACTIVATION_NONE || e->slope || (e->residual && e->accumulate);
    const ptrdiff_t at = rows->row * p->ldc + column;
    real *const sums = (e->slope ? e->slope : p->C) + at;
    register_block block = {.rows = rows->rows,
                            .columns = columns,
                            .depth = g->s.depth,
                            .layout = rows->layout,
                            .a = rows->a,
                            .lda = p->lda,
                            .b = b,
                            .added = sums,
                            .c = sums,
                            .ldc = p->ldc};
    if (g->s.first) {
        if (e->bias) block.initial = e->bias + column;
        block.added = e->accumulate && !e->slope ? sums
                      : e->residual && !finishes ? e->residual + at
                                                 : NULL;
    }
    if (e->factor && g->s.last) block.factor = e->factor + at;
    p->unit->multiply(&block);
    if (finishes && g->s.last) finish(p, rows->row, column, rows->rows, columns);
}

static void pack_panel(const product *p, const pass *s, int column, unsigned char *panel) {
    const real *B = p->transpose_b ? p->B + column * p->ldb + s->k : p->B + s->k * p->ldb + column;
    p->unit->pack_panel(p->transpose_b, smaller(p->unit->NR, p->N - column), s->depth, B, p->ldb, panel);
}

// Of the MR rows of A from `row` on, the share of panels j .. j + step - 1.
static void prefetch_rows(const region *g, int row, int share, int j, int step) {
    const product *p = g->p;
    const int rows = smaller(p->unit->MR, p->M - row), end = smaller((j + step) * share, g->s.depth);
    for (int r = 0; r < rows; r++)
        for (int k = j * share; k < end; k += VEC)
            __builtin_prefetch(p->A + (row + r) * p->lda + g->s.k + k);
}

static void multiply_rows(const region *g, const row_block *rows, bool first, bool last) {
    const product *p = g->p;
    const int NR = p->unit->NR, panels = g->panels.end - g->panels.begin;
    const int whole =
        smaller(g->panels.end, p->N / NR) - g->panels.begin; // the last panel of B may be a narrow one
    const int share = round_up(divide_up(g->s.depth, panels), VEC);
    int step = p->unit->panels_at_once(rows->rows);
    for (int j = 0; j < panels; j += step) {
        const int column = (g->panels.begin + j) * NR;
        unsigned char *const b = g->b + (size_t)j * g->panel_bytes;
        while (step > 1 && j + step > whole) step /= 2;
        if (g->packs_b && first)
            for (int n = 0; n < step; n++)
                pack_panel(p, &g->s, column + n * NR, b + (size_t)n * g->panel_bytes);
        if (rows->layout == A_BY_ROWS && !last) prefetch_rows(g, rows->row + rows->rows, share, j, step);
        multiply_block(g, rows, column, smaller(step * NR, p->N - column), b);
    }
}

// Block `i` of A. Packs as many as `packed` takes when it is time for them.
static row_block block_of_a(const region *g, int i, unsigned char *packed) {
    const product *p = g->p;
    const int MR = p->unit->MR, row = i * MR;
    const real *a = p->transpose_a ? p->A + g->s.k * p->lda + row : p->A + row * p->lda + g->s.k;
    row_block rows = {row, smaller(MR, p->M - row), p->transpose_a ? A_BY_COLUMNS : A_BY_ROWS, a};
    if (!g->pack_a) return rows;
    const size_t bytes = packed_bytes(p->unit, MR, g->s.depth);
    const int at_once = (int)(PACKED_A_BYTES / bytes), before = (i - g->blocks.begin) % at_once;
    const int coming = smaller(smaller(g->blocks.end - i, at_once) * MR, p->M - row);
    if (before == 0) g->pack_a(coming, g->s.depth, a, p->lda, packed);
    rows.layout = A_PACKED;
    rows.a = packed + (size_t)before * bytes;
    return rows;
}

static void multiply_region(const region *g) {
    unsigned char packed[PACKED_A_BYTES] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    for (int i = g->blocks.begin; i < g->blocks.end; i++) {
        const row_block rows = block_of_a(g, i, packed);
        multiply_rows(g, &rows, i == g->blocks.begin, i + 1 == g->blocks.end);
    }
}

// How many threads share the rows; the others divide the columns. Least work for the busiest.
static int row_parts(const product *p, int threads) {
    int best = 1;
    double least = 0;
    for (int parts = 1; parts <= threads && p->M > FEW_ROWS; parts++) {
        if (threads % parts) continue;
        const int blocks = divide_up(divide_up(p->M, p->unit->MR), parts);
        const int panels = divide_up(p->panels, threads / parts);
        const double work =
            (double)blocks * panels + (p->packed ? 0 : PACKING_COST * panels) + READING_COST * blocks;
        if (least == 0 || work <= least) least = work, best = parts;
    }
    return best;
}

static size_t workspace_bytes(const micro_kernel *unit, int N, int K) {
    return packed_bytes(unit, smaller(round_up(N, unit->NR), NC_PANELS * unit->NR), pass_depth(unit, K));
}

// One part of the result, NC_PANELS or fewer panels and one pass at a time. It packs what it needs of B by
// itself: to wait for others, and to fetch panels from their caches, would take longer.
static void multiply_part(const product *shared, int part) {
    const product own_copy = *shared, *const p = &own_copy; // one transfer from the caller's cache
    const micro_kernel *const unit = p->unit;
    const int parts = row_parts(p, p->parts);
    const range own = share(p->panels, part / parts, p->parts / parts);
    const int count = own.end - own.begin, groups = divide_up(count, NC_PANELS);
    region g = {
        .p = p, .blocks = share(divide_up(p->M, unit->MR), part % parts, parts), .packs_b = !p->packed};
    for (int i = 0; i < groups; i++) {
        const range group = share(count, i, groups);
        g.panels = (range){own.begin + group.begin, own.begin + group.end};
        g.pack_a = !p->transpose_a                                      ? unit->pack_rows
                   : group.end - group.begin >= unit->pack_columns_from ? unit->pack_columns
                                                                        : NULL;
        for (int k = 0; k < p->K; k += p->depth) {
            g.s = pass_from(p, k);
            g.panel_bytes = packed_bytes(unit, unit->NR, g.s.depth);
            g.b = p->packed ? (unsigned char *)p->packed + panel_offset(p, &g.s, g.panels.begin)
                            : p->workspace + (size_t)part * workspace_bytes(unit, p->N, p->K);
            multiply_region(&g);
        }
    }
}

static void multiply_parts(const void *context, pool_share s) {
    for (int part = s.begin; part < s.end; part++) multiply_part(context, part);
}

static int parts_of(const product *p) {
    const double operations = (double)p->M * p->N * p->K / VEC;
    if (p->M > FEW_ROWS) return threads_for(operations / 2); // two multiply-adds at a time
    const int most = smaller(kernels_thread_count, p->panels);
    const double worth = operations / FEW_ROWS_OPERATIONS;
    return worth >= most ? most : worth >= 1 ? (int)worth : 1;
}

static void compute(product *p) {
    p->parts = parts_of(p);
    pool_run(p->parts, p->parts, 1, multiply_parts, p);
}

static product new_product(int M, int N, int K) {
    const micro_kernel *const unit = kernels->micro_kernel;
    return (product){.unit = unit,
                     .M = M,
                     .N = N,
                     .K = K,
                     .panels = divide_up(N, unit->NR),
                     .depth = pass_depth(unit, K)};
}

size_t gemm_workspace(int N, int K) {
    return (size_t)kernels_thread_count * workspace_bytes(kernels->micro_kernel, N, K);
}

void gemm(bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda, const real *B,
          int ldb, real *C, int ldc, const gemm_epilogue *epilogue, void *workspace) {
    product p = new_product(M, N, K);
    p.transpose_a = transpose_a, p.A = A, p.lda = lda;
    p.transpose_b = transpose_b, p.B = B, p.ldb = ldb;
    p.C = C, p.ldc = ldc;
    if (epilogue) p.epilogue = *epilogue;
    p.workspace = workspace;
    compute(&p);
}

size_t gemm_packed_bytes(int N, int K) {
    const micro_kernel *const unit = kernels->micro_kernel;
    return packed_bytes(unit, round_up(N, unit->NR), K);
}

typedef struct packing {
    product p;
    unsigned char *packed;
} packing;

static void pack_panels(const void *context, pool_share share) {
    const packing *a = context;
    const product *p = &a->p;
    for (int i = share.begin; i < share.end; i++) {
        const pass s = pass_from(p, i / p->panels * p->depth);
        const int panel = i % p->panels;
        pack_panel(p, &s, panel * p->unit->NR, a->packed + panel_offset(p, &s, panel));
    }
}

void gemm_pack(bool transpose_b, int N, int K, const real *B, int ldb, void *packed) {
    packing a = {new_product(0, N, K), packed};
    a.p.transpose_b = transpose_b, a.p.B = B, a.p.ldb = ldb;
    parallel_for(divide_up(K, a.p.depth) * a.p.panels, (double)N * K / VEC * 2, pack_panels, &a);
}

void gemm_packed(bool transpose_a, int M, int N, int K, const real *A, int lda, const void *packed, real *C,
                 int ldc, const gemm_epilogue *epilogue) {
    product p = new_product(M, N, K);
    p.transpose_a = transpose_a, p.A = A, p.lda = lda;
    p.packed = packed;
    p.C = C, p.ldc = ldc;
    if (epilogue) p.epilogue = *epilogue;
    compute(&p);
}
