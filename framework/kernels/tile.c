#include "kernels/tile.h"

#include <string.h>

// Steps of the depth. Results are asked for so long before they are stored: earlier, and the right operand
// would push them out of the nearest cache again. A left operand by columns is asked for so long before its
// use.
enum { RESULTS_AHEAD = 64, COLUMNS_AHEAD = 8 };

typedef void tile_function(int depth, const real *a, ptrdiff_t row_step, ptrdiff_t depth_step,
                           const real *b, const real *initial, const real *added, real *c, ptrdiff_t ldc);

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
    // Every third row has a pointer of its own: more would not fit the registers.
    const real *thirds[(TILE_ROWS + 2) / 3];
#pragma GCC unroll 4
    for (int t = 0; t < (rows + 2) / 3; t++) thirds[t] = a + 3 * t * row_step;
    // Left operands by rows: the next block, which follows this one; by columns: the next columns.
    const bool by_rows = depth_step == 1;
    const real *ahead = a + (by_rows ? rows * row_step : COLUMNS_AHEAD * depth_step);
    const real *const end = b + (ptrdiff_t)depth * vectors * VEC;
    const real *const late =
        depth > RESULTS_AHEAD ? end - RESULTS_AHEAD * vectors * VEC : b + vectors * VEC;
    while (b != end) {
        __builtin_prefetch(ahead);
        if (!by_rows) __builtin_prefetch(ahead + rows - 1);
        ahead += by_rows ? VEC : depth_step;
        vec right[TILE_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) right[v] = vec_load(b + v * VEC);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const vec left = vec_set(thirds[r / 3][r % 3 * row_step]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sums[r][v] += left * right[v];
        }
#pragma GCC unroll 4
        for (int t = 0; t < (rows + 2) / 3; t++) thirds[t] += depth_step;
        b += vectors * VEC;
        if (__builtin_expect(b == late, 0)) {
            const real *to = c;
            for (int r = 0; r < rows; r++, to += ldc)
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++) __builtin_prefetch(to + v * VEC, 1);
        }
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
    int depth, const real *a, ptrdiff_t row_step, ptrdiff_t depth_step, const real *b,                     \
        const real *initial, const real *added, real *c, ptrdiff_t ldc
#define TILE(rows, vectors)                                                                                \
    static void by_rows_##rows##_##vectors(ARGUMENTS) {                                                    \
        (void)depth_step;                                                                                  \
        multiply(rows, vectors, depth, a, row_step, 1, b, initial, added, c, ldc);                         \
    }                                                                                                      \
    static void by_columns_##rows##_##vectors(ARGUMENTS) {                                                 \
        (void)row_step;                                                                                    \
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
#if KERNEL_TILE_ROWS > 6
TILES(7) TILES(8) TILES(9) TILES(10)
#endif
#if KERNEL_TILE_ROWS > 10
TILES(11) TILES(12)
#endif

static tile_function *const functions[TILE_ROWS][2][TILE_VECTORS] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if KERNEL_TILE_ROWS > 6
    NAMES(7), NAMES(8), NAMES(9), NAMES(10),
#endif
#if KERNEL_TILE_ROWS > 10
    NAMES(11), NAMES(12),
#endif
};
// clang-format on

void KERNEL(tile_multiply)(int rows, int columns, int depth, const real *a, ptrdiff_t row_step,
                           ptrdiff_t depth_step, const real *b, const real *initial, const real *added,
                           real *c, ptrdiff_t ldc) {
    const int width = panel_width(columns);
    tile_function *function = functions[rows - 1][depth_step != 1][width / VEC - 1];
    if (columns == width) {
        function(depth, a, row_step, depth_step, b, initial, added, c, ldc);
        return;
    }
    real whole[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    function(depth, a, row_step, depth_step, b, initial, NULL, whole, width);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i += VEC) {
            vec v = vec_load(whole + r * width + i);
            if (added) v += vec_get(added + r * ldc + i, columns - i);
            vec_put(c + r * ldc + i, v, columns - i);
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
