// For tests: closed-form continuous-time networks, put into small graphs, and their definition in double
// precision.
#ifndef RUNEXP_TESTS_SUPPORT_CFC_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_CFC_REFERENCES_H

#include "support/recurrence_references.h"

// Leaves x, then A and w (2, R), or nothing; then a weight and a bias for each map. The number of maps
// follows from the leaves, the number of heads from the mode, R from the last bias. Far behind, W_ih, W_hh
// and the bias of a mixed memory, or nothing.
enum { CFC_CONSTANTS_LEAF = 1, CFC_MAP_LEAVES = 2, CFC_MEMORY_LEAVES = 11, CFC_WIDTH_MAX = 256 };

static int cfc_case_layers(const operator_case *c) {
    int maps = 0;
    while (c->leaf[CFC_MAP_LEAVES + 2 * maps].rank) maps++;
    return maps - 1;
}

static int cfc_case_width(const operator_case *c) {
    return leaf_width(c, CFC_MAP_LEAVES + 2 * cfc_case_layers(c) + 1) / cfc_heads(c->cfc);
}

// h from the sums s of the heads.
static void reference_cfc_cell(cfc_mode mode, int R, const double *s, const double *constants, double *h) {
    for (int k = 0; k < R; k++)
        if (mode == CFC_PURE) {
            const double A = constants[k], w = constants[R + k];
            h[k] = A - A * exp(-(fabs(w) + fabs(s[k]))) * s[k];
        } else {
            const double f = tanh(s[k]), g = tanh(s[R + k]), t = reference_sigmoid(s[2 * R + k]);
            h[k] = mode == CFC_NO_GATE ? f + t * g : f * (1 - t) + g * t;
        }
}

// h becomes that of the memory, which reads x.
static void reference_memory(const operator_case *c, int R, double *const *leaf, const double *x, double *h,
                             double *cell) {
    double a[CFC_WIDTH_MAX], b[CFC_WIDTH_MAX];
    reference_sums(4 * R, leaf_width(c, 0), leaf[CFC_MEMORY_LEAVES], leaf[CFC_MEMORY_LEAVES + 2], x, a);
    reference_sums(4 * R, R, leaf[CFC_MEMORY_LEAVES + 1], NULL, h, b);
    reference_cell(CELL_LSTM, R, a, b, h, cell);
}

static void reference_cfc(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    const int in = leaf_width(c, 0), layers = cfc_case_layers(c), R = cfc_case_width(c);
    for (int row = 0; row < c->batch; row++) {
        double h[CFC_WIDTH_MAX] = {0}, cell[CFC_WIDTH_MAX] = {0};
        for (int t = 0; t < c->time; t++) {
            const int at = row * c->time + t;
            for (int k = 0; run->begins && run->begins[at] && k < R; k++) h[k] = cell[k] = 0;
            if (c->leaf[CFC_MEMORY_LEAVES].rank)
                reference_memory(c, R, leaf, leaf[0] + (size_t)at * (size_t)in, h, cell);
            double s[CFC_WIDTH_MAX], sums[CFC_WIDTH_MAX];
            for (int i = 0; i < in; i++) s[i] = leaf[0][at * in + i];
            for (int k = 0; k < R; k++) s[in + k] = h[k];
            int width = in + R;
            for (int map = 0; map <= layers; map++) {
                const int weight = CFC_MAP_LEAVES + 2 * map, out = leaf_width(c, weight + 1);
                reference_sums(out, width, leaf[weight], leaf[weight + 1], s, sums);
                for (int k = 0; k < out; k++)
                    s[k] = map < layers ? 1.7159 * tanh(0.666 * sums[k]) : sums[k];
                width = out;
            }
            reference_cfc_cell(c->cfc, R, s, leaf[CFC_CONSTANTS_LEAF], h);
            for (int k = 0; k < R; k++) y[at * R + k] = h[k];
        }
    }
}

static tensor *build_cfc(graph *g, const operator_case *c, tensor *const *leaf) {
    cfc_options options = {.mode = c->cfc,
                           .width = cfc_case_width(c),
                           .layers = cfc_case_layers(c),
                           .constants = leaf[CFC_CONSTANTS_LEAF],
                           .memory_ih = leaf[CFC_MEMORY_LEAVES],
                           .memory_hh = leaf[CFC_MEMORY_LEAVES + 1],
                           .memory_bias = leaf[CFC_MEMORY_LEAVES + 2]};
    for (int map = 0; map <= options.layers; map++) {
        options.weight[map] = leaf[CFC_MAP_LEAVES + 2 * map];
        options.bias[map] = leaf[CFC_MAP_LEAVES + 2 * map + 1];
    }
    return op_cfc(g, leaf[0], &options);
}

#endif
