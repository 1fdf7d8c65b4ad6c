// For tests: recurrent layers, put into small graphs, and their definitions in double precision.
#ifndef RUNEXP_TESTS_SUPPORT_RECURRENCE_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_RECURRENCE_REFERENCES_H

#include "support/operator_references.h"

// Leaves x, W_ih, W_hh, b_ih, b_hh, h, c; the last two may be absent.
enum { RECURRENCE_WIDTH_MAX = 64 };

static double reference_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

// sums[j] = bias[j] + sum over i of weight[j][i] x[i]
static void reference_sums(int out, int in, const double *weight, const double *bias, const double *x,
                           double *sums) {
    for (int j = 0; j < out; j++) {
        sums[j] = bias ? bias[j] : 0;
        for (int i = 0; i < in; i++) sums[j] += weight[j * in + i] * x[i];
    }
}

// a: sums of the input, b: of the state, both gates x R. h and c become those of the next token.
static void reference_cell(cell_type cell, int R, const double *a, const double *b, double *h, double *c) {
    for (int k = 0; k < R; k++)
        if (cell == CELL_LSTM) {
            const double i = reference_sigmoid(a[k] + b[k]), f = reference_sigmoid(a[R + k] + b[R + k]);
            const double g = tanh(a[2 * R + k] + b[2 * R + k]);
            const double o = reference_sigmoid(a[3 * R + k] + b[3 * R + k]);
            c[k] = f * c[k] + i * g;
            h[k] = o * tanh(c[k]);
        } else {
            const double r = reference_sigmoid(a[k] + b[k]), z = reference_sigmoid(a[R + k] + b[R + k]);
            const double n = tanh(a[2 * R + k] + r * b[2 * R + k]);
            h[k] = (1 - z) * n + z * h[k];
        }
}

static void reference_recurrence(const operator_case *c, const run_context *run, double *const *leaf,
                                 double *y) {
    const int in = leaf_width(c, 0), R = leaf_width(c, 2), N = cell_gates(c->cell) * R;
    const double *b_ih = c->leaf[3].rank ? leaf[3] : NULL, *b_hh = c->leaf[4].rank ? leaf[4] : NULL;
    double a[4 * RECURRENCE_WIDTH_MAX], b[4 * RECURRENCE_WIDTH_MAX];
    for (int row = 0; row < c->batch; row++) {
        double h[RECURRENCE_WIDTH_MAX] = {0}, cell[RECURRENCE_WIDTH_MAX] = {0};
        for (int k = 0; k < R; k++) {
            if (c->leaf[5].rank) h[k] = leaf[5][row * R + k];
            if (c->leaf[6].rank) cell[k] = leaf[6][row * R + k];
        }
        for (int t = 0; t < c->time; t++) {
            const int at = row * c->time + t;
            for (int k = 0; run->begins && run->begins[at] && k < R; k++) h[k] = cell[k] = 0;
            reference_sums(N, in, leaf[1], b_ih, leaf[0] + (size_t)at * (size_t)in, a);
            reference_sums(N, R, leaf[2], b_hh, h, b);
            reference_cell(c->cell, R, a, b, h, cell);
            for (int k = 0; k < R; k++) y[at * R + k] = h[k];
        }
    }
}

static tensor *build_recurrence(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_recurrence(
        g, leaf[0], &(recurrence_options){c->cell, leaf[1], leaf[2], leaf[3], leaf[4], leaf[5], leaf[6]});
}

// The same with an embedding's table in place of x; of a residual, where the output is as wide.
static void reference_recurrence_of_tokens(const operator_case *c, const run_context *run,
                                           double *const *leaf, double *y) {
    const int rows = c->batch * c->time, in = leaf_width(c, 0), R = leaf_width(c, 2);
    const int32_t *ids = case_tokens();
    double *x = malloc((size_t)(rows * in) * sizeof *x), *with_x[CASE_LEAVES];
    memcpy(with_x, leaf, sizeof with_x);
    with_x[0] = x;
    for (int r = 0; r < rows; r++) memcpy(x + r * in, leaf[0] + ids[r] * in, (size_t)in * sizeof *x);
    reference_recurrence(c, run, with_x, y);
    for (int i = 0; in == R && i < rows * R; i++) y[i] += x[i];
    free(x);
}

static tensor *build_recurrence_of_tokens(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *x = op_embedding(g, case_ids(g), leaf[0], 1), *with_x[CASE_LEAVES];
    memcpy(with_x, leaf, sizeof with_x);
    with_x[0] = x;
    tensor *y = build_recurrence(g, c, with_x);
    return tensor_width(x) == tensor_width(y) ? op_residual(g, x, y) : y;
}

#endif
