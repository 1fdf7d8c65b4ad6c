// The first level of a transform on its way from rows of real values, and the last on its way back: rows 2m
// and 2m+1 are the real and the imaginary part of point m. Only the first half of the points are rows; the
// second half is zero on the way in and left out on the way back.
#ifndef RUNEXP_KERNELS_FFT_ROWS_H
#define RUNEXP_KERNELS_FFT_ROWS_H

#include "kernels/fft.h"

// A result made of each row on its way: row t of out (+)= value * row t of factor.
typedef struct row_product {
    real *out; // NULL: none
    int ld_out;
    const real *factor; // NULL: 1
    int ld_factor;
    bool adds;
} row_product;

// Rows 0 .. count-1 of `lanes` channels (1 <= lanes <= VEC); those after them are zero.
typedef struct row_source {
    int count, lanes;
    const real *x;
    int ld;
    const real *gate; // NULL, or x is multiplied by it
    int ld_gate;
    row_product product; // of x without the gate
} row_source;

typedef struct row_sink {
    int count, lanes;
    row_product product[2];
} row_sink;

// count <= points of the plan; the radix of its first level is 8.
void KERNEL(fft_from_rows)(const fft_plan *plan, const row_source *from, real *points);
void KERNEL(fft_to_rows)(const fft_plan *plan, const real *points, const row_sink *to);

#endif
