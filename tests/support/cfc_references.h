// For tests: closed-form continuous-time networks, put into small graphs, and their definition in double
// precision.
#ifndef RUNEXP_TESTS_SUPPORT_CFC_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_CFC_REFERENCES_H

#include "support/recurrence_references.h"

// Leaves x, then A and w (2, R), or nothing; then a weight and a bias for each map. The number of maps
// follows from the leaves, the number of heads from the mode, R from the last bias.
enum { CFC_CONSTANTS_LEAF = 1, CFC_MAP_LEAVES = 2, CFC_WIDTH_MAX = 256 };

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

static void reference_cfc(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    const int in = leaf_width(c, 0), layers = cfc_case_layers(c), R = cfc_case_width(c);
    for (int row = 0; row < c->batch; row++) {
        double h[CFC_WIDTH_MAX] = {0};
        for (int t = 0; t < c->time; t++) {
            const int at = row * c->time + t;
            double s[CFC_WIDTH_MAX], sums[CFC_WIDTH_MAX];
            for (int i = 0; i < in; i++) s[i] = leaf[0][at * in + i];
            for (int k = 0; k < R; k++) s[in + k] = run->begins && run->begins[at] ? 0 : h[k];
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
                           .constants = leaf[CFC_CONSTANTS_LEAF]};
    for (int map = 0; map <= options.layers; map++) {
        options.weight[map] = leaf[CFC_MAP_LEAVES + 2 * map];
        options.bias[map] = leaf[CFC_MAP_LEAVES + 2 * map + 1];
    }
    return op_cfc(g, leaf[0], &options);
}

#endif
