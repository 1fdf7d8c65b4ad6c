// The operators: what layers are composed of. Each appends one operator to the graph and returns its
// output.
//
// Activations have shape (batch, time, width) unless said otherwise; operators that treat rows alike see
// batch*time rows.
#ifndef RUNEXP_GRAPH_OPS_H
#define RUNEXP_GRAPH_OPS_H

#include "graph/graph.h"
#include "kernels/kernels.h"

// Token embedding: ids (batch, time) -> scale * table[id], table (vocabulary, width).
tensor *op_embedding(graph *g, tensor *ids, tensor *table, double scale);

// x + table[t], table (block_size, width). With carried state, t counts from the number of
// tokens that came before.
tensor *op_learned_positions(graph *g, tensor *x, tensor *table);

// x + sinusoidal positions (arXiv 1706.03762, section 3.5); block_size rows are tabulated.
tensor *op_sinusoidal_positions(graph *g, tensor *x, int block_size);

// act(x W^T + b): W (out, in), b (out) or NULL. x's last axis is `in`; W may have more axes, whose product
// is `in`.
tensor *op_linear(graph *g, tensor *x, tensor *weight, tensor *bias, activation act);

// A weight (out, in) laid out for products with its transpose (x W^T) or with itself (dy W): a derived
// tensor, one for each weight and direction.
tensor *op_pack(graph *g, tensor *weight, bool transposed);

// The last `taps` tokens of each token, zero before the first: (batch, time, width) -> (batch, time, width
// * taps), row element i*taps + j being column i of the token taps-1-j places back. A linear map of it with
// a weight (out, width, taps) is a causal convolution. Returns x itself for one tap. With carried state,
// the tokens before those of a run are kept in it.
tensor *op_unfold(graph *g, tensor *x, int taps);

// y = x + branch. When branch was made by the operator appended last, and that is a linear without
// activation or a dropout, the sum is fused into it: branch must not be used afterwards.
tensor *op_residual(graph *g, tensor *x, tensor *branch);

tensor *op_add(graph *g, tensor *a, tensor *b);               // same shapes
tensor *op_multiply(graph *g, tensor *a, tensor *b);          // same shapes
tensor *op_concat(graph *g, tensor *const *parts, int count); // along the last axis
tensor *op_stack(graph *g, tensor *const *parts, int count);  // along the first

tensor *op_activation(graph *g, tensor *x, activation act);
// act(a) * u where x = (a | u) along the last axis: (.., 2F) -> (.., F)
tensor *op_gated(graph *g, tensor *x, activation act);

// least + log(1 + exp(x)): what is above `least`, made of a parameter that may be anything; and the x of a
// value y > least.
tensor *op_softplus(graph *g, tensor *x, double least);
double softplus_inverse(double y, double least);

tensor *op_layernorm(graph *g, tensor *x, tensor *gamma, tensor *beta, double epsilon); // beta may be NULL
tensor *op_rmsnorm(graph *g, tensor *x, tensor *gamma, double epsilon);

// Dropout in graphs with gradients; returns x itself when p is 0, and in others.
tensor *op_dropout(graph *g, tensor *x, double p);
// Elements column .. column + width - 1 of the last axis; and with dropout.
tensor *op_columns(graph *g, tensor *x, int column, int width);
tensor *op_dropout_columns(graph *g, tensor *x, int column, int width, double p);

typedef struct attention_options {
    int heads, kv_heads, head_size;
    int window;     // 0: full causal
    double dropout; // of the attention probabilities
    tensor *scale;  // of the scores, one number; NULL: 1 / sqrt(head_size)
    int rope_dim;   // 0: no rotary positions
    double rope_base;
    tensor *q_gamma, *k_gamma; // RMSNorm of q and k over head_size, or NULL
    int block_size;            // capacity of the cache with carried state and no (shorter) window
    bool shared_qkv;           // q, k and v are one: the rows hold it once
} attention_options;

// Causal self-attention over qkv rows (q | k | v): (batch, time, (heads + 2 kv_heads) * head_size) ->
// (batch, time, heads * head_size). Where q, k and v are one, that of a row: (batch, time, heads *
// head_size), kv_heads being heads.
tensor *op_attention(graph *g, tensor *qkv, const attention_options *options);

// Which columns of their rows a long convolution's operands take: `channels` of them from each offset on.
typedef struct convolution_options {
    int channels;
    int column;                 // of x
    int filter_column;          // of filter and beta
    tensor *gate_in, *gate_out; // (batch, time, any width), may be x itself; or NULL
    int gate_in_column, gate_out_column;
} convolution_options;

// x moved towards zero by `threshold`, and zero where it does not reach that far: sign(x) max(|x| -
// threshold, 0).
tensor *op_shrink(graph *g, tensor *x, double threshold);

// y = gate_out * z, where in every channel z_t = sum over j <= t of filter_t-j w_j + beta w_t, w = gate_in
// * x: (batch, time, channels). filter: (taps, any width), taps >= time, of which as many as there is time
// are used; a parameter, or what an operator made of parameters. beta: (any width) or NULL. Columns that
// the operator reads must not overlap. The same filter must come with every pass of a step.
tensor *op_long_convolution(graph *g, tensor *x, tensor *filter, tensor *beta,
                            const convolution_options *options);

// y[b][t][c] = bias[c] + sum over j of weight[c][j] x[b][t - K + 1 + j][c], x being 0 before the beginning:
// weight has channels * K elements, K <= SHORT_CONVOLUTION_TAPS; bias may be NULL.
tensor *op_short_convolution(graph *g, tensor *x, tensor *weight, tensor *bias);

// What the network of implicit filters is made of: see filter_parameters in kernels/kernels.h.
typedef struct implicit_filter_options {
    int grid;    // positions: with carried state the filters have all taps, else the first `time` of them
    int filters; // each with out's rows / filters channels
    int layers;  // 1 .. FILTER_LAYERS
    tensor *weight[FILTER_LAYERS], *bias[FILTER_LAYERS], *out, *frequency, *skip;
    tensor *features; // learned, declared by implicit_filter_features; NULL: its initial values
    tensor *rates;    // learned, declared by implicit_filter_rates; NULL: its initial values of these two
    double slowest, fastest;
    double shift;
    bool normalised;
} implicit_filter_options;

// The filters side by side, (taps, filters * channels); the skip term is part of tap 0.
tensor *op_implicit_filter(graph *g, const implicit_filter_options *options);

// Parameters with the initial values of the formulas: features of positions (1, grid, features), and rates
// of decay (1, 1, channels), spread evenly from the slowest to the fastest.
parameter_declaration implicit_filter_features(int grid, int features);
parameter_declaration implicit_filter_rates(int channels, double slowest, double fastest);

// A recurrent layer (kernels/arguments.h, recurrence): y is (batch, time, R), the hidden states. An LSTM
// has the gates i, f, g, o, a GRU r, z, n, with PyTorch's weights: w_ih (gates R, width of x), w_hh (gates
// R, R), b_ih and b_hh (gates R; both NULL: none). The state before the first token is h, and c of an LSTM,
// (batch, R): NULL is zero. A token that begins a document (run_context.begins) has no state before it. In
// a graph with states these are carried instead, without a gradient from block to block (truncated
// backpropagation through time). Of an x that an embedding made, the table may be multiplied in place of
// every token, where that is less work.
typedef struct recurrence_options {
    cell_type cell;
    tensor *w_ih, *w_hh, *b_ih, *b_hh, *h, *c;
} recurrence_options;

tensor *op_recurrence(graph *g, tensor *x, const recurrence_options *options);

// Synapses (kernels/arguments.h, synapses), (in, out) each.
typedef struct synapse_tensors {
    tensor *w, *sigma, *mu, *erev;
} synapse_tensors;

// What they make of presynaptic values v, (.., in): (.., 2 out), drive then decay; the latter is zero
// unless they conduct.
tensor *op_synapses(graph *g, tensor *v, const synapse_tensors *synapses, bool conducts);

// A liquid time-constant network (kernels/arguments.h, ltc): the x after each token, (batch, time, n). Its
// neurons are driven by `input`, (batch, time, n), and by each other through `weight`, a parameter (n, n),
// with amplitude and tau (n; tau NULL: fixed_tau); or by `input`, (batch, time, 2 n), from op_synapses, and
// by each other through synapses (n, n), with leak, rest and capacity (n). The x before the first token is
// `first`, (batch, n): NULL is zero; in a graph with states it is carried instead, as by op_recurrence.
// With checkpointing the backward step computes what the forward step could have kept of each evaluation: 2
// n values, or 3 n with synapses.
typedef struct ltc_options {
    tensor *weight, *amplitude, *tau; // NULL with synapses
    synapse_tensors synapses;         // else NULL, like the three
    tensor *leak, *rest, *capacity;
    tensor *first;
    ode_solver solver;
    int steps;
    double step, fixed_tau;
    double rtol, atol; // dopri5, which always computes again
    activation act;    // sigmoid or tanh
    bool adaptive, abs_gate, checkpointing;
} ltc_options;

tensor *op_ltc(graph *g, tensor *input, const ltc_options *options);

// A closed-form continuous-time network (kernels/arguments.h, cfc): y is (batch, time, R), the hidden
// states. Its weights: of the first map, (out, width of x + R), whose columns multiply x and then h; of
// each further one (out, units), the last of them the heads, side by side (cfc_heads R, units). Documents
// and states are as of op_recurrence, without a state from elsewhere.
typedef struct cfc_options {
    cfc_mode mode;
    int width, layers;                         // R; of the backbone, 0 .. CFC_LAYERS
    tensor *weight[CFC_MAPS], *bias[CFC_MAPS]; // of the layers, then of the heads
    tensor *constants;                         // CFC_PURE: A, then w, (2, R)
} cfc_options;

tensor *op_cfc(graph *g, tensor *x, const cfc_options *options);

// Softmax cross-entropy: logits (batch, time, vocabulary), targets (batch, time) with negative = ignored ->
// losses (batch, time). In graphs with gradients the logits are overwritten by their gradient. Logits that
// were made by the operator appended last, a linear without activation, and are too many for the caches
// never exist all at once: the two operators become op_linear_cross_entropy, and logits->producer NULL.
tensor *op_cross_entropy(graph *g, tensor *logits, tensor *targets, double smoothing);

// The same for the logits x W^T + b (W (vocabulary, width), b (vocabulary) or NULL), made `chunk` rows at a
// time. With gradients, a chunk's logits become their gradient, and that becomes a part of the gradients of
// x, W and b, before the next chunk takes its place: no logit is computed twice.
tensor *op_linear_cross_entropy(graph *g, tensor *x, tensor *weight, tensor *bias, tensor *targets,
                                double smoothing, int chunk);

#endif
