// The heart of every matrix product: a block of TILE_ROWS x TILE_COLUMNS results kept in registers while
// the depth runs by, fed from packed operands.
//
// Left operand, a block of up to TILE_ROWS rows: either its rows one after the other, A_ROW apart (depth
// step 1), or its columns one after the other, any distance apart (row step 1).
// Right operand, a panel of up to TILE_COLUMNS columns: its rows one after the other, panel_width() wide,
// zero beyond the last column.
#ifndef RUNEXP_KERNELS_TILE_H
#define RUNEXP_KERNELS_TILE_H

#include "kernels/isa.h"

#include <stdbool.h>
#include <stddef.h>

// 12 x 2 vectors of results, 2 of the right operand and one of the left fill 27 of 32 registers; 6 x 2 fill
// 15 of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
#define TILE_ROWS_MANY 1
enum { TILE_ROWS = 12 };
#else
#define TILE_ROWS_MANY 0
enum { TILE_ROWS = 6 };
#endif
enum {
    TILE_VECTORS = 2,
    TILE_COLUMNS = TILE_VECTORS * VEC,
    DEPTH = 384,       // of a pass at most: a panel and a block then stay in the nearest caches
    A_ROW = DEPTH + 16 // not a power of two: the rows of a block must not share cache sets
};

static inline int panel_width(int columns) {
    return columns <= VEC ? VEC : TILE_COLUMNS;
}

// C = A B + initial + added for rows x columns results. depth_step 0: the rows of A are A_ROW apart; else
// its columns are depth_step apart. initial: one value a column, readable to panel_width, or NULL. added: a
// matrix laid out like C (C itself, say), or NULL.
void KERNEL(tile_multiply)(int rows, int columns, int depth, const real *a, ptrdiff_t depth_step,
                           const real *b, const real *initial, const real *added, real *c, ptrdiff_t ldc);

// Packs `columns` columns of B from row k on, `depth` rows deep, into one panel. transposed: element (k, n)
// is B[n][k].
void KERNEL(tile_pack_panel)(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb,
                             real *panel);

#endif
