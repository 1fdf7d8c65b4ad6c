// Between the rows of a block of channels and the same values packed: row t of VEC channels at VEC t.
// Packed rows 2m and 2m+1 are the two parts of point m of a transform (fft.h).
#ifndef RUNEXP_KERNELS_CONVOLUTION_ROWS_H
#define RUNEXP_KERNELS_CONVOLUTION_ROWS_H

#include "kernels/declarations.h"

// Blocks of VEC channels.
static inline int blocks_of(int channels) {
    return (channels + VEC - 1) / VEC;
}

// A result made of each row on its way: row t of out (+)= value * row t of factor.
typedef struct row_product {
    real *out; // NULL: none
    int ld_out;
    const real *factor; // NULL: 1
    int ld_factor;
    bool adds;
} row_product;

// Rows 0 .. count-1, of `channels` channels each.
typedef struct row_source {
    int count, channels;
    const real *x;
    int ld;
    const real *gate; // NULL, or x is multiplied by it
    int ld_gate;
    row_product product; // of x without the gate
} row_source;

typedef struct row_sink {
    int count, channels;
    row_product product[2];
} row_sink;

// Packs the rows, and zeros up to row `end`. Blocks begin `apart` reals from each other.
void pack_rows(const row_source *from, int end, real *packed, size_t apart) ISA_SYMBOL(pack_rows);
void unpack_rows(const real *packed, size_t apart, const row_sink *to) ISA_SYMBOL(unpack_rows);

#endif
