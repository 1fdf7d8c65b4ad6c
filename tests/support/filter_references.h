// For tests: the operators of Hyena's filters in small graphs, each with its definition written out plainly
// in double precision.
#ifndef RUNEXP_TESTS_SUPPORT_FILTER_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_FILTER_REFERENCES_H

#include "support/operator_references.h"

// --- short convolution

// Leaves x, weight, bias.
static void reference_short_convolution(const operator_case *c, const run_context *run, double *const *leaf,
                                        double *y) {
    (void)run;
    const int width = leaf_width(c, 0), taps = leaf_width(c, 1);
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int i = 0; i < width; i++) {
            double sum = c->leaf[2].rank ? leaf[2][i] : 0;
            for (int back = 0; back < taps && back <= r % c->time; back++)
                sum += leaf[1][i * taps + taps - 1 - back] * leaf[0][(r - back) * width + i];
            y[r * width + i] = sum;
        }
}

static tensor *build_short_convolution(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_short_convolution(g, leaf[0], leaf[1], leaf[2]);
}

// --- implicit filter

// Leaves frequency, out, skip, rates, features (the last two may be absent), then weight and bias of each
// layer. One position: taps of all channels, without window's normalisation and skip.
static void reference_taps(const operator_case *c, double *const *leaf, int position, double *h) {
    const implicit_filter_options *f = &c->filter;
    const int channels = c->leaf[1].shape[0], hidden = leaf_width(c, 0), features = leaf_width(c, 5);
    double a[2][128];
    const double t = f->grid > 1 ? (double)position / (f->grid - 1) : 0;
    const int bands = (features - 1) / 2;
    a[0][0] = t;
    for (int k = 0; k < bands; k++) {
        const double band = bands > 1 ? 1e-4 + k * (bands - 1 - 1e-4) / (bands - 1) : 1e-4;
        a[0][1 + k] = cos(band * 2 * M_PI * position / f->grid);
        a[0][1 + bands + k] = -sin(band * 2 * M_PI * position / f->grid);
    }
    for (int e = 0; e < features && c->leaf[4].rank; e++) a[0][e] = leaf[4][position * features + e];
    for (int l = 0; l < f->layers; l++) {
        const int in = l == 0 ? features : hidden;
        for (int k = 0; k < hidden; k++) {
            double sum = leaf[6 + 2 * l][k];
            for (int i = 0; i < in; i++) sum += leaf[5 + 2 * l][k * in + i] * a[l % 2][i];
            a[(l + 1) % 2][k] = sin(leaf[0][k] * sum);
        }
    }
    for (int i = 0; i < channels; i++) {
        double rate =
            channels > 1 ? f->slowest + i * (f->fastest - f->slowest) / (channels - 1) : f->slowest;
        if (c->leaf[3].rank) rate = leaf[3][i];
        h[i] = 0;
        for (int k = 0; k < hidden; k++) h[i] += leaf[1][i * hidden + k] * a[f->layers % 2][k];
        h[i] *= exp(-t * fabs(rate)) + f->shift;
    }
}

static void reference_filter(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    (void)run;
    const implicit_filter_options *f = &c->filter;
    const int channels = c->leaf[1].shape[0], width = channels / f->filters;
    const int taps = c->time < f->grid ? c->time : f->grid;
    double *h = malloc((size_t)(f->grid * channels) * sizeof *h);
    for (int p = 0; p < f->grid; p++) reference_taps(c, leaf, p, h + p * channels);
    for (int i = 0; i < channels; i++) {
        double sum = 0;
        for (int p = 0; p < f->grid; p++) sum += fabs(h[p * channels + i]);
        for (int p = 0; p < taps; p++)
            y[p * channels + i % f->filters * width + i / f->filters] =
                h[p * channels + i] / (f->normalised ? sum : 1) + (p == 0 ? leaf[2][i] : 0);
    }
    free(h);
}

static tensor *build_filter(graph *g, const operator_case *c, tensor *const *leaf) {
    implicit_filter_options options = c->filter;
    options.frequency = leaf[0];
    options.out = leaf[1];
    options.skip = leaf[2];
    options.rates = leaf[3];
    options.features = leaf[4];
    for (int i = 0; i < options.layers; i++) {
        options.weight[i] = leaf[5 + 2 * i];
        options.bias[i] = leaf[6 + 2 * i];
    }
    return op_implicit_filter(g, &options);
}

#endif
