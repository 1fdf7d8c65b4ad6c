// For tests: how operators are put into small graphs, each with its definition written out plainly in
// double precision.
#ifndef RUNEXP_TESTS_SUPPORT_OPERATOR_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_OPERATOR_REFERENCES_H

#include "support/numbers.h"
#include "support/small_operators.h"

#include "graph/ops.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CASE_LEAVES = 11, CASE_TOKENS = 600, CASE_VOCABULARY = 11 };

// What a graph starts from. rank 0: absent.
typedef struct case_leaf {
    int rank, shape[3];
    bool weight; // handed over as the parameter itself, not as a copy made by an operator
    double centre, spread;
} case_leaf;

typedef struct operator_case operator_case;
struct operator_case {
    const char *name;
    int batch, time;
    case_leaf leaf[CASE_LEAVES];
    tensor *(*build)(graph *g, const operator_case *c, tensor *const *leaf);
    void (*reference)(const operator_case *c, const run_context *run, double *const *leaf, double *y);
    activation act;
    double p; // of dropout; the threshold; the least value of softplus
    int taps; // of a convolution
    attention_options attention;
    convolution_options convolution;
    implicit_filter_options filter;
    cell_type cell;
    ltc_options ltc;
    cfc_mode cfc;
    bool documents;                       // some tokens begin one
    double forward_limit, gradient_limit; // in single precision
};

static const int32_t *case_tokens(void) {
    static int32_t tokens[CASE_TOKENS];
    test_tokens(50, CASE_TOKENS, CASE_VOCABULARY, tokens);
    return tokens;
}

static size_t leaf_count(const operator_case *c, int i) {
    size_t count = c->leaf[i].rank > 0;
    for (int k = 0; k < c->leaf[i].rank; k++) count *= (size_t)c->leaf[i].shape[k];
    return count;
}

static int leaf_width(const operator_case *c, int i) {
    return c->leaf[i].shape[c->leaf[i].rank - 1];
}

static int leaf_rows(const operator_case *c, int i) {
    return (int)(leaf_count(c, i) / (size_t)leaf_width(c, i));
}

// --- linear

static double reference_activation(activation act, double x) {
    const double c = sqrt(2 / M_PI);
    switch (act) {
    case ACTIVATION_GELU:
        return x * 0.5 * erfc(-x / sqrt(2));
    case ACTIVATION_GELU_TANH:
        return 0.5 * x * (1 + tanh(c * (x + 0.044715 * x * x * x)));
    case ACTIVATION_RELU:
        return fmax(x, 0);
    case ACTIVATION_RELU2:
        return fmax(x, 0) * fmax(x, 0);
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

// y = act(x W^T + b) for leaves x, W, b.
static void reference_linear(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    (void)run;
    const int rows = leaf_rows(c, 0), in = leaf_width(c, 0), out = c->leaf[1].shape[0];
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < out; o++) {
            double sum = c->leaf[2].rank ? leaf[2][o] : 0;
            for (int i = 0; i < in; i++) sum += leaf[0][r * in + i] * leaf[1][o * in + i];
            y[r * out + o] = reference_activation(c->act, sum);
        }
}

static tensor *build_linear(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_linear(g, leaf[0], leaf[1], leaf[2], c->act);
}

static void reference_linear_residual(const operator_case *c, const run_context *run, double *const *leaf,
                                      double *y) {
    reference_linear(c, run, leaf, y);
    for (size_t i = 0; i < leaf_count(c, 3); i++) y[i] += leaf[3][i];
}

static tensor *build_linear_residual(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_residual(g, leaf[3], op_linear(g, leaf[0], leaf[1], leaf[2], c->act));
}

// x + act(x W^T + b): the operator's input is the residual too.
static void reference_linear_around(const operator_case *c, const run_context *run, double *const *leaf,
                                    double *y) {
    reference_linear(c, run, leaf, y);
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] += leaf[0][i];
}

static tensor *build_linear_around(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_residual(g, leaf[0], op_linear(g, leaf[0], leaf[1], leaf[2], c->act));
}

// act(x W^T + b) V^T, and a second such map U of the same, where it is given, added.
static void reference_linear_twice(const operator_case *c, const run_context *run, double *const *leaf,
                                   double *y) {
    const int rows = leaf_rows(c, 0), hidden = c->leaf[1].shape[0], out = c->leaf[3].shape[0];
    double *h = malloc((size_t)rows * (size_t)hidden * sizeof *h);
    reference_linear(c, run, leaf, h);
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < out; o++) {
            double sum = 0;
            for (int map = 3; map < 5 && c->leaf[map].rank; map++)
                for (int i = 0; i < hidden; i++) sum += h[r * hidden + i] * leaf[map][o * hidden + i];
            y[r * out + o] = sum;
        }
    free(h);
}

static tensor *build_linear_twice(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *h = op_linear(g, leaf[0], leaf[1], leaf[2], c->act);
    tensor *y = op_linear(g, h, leaf[3], NULL, ACTIVATION_NONE);
    return leaf[4] ? op_add(g, y, op_linear(g, h, leaf[4], NULL, ACTIVATION_NONE)) : y;
}

// --- element by element

static void reference_elements(const operator_case *c, const run_context *run, double *const *leaf,
                               double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = reference_activation(c->act, leaf[0][i]);
}

static tensor *build_elements(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_activation(g, leaf[0], c->act);
}

static void reference_gated(const operator_case *c, const run_context *run, double *const *leaf,
                            double *y) {
    (void)run;
    const int width = leaf_width(c, 0) / 2;
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int i = 0; i < width; i++)
            y[r * width + i] = reference_activation(c->act, leaf[0][r * 2 * width + i]) *
                               leaf[0][r * 2 * width + width + i];
}

static tensor *build_gated(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_gated(g, leaf[0], c->act);
}

static double reference_mask(const operator_case *c, const run_context *run, uint64_t element) {
    const rng_stream stream = {run->seed, RNG_DROPOUT, 0, run->step, run->micro};
    const double dropped = round((double)(real)c->p * 65536);
    return rng_half(&stream, element) < dropped ? 0 : 65536 / (65536 - dropped);
}

static void reference_dropout(const operator_case *c, const run_context *run, double *const *leaf,
                              double *y) {
    for (size_t i = 0; i < leaf_count(c, 0); i++) {
        y[i] = leaf[0][i] * reference_mask(c, run, i);
        if (c->leaf[1].rank) y[i] += leaf[1][i];
    }
}

static tensor *build_dropout(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *y = op_dropout(g, leaf[0], c->p);
    return leaf[1] ? op_residual(g, leaf[1], y) : y;
}

static void reference_dropout_around(const operator_case *c, const run_context *run, double *const *leaf,
                                     double *y) {
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = leaf[0][i] * (1 + reference_mask(c, run, i));
}

static tensor *build_dropout_around(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_residual(g, leaf[0], op_dropout(g, leaf[0], c->p));
}

// --- sums, products, concatenations, with inputs that are used more than once

static void reference_add(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = leaf[0][i] + leaf[1][i];
}

static tensor *build_add(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_add(g, leaf[0], leaf[1]);
}

static void reference_triple(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = 3 * leaf[0][i];
}

static tensor *build_triple(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_add(g, op_add(g, leaf[0], leaf[0]), leaf[0]);
}

static void reference_double(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = 2 * leaf[0][i];
}

static tensor *build_double(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_residual(g, leaf[0], leaf[0]);
}

static void reference_multiply(const operator_case *c, const run_context *run, double *const *leaf,
                               double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = leaf[0][i] * leaf[1][i];
}

static tensor *build_multiply(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_multiply(g, leaf[0], leaf[1]);
}

static void reference_cube(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = leaf[0][i] * leaf[0][i] * leaf[0][i];
}

static tensor *build_cube(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_multiply(g, leaf[0], op_multiply(g, leaf[0], leaf[0]));
}

// (a | b | a)
static void reference_concat(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    (void)run;
    const int a = leaf_width(c, 0), b = leaf_width(c, 1), width = 2 * a + b;
    for (int r = 0; r < leaf_rows(c, 0); r++) {
        for (int i = 0; i < a; i++) y[r * width + i] = y[r * width + a + b + i] = leaf[0][r * a + i];
        for (int i = 0; i < b; i++) y[r * width + a + i] = leaf[1][r * b + i];
    }
}

static tensor *build_concat(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_concat(g, (tensor *[]){leaf[0], leaf[1], leaf[0]}, 3);
}

// x (W | V)^T, where W is columns 1 .. 4 of a weight and V columns 3 .. 6
static void reference_stack(const operator_case *c, const run_context *run, double *const *leaf,
                            double *y) {
    (void)run;
    const int rows = leaf_rows(c, 0), out = leaf_rows(c, 1), width = leaf_width(c, 1);
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < 2 * out; o++) {
            const double *w = leaf[1] + o % out * width + (o < out ? 1 : 3);
            y[r * 2 * out + o] = 0;
            for (int i = 0; i < 4; i++) y[r * 2 * out + o] += leaf[0][r * 4 + i] * w[i];
        }
}

static tensor *build_stack(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    tensor *const parts[] = {op_columns(g, leaf[1], 1, 4), op_columns(g, leaf[1], 3, 4)};
    return op_linear(g, leaf[0], op_stack(g, parts, 2), NULL, ACTIVATION_NONE);
}

// columns 2 .. 4 of x, some dropped, times columns 1 .. 3
static void reference_columns(const operator_case *c, const run_context *run, double *const *leaf,
                              double *y) {
    const int width = leaf_width(c, 0);
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int i = 0; i < 3; i++) {
            const double *x = leaf[0] + r * width + i;
            y[r * 3 + i] = x[1] * x[2] * (c->p > 0 ? reference_mask(c, run, (size_t)(r * 3 + i)) : 1);
        }
}

static tensor *build_columns(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *first = op_dropout_columns(g, leaf[0], 2, 3, c->p);
    return op_multiply(g, first, op_dropout_columns(g, leaf[0], 1, 3, 0));
}

// h = x + x W^T; y = x + (h + tanh(h)) b: h is passed on once, x twice.
static void reference_shared(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    reference_linear_around(c, run, leaf, y);
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] = leaf[0][i] + (y[i] + tanh(y[i])) * leaf[3][i];
}

static tensor *build_shared(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *h = build_linear_around(g, c, leaf);
    tensor *sum = op_residual(g, h, op_activation(g, h, ACTIVATION_TANH));
    return op_residual(g, leaf[0], op_multiply(g, sum, leaf[3]));
}

// --- normalisation

static void reference_layernorm(const operator_case *c, const run_context *run, double *const *leaf,
                                double *y) {
    (void)run;
    const int width = leaf_width(c, 0);
    for (int r = 0; r < leaf_rows(c, 0); r++) {
        const double *x = leaf[0] + r * width;
        double mean = 0, variance = 0;
        for (int i = 0; i < width; i++) mean += x[i] / width;
        for (int i = 0; i < width; i++) variance += (x[i] - mean) * (x[i] - mean) / width;
        for (int i = 0; i < width; i++)
            y[r * width + i] =
                (x[i] - mean) / sqrt(variance + 1e-5) * leaf[1][i] + (c->leaf[2].rank ? leaf[2][i] : 0);
    }
}

static tensor *build_layernorm(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_layernorm(g, leaf[0], leaf[1], leaf[2], 1e-5);
}

static void reference_rms(int width, const double *x, const double *gamma, double *y) {
    double mean = 0;
    for (int i = 0; i < width; i++) mean += x[i] * x[i] / width;
    const double reciprocal = 1 / sqrt(mean + 1e-5);
    for (int i = 0; i < width; i++) y[i] = x[i] * reciprocal * gamma[i];
}

static void reference_rmsnorm(const operator_case *c, const run_context *run, double *const *leaf,
                              double *y) {
    (void)run;
    const int width = leaf_width(c, 0);
    for (int r = 0; r < leaf_rows(c, 0); r++)
        reference_rms(width, leaf[0] + r * width, leaf[1], y + r * width);
}

static tensor *build_rmsnorm(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_rmsnorm(g, leaf[0], leaf[1], 1e-5);
}

// The same x normalised by both, one after the other, so that the second adds to its gradient.
static void reference_two_norms(const operator_case *c, const run_context *run, double *const *leaf,
                                double *y) {
    const size_t count = leaf_count(c, 0);
    double *other = malloc(count * sizeof *other);
    reference_layernorm(c, run, leaf, y);
    reference_rmsnorm(c, run, (double *[]){leaf[0], leaf[3]}, other);
    for (size_t i = 0; i < count; i++) y[i] *= other[i];
    free(other);
}

static tensor *build_two_norms(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *first = build_layernorm(g, c, leaf);
    return op_multiply(g, first, op_rmsnorm(g, leaf[0], leaf[3], 1e-5));
}

// --- embedding and positions

static tensor *case_ids(graph *g) {
    tensor *ids = graph_tensor(g, TENSOR_TOKENS, 2, (int[]){g->batch, g->time});
    ids->ids = case_tokens();
    return ids;
}

static const double EMBEDDING_SCALE = 1.75;

static void reference_embedding(const operator_case *c, const run_context *run, double *const *leaf,
                                double *y) {
    (void)run;
    const int32_t *ids = case_tokens();
    const int width = leaf_width(c, 0);
    for (int r = 0; r < c->batch * c->time; r++)
        for (int i = 0; i < width; i++) y[r * width + i] = EMBEDDING_SCALE * leaf[0][ids[r] * width + i];
}

static tensor *build_embedding(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_embedding(g, case_ids(g), leaf[0], EMBEDDING_SCALE);
}

// tanh(embedding + positions) E^T, with the embedding's own table E.
static void reference_tied(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    const int rows = c->batch * c->time, width = leaf_width(c, 0);
    double *x = malloc((size_t)(rows * width) * sizeof *x);
    reference_embedding(c, run, leaf, x);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < CASE_VOCABULARY; v++) {
            double sum = 0;
            for (int i = 0; i < width; i++)
                sum += tanh(x[r * width + i] + leaf[1][r % c->time * width + i]) * leaf[0][v * width + i];
            y[r * CASE_VOCABULARY + v] = sum;
        }
    free(x);
}

static tensor *build_tied(graph *g, const operator_case *c, tensor *const *leaf) {
    tensor *x = op_learned_positions(g, build_embedding(g, c, leaf), leaf[1]);
    return op_linear(g, op_activation(g, x, ACTIVATION_TANH), leaf[0], NULL, ACTIVATION_NONE);
}

static void reference_learned(const operator_case *c, const run_context *run, double *const *leaf,
                              double *y) {
    (void)run;
    const int width = leaf_width(c, 0);
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int i = 0; i < width; i++)
            y[r * width + i] = leaf[0][r * width + i] + leaf[1][r % c->time * width + i];
}

static tensor *build_learned(graph *g, const operator_case *c, tensor *const *leaf) {
    (void)c;
    return op_learned_positions(g, leaf[0], leaf[1]);
}

// x times (x + positions), so that positions meet a gradient that is there already.
static void reference_sinusoidal(const operator_case *c, const run_context *run, double *const *leaf,
                                 double *y) {
    (void)run;
    const int width = leaf_width(c, 0);
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int i = 0; i < width; i++) {
            const double angle = r % c->time / pow(10000, 2.0 * (i / 2) / width);
            const double x = leaf[0][r * width + i];
            y[r * width + i] = x * (x + (i % 2 ? cos(angle) : sin(angle)));
        }
}

static tensor *build_sinusoidal(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_multiply(g, leaf[0], op_sinusoidal_positions(g, leaf[0], c->time + 3));
}

// --- attention: leaves qkv, gains of q and k when they are normalised, and the scale when it is learned

static void reference_rotate(const attention_options *a, int position, double *x) {
    for (int i = 0; i < a->rope_dim / 2; i++) {
        const double angle = position * pow(a->rope_base, -2.0 * i / a->rope_dim);
        const double u = x[i], w = x[i + a->rope_dim / 2];
        x[i] = u * cos(angle) - w * sin(angle);
        x[i + a->rope_dim / 2] = u * sin(angle) + w * cos(angle);
    }
}

static void reference_attention(const operator_case *c, const run_context *run, double *const *leaf,
                                double *y) {
    const attention_options *a = &c->attention;
    const int size = a->head_size, queries = a->heads, all = a->heads + a->kv_heads,
              width = (all + a->kv_heads) * size;
    const double scale = c->leaf[3].rank ? leaf[3][0] : 1 / sqrt(size);
    double *x = malloc((size_t)(leaf_rows(c, 0) * width) * sizeof *x),
           *weights = malloc((size_t)c->time * sizeof *weights);
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int i = 0; i < width; i++)
            x[r * width + i] = leaf[0][r * leaf_width(c, 0) + i % leaf_width(c, 0)];
    for (int r = 0; r < leaf_rows(c, 0); r++)
        for (int h = 0; h < all; h++) {
            double *head = x + r * width + h * size;
            if (c->leaf[1].rank) reference_rms(size, head, leaf[h < queries ? 1 : 2], head);
            reference_rotate(a, r % c->time, head);
        }
    for (int b = 0; b < c->batch; b++)
        for (int h = 0; h < queries; h++)
            for (int i = 0; i < c->time; i++) {
                const double *q = x + (b * c->time + i) * width + h * size;
                const int kv = h / (a->heads / a->kv_heads);
                double sum = 0, *out = y + ((b * c->time + i) * queries + h) * size;
                for (int d = 0; d < size; d++) out[d] = 0;
                for (int j = 0; j <= i; j++) {
                    const double *k = x + (b * c->time + j) * width + (queries + kv) * size;
                    double score = 0;
                    for (int d = 0; d < size; d++) score += q[d] * k[d];
                    weights[j] = a->window && j <= i - a->window ? 0 : exp(score * scale);
                    sum += weights[j];
                }
                for (int j = 0; j <= i; j++) {
                    const double *v = x + (b * c->time + j) * width + (all + kv) * size;
                    const uint64_t row = (uint64_t)((b * queries + h) * c->time + i);
                    const double kept =
                        c->p > 0
                            ? reference_mask(c, run, row * (((uint64_t)c->time + 7) / 8 * 8) + (uint64_t)j)
                            : 1;
                    for (int d = 0; d < size; d++) out[d] += weights[j] / sum * kept * v[d];
                }
            }
    free(weights);
    free(x);
}

static tensor *build_attention(graph *g, const operator_case *c, tensor *const *leaf) {
    attention_options options = c->attention;
    options.dropout = c->p;
    options.q_gamma = leaf[1];
    options.k_gamma = leaf[2];
    options.scale = leaf[3];
    options.block_size = c->time;
    return op_attention(g, leaf[0], &options);
}

// x + attention(x), q, k and v being x.
static void reference_attention_around(const operator_case *c, const run_context *run, double *const *leaf,
                                       double *y) {
    reference_attention(c, run, leaf, y);
    for (size_t i = 0; i < leaf_count(c, 0); i++) y[i] += leaf[0][i];
}

static tensor *build_attention_around(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_residual(g, leaf[0], build_attention(g, c, leaf));
}

static void reference_shrink(const operator_case *c, const run_context *run, double *const *leaf,
                             double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++)
        y[i] = leaf[0][i] > c->p ? leaf[0][i] - c->p : leaf[0][i] < -c->p ? leaf[0][i] + c->p : 0;
}

static tensor *build_shrink(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_shrink(g, leaf[0], c->p);
}

#endif
