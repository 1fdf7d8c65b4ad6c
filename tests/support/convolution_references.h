// For tests: convolutions, short and long, as operator_references.h has the other operators.
#ifndef RUNEXP_TESTS_SUPPORT_CONVOLUTION_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_CONVOLUTION_REFERENCES_H

#include "support/operator_references.h"

// --- windows: leaf x; for convolutions also W (out, in, taps) and b

static void reference_unfold(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    const int width = leaf_width(c, 0);
    for (int r = 0, first = 0; r < leaf_rows(c, 0); r++) { // first: of the row's text, or document
        if (r % c->time == 0 || (run->begins && run->begins[r])) first = r;
        for (int i = 0; i < width; i++)
            for (int j = 0; j < c->taps; j++) {
                const int at = r - (c->taps - 1 - j);
                y[(r * width + i) * c->taps + j] = at >= first ? leaf[0][at * width + i] : 0;
            }
    }
}

static tensor *build_unfold(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_unfold(g, leaf[0], c->taps);
}

// x is read by another operator too.
static void reference_unfold_around(const operator_case *c, const run_context *run, double *const *leaf,
                                    double *y) {
    const int width = leaf_width(c, 0), wide = width * (1 + c->taps);
    double *windows = malloc(leaf_count(c, 0) * (size_t)c->taps * sizeof *windows);
    reference_unfold(c, run, leaf, windows);
    for (int r = 0; r < leaf_rows(c, 0); r++) {
        for (int i = 0; i < width; i++) y[r * wide + i] = leaf[0][r * width + i];
        for (int i = 0; i < width * c->taps; i++)
            y[r * wide + width + i] = windows[r * width * c->taps + i];
    }
    free(windows);
}

static tensor *build_unfold_around(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_concat(g, (tensor *[]){leaf[0], op_unfold(g, leaf[0], c->taps)}, 2);
}

static void reference_windows(const operator_case *c, const run_context *run, double *const *leaf,
                              double *y) {
    (void)run;
    const int in = leaf_width(c, 0), out = c->leaf[1].shape[0];
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int o = 0; o < out; o++) {
            double sum = leaf[2][o];
            for (int j = 0; j < c->taps; j++) {
                const int back = c->taps - 1 - j;
                if (back > r % c->time) continue;
                for (int i = 0; i < in; i++)
                    sum += leaf[1][(o * in + i) * c->taps + j] * leaf[0][(r - back) * in + i];
            }
            y[r * out + o] = sum;
        }
}

static tensor *build_windows(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_linear(g, op_unfold(g, leaf[0], c->taps), leaf[1], leaf[2], ACTIVATION_NONE);
}

// --- long convolution of x, filter, beta and the gates of leaves 3 and 4

static void reference_convolution_of(const operator_case *c, const convolution_options *o, const double *x,
                                     int width, const double *in, int in_width, const double *out,
                                     int out_width, double *const *leaf, double *y) {
    const int channels = o->channels, filter_width = leaf_width(c, 1);
    double *w = malloc((size_t)c->time * sizeof *w);
    for (int b = 0; b < c->batch; b++)
        for (int d = 0; d < channels; d++) {
            const int f = o->filter_column + d, first = b * c->time;
            for (int t = 0; t < c->time; t++) {
                w[t] = x[(first + t) * width + o->column + d];
                if (in) w[t] *= in[(first + t) * in_width + o->gate_in_column + d];
            }
            for (int t = 0; t < c->time; t++) {
                double sum = c->leaf[2].rank ? leaf[2][f] * w[t] : 0;
                for (int j = 0; j <= t; j++) sum += leaf[1][(t - j) * filter_width + f] * w[j];
                if (out) sum *= out[(first + t) * out_width + o->gate_out_column + d];
                y[(first + t) * channels + d] = sum;
            }
        }
    free(w);
}

static void reference_convolution(const operator_case *c, const run_context *run, double *const *leaf,
                                  double *y) {
    (void)run;
    const bool in = c->leaf[3].rank > 0, out = c->leaf[4].rank > 0;
    reference_convolution_of(c, &c->convolution, leaf[0], leaf_width(c, 0), in ? leaf[3] : NULL,
                             in ? leaf_width(c, 3) : 0, out ? leaf[4] : NULL, out ? leaf_width(c, 4) : 0,
                             leaf, y);
}

static tensor *build_convolution(graph *g, const operator_case *c, tensor *const *leaf) {
    convolution_options options = c->convolution;
    options.gate_in = leaf[3];
    options.gate_out = leaf[4];
    return op_long_convolution(g, leaf[0], leaf[1], leaf[2], &options);
}

// Both gates in the rows of x.
static void reference_gated_convolution(const operator_case *c, const run_context *run, double *const *leaf,
                                        double *y) {
    (void)run;
    const int width = leaf_width(c, 0);
    reference_convolution_of(c, &c->convolution, leaf[0], width, leaf[0], width, leaf[0], width, leaf, y);
}

static tensor *build_gated_convolution(graph *g, const operator_case *c, tensor *const *leaf) {
    convolution_options options = c->convolution;
    options.gate_in = options.gate_out = leaf[0];
    return op_long_convolution(g, leaf[0], leaf[1], leaf[2], &options);
}

// Rows x_0 | x_1 | x_2 | v, a filter for each of two convolutions: x_0 (h_1 * (x_1 (h_0 * (x_2 v)))).
static convolution_options first_of_two(const operator_case *c) {
    const int channels = c->convolution.channels;
    return (convolution_options){
        .channels = channels, .column = 3 * channels, .gate_in_column = 2 * channels};
}

static convolution_options second_of_two(const operator_case *c) {
    const int channels = c->convolution.channels;
    return (convolution_options){
        .channels = channels, .filter_column = channels, .gate_in_column = channels};
}

static void reference_two_convolutions(const operator_case *c, const run_context *run, double *const *leaf,
                                       double *y) {
    (void)run;
    const convolution_options first = first_of_two(c), second = second_of_two(c);
    const int width = leaf_width(c, 0);
    double *z = malloc((size_t)leaf_rows(c, 0) * (size_t)first.channels * sizeof *z);
    reference_convolution_of(c, &first, leaf[0], width, leaf[0], width, NULL, 0, leaf, z);
    reference_convolution_of(c, &second, z, first.channels, leaf[0], width, leaf[0], width, leaf, y);
    free(z);
}

static tensor *build_two_convolutions(graph *g, const operator_case *c, tensor *const *leaf) {
    convolution_options first = first_of_two(c), second = second_of_two(c);
    first.gate_in = second.gate_in = second.gate_out = leaf[0];
    tensor *z = op_long_convolution(g, leaf[0], leaf[1], leaf[2], &first);
    return op_long_convolution(g, z, leaf[1], leaf[2], &second);
}

#endif
