// What the recurrence through time (recurrence.c) knows of a cell: how the sums of its gates become the
// next hidden state, for one row of the batch and one token, and the gradients of that.
#ifndef RUNEXP_KERNELS_RECURRENCE_CELL_H
#define RUNEXP_KERNELS_RECURRENCE_CELL_H

#include "kernels/declarations.h"

enum { CELL_OPERATIONS = 200 }; // of the vector functions of a cell, for a vector of hidden units

typedef struct cell_step {
    int width;             // R
    const real *recurrent; // gates x R: h_prev W_hh^T + b_hh
    real *gates;           // gates x R: x W_ih^T + b_ih, overwritten by what `backward` reads
    real *saved;           // R: c of a cell that has one, or what else `backward` reads
    const real *h_prev, *c_prev;
    real *h;
} cell_step;

typedef struct cell_gradient {
    int width;
    real *gates;     // as `forward` left it; overwritten by the gradient of x W_ih^T + b_ih
    real *saved;     // the same; a cell without c may overwrite it with the part of `recurrent` that
                     // differs from `gates`
    real *recurrent; // receives the gradient of h_prev W_hh^T + b_hh
    const real *h_prev, *c_prev;
    const real *dy; // gradient of h as an output
    real *dh,
        *dc; // gradients of h and c as the next token's h_prev and c_prev; overwritten by this token's,
             // without what comes through `recurrent`
} cell_gradient;

typedef struct cell {
    void (*forward)(const cell_step *s);
    void (*backward)(const cell_gradient *s);
} cell;

extern const cell lstm_cell ISA_SYMBOL(lstm_cell);
extern const cell gru_cell ISA_SYMBOL(gru_cell);

#endif
