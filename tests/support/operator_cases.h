// For tests: every operator in small graphs, each with its definition written out plainly in double
// precision. tests/gradient runs them in double, tests/unit in the program's own precision.
#ifndef RUNEXP_TESTS_SUPPORT_OPERATOR_CASES_H
#define RUNEXP_TESTS_SUPPORT_OPERATOR_CASES_H

#include "support/numbers.h"
#include "support/small_operators.h"

#include "graph/ops.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CASE_LEAVES = 5, CASE_TOKENS = 600, CASE_VOCABULARY = 11 };

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
    double p; // of dropout
    attention_options attention;
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
    const double p = (double)(real)c->p;
    return (double)rng_bits(&stream, element) < floor(p * 0x1p32) ? 0 : 1 / (1 - p);
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

// --- attention: leaves qkv, and gains of q and k when they are normalised

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
    const int size = a->head_size, width = leaf_width(c, 0), queries = a->heads,
              all = a->heads + a->kv_heads;
    double *x = malloc(leaf_count(c, 0) * sizeof *x), *weights = malloc((size_t)c->time * sizeof *weights);
    memcpy(x, leaf[0], leaf_count(c, 0) * sizeof *x);
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
                    weights[j] = a->window && j <= i - a->window ? 0 : exp(score / sqrt(size));
                    sum += weights[j];
                }
                for (int j = 0; j <= i; j++) {
                    const double *v = x + (b * c->time + j) * width + (all + kv) * size;
                    const uint64_t row = (uint64_t)((b * queries + h) * c->time + i);
                    const double kept =
                        c->p > 0 ? reference_mask(c, run, row * (uint64_t)c->time + (uint64_t)j) : 1;
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
    options.block_size = c->time;
    return op_attention(g, leaf[0], &options);
}

// --- the cases. Shapes are ragged: odd batches and widths, lengths that no tile divides; those marked
// large are longer than a tile in every direction.

// clang-format off
#define ROWS(width) {.rank = 3, .shape = {3, 13, width}, .spread = 1}
#define LARGE_ROWS(width) {.rank = 3, .shape = {2, 131, width}, .spread = 1}
#define MATRIX(out, in) {.rank = 2, .shape = {out, in}, .weight = true, .spread = 0.3}
#define VECTOR(width) {.rank = 1, .shape = {width}, .weight = true, .spread = 0.5}
#define GAIN(width) {.rank = 1, .shape = {width}, .weight = true, .centre = 1, .spread = 0.3}
#define PARAMETER_ROWS(width) {.rank = 3, .shape = {3, 13, width}, .weight = true, .spread = 1}
#define NONE {0}
#define SMALL .batch = 3, .time = 13
#define LARGE .batch = 2, .time = 131
#define MAKES(what) .build = build_##what, .reference = reference_##what
#define HEADS(h, kv, size) .heads = h, .kv_heads = kv, .head_size = size
#define LIMITS(forward, gradient) .forward_limit = forward, .gradient_limit = gradient
#define LINEAR_LIMITS LIMITS(2e-6, 4e-6)
#define POINT_LIMITS LIMITS(5e-7, 2e-6)
#define NORM_LIMITS LIMITS(1e-6, 4e-6)
#define RMS_LIMITS LIMITS(1e-6, 2e-6)
#define ATTENTION_LIMITS LIMITS(2e-6, 5e-6)
#define EXACT_LIMITS LIMITS(1e-6, 1e-6)

static const operator_case operator_cases[] = {
    {"linear", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)}, MAKES(linear), LINEAR_LIMITS},
    {"linear without bias", SMALL, {ROWS(17), MATRIX(5, 17)}, MAKES(linear), LINEAR_LIMITS},
    {"linear to one", SMALL, {ROWS(9), MATRIX(1, 9), VECTOR(1)}, MAKES(linear), LINEAR_LIMITS},
    {"linear from one", SMALL, {ROWS(1), MATRIX(9, 1), VECTOR(9)}, MAKES(linear), LINEAR_LIMITS},
    {"linear, large", LARGE, {LARGE_ROWS(131), MATRIX(150, 131), VECTOR(150)},
     MAKES(linear), LINEAR_LIMITS},
    {"linear, deep", SMALL, {ROWS(1030), MATRIX(67, 1030)}, MAKES(linear), LINEAR_LIMITS},
    {"linear gelu", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)},
     MAKES(linear), ACTIVATION_GELU, LINEAR_LIMITS},
    {"linear gelu, large", LARGE, {LARGE_ROWS(70), MATRIX(145, 70), VECTOR(145)},
     MAKES(linear), ACTIVATION_GELU, LINEAR_LIMITS},
    {"linear gelu_tanh", SMALL, {ROWS(17), MATRIX(23, 17)},
     MAKES(linear), ACTIVATION_GELU_TANH, LINEAR_LIMITS},
    {"linear relu", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)},
     MAKES(linear), ACTIVATION_RELU, LINEAR_LIMITS},
    {"linear relu2", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)},
     MAKES(linear), ACTIVATION_RELU2, LINEAR_LIMITS},
    {"linear silu", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)},
     MAKES(linear), ACTIVATION_SILU, LINEAR_LIMITS},
    {"linear tanh", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)},
     MAKES(linear), ACTIVATION_TANH, LINEAR_LIMITS},
    {"linear sigmoid", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23)},
     MAKES(linear), ACTIVATION_SIGMOID, LINEAR_LIMITS},
    {"linear and residual", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23), ROWS(23)},
     MAKES(linear_residual), LINEAR_LIMITS},
    {"linear and residual, large", LARGE, {LARGE_ROWS(37), MATRIX(141, 37), NONE, LARGE_ROWS(141)},
     MAKES(linear_residual), LINEAR_LIMITS},
    {"linear silu and residual", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23), ROWS(23)},
     MAKES(linear_residual), ACTIVATION_SILU, LINEAR_LIMITS},
    {"linear around its input", SMALL, {ROWS(19), MATRIX(19, 19), VECTOR(19)},
     MAKES(linear_around), LINEAR_LIMITS},

    {"gelu", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_GELU, POINT_LIMITS},
    {"gelu_tanh", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_GELU_TANH, POINT_LIMITS},
    {"relu", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_RELU, POINT_LIMITS},
    {"relu2", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_RELU2, POINT_LIMITS},
    {"silu", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_SILU, POINT_LIMITS},
    {"tanh", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_TANH, POINT_LIMITS},
    {"sigmoid", SMALL, {ROWS(7)}, MAKES(elements), ACTIVATION_SIGMOID, POINT_LIMITS},
    {"swiglu", SMALL, {ROWS(22)}, MAKES(gated), ACTIVATION_SILU, POINT_LIMITS},
    {"geglu", SMALL, {ROWS(22)}, MAKES(gated), ACTIVATION_GELU, POINT_LIMITS},
    {"glu", SMALL, {ROWS(70)}, MAKES(gated), ACTIVATION_SIGMOID, POINT_LIMITS},
    {"dropout", SMALL, {ROWS(11)}, MAKES(dropout), .p = 0.3, POINT_LIMITS},
    {"dropout, large", LARGE, {LARGE_ROWS(67)}, MAKES(dropout), .p = 0.1, POINT_LIMITS},
    {"dropout and residual", SMALL, {ROWS(11), ROWS(11)}, MAKES(dropout), .p = 0.5, POINT_LIMITS},
    {"dropout around its input", SMALL, {ROWS(11)}, MAKES(dropout_around), .p = 0.2, POINT_LIMITS},

    {"add", SMALL, {ROWS(11), ROWS(11)}, MAKES(add), EXACT_LIMITS},
    {"add to a parameter", SMALL, {PARAMETER_ROWS(5), ROWS(5)}, MAKES(add), EXACT_LIMITS},
    {"add a parameter", SMALL, {ROWS(5), PARAMETER_ROWS(5)}, MAKES(add), EXACT_LIMITS},
    {"add a tensor to itself", SMALL, {ROWS(11)}, MAKES(double), EXACT_LIMITS},
    {"add a parameter to itself", SMALL, {PARAMETER_ROWS(5)}, MAKES(double), EXACT_LIMITS},
    {"add a tensor to itself twice", SMALL, {ROWS(11)}, MAKES(triple), EXACT_LIMITS},
    {"add a parameter to itself twice", SMALL, {PARAMETER_ROWS(5)}, MAKES(triple), EXACT_LIMITS},
    {"multiply", SMALL, {ROWS(11), ROWS(11)}, MAKES(multiply), POINT_LIMITS},
    {"multiply a tensor by itself twice", SMALL, {ROWS(11)}, MAKES(cube), POINT_LIMITS},
    {"concat", SMALL, {ROWS(5), ROWS(8)}, MAKES(concat), EXACT_LIMITS},
    {"residuals that share a tensor", SMALL, {ROWS(19), MATRIX(19, 19), VECTOR(19), ROWS(19)},
     MAKES(shared), LINEAR_LIMITS},

    {"layernorm", SMALL, {ROWS(19), GAIN(19), VECTOR(19)}, MAKES(layernorm), NORM_LIMITS},
    {"layernorm without bias", SMALL, {ROWS(33), GAIN(33)}, MAKES(layernorm), NORM_LIMITS},
    {"layernorm, large", LARGE, {LARGE_ROWS(200), GAIN(200), VECTOR(200)}, MAKES(layernorm), NORM_LIMITS},
    {"layernorm far from zero", SMALL, {{3, {3, 13, 130}, false, 100, 1}, GAIN(130), VECTOR(130)},
     MAKES(layernorm), LIMITS(3e-5, 3e-5)},
    {"rmsnorm", SMALL, {ROWS(19), GAIN(19)}, MAKES(rmsnorm), RMS_LIMITS},
    {"rmsnorm, large", LARGE, {LARGE_ROWS(200), GAIN(200)}, MAKES(rmsnorm), RMS_LIMITS},
    {"two norms of one tensor", SMALL, {ROWS(19), GAIN(19), VECTOR(19), GAIN(19)}, MAKES(two_norms), NORM_LIMITS},

    {"embedding", SMALL, {MATRIX(CASE_VOCABULARY, 9)}, MAKES(embedding), EXACT_LIMITS},
    {"embedding, large", LARGE, {MATRIX(CASE_VOCABULARY, 140)}, MAKES(embedding), EXACT_LIMITS},
    {"embedding tied with unembedding", SMALL, {MATRIX(CASE_VOCABULARY, 9), MATRIX(15, 9)},
     MAKES(tied), LINEAR_LIMITS},
    {"learned positions", SMALL, {ROWS(9), MATRIX(15, 9)}, MAKES(learned), EXACT_LIMITS},
    {"sinusoidal positions", SMALL, {ROWS(9)}, MAKES(sinusoidal), POINT_LIMITS},

    {"attention", SMALL, {ROWS(3 * 3 * 5)},
     MAKES(attention), .attention = {HEADS(3, 3, 5)}, ATTENTION_LIMITS},
    {"attention, one head", SMALL, {ROWS(3 * 7)},
     MAKES(attention), .attention = {HEADS(1, 1, 7)}, ATTENTION_LIMITS},
    {"attention, grouped heads", SMALL, {ROWS(10 * 5)},
     MAKES(attention), .attention = {HEADS(6, 2, 5)}, ATTENTION_LIMITS},
    {"attention, one key head", SMALL, {ROWS(6 * 6)},
     MAKES(attention), .attention = {HEADS(4, 1, 6)}, ATTENTION_LIMITS},
    {"attention, window", SMALL, {ROWS(6 * 5)},
     MAKES(attention), .attention = {HEADS(2, 2, 5), .window = 4}, ATTENTION_LIMITS},
    {"attention, window of one", SMALL, {ROWS(6 * 5)},
     MAKES(attention), .attention = {HEADS(2, 2, 5), .window = 1}, ATTENTION_LIMITS},
    {"attention, window beyond the block", SMALL, {ROWS(6 * 5)},
     MAKES(attention), .attention = {HEADS(2, 2, 5), .window = 1 << 30}, ATTENTION_LIMITS},
    {"attention, dropout", SMALL, {ROWS(8 * 5)},
     MAKES(attention), .p = 0.3, .attention = {HEADS(4, 2, 5)}, ATTENTION_LIMITS},
    {"attention, rotary", SMALL, {ROWS(6 * 6)},
     MAKES(attention), .attention = {HEADS(2, 2, 6), .rope_dim = 6, .rope_base = 10000}, ATTENTION_LIMITS},
    {"attention, partly rotary", SMALL, {ROWS(8 * 7)},
     MAKES(attention), .attention = {HEADS(4, 2, 7), .rope_dim = 4, .rope_base = 100}, ATTENTION_LIMITS},
    {"attention, qk_norm", SMALL, {ROWS(8 * 5), GAIN(5), GAIN(5)},
     MAKES(attention), .attention = {HEADS(4, 2, 5)}, ATTENTION_LIMITS},
    {"attention, everything", SMALL, {ROWS(8 * 7), GAIN(7), GAIN(7)},
     MAKES(attention), .p = 0.2, .attention = {HEADS(4, 2, 7), .window = 5, .rope_dim = 6, .rope_base = 500}, ATTENTION_LIMITS},
    {"attention, sharp", SMALL, {{3, {3, 13, 6 * 5}, false, 0, 3}},
     MAKES(attention), .attention = {HEADS(2, 2, 5)}, LIMITS(2e-5, 3e-5)},
    {"attention, large", LARGE, {LARGE_ROWS(8 * 20)},
     MAKES(attention), .attention = {HEADS(4, 2, 20)}, ATTENTION_LIMITS},
    {"attention, large with everything", LARGE, {LARGE_ROWS(5 * 33), GAIN(33), GAIN(33)},
     MAKES(attention), .p = 0.1, .attention = {HEADS(3, 1, 33), .window = 50, .rope_dim = 32, .rope_base = 10000}, ATTENTION_LIMITS},
};
// clang-format on

enum { OPERATOR_CASES = sizeof operator_cases / sizeof *operator_cases };

// --- a case as a graph

typedef struct case_run {
    const operator_case *c;
    parameter_set *set;
    parameter *leaf[CASE_LEAVES];
    graph *g;
    tensor *y, *loss;
    real *factors;   // of the elements of y in the loss
    double *exact_y; // room for the reference's
    double *exact_leaf[CASE_LEAVES];
    run_context context;
} case_run;

static void case_open(const operator_case *c, case_run *r) {
    error err = {0};
    tensor *in[CASE_LEAVES] = {NULL};
    *r = (case_run){
        .c = c, .set = parameters_new(), .context = {.seed = 11, .step = 5, .gradient_scale = 1}};
    for (int i = 0; i < CASE_LEAVES; i++) {
        const case_leaf *l = &c->leaf[i];
        if (l->rank == 0) continue;
        parameter_declaration about = {.rank = l->rank};
        memcpy(about.shape, l->shape, sizeof l->shape);
        const char name[] = {(char)('a' + i), '\0'};
        if (parameters_declare(r->set, name, &about, &r->leaf[i], &err) != OK) abort();
    }
    if (parameters_allocate(r->set, true, &err) != OK) abort();
    r->g = graph_new(GRAPH_TRAIN, c->batch, c->time, r->set, NULL);
    for (int i = 0; i < CASE_LEAVES; i++) {
        const parameter *p = r->leaf[i];
        if (!p) continue;
        r->exact_leaf[i] = malloc(p->count * sizeof(double));
        test_normals((uint32_t)i, p->count, c->leaf[i].centre, c->leaf[i].spread, r->exact_leaf[i]);
        for (size_t k = 0; k < p->count; k++) {
            r->set->values[p->offset + k] = (real)r->exact_leaf[i][k];
            r->exact_leaf[i][k] = (double)(real)r->exact_leaf[i][k];
        }
        in[i] = graph_parameter(r->g, r->leaf[i]);
        if (!c->leaf[i].weight) in[i] = test_copy(r->g, in[i]);
    }
    r->y = c->build(r->g, c, in);
    r->factors = malloc(r->y->count * sizeof *r->factors);
    r->exact_y = malloc(r->y->count * sizeof *r->exact_y);
    for (size_t i = 0; i < r->y->count; i++) r->factors[i] = (real)test_normal(40, i);
    r->loss = test_project(r->g, r->y, r->factors);
    if (graph_finish(r->g, (tensor *[]){r->y, r->loss, NULL}, true, &err) != OK) {
        fprintf(stderr, "%s: %s\n", c->name, err.message);
        abort();
    }
}

static void case_close(case_run *r) {
    graph_free(r->g);
    parameters_free(r->set);
    free(r->factors);
    free(r->exact_y);
    for (int i = 0; i < CASE_LEAVES; i++) free(r->exact_leaf[i]);
}

// The loss by the reference, of exact_leaf as it is now.
static double case_exact_loss(case_run *r) {
    double loss = 0;
    r->c->reference(r->c, &r->context, r->exact_leaf, r->exact_y);
    for (size_t i = 0; i < r->y->count; i++) loss += r->exact_y[i] * (double)r->factors[i];
    return loss;
}

// How far the output of the last run is from exact_y, relative to the largest element.
static double case_output_error(const case_run *r) {
    double most = 0, difference = 0;
    for (size_t i = 0; i < r->y->count; i++) {
        if (!isfinite(r->y->data[i])) return INFINITY;
        most = fmax(most, fabs(r->exact_y[i]));
        difference = fmax(difference, fabs((double)r->y->data[i] - r->exact_y[i]));
    }
    return difference / most;
}

#endif
