// What the blocked matrix product (gemm.c) knows of the unit that multiplies. A micro-kernel computes a
// register block of C, MR x NR results, from MR rows of A and a panel of NR columns of B (Van Zee and van
// de Geijn, "BLIS: a framework for rapidly instantiating BLAS functionality", ACM TOMS 41 (2015)).
#ifndef RUNEXP_KERNELS_PRODUCTS_MICRO_KERNEL_H
#define RUNEXP_KERNELS_PRODUCTS_MICRO_KERNEL_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

// Of A, packed at a time: stays in L2 beside the panels. At least one block of MR x KC elements.
enum { PACKED_A_BYTES = 72 << 10 };

// How the rows of A lie: element (r, k) at A[r * lda + k], at A[k * lda + r], or packed.
typedef enum a_layout { A_BY_ROWS, A_BY_COLUMNS, A_PACKED } a_layout;

// A register block for one pass over K: C = (A B + initial + added) * factor.
typedef struct register_block {
    int rows;    // <= MR
    int columns; // <= NR, or of as many whole panels as panels_at_once(rows) allows
    int depth;   // values of K, <= KC
    a_layout layout;
    const void *a;
    ptrdiff_t lda;
    const void *b;       // packed panels, one after the other
    const real *initial; // a value for each column; NULL: zero
    const real *added;   // laid out like C, may be C; NULL: nothing
    const real *factor;  // laid out like C, not C; NULL: one
    real *c;
    ptrdiff_t ldc;
} register_block;

typedef struct micro_kernel {
    int MR, NR;
    int KC; // K in one pass at most: a block of A, MR x KC, then stays in L1 while panels go by
    int KR; // a power of two; packed operands hold a multiple of KR values of K, zero beyond the last
    size_t element; // bytes of a packed value
    // Packs A, of any number of rows, as blocks of MR rows, each MR x (depth rounded up to KR) elements.
    // pack_rows is for A by rows; NULL: such an A is read where it lies. pack_columns is for A by columns,
    // which is read where it lies when fewer than pack_columns_from panels are multiplied by it.
    void (*pack_rows)(int rows, int depth, const real *A, ptrdiff_t lda, void *packed);
    void (*pack_columns)(int rows, int depth, const real *A, ptrdiff_t lda, void *packed);
    int pack_columns_from;
    // Packs `columns` <= NR columns of B into a panel of NR x (depth rounded up to KR) elements. Element
    // (k, n) is at B[k * ldb + n] or, transposed, at B[n * ldb + k].
    void (*pack_panel)(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb, void *panel);
    // How many whole panels a register block of so few rows takes at once: one row alone has too few sums
    // to hide the latency of additions.
    int (*panels_at_once)(int rows);
    // Each element of C is a chain of additions over the pass that starts from `initial`: the same bits
    // however many rows and columns the block has, and whatever the layout of A.
    void (*multiply)(const register_block *block);
} micro_kernel;

#endif
