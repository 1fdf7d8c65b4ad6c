#include "kernels/products/tile.h"

#include <string.h>

// Steps of the depth: a left operand by columns is asked for so long before its use, in products and when
// it is packed, since no processor foresees strides as long as these.
enum { COLUMNS_AHEAD = 8, PACKING_AHEAD = 8 };

typedef void tile_function(int depth, const real *a, ptrdiff_t step, const real *b, const real *initial,
                           const real *added, const real *factor, real *c, ptrdiff_t ldc);

// rows and vectors are constants of the caller, so that every loop over them is unrolled and the results
// stay in registers.
static ALWAYS_INLINE void multiply(const int rows, const int vectors, const tile_left left, int depth,
                                   const real *a, const ptrdiff_t step, const real *b, const real *initial,
                                   const real *added, const real *factor, real *c, ptrdiff_t ldc) {
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) __builtin_prefetch(c + r * ldc + v * VEC, 1);
    for (int r = 0; factor && r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) __builtin_prefetch(factor + r * ldc + v * VEC);
    vec sums[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        vec start = initial ? vec_load(initial + v * VEC) : (vec){0};
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) sums[r][v] = start;
    }
    // By rows, every third has a pointer of its own: more would not fit the registers.
    const real *thirds[(TILE_ROWS + 2) / 3];
#pragma GCC unroll 4
    for (int t = 0; t < (rows + 2) / 3; t++) thirds[t] = a + 3 * t * step;
    const real *const end = b + (ptrdiff_t)depth * vectors * VEC;
#pragma GCC unroll 4
    for (; b != end; b += vectors * VEC) {
        vec right[TILE_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) right[v] = vec_load(b + v * VEC);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const vec value = vec_set(left == TILE_LEFT_ROWS ? thirds[r / 3][r % 3 * step] : a[r]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sums[r][v] += value * right[v];
        }
        if (left == TILE_LEFT_ROWS) {
#pragma GCC unroll 4
            for (int t = 0; t < (rows + 2) / 3; t++) thirds[t]++;
        } else if (left == TILE_LEFT_COLUMNS) {
            __builtin_prefetch(a + COLUMNS_AHEAD * step);
            __builtin_prefetch(a + COLUMNS_AHEAD * step + rows - 1);
            a += step;
        } else {
            a += TILE_ROWS;
        }
    }
    if (factor) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) {
                if (added) sums[r][v] += vec_load(added + r * ldc + v * VEC);
                vec_store(c + r * ldc + v * VEC, sums[r][v] * vec_load(factor + r * ldc + v * VEC));
            }
    } else if (added) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                vec_store(c + r * ldc + v * VEC, sums[r][v] + vec_load(added + r * ldc + v * VEC));
    } else {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) vec_store(c + r * ldc + v * VEC, sums[r][v]);
    }
}

#define TILE(left, rows, vectors)                                                                          \
    static void multiply_##left##_##rows##_##vectors(                                                      \
        int depth, const real *a, ptrdiff_t step, const real *b, const real *initial, const real *added,   \
        const real *factor, real *c, ptrdiff_t ldc) {                                                      \
        multiply(rows, vectors, left, depth, a, step, b, initial, added, factor, c, ldc);                  \
    }
#define TILES_OF(left, rows) TILE(left, rows, 1) TILE(left, rows, 2)
#define TILES(rows)                                                                                        \
    TILES_OF(TILE_LEFT_ROWS, rows) TILES_OF(TILE_LEFT_COLUMNS, rows) TILES_OF(TILE_LEFT_PACKED, rows)
#define NAMES_OF(left, rows)                                                                               \
    { multiply_##left##_##rows##_1, multiply_##left##_##rows##_2 }
#define NAMES(rows)                                                                                        \
    { NAMES_OF(TILE_LEFT_ROWS, rows), NAMES_OF(TILE_LEFT_COLUMNS, rows), NAMES_OF(TILE_LEFT_PACKED, rows) }

// clang-format off
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if KERNEL_TILE_ROWS > 6
TILES(7) TILES(8) TILES(9) TILES(10)
#endif
#if KERNEL_TILE_ROWS > 10
TILES(11) TILES(12)
#endif

static tile_function *const functions[TILE_ROWS][3][TILE_VECTORS] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if KERNEL_TILE_ROWS > 6
    NAMES(7), NAMES(8), NAMES(9), NAMES(10),
#endif
#if KERNEL_TILE_ROWS > 10
    NAMES(11), NAMES(12),
#endif
};
// clang-format on

void tile_multiply(int rows, int columns, int depth, tile_left left, const real *a, ptrdiff_t step,
                   const real *b, const real *initial, const real *added, const real *factor, real *c,
                   ptrdiff_t ldc) {
    const int width = panel_width(columns);
    tile_function *function = functions[rows - 1][left][width / VEC - 1];
    if (columns == width) {
        function(depth, a, step, b, initial, added, factor, c, ldc);
        return;
    }
    real whole[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    function(depth, a, step, b, initial, NULL, NULL, whole, width);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i += VEC) {
            vec v = vec_load(whole + r * width + i);
            if (added) v += vec_get(added + r * ldc + i, columns - i);
            if (factor) v *= vec_get(factor + r * ldc + i, columns - i);
            vec_put(c + r * ldc + i, v, columns - i);
        }
}

void tile_pack_rows(int rows, int depth, const real *A, ptrdiff_t lda, real *packed) {
    const ptrdiff_t block = (ptrdiff_t)depth * TILE_ROWS;
    for (int k = 0; k < depth; k++, A += lda, packed += TILE_ROWS) {
        real *to = packed;
        int r = 0;
        for (int i = 0; i < rows; i += 64 / (int)sizeof *A) __builtin_prefetch(A + PACKING_AHEAD * lda + i);
        for (; r + TILE_ROWS <= rows; r += TILE_ROWS, to += block)
            memcpy(to, A + r, TILE_ROWS * sizeof *to);
        for (int i = 0; r + i < rows; i++) to[i] = A[r + i];
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

void tile_pack_panel(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb, real *panel) {
    const int width = panel_width(columns);
    if (transposed) {
        pack_transposed(columns, depth, B, ldb, panel);
    } else if (columns == TILE_COLUMNS) {
        for (int k = 0; k < depth; k++)
            for (int v = 0; v < TILE_VECTORS; v++) {
                __builtin_prefetch(B + k * ldb + TILE_COLUMNS + v * VEC, 0, 2);
                vec_store(panel + k * TILE_COLUMNS + v * VEC, vec_load(B + k * ldb + v * VEC));
            }
    } else {
        for (int k = 0; k < depth; k++)
            for (int i = 0; i < width; i += VEC)
                vec_store(panel + k * width + i, vec_get(B + k * ldb + i, columns - i));
    }
}
