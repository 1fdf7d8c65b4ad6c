#include "kernels/tile.h"

#include <string.h>

typedef void tile_function(int depth, const real *a, ptrdiff_t depth_step, const real *b,
                           const real *initial, const real *added, real *c, ptrdiff_t ldc);

// rows and vectors are constants of the caller, so that every loop over them is unrolled and the results
// stay in registers.
static ALWAYS_INLINE void multiply(const int rows, const int vectors, int depth, const real *a,
                                   const ptrdiff_t row_step, const ptrdiff_t depth_step, const real *b,
                                   const real *initial, const real *added, real *c, ptrdiff_t ldc) {
    vec sums[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        vec start = initial ? vec_load(initial + v * VEC) : (vec){0};
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) sums[r][v] = start;
    }
    for (int k = 0; k < depth; k++) {
        vec right[TILE_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) right[v] = vec_load(b + v * VEC);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const vec left = vec_set(a[r * row_step]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sums[r][v] += left * right[v];
        }
        a += depth_step;
        b += vectors * VEC;
    }
    if (added) {
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

#define ARGUMENTS                                                                                          \
    int depth, const real *a, ptrdiff_t depth_step, const real *b, const real *initial, const real *added, \
        real *c, ptrdiff_t ldc
#define TILE(rows, vectors)                                                                                \
    static void by_rows_##rows##_##vectors(ARGUMENTS) {                                                    \
        (void)depth_step;                                                                                  \
        multiply(rows, vectors, depth, a, A_ROW, 1, b, initial, added, c, ldc);                            \
    }                                                                                                      \
    static void by_columns_##rows##_##vectors(ARGUMENTS) {                                                 \
        multiply(rows, vectors, depth, a, 1, depth_step, b, initial, added, c, ldc);                       \
    }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define NAMES(rows)                                                                                        \
    {                                                                                                      \
        {by_rows_##rows##_1, by_rows_##rows##_2}, {                                                        \
            by_columns_##rows##_1, by_columns_##rows##_2                                                   \
        }                                                                                                  \
    }

// clang-format off
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if TILE_ROWS_MANY
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12)
#endif

static tile_function *const functions[TILE_ROWS][2][TILE_VECTORS] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if TILE_ROWS_MANY
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
#endif
};
// clang-format on

void KERNEL(tile_multiply)(int rows, int columns, int depth, const real *a, ptrdiff_t depth_step,
                           const real *b, const real *initial, const real *added, real *c, ptrdiff_t ldc) {
    const int width = panel_width(columns);
    tile_function *function = functions[rows - 1][depth_step != 0][width / VEC - 1];
    if (columns == width) {
        function(depth, a, depth_step, b, initial, added, c, ldc);
        return;
    }
    real whole[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    function(depth, a, depth_step, b, initial, NULL, whole, width);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i += VEC) {
            vec v = vec_load(whole + r * width + i);
            if (added) v += vec_get(added + r * ldc + i, columns - i);
            vec_put(c + r * ldc + i, v, columns - i);
        }
}

// Transposes VEC x VEC: lane j of rows[i] and lane i of rows[j] change places.
static ALWAYS_INLINE void transpose(vec rows[VEC]) {
#pragma GCC unroll 4
    for (int step = 1; step < VEC; step *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < VEC; i++)
            if (!(i & step)) {
                const ivec odd = (vec_lanes & step) != 0; // -1 in lanes that come from the second vector
                const vec first = rows[i], second = rows[i + step];
                rows[i] = __builtin_shuffle(first, second, vec_lanes + (odd & (VEC - step)));
                rows[i + step] = __builtin_shuffle(first, second, vec_lanes + step + (odd & (VEC - step)));
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
            transpose(square);
#pragma GCC unroll 16
            for (int i = 0; i < VEC; i++) vec_store(panel + (k + i) * width + n, square[i]);
        }
    for (; k < depth; k++)
        for (int n = 0; n < width; n++) panel[k * width + n] = n < columns ? B[n * ldb + k] : 0;
}

void KERNEL(tile_pack_panel)(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb,
                             real *panel) {
    const int width = panel_width(columns);
    if (transposed) {
        pack_transposed(columns, depth, B, ldb, panel);
    } else if (columns == TILE_COLUMNS) {
        for (int k = 0; k < depth; k++)
            for (int v = 0; v < TILE_VECTORS; v++)
                vec_store(panel + k * TILE_COLUMNS + v * VEC, vec_load(B + k * ldb + v * VEC));
    } else {
        for (int k = 0; k < depth; k++)
            for (int i = 0; i < width; i += VEC)
                vec_store(panel + k * width + i, vec_get(B + k * ldb + i, columns - i));
    }
}
