// The heart of every matrix product: a block of TILE_ROWS x TILE_COLUMNS results kept in registers while
// the depth runs by.
//
// Left operand, a block of up to TILE_ROWS rows: where it lies, by rows or by columns, or packed: a column
// after the other.
// Right operand, a panel of up to TILE_COLUMNS columns: its rows one after the other, panel_width() wide,
// zero beyond the last column.
#ifndef RUNEXP_KERNELS_PRODUCTS_TILE_H
#define RUNEXP_KERNELS_PRODUCTS_TILE_H

#include "kernels/isa.h"

#include <stdbool.h>
#include <stddef.h>

// 12 x 2 vectors of results, 2 of the right operand and one of the left fill 27 of 32 registers; 6 x 2 fill
// 15 of 16. On aarch64 gcc reads left operands early, in registers that 12 rows would take.
#if defined(__AVX512F__)
#define KERNEL_TILE_ROWS 12
#elif defined(__aarch64__)
#define KERNEL_TILE_ROWS 10
#else
#define KERNEL_TILE_ROWS 6
#endif
enum {
    TILE_ROWS = KERNEL_TILE_ROWS,
    TILE_VECTORS = 2,
    TILE_COLUMNS = TILE_VECTORS * VEC,
    DEPTH = 384 // of a pass at most: a block then stays in the nearest cache while panels go by
};

static inline int panel_width(int columns) {
    return columns <= VEC ? VEC : TILE_COLUMNS;
}

typedef enum tile_left { TILE_LEFT_ROWS, TILE_LEFT_COLUMNS, TILE_LEFT_PACKED } tile_left;

// C = (A B + initial + added) * factor for rows x columns results. step: from a row (a column) of the left
// operand to the next; unused when it is packed. initial: one value a column, readable to panel_width, or
// NULL. added: a matrix laid out like C (C itself, say), or NULL. factor: the same, not C.
void tile_multiply(int rows, int columns, int depth, tile_left left, const real *a, ptrdiff_t step,
                   const real *b, const real *initial, const real *added, const real *factor, real *c,
                   ptrdiff_t ldc) ISA_SYMBOL(tile_multiply);

// Packs left operands whose element (row, k) is A[k][row]: any number of rows, block after block, each
// depth x TILE_ROWS.
void tile_pack_rows(int rows, int depth, const real *A, ptrdiff_t lda, real *packed)
    ISA_SYMBOL(tile_pack_rows);

// Packs `columns` columns of B from row k on, `depth` rows deep, into one panel. transposed: element (k, n)
// is B[n][k].
void tile_pack_panel(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb, real *panel)
    ISA_SYMBOL(tile_pack_panel);

#endif
