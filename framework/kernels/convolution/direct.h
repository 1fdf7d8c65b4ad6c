// Sums over the lags of a short sequence, VEC channels side by side: row t of an array is VEC t. Arrays
// that are read at lags have DIRECT_ROWS rows of zeros before row 0; all end at a multiple of DIRECT_ROWS
// rows.
#ifndef RUNEXP_KERNELS_CONVOLUTION_DIRECT_H
#define RUNEXP_KERNELS_CONVOLUTION_DIRECT_H

#include "kernels/declarations.h"

enum { DIRECT_ROWS = 8 };

// z_t = sum over j <= t of w_j h_t-j; h is read at lags.
void direct_convolve(int rows, const real *w, const real *h, real *z) ISA_SYMBOL(direct_convolve);
// y_k (+)= sum over t >= k of a_t b_t-k; b is read at lags.
void direct_correlate(int rows, const real *a, const real *b, real *y, bool adds)
    ISA_SYMBOL(direct_correlate);

#endif
