// For tests: the table of small graphs that between them use every operator in every way, and how one is
// run. tests/gradient runs them in double precision, tests/unit in the program's own.
#ifndef RUNEXP_TESTS_SUPPORT_OPERATOR_CASES_H
#define RUNEXP_TESTS_SUPPORT_OPERATOR_CASES_H

#include "support/numbers.h"

#include "support/filter_references.h"
#include "support/cfc_references.h"
#include "support/ltc_references.h"
#include "support/recurrence_references.h"
#include "support/convolution_references.h"

// --- the cases. Shapes are ragged: odd batches and widths, lengths that no tile divides; those marked
// large are longer than a tile in every direction.

// clang-format off
#define ROWS(width) {.rank = 3, .shape = {3, 13, width}, .spread = 1}
#define LARGE_ROWS(width) {.rank = 3, .shape = {2, 131, width}, .spread = 1}
#define MATRIX(out, in) {.rank = 2, .shape = {out, in}, .weight = true, .spread = 0.3}
#define SMALL_MATRIX(out, in) {.rank = 2, .shape = {out, in}, .weight = true, .spread = 0.02}
// Of recurrences over many tokens: larger weights would be chaos, in which errors grow from token to token.
#define CALM_MATRIX(out, in) {.rank = 2, .shape = {out, in}, .weight = true, .spread = 0.12}
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
#define CONVOLUTION_LIMITS LIMITS(2e-6, 2e-6)
#define RECURRENCE_LIMITS LIMITS(2e-6, 4e-6)
#define CONSTANTS(width) {.rank = 2, .shape = {2, width}, .weight = true, .centre = 0.7, .spread = 0.2}
#define STATE(width) {.rank = 2, .shape = {3, width}, .spread = 0.5}
#define LTC_LIMITS LIMITS(2e-6, 8e-6)
#define NETWORK(width) MATRIX(width, width), GAIN(width), {.rank = 1, .shape = {width}, .weight = true, .centre = 1, .spread = 0.2}
// w, sigma, mu, erev
#define SYNAPSES(in, out) {2, {in, out}, true, 0.5, 0.1}, {2, {in, out}, true, 3, 1}, {2, {in, out}, true, 0.3, 0.3}, {2, {in, out}, true, 0, 1}
// leak, rest, capacity
#define MEMBRANES(width) {1, {width}, true, 1, 0.2}, {1, {width}, true, 0, 0.5}, {1, {width}, true, 1, 0.1}
#define EXACT_LIMITS LIMITS(1e-6, 1e-6)
#define FILTER_LIMITS LIMITS(5e-7, 2e-6)
#define FREQUENCY(width, centre) {1, {width}, true, centre, 0.2}
#define RATES(channels) {3, {1, 1, channels}, true, 3, 5}

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
    {"linear after linear gelu", SMALL, {ROWS(17), MATRIX(23, 17), VECTOR(23), MATRIX(9, 23)},
     MAKES(linear_twice), ACTIVATION_GELU, LINEAR_LIMITS},
    {"linear after linear gelu, large and deep", LARGE,
     {LARGE_ROWS(20), MATRIX(70, 20), VECTOR(70), MATRIX(530, 70)},
     MAKES(linear_twice), ACTIVATION_GELU, LINEAR_LIMITS},
    {"two linears after linear tanh", SMALL,
     {ROWS(17), MATRIX(23, 17), VECTOR(23), MATRIX(9, 23), MATRIX(9, 23)},
     MAKES(linear_twice), ACTIVATION_TANH, LINEAR_LIMITS},

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
    {"columns", SMALL, {ROWS(7)}, MAKES(columns), EXACT_LIMITS},
    {"dropout of columns", SMALL, {ROWS(7)}, MAKES(columns), .p = 0.3, POINT_LIMITS},
    {"dropout of columns, large", LARGE, {LARGE_ROWS(67)}, MAKES(columns), .p = 0.1, POINT_LIMITS},
    {"stacked columns of a weight", SMALL, {ROWS(4), MATRIX(9, 7)}, MAKES(stack), LINEAR_LIMITS},
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

    {"unfold", SMALL, {ROWS(7)}, MAKES(unfold), .taps = 4, EXACT_LIMITS},
    {"unfold, longer than the block", SMALL, {ROWS(3)}, MAKES(unfold), .taps = 17, EXACT_LIMITS},
    {"unfold with documents", SMALL, {ROWS(7)}, MAKES(unfold), .taps = 4, .documents = true, EXACT_LIMITS},
    {"unfold around its input, with documents", SMALL, {ROWS(7)}, MAKES(unfold_around), .taps = 3, .documents = true, EXACT_LIMITS},
    {"unfold around its input", SMALL, {ROWS(7)}, MAKES(unfold_around), .taps = 3, EXACT_LIMITS},
    {"unfold, large", LARGE, {LARGE_ROWS(67)}, MAKES(unfold), .taps = 5, EXACT_LIMITS},
    {"linear of windows", SMALL, {ROWS(7), {.rank = 3, .shape = {9, 7, 4}, .weight = true, .spread = 0.3}, VECTOR(9)},
     MAKES(windows), .taps = 4, LINEAR_LIMITS},
    {"linear of one tap", SMALL, {ROWS(7), {.rank = 3, .shape = {9, 7, 1}, .weight = true, .spread = 0.3}, VECTOR(9)},
     MAKES(windows), .taps = 1, LINEAR_LIMITS},

    {"lstm", SMALL, {ROWS(17), MATRIX(4 * 23, 17), MATRIX(4 * 23, 23), VECTOR(4 * 23), VECTOR(4 * 23)},
     MAKES(recurrence), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"lstm from a state", SMALL,
     {ROWS(5), MATRIX(4 * 33, 5), MATRIX(4 * 33, 33), VECTOR(4 * 33), VECTOR(4 * 33), STATE(33), STATE(33)},
     MAKES(recurrence), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"lstm without biases", SMALL, {ROWS(1), MATRIX(4, 1), MATRIX(4, 1)},
     MAKES(recurrence), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"lstm, large", LARGE, {LARGE_ROWS(20), MATRIX(4 * 40, 20), MATRIX(4 * 40, 40), VECTOR(4 * 40), VECTOR(4 * 40)},
     MAKES(recurrence), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"lstm, many rows", .batch = 29, .time = 7,
     {{3, {29, 7, 9}, false, 0, 1}, MATRIX(4 * 11, 9), MATRIX(4 * 11, 11), VECTOR(4 * 11), VECTOR(4 * 11)},
     MAKES(recurrence), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"gru", SMALL, {ROWS(17), MATRIX(3 * 23, 17), MATRIX(3 * 23, 23), VECTOR(3 * 23), VECTOR(3 * 23)},
     MAKES(recurrence), .cell = CELL_GRU, RECURRENCE_LIMITS},
    {"gru from a state", SMALL,
     {ROWS(5), MATRIX(3 * 33, 5), MATRIX(3 * 33, 33), VECTOR(3 * 33), VECTOR(3 * 33), STATE(33)},
     MAKES(recurrence), .cell = CELL_GRU, RECURRENCE_LIMITS},
    {"gru without biases", SMALL, {ROWS(1), MATRIX(3, 1), MATRIX(3, 1)},
     MAKES(recurrence), .cell = CELL_GRU, RECURRENCE_LIMITS},
    {"gru, large", LARGE, {LARGE_ROWS(20), MATRIX(3 * 40, 20), MATRIX(3 * 40, 40), VECTOR(3 * 40), VECTOR(3 * 40)},
     MAKES(recurrence), .cell = CELL_GRU, RECURRENCE_LIMITS},
    {"gru, many rows", .batch = 29, .time = 7,
     {{3, {29, 7, 9}, false, 0, 1}, MATRIX(3 * 11, 9), MATRIX(3 * 11, 11), VECTOR(3 * 11), VECTOR(3 * 11)},
     MAKES(recurrence), .cell = CELL_GRU, RECURRENCE_LIMITS},
    {"lstm with documents", SMALL,
     {ROWS(5), MATRIX(4 * 19, 5), MATRIX(4 * 19, 19), VECTOR(4 * 19), VECTOR(4 * 19), STATE(19), STATE(19)},
     MAKES(recurrence), .cell = CELL_LSTM, .documents = true, RECURRENCE_LIMITS},
    {"lstm with documents, many rows, no biases", .batch = 29, .time = 7,
     {{3, {29, 7, 9}, false, 0, 1}, MATRIX(4 * 11, 9), MATRIX(4 * 11, 11)},
     MAKES(recurrence), .cell = CELL_LSTM, .documents = true, RECURRENCE_LIMITS},
    {"gru with documents", SMALL,
     {ROWS(5), MATRIX(3 * 19, 5), MATRIX(3 * 19, 19), VECTOR(3 * 19), VECTOR(3 * 19), STATE(19)},
     MAKES(recurrence), .cell = CELL_GRU, .documents = true, RECURRENCE_LIMITS},
    {"gru with documents, many rows, no biases", .batch = 29, .time = 7,
     {{3, {29, 7, 9}, false, 0, 1}, MATRIX(3 * 11, 9), MATRIX(3 * 11, 11)},
     MAKES(recurrence), .cell = CELL_GRU, .documents = true, RECURRENCE_LIMITS},
    {"lstm of tokens", SMALL,
     {MATRIX(CASE_VOCABULARY, 9), MATRIX(4 * 19, 9), MATRIX(4 * 19, 19), VECTOR(4 * 19), VECTOR(4 * 19)},
     MAKES(recurrence_of_tokens), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"lstm around tokens", SMALL,
     {MATRIX(CASE_VOCABULARY, 9), MATRIX(4 * 9, 9), MATRIX(4 * 9, 9), VECTOR(4 * 9), VECTOR(4 * 9)},
     MAKES(recurrence_of_tokens), .cell = CELL_LSTM, RECURRENCE_LIMITS},
    {"gru of tokens, without biases, large", LARGE,
     {MATRIX(CASE_VOCABULARY, 20), MATRIX(3 * 40, 20), MATRIX(3 * 40, 40)},
     MAKES(recurrence_of_tokens), .cell = CELL_GRU, RECURRENCE_LIMITS},
    {"gru of tokens with documents", SMALL,
     {MATRIX(CASE_VOCABULARY, 5), MATRIX(3 * 19, 5), MATRIX(3 * 19, 19), VECTOR(3 * 19), VECTOR(3 * 19), STATE(19)},
     MAKES(recurrence_of_tokens), .cell = CELL_GRU, .documents = true, RECURRENCE_LIMITS},
    {"gru of few tokens", .batch = 2, .time = 7,
     {MATRIX(CASE_VOCABULARY, 5), MATRIX(3 * 19, 5), MATRIX(3 * 19, 19), VECTOR(3 * 19), VECTOR(3 * 19)},
     MAKES(recurrence_of_tokens), .cell = CELL_GRU, RECURRENCE_LIMITS},

    {"cfc", SMALL, {ROWS(17), NONE, MATRIX(19, 17 + 23), VECTOR(19), MATRIX(3 * 23, 19), VECTOR(3 * 23)},
     MAKES(cfc), .cfc = CFC_DEFAULT, RECURRENCE_LIMITS},
    {"cfc of two layers", SMALL,
     {ROWS(5), NONE, MATRIX(19, 5 + 23), VECTOR(19), MATRIX(19, 19), VECTOR(19), MATRIX(3 * 23, 19), VECTOR(3 * 23)},
     MAKES(cfc), .cfc = CFC_DEFAULT, RECURRENCE_LIMITS},
    {"cfc of no layers", SMALL, {ROWS(17), NONE, MATRIX(3 * 23, 17 + 23), VECTOR(3 * 23)},
     MAKES(cfc), .cfc = CFC_DEFAULT, RECURRENCE_LIMITS},
    {"cfc without a gate", SMALL, {ROWS(17), NONE, MATRIX(19, 17 + 23), VECTOR(19), MATRIX(3 * 23, 19), VECTOR(3 * 23)},
     MAKES(cfc), .cfc = CFC_NO_GATE, RECURRENCE_LIMITS},
    {"cfc of no layers without a gate, with documents", SMALL, {ROWS(5), NONE, MATRIX(3 * 19, 5 + 19), VECTOR(3 * 19)},
     MAKES(cfc), .cfc = CFC_NO_GATE, .documents = true, RECURRENCE_LIMITS},
    {"cfc of three layers without a gate", SMALL,
     {ROWS(5), NONE, MATRIX(9, 5 + 7), VECTOR(9), MATRIX(9, 9), VECTOR(9), MATRIX(9, 9), VECTOR(9), MATRIX(3 * 7, 9), VECTOR(3 * 7)},
     MAKES(cfc), .cfc = CFC_NO_GATE, RECURRENCE_LIMITS},
    {"cfc, pure", SMALL, {ROWS(17), CONSTANTS(23), MATRIX(19, 17 + 23), VECTOR(19), MATRIX(23, 19), VECTOR(23)},
     MAKES(cfc), .cfc = CFC_PURE, RECURRENCE_LIMITS},
    {"cfc of no layers, pure", SMALL, {ROWS(5), CONSTANTS(23), MATRIX(23, 5 + 23), VECTOR(23)},
     MAKES(cfc), .cfc = CFC_PURE, RECURRENCE_LIMITS},
    {"cfc of two layers, pure, with documents, many rows", .batch = 29, .time = 7,
     {{3, {29, 7, 9}, false, 0, 1}, CONSTANTS(11), MATRIX(17, 9 + 11), VECTOR(17), MATRIX(17, 17), VECTOR(17), MATRIX(11, 17), VECTOR(11)},
     MAKES(cfc), .cfc = CFC_PURE, .documents = true, RECURRENCE_LIMITS},
    {"cfc of one unit", SMALL, {ROWS(1), NONE, MATRIX(1, 2), VECTOR(1), MATRIX(3, 1), VECTOR(3)},
     MAKES(cfc), .cfc = CFC_DEFAULT, RECURRENCE_LIMITS},
    {"cfc, large", LARGE, {LARGE_ROWS(20), NONE, CALM_MATRIX(33, 20 + 40), VECTOR(33), CALM_MATRIX(3 * 40, 33), VECTOR(3 * 40)},
     MAKES(cfc), .cfc = CFC_DEFAULT, RECURRENCE_LIMITS},
    {"cfc with documents, many rows", .batch = 29, .time = 7,
     {{3, {29, 7, 9}, false, 0, 1}, NONE, MATRIX(17, 9 + 11), VECTOR(17), MATRIX(3 * 11, 17), VECTOR(3 * 11)},
     MAKES(cfc), .cfc = CFC_DEFAULT, .documents = true, RECURRENCE_LIMITS},

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
    {"attention, learned scale", SMALL, {ROWS(8 * 5), NONE, NONE, VECTOR(1)},
     MAKES(attention), .attention = {HEADS(4, 2, 5)}, ATTENTION_LIMITS},
    {"attention, learned scale, dropout and rotary", SMALL, {ROWS(8 * 6), NONE, NONE, VECTOR(1)},
     MAKES(attention), .p = 0.3, .attention = {HEADS(4, 2, 6), .window = 5, .rope_dim = 4, .rope_base = 500}, ATTENTION_LIMITS},
    {"attention of inputs", SMALL, {ROWS(2 * 7)},
     MAKES(attention), .attention = {HEADS(2, 2, 7), .shared_qkv = true}, ATTENTION_LIMITS},
    {"attention of inputs, learned scale and dropout", SMALL, {ROWS(7), NONE, NONE, VECTOR(1)},
     MAKES(attention), .p = 0.2, .attention = {HEADS(1, 1, 7), .shared_qkv = true}, ATTENTION_LIMITS},
    {"attention of inputs, rotary", SMALL, {ROWS(2 * 6)},
     MAKES(attention), .attention = {HEADS(2, 2, 6), .rope_dim = 6, .rope_base = 100, .shared_qkv = true}, ATTENTION_LIMITS},
    {"attention around its inputs", SMALL, {ROWS(2 * 7), NONE, NONE, VECTOR(1)},
     MAKES(attention_around), .attention = {HEADS(2, 2, 7), .shared_qkv = true}, ATTENTION_LIMITS},
    {"attention of inputs, large", LARGE, {LARGE_ROWS(40), NONE, NONE, VECTOR(1)},
     MAKES(attention), .attention = {HEADS(1, 1, 40), .shared_qkv = true}, ATTENTION_LIMITS},
    {"attention, large", LARGE, {LARGE_ROWS(8 * 20)},
     MAKES(attention), .attention = {HEADS(4, 2, 20)}, ATTENTION_LIMITS},
    {"attention, large with everything", LARGE, {LARGE_ROWS(5 * 33), GAIN(33), GAIN(33)},
     MAKES(attention), .p = 0.1, .attention = {HEADS(3, 1, 33), .window = 50, .rope_dim = 32, .rope_base = 10000}, ATTENTION_LIMITS},

    {"shrink", SMALL, {ROWS(11)}, MAKES(shrink), .p = 0.4, POINT_LIMITS},
    {"shrink a weight", SMALL, {MATRIX(19, 7)}, MAKES(shrink), .p = 0.2, POINT_LIMITS},
    {"softplus", SMALL, {{3, {3, 13, 7}, false, 0, 5}}, MAKES(softplus), .p = 0.05, POINT_LIMITS},
    {"softplus of a parameter", SMALL, {VECTOR(21)}, MAKES(softplus), POINT_LIMITS},

    {"ltc", SMALL, {ROWS(19), NETWORK(19), STATE(19)}, MAKES(ltc), .documents = true,
     .ltc = {.steps = 6, .step = 1 / 6.0, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, tanh", SMALL, {ROWS(33), NETWORK(33), STATE(33)}, MAKES(ltc), .documents = true,
     .ltc = {.steps = 3, .step = 0.5, .act = ACTIVATION_TANH, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, tanh, signed gate", SMALL, {ROWS(7), NETWORK(7)}, MAKES(ltc),
     .ltc = {.steps = 6, .step = 1 / 6.0, .act = ACTIVATION_TANH, .adaptive = true}, LTC_LIMITS},
    {"ltc, sigmoid, signed gate", SMALL, {ROWS(7), NETWORK(7)}, MAKES(ltc),
     .ltc = {.steps = 2, .step = 0.5, .act = ACTIVATION_SIGMOID, .adaptive = true}, LTC_LIMITS},
    {"ltc, time constants fixed over time", SMALL, {ROWS(16), NETWORK(16)}, MAKES(ltc), .documents = true,
     .ltc = {.steps = 4, .step = 0.25, .act = ACTIVATION_TANH}, LTC_LIMITS},
    {"ltc, one time constant, not learned", SMALL, {ROWS(5), MATRIX(5, 5), VECTOR(5)}, MAKES(ltc),
     .ltc = {.steps = 1, .step = 1, .fixed_tau = 0.7, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, large", LARGE, {LARGE_ROWS(50), NETWORK(50)}, MAKES(ltc),
     .ltc = {.steps = 6, .step = 1 / 6.0, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, many rows", .batch = 29, .time = 7, {{3, {29, 7, 11}, false, 0, 1}, NETWORK(11)}, MAKES(ltc), .documents = true,
     .ltc = {.steps = 6, .step = 1 / 6.0, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, checkpointing", LARGE, {LARGE_ROWS(50), NETWORK(50)}, MAKES(ltc), .documents = true,
     .ltc = {.steps = 30, .step = 1 / 30.0, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true, .checkpointing = true}, LTC_LIMITS},
    {"ltc, euler", SMALL, {ROWS(19), NETWORK(19), STATE(19)}, MAKES(ltc), .documents = true,
     .ltc = {.solver = SOLVER_EULER, .steps = 6, .step = 1 / 6.0, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, euler, tanh, time constants fixed over time", SMALL, {ROWS(7), NETWORK(7)}, MAKES(ltc),
     .ltc = {.solver = SOLVER_EULER, .steps = 3, .step = 0.2, .act = ACTIVATION_TANH, .checkpointing = true}, LTC_LIMITS},
    {"ltc, rk4", SMALL, {ROWS(19), NETWORK(19), STATE(19)}, MAKES(ltc), .documents = true,
     .ltc = {.solver = SOLVER_RK4, .steps = 2, .step = 0.5, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, rk4, tanh", SMALL, {ROWS(33), NETWORK(33)}, MAKES(ltc),
     .ltc = {.solver = SOLVER_RK4, .steps = 3, .step = 0.2, .act = ACTIVATION_TANH, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"ltc, rk4, checkpointing", LARGE, {LARGE_ROWS(37), NETWORK(37)}, MAKES(ltc), .documents = true,
     .ltc = {.solver = SOLVER_RK4, .steps = 12, .step = 0.1, .act = ACTIVATION_TANH, .adaptive = true, .checkpointing = true}, LTC_LIMITS},
    // Tolerances so wide that the steps are always a quarter of the token and the rest: how the length of a
    // step depends on the parameters has no part in the gradient.
    {"ltc, dopri5", SMALL, {ROWS(19), NETWORK(19), STATE(19)}, MAKES(ltc), .documents = true,
     .ltc = {.solver = SOLVER_DOPRI5, .steps = 6, .step = 1 / 6.0, .atol = 1e6, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true}, LTC_LIMITS},
    {"synapses", SMALL, {ROWS(9), SYNAPSES(9, 21)}, MAKES(synapses), .ltc = {.adaptive = true}, LTC_LIMITS},
    {"synapses without conduction", SMALL, {ROWS(17), SYNAPSES(17, 5)}, MAKES(synapses), LTC_LIMITS},
    {"synapses, large", LARGE, {LARGE_ROWS(30), SYNAPSES(30, 40)}, MAKES(synapses), .ltc = {.adaptive = true}, LTC_LIMITS},
    {"ltc of synapses", SMALL, {{3, {3, 13, 2 * 19}, false, 1, 0.3}, SYNAPSES(19, 19), MEMBRANES(19), STATE(19)},
     MAKES(ltc_synaptic), .documents = true, .ltc = {.steps = 6, .step = 1 / 6.0, .adaptive = true}, LTC_LIMITS},
    {"ltc of synapses, time constants fixed over time", SMALL, {{3, {3, 13, 2 * 7}, false, 1, 0.3}, SYNAPSES(7, 7), MEMBRANES(7)},
     MAKES(ltc_synaptic), .ltc = {.steps = 3, .step = 1 / 3.0, .checkpointing = true}, LTC_LIMITS},
    {"ltc of synapses, many rows", .batch = 67, .time = 3, {{3, {67, 3, 2 * 6}, false, 1, 0.3}, SYNAPSES(6, 6), MEMBRANES(6)},
     MAKES(ltc_synaptic), .documents = true, .ltc = {.steps = 4, .step = 0.25, .adaptive = true}, LTC_LIMITS},
    {"ltc of synapses, euler", SMALL, {{3, {3, 13, 2 * 5}, false, 1, 0.3}, SYNAPSES(5, 5), MEMBRANES(5)},
     MAKES(ltc_synaptic), .ltc = {.solver = SOLVER_EULER, .steps = 10, .step = 0.1, .adaptive = true}, LTC_LIMITS},
    {"ltc of synapses, rk4", SMALL, {{3, {3, 13, 2 * 5}, false, 1, 0.3}, SYNAPSES(5, 5), MEMBRANES(5), STATE(5)},
     MAKES(ltc_synaptic), .ltc = {.solver = SOLVER_RK4, .steps = 3, .step = 0.2, .adaptive = true}, LTC_LIMITS},
    {"ltc of synapses, rk4, time constants fixed over time", SMALL, {{3, {3, 13, 2 * 5}, false, 1, 0.3}, SYNAPSES(5, 5), MEMBRANES(5)},
     MAKES(ltc_synaptic), .documents = true, .ltc = {.solver = SOLVER_RK4, .steps = 3, .step = 0.2, .checkpointing = true}, LTC_LIMITS},
    {"ltc of synapses, dopri5", SMALL, {{3, {3, 13, 2 * 9}, false, 1, 0.3}, SYNAPSES(9, 9), MEMBRANES(9)},
     MAKES(ltc_synaptic), .documents = true, .ltc = {.solver = SOLVER_DOPRI5, .steps = 1, .step = 0.8, .atol = 1e6, .adaptive = true}, LIMITS(1e-5, 2e-5)},
    {"ltc, dopri5, tanh", LARGE, {LARGE_ROWS(33), NETWORK(33)}, MAKES(ltc), .documents = true,
     .ltc = {.solver = SOLVER_DOPRI5, .steps = 1, .step = 1.5, .atol = 1e6, .act = ACTIVATION_TANH}, LTC_LIMITS},

    {"long convolution", SMALL, {ROWS(5), MATRIX(13, 5), VECTOR(5)},
     MAKES(convolution), .convolution = {.channels = 5}, CONVOLUTION_LIMITS},
    {"long convolution without a skip", SMALL, {ROWS(19), MATRIX(15, 19)},
     MAKES(convolution), .convolution = {.channels = 19}, CONVOLUTION_LIMITS},
    {"long convolution of one token", .batch = 3, .time = 1, {{3, {3, 1, 5}, false, 0, 1}, MATRIX(4, 5), VECTOR(5)},
     MAKES(convolution), .convolution = {.channels = 5}, CONVOLUTION_LIMITS},
    {"long convolution between gates of their own", SMALL, {ROWS(5), MATRIX(17, 9), VECTOR(9), ROWS(6), ROWS(8)},
     MAKES(convolution), .convolution = {.channels = 4, .column = 1, .filter_column = 5, .gate_in_column = 2, .gate_out_column = 3}, CONVOLUTION_LIMITS},
    {"long convolution behind a gate", SMALL, {ROWS(7), MATRIX(13, 7), VECTOR(7), ROWS(7)},
     MAKES(convolution), .convolution = {.channels = 7}, CONVOLUTION_LIMITS},
    {"long convolution before a gate", SMALL, {ROWS(7), MATRIX(13, 7), NONE, NONE, ROWS(7)},
     MAKES(convolution), .convolution = {.channels = 7}, CONVOLUTION_LIMITS},
    {"long convolution with its gates in its rows", SMALL, {ROWS(3 * 6), MATRIX(13, 6), VECTOR(6)},
     MAKES(gated_convolution), .convolution = {.channels = 6, .column = 12, .gate_in_column = 6}, CONVOLUTION_LIMITS},
    {"long convolution of some columns", SMALL, {ROWS(4 * 6), MATRIX(13, 6), VECTOR(6)},
     MAKES(gated_convolution), .convolution = {.channels = 6, .column = 18, .gate_in_column = 6}, CONVOLUTION_LIMITS},
    {"long convolution with a filter of an operator", SMALL, {ROWS(5), {2, {14, 5}, false, 0, 0.3}, {1, {5}, false, 0, 0.5}},
     MAKES(convolution), .convolution = {.channels = 5}, CONVOLUTION_LIMITS},
    {"two long convolutions", SMALL, {ROWS(4 * 5), {2, {14, 10}, false, 0, 0.3}, VECTOR(10)},
     MAKES(two_convolutions), .convolution = {.channels = 5}, CONVOLUTION_LIMITS},
    {"long convolution, large", LARGE, {LARGE_ROWS(3 * 37), {2, {140, 37}, false, 0, 0.1}, VECTOR(37)},
     MAKES(gated_convolution), .convolution = {.channels = 37, .column = 74, .gate_in_column = 37}, CONVOLUTION_LIMITS},
    {"long convolution, larger", .batch = 3, .time = 501, {{3, {3, 501, 12}, false, 0, 1}, {2, {501, 4}, false, 0, 0.1}, VECTOR(4)},
     MAKES(gated_convolution), .convolution = {.channels = 4, .column = 8, .gate_in_column = 4}, CONVOLUTION_LIMITS},
    {"long convolution of a power of two", .batch = 1, .time = 256, {{3, {1, 256, 3}, false, 0, 1}, {2, {256, 3}, true, 0, 0.1}, VECTOR(3)},
     MAKES(convolution), .convolution = {.channels = 3}, CONVOLUTION_LIMITS},

    {"short convolution", SMALL, {ROWS(19), MATRIX(19, 3), VECTOR(19)}, MAKES(short_convolution), POINT_LIMITS},
    {"short convolution of four", SMALL, {ROWS(33), MATRIX(33, 4)}, MAKES(short_convolution), POINT_LIMITS},
    {"short convolution of one", SMALL, {ROWS(5), MATRIX(5, 1), VECTOR(5)}, MAKES(short_convolution), POINT_LIMITS},
    {"short convolution beyond the block", SMALL, {ROWS(5), MATRIX(5, 16), VECTOR(5)},
     MAKES(short_convolution), POINT_LIMITS},
    {"short convolution, large", LARGE, {LARGE_ROWS(150), MATRIX(150, 3), VECTOR(150)},
     MAKES(short_convolution), POINT_LIMITS},
    {"short convolution, long", .batch = 2, .time = 300, {{3, {2, 300, 21}, false, 0, 1}, MATRIX(21, 2), VECTOR(21)},
     MAKES(short_convolution), POINT_LIMITS},

    {"filter", SMALL, {FREQUENCY(6, 1), MATRIX(7, 6), VECTOR(7), NONE, NONE, MATRIX(6, 5), VECTOR(6), MATRIX(6, 6), VECTOR(6)},
     MAKES(filter), .filter = {.grid = 13, .filters = 1, .layers = 2, .slowest = -3, .fastest = -15}, FILTER_LIMITS},
    {"filter of one layer and band", SMALL, {FREQUENCY(9, 2), MATRIX(1, 9), VECTOR(1), NONE, NONE, MATRIX(9, 3), VECTOR(9)},
     MAKES(filter), .filter = {.grid = 16, .filters = 1, .layers = 1, .slowest = -1}, FILTER_LIMITS},
    {"filter of one position", SMALL, {FREQUENCY(6, 1), MATRIX(7, 6), VECTOR(7), NONE, NONE, MATRIX(6, 5), VECTOR(6)},
     MAKES(filter), .filter = {.grid = 1, .filters = 1, .layers = 1, .slowest = -3, .fastest = -15}, FILTER_LIMITS},
    {"filter, longer than the block", SMALL, {FREQUENCY(6, 3), MATRIX(22, 6), VECTOR(22), NONE, NONE, MATRIX(6, 7), VECTOR(6), MATRIX(6, 6), VECTOR(6)},
     MAKES(filter), .filter = {.grid = 40, .filters = 2, .layers = 2, .slowest = -3, .fastest = -15, .shift = 0.1}, FILTER_LIMITS},
    {"filter, all learned", SMALL, {FREQUENCY(6, 3), MATRIX(21, 6), VECTOR(21), RATES(21), MATRIX(31, 7), MATRIX(6, 7), VECTOR(6), MATRIX(6, 6), VECTOR(6)},
     MAKES(filter), .filter = {.grid = 31, .filters = 3, .layers = 2, .shift = 0.2}, FILTER_LIMITS},
    {"filter, normalised", SMALL, {FREQUENCY(6, 3), MATRIX(22, 6), VECTOR(22), NONE, NONE, MATRIX(6, 7), VECTOR(6), MATRIX(6, 6), VECTOR(6)},
     MAKES(filter), .filter = {.grid = 13, .filters = 2, .layers = 2, .slowest = -3, .fastest = -15, .normalised = true}, FILTER_LIMITS},
    {"filter, normalised, all learned", SMALL, {FREQUENCY(6, 3), MATRIX(22, 6), VECTOR(22), RATES(22), MATRIX(40, 7), MATRIX(6, 7), VECTOR(6)},
     MAKES(filter), .filter = {.grid = 40, .filters = 2, .layers = 1, .shift = 0.2, .normalised = true}, FILTER_LIMITS},
    {"filter, large", LARGE, {FREQUENCY(40, 14), MATRIX(210, 40), VECTOR(210), NONE, NONE, SMALL_MATRIX(40, 33), VECTOR(40), SMALL_MATRIX(40, 40), VECTOR(40), SMALL_MATRIX(40, 40), VECTOR(40)},
     MAKES(filter), .filter = {.grid = 200, .filters = 3, .layers = 3, .slowest = -3, .fastest = -15}, FILTER_LIMITS},
};
// clang-format on

enum { OPERATOR_CASES = sizeof operator_cases / sizeof *operator_cases };

// --- a case as a graph

typedef struct case_run {
    const operator_case *c;
    bool begins[CASE_TOKENS];
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
    // First and last tokens of rows, some within, and two in a row.
    if (c->documents) r->context.begins = r->begins;
    for (int i = 0; c->documents && i < c->batch * c->time; i++)
        r->begins[i] = i % 5 == 1 || i % 13 == 0 || i % 13 == 2;
    for (int i = 0; i < CASE_LEAVES; i++) {
        const case_leaf *l = &c->leaf[i];
        if (l->rank == 0) continue;
        parameter_declaration about = {.rank = l->rank};
        memcpy(about.shape, l->shape, sizeof l->shape);
        const char name[] = {(char)('a' + i), '\0'};
        if (parameters_declare(r->set, name, &about, &r->leaf[i], &err) != OK) abort();
    }
    if (parameters_allocate(r->set, true, &err) != OK) abort();
    r->g = graph_new(&(graph_options){.batch = c->batch, .time = c->time, .gradients = true}, r->set);
    for (int i = 0; i < CASE_LEAVES; i++) {
        const parameter *p = r->leaf[i];
        if (!p) continue;
        r->exact_leaf[i] = malloc(p->count * sizeof(double));
        test_normals((uint32_t)i, p->count, c->leaf[i].centre, c->leaf[i].spread, r->exact_leaf[i]);
        for (size_t k = 0; k < p->count; k++) {
            parameters_write(r->set)[p->offset + k] = (real)r->exact_leaf[i][k];
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
    if (graph_finish(r->g, (tensor *[]){r->y, r->loss, NULL}, &err) != OK ||
        graph_place(r->g, NULL, &err) != OK) {
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
