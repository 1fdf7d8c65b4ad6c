// The micro-kernel of `real` vectors. Its register block is MR rows by two vectors; a panel's rows lie one
// after the other, two vectors wide, or one where its columns fit one.
#include "kernels/products/micro_kernel.h"

#include "kernels/declarations.h"

#include <string.h>

// 12 x 2 vectors of sums, 2 of B and one of A fill 27 of 32 registers; 6 x 2 fill 15 of 16. On aarch64 gcc
// loads values of A early, into registers that 12 rows would take.
#if defined(__AVX512F__)
#define ROWS_MAX 12
#elif defined(__aarch64__)
#define ROWS_MAX 10
#else
#define ROWS_MAX 6
#endif

enum {
    MR = ROWS_MAX,
    NR = 2 * VEC,
    KC = 384, // a block of A then takes half of L1
    VECTORS_MAX = 8,
    CACHE_LINE = 64, // bytes
    // The most rows for which two panels' sums fit the registers.
    FEW_ROWS = ROWS_MAX > 6 ? 5 : 2,
    // Columns of A this far ahead are prefetched, by products and when packing: their stride is too long
    // for the hardware to do it.
    COLUMNS_AHEAD = 8,
};

static int panel_width(int columns) {
    return columns <= VEC ? VEC : NR;
}

// rows, vectors and layout are constants of the caller, so that loops over them are unrolled and the sums
// stay in registers.
static ALWAYS_INLINE void multiply_constant(const int rows, const int vectors, const a_layout layout,
                                            const register_block *block) {
    real *const c = block->c;
    const real *const added = block->added, *const factor = block->factor;
    const ptrdiff_t ldc = block->ldc, lda = block->lda;
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) __builtin_prefetch(c + r * ldc + v * VEC, 1);
    for (int r = 0; factor && r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) __builtin_prefetch(factor + r * ldc + v * VEC);
    vec sums[MR][VECTORS_MAX];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        const vec start = block->initial ? vec_load(block->initial + v * VEC) : (vec){0};
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) sums[r][v] = start;
    }
    // By rows, every third has a pointer of its own: more would not fit the registers.
    const real *a = block->a, *thirds[(MR + 2) / 3];
#pragma GCC unroll 4
    for (int t = 0; t < (rows + 2) / 3; t++) thirds[t] = a + 3 * t * lda;
    const int width = vectors == 1 ? VEC : NR;
    const ptrdiff_t panel = (ptrdiff_t)block->depth * width;
    const real *b = block->b, *const end = b + panel;
#pragma GCC unroll 4
    for (; b != end; b += width) {
        vec right[VECTORS_MAX];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) right[v] = vec_load(b + v / 2 * panel + v % 2 * VEC);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const vec left = vec_set(layout == A_BY_ROWS ? thirds[r / 3][r % 3 * lda] : a[r]);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sums[r][v] += left * right[v];
        }
        if (layout == A_BY_ROWS) {
#pragma GCC unroll 4
            for (int t = 0; t < (rows + 2) / 3; t++) thirds[t]++;
        } else if (layout == A_BY_COLUMNS) {
            __builtin_prefetch(a + COLUMNS_AHEAD * lda);
            __builtin_prefetch(a + COLUMNS_AHEAD * lda + rows - 1);
            a += lda;
        } else {
            a += MR;
        }
    }
    if (factor) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) {
                if (added) sums[r][v] += vec_load(added + r * ldc + v * VEC);
                vec_store(c + r * ldc + v * VEC, sums[r][v] * vec_load(factor + r * ldc + v * VEC));
            }
    } else if (added) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                vec_store(c + r * ldc + v * VEC, sums[r][v] + vec_load(added + r * ldc + v * VEC));
    } else {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) vec_store(c + r * ldc + v * VEC, sums[r][v]);
    }
}

typedef void block_function(const register_block *block);

#define BLOCK(rows, vectors, layout)                                                                       \
    static void multiply_##rows##_##vectors##_##layout(const register_block *block) {                      \
        multiply_constant(rows, vectors, layout, block);                                                   \
    }
#define BLOCKS(rows, vectors)                                                                              \
    BLOCK(rows, vectors, A_BY_ROWS) BLOCK(rows, vectors, A_BY_COLUMNS) BLOCK(rows, vectors, A_PACKED)
#define NAME(rows, vectors, layout) [layout] = multiply_##rows##_##vectors##_##layout
#define NAMES(rows, vectors)                                                                               \
    NAME(rows, vectors, A_BY_ROWS), NAME(rows, vectors, A_BY_COLUMNS), NAME(rows, vectors, A_PACKED)

// For each number of rows: those that go with one panel only, those that go with two, one row with four.
#define MANY_BLOCKS(rows) BLOCKS(rows, 1) BLOCKS(rows, 2)
#define FEW_BLOCKS(rows) MANY_BLOCKS(rows) BLOCKS(rows, 4)
#define MANY(rows) [rows - 1] = {{NAMES(rows, 1)}, {NAMES(rows, 2)}}
#define FEW(rows) [rows - 1] = {{NAMES(rows, 1)}, {NAMES(rows, 2)}, {NAMES(rows, 4)}}
#define ONE [0] = {{NAMES(1, 1)}, {NAMES(1, 2)}, {NAMES(1, 4)}, {NAMES(1, 8)}}

// clang-format off
FEW_BLOCKS(1) BLOCKS(1, 8) FEW_BLOCKS(2)
#if ROWS_MAX == 6
MANY_BLOCKS(3) MANY_BLOCKS(4) MANY_BLOCKS(5) MANY_BLOCKS(6)
#else
FEW_BLOCKS(3) FEW_BLOCKS(4) FEW_BLOCKS(5)
MANY_BLOCKS(6) MANY_BLOCKS(7) MANY_BLOCKS(8) MANY_BLOCKS(9) MANY_BLOCKS(10)
#if ROWS_MAX == 12
MANY_BLOCKS(11) MANY_BLOCKS(12)
#endif
#endif

// By rows, the logarithm of the number of vectors, and the layout of A.
static block_function *const functions[MR][4][3] = {
    ONE, FEW(2),
#if ROWS_MAX == 6
    MANY(3), MANY(4), MANY(5), MANY(6),
#else
    FEW(3), FEW(4), FEW(5), MANY(6), MANY(7), MANY(8), MANY(9), MANY(10),
#if ROWS_MAX == 12
    MANY(11), MANY(12),
#endif
#endif
};
// clang-format on

static int panels_at_once(int rows) {
    return rows == 1 ? 4 : rows <= FEW_ROWS ? 2 : 1;
}

// The last columns of C, fewer than their panel is wide.
static void multiply_ragged(block_function *function, const register_block *block, int width) {
    real sums[MR * NR] __attribute__((aligned(KERNEL_VECTOR_BYTES))), initial[NR] = {0};
    register_block whole = *block;
    whole.added = whole.factor = NULL;
    whole.c = sums, whole.ldc = width;
    if (block->initial)
        whole.initial = memcpy(initial, block->initial, (size_t)block->columns * sizeof *initial);
    function(&whole);
    for (int r = 0; r < block->rows; r++)
        for (int i = 0; i < block->columns; i += VEC) {
            const int left = block->columns - i;
            const ptrdiff_t at = r * block->ldc + i;
            vec v = vec_load(sums + r * width + i);
            if (block->added) v += vec_get(block->added + at, left);
            if (block->factor) v *= vec_get(block->factor + at, left);
            vec_put(block->c + at, v, left);
        }
}

static void multiply_block(const register_block *block) {
    const int width = block->columns <= NR ? panel_width(block->columns) : block->columns;
    block_function *function =
        functions[block->rows - 1][__builtin_ctz((unsigned)(width / VEC))][block->layout];
    if (block->columns == width)
        function(block);
    else
        multiply_ragged(function, block, width);
}

static void pack_columns(int rows, int depth, const real *A, ptrdiff_t lda, void *to) {
    const ptrdiff_t block = (ptrdiff_t)depth * MR;
    real *packed = to;
    for (int k = 0; k < depth; k++, A += lda, packed += MR) {
        real *of_block = packed;
        int r = 0;
        for (int i = 0; i < rows; i += CACHE_LINE / (int)sizeof *A)
            __builtin_prefetch(A + COLUMNS_AHEAD * lda + i);
        for (; r + MR <= rows; r += MR, of_block += block) memcpy(of_block, A + r, MR * sizeof *A);
        for (int i = 0; r + i < rows; i++) of_block[i] = A[r + i];
    }
}

static void pack_transposed(int columns, int depth, const real *B, ptrdiff_t ldb, real *panel) {
    const int width = panel_width(columns);
    int k = 0;
    for (; k + VEC <= depth; k += VEC)
        for (int n = 0; n < columns; n += VEC) {
            vec square[VEC];
            if (columns - n >= VEC) {
#pragma GCC unroll 16
                for (int i = 0; i < VEC; i++) square[i] = vec_load(B + (n + i) * ldb + k);
            } else {
#pragma GCC unroll 16
                for (int i = 0; i < VEC; i++)
                    square[i] = n + i < columns ? vec_load(B + (n + i) * ldb + k) : (vec){0};
            }
            vec_transpose(square);
#pragma GCC unroll 16
            for (int i = 0; i < VEC; i++) vec_store(panel + (k + i) * width + n, square[i]);
        }
    for (; k < depth; k++)
        for (int n = 0; n < width; n++) panel[k * width + n] = n < columns ? B[n * ldb + k] : 0;
}

static void pack_panel(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb, void *to) {
    const int width = panel_width(columns);
    real *panel = to;
    if (transposed) {
        pack_transposed(columns, depth, B, ldb, panel);
    } else if (columns == NR) {
        for (int k = 0; k < depth; k++)
            for (int i = 0; i < NR; i += VEC) {
                __builtin_prefetch(B + k * ldb + NR + i, 0, 2); // of the next panel, into L2
                vec_store(panel + k * NR + i, vec_load(B + k * ldb + i));
            }
    } else {
        for (int k = 0; k < depth; k++)
            for (int i = 0; i < width; i += VEC)
                vec_store(panel + k * width + i, vec_get(B + k * ldb + i, columns - i));
    }
}

const micro_kernel vector_micro_kernel = {
    .MR = MR,
    .NR = NR,
    .KC = KC,
    .KR = 1,
    .element = sizeof(real),
    .pack_columns = pack_columns,
    .pack_columns_from = 4,
    .pack_panel = pack_panel,
    .panels_at_once = panels_at_once,
    .multiply = multiply_block,
};
