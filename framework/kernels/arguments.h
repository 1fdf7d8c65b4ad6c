// The structs that kernels take.
#ifndef RUNEXP_KERNELS_ARGUMENTS_H
#define RUNEXP_KERNELS_ARGUMENTS_H

#include "base/real.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Activations, and their names in experiment files. Absence of one is ACTIVATION_NONE, 0.
// clang-format off
#define ACTIVATIONS(EACH)                   \
    EACH(ACTIVATION_GELU, "gelu")           /* x Phi(x), exact */ \
    EACH(ACTIVATION_GELU_TANH, "gelu_tanh") /* its tanh approximation */ \
    EACH(ACTIVATION_RELU, "relu")           \
    EACH(ACTIVATION_RELU2, "relu2")         /* max(x, 0)^2 */ \
    EACH(ACTIVATION_SILU, "silu")           \
    EACH(ACTIVATION_TANH, "tanh")           \
    EACH(ACTIVATION_SIGMOID, "sigmoid")
#define ACTIVATION_VALUE(value, name) value,
#define ACTIVATION_NAME(value, name) name,
// clang-format on

typedef enum activation { ACTIVATION_NONE, ACTIVATIONS(ACTIVATION_VALUE) ACTIVATION_COUNT } activation;

// What a matrix product does to its result before storing it, in this order:
//   C = act( op(A) op(B) + bias ) + residual + beta * C   or   (op(A) op(B) + bias) * factor
// slope, when not NULL, receives act'(op(A) op(B) + bias): the factor of the product that makes the
// gradient of C. NULL members are left out. Partial sums over K are kept in C, or in slope when there is
// one; so an activation without slope excludes accumulate and a residual that is C, and accumulate excludes
// a residual that is C.
typedef struct gemm_epilogue {
    const real *bias; // N values, added to every row
    activation act;
    real *slope;          // M x N, leading dimension ldc
    const real *residual; // M x N, leading dimension ldc; may be C itself
    bool accumulate;      // beta = 1, else 0 (C is then never read)
    const real *factor;   // M x N, leading dimension ldc; then none of the four before
} gemm_epilogue;

// Dropout of a tensor: element e of stream `random` is dropped when its 16 bits (rng_half) are below p *
// 2^16, rounded. The others are scaled by the reciprocal of the share that this keeps, which differs from 1
// - p by 2^-17 at most, so that the mean is exactly the one without dropout.
typedef struct dropout_mask {
    real p; // 0: no dropout, stream unused
    rng_stream random;
} dropout_mask;

static inline uint32_t dropout_threshold(real p) { // p < 1
    const uint32_t threshold = (uint32_t)((double)p * 65536 + 0.5);
    return threshold < 65536 ? threshold : 65535;
}

static inline real dropout_factor(real p) {
    return (real)(65536 / (65536 - (double)dropout_threshold(p)));
}

// Causal self-attention. Rows of qkv hold q (heads*head_size), k and v (kv_heads*head_size each).
typedef struct attention_shape {
    int batch, time, heads, kv_heads, head_size;
    int window;      // 0: full causal; else key j is visible to query i when i-window < j <= i
    real scale;      // of the scores, 1/sqrt(head_size) by default
    bool shared_qkv; // q, k and v are one: rows of qkv hold it once, and kv_heads is heads
} attention_shape;

// Columns of a row of qkv, and those at which k and v begin.
static inline int attention_columns(const attention_shape *s) {
    return (s->shared_qkv ? s->heads : s->heads + 2 * s->kv_heads) * s->head_size;
}

static inline int attention_key_column(const attention_shape *s) {
    return s->shared_qkv ? 0 : s->heads * s->head_size;
}

static inline int attention_value_column(const attention_shape *s) {
    return s->shared_qkv ? 0 : (s->heads + s->kv_heads) * s->head_size;
}

// An operand of a long convolution: row r, one value a channel, begins at r ld. Absent when value is NULL.
typedef struct convolution_operand {
    const real *value;
    real *gradient; // of the same rows; NULL: not wanted
    int ld;
    bool adds; // to the gradient
} convolution_operand;

// For each of `batch` sequences of `time` rows, and each channel by itself,
//     w = gate_in * x,   z_t = sum over j <= t of h_t-j w_j + beta w_t,   y = gate_out * z,
// where h is `filter`, `time` rows. The gates and beta may be absent.
typedef struct convolution {
    int batch, time, channels;
    convolution_operand x, gate_in, gate_out, filter;
    const real *beta;
    const real *tables; // from convolution_tabulate
    real *prepared;     // from convolution_prepare
    real *y;            // batch x time x channels
    real *z;            // the same; read in the backward pass for the gradient of gate_out; NULL: not kept
    const real *dy;
    real *dbeta; // NULL: not wanted
    bool adds_beta;
} convolution;

// Implicit filters (arXiv 2302.10866, section 3.3): `filters` of `width` channels each, side by side, made
// by one network. At position p of the grid, with its features z and t = p / (grid - 1),
//     a = z,   then a = sin(frequency * (W_i a + b_i)) for i = 0 .. layers-1,
//     h = (out a) (exp(-t |rates|) + shift).
// Channel c of `out`, `rates` and `skip` belongs to filter c mod filters at width c / filters. `normalised`
// divides every channel by the sum of |h| over the grid. Finally skip is added to position 0: a convolution
// with the filter then adds skip times its input.
typedef struct filter_shape {
    int grid, taps;               // positions; how many of them, from the first, are wanted
    int features, hidden, layers; // features: odd
    int filters, width;
    double shift;
    bool normalised;
} filter_shape;

enum { FILTER_LAYERS = 5 }; // at most

typedef struct filter_parameters {
    const real *features; // grid x features; NULL: those of kernels/convolution/filter_features.h
    const real *weight[FILTER_LAYERS], *bias[FILTER_LAYERS]; // hidden x features or hidden; hidden
    const real *frequency;                                   // hidden
    const real *out;                                         // (filters * width) x hidden
    const real *rates, *skip;                                // filters * width
} filter_parameters;

typedef struct filter_gradients { // of the members of the same names; features and rates may be NULL
    real *features, *weight[FILTER_LAYERS], *bias[FILTER_LAYERS], *frequency, *out, *rates, *skip;
    bool accumulate;
} filter_gradients;

enum { SHORT_CONVOLUTION_TAPS = 64 }; // at most

// Cells of a recurrence.
typedef enum cell_type { CELL_LSTM, CELL_GRU } cell_type;

enum { LSTM_FORGET = 1 }; // the place of the forget gate among those of an LSTM

static inline int cell_gates(cell_type cell) {
    return cell == CELL_LSTM ? 4 : 3;
}

// A recurrence of `batch` sequences of `time` tokens and R = width hidden units, G = cell_gates: for each
// token
//     h_t, c_t = cell(x_t W_ih^T + b_ih, h_t-1 W_hh^T + b_hh, h_t-1, c_t-1)
// A cell without c leaves c_first and dc_first alone. Weights are packed (gemm_pack).
typedef struct recurrence {
    cell_type cell;
    int batch, time, width;
    const void *weight;            // forward: W_hh^T, R x G R; backward: W_hh, G R x R
    const real *bias;              // b_hh, G R; NULL: none
    const real *h_first, *c_first; // before the first token: batch x R
    // batch x time: tokens before which h and c are zero, whatever the token before left; no gradient goes
    // back beyond them. NULL: there are none.
    const bool *begins;
    // batch x time x G R: x W_ih^T + b_ih. The forward step leaves there what the backward step needs, and
    // that one the gradient of what was there first.
    real *gates;
    // batch x time x R: from the forward step, c (LSTM), or the recurrent sum of n (GRU), whose gradient
    // the backward step then leaves there.
    real *saved;
    real *h;                   // batch x time x R: the outputs
    const real *dy;            // gradient of the outputs
    real *dh_first, *dc_first; // NULL: not wanted
    bool adds_dh_first, adds_dc_first;
    real *workspace; // recurrence_workspace bytes, 64-byte aligned
} recurrence;

// Solvers of dx/dt = N(x) - L(x) x; `step` is the time h between x and x'.
typedef enum ode_solver {
    SOLVER_SEMI_IMPLICIT, // x' = (x + h N) / (1 + h L), with N and L at the old x
    SOLVER_EULER,         // x' = x + h (N - L x)
    SOLVER_RK4,           // the classical Runge-Kutta method of order 4
    SOLVER_DOPRI5,        // Dormand-Prince 5(4), which chooses its steps
    SOLVER_COUNT
} ode_solver;

// How often a step evaluates N and L.
static inline int solver_stages(ode_solver solver) {
    return solver == SOLVER_DOPRI5 ? 6 : solver == SOLVER_RK4 ? 4 : 1;
}

enum { LTC_ADAPTIVE_STEPS = 64 }; // of dopri5 for a token at most, steps that it rejects included

// Synapses from `in` to `out` neurons, all arrays in x out: the conductance of one is w sigmoid(sigma (v -
// mu)) for a presynaptic v, and erev its reversal potential. Into each neuron they sum up to
//     decay = sum of conductances,   drive = sum of conductance x erev
typedef struct synapses {
    int in, out;
    const real *w, *sigma, *mu, *erev;
} synapses;

typedef struct synapse_gradients {
    real *w, *sigma, *mu, *erev;
    bool adds_w, adds_sigma, adds_mu, adds_erev;
} synapse_gradients;

// A neuron by itself: capacity dv/dt = leak (rest - v).
typedef struct membranes {
    const real *leak, *rest, *capacity; // n
} membranes;

typedef struct membrane_gradients {
    real *leak, *rest, *capacity;
    bool adds_leak, adds_rest, adds_capacity;
} membrane_gradients;

// A liquid time-constant network (arXiv 2006.04439) of n = width neurons over `batch` sequences of `time`
// tokens. While a token lasts, `steps` steps of length `step`, its input is constant and
//     dx/dt = f A - (1/tau + phi) x,   f = act(x W^T + input)
// phi being |f| (abs_gate) or f where the network is adaptive, and 0 where it is not. With synapses, it is
//     capacity dx/dt = leak rest + drive + input_1 - (leak + decay + input_2) x
// of drive and decay at x, without decay and input_2 where the network is not adaptive.
typedef struct ltc {
    ode_solver solver;
    activation act; // sigmoid or tanh
    bool adaptive, abs_gate;
    int batch, time, width, steps;
    double step;
    double rtol, atol; // dopri5: of the error of x in a step
    // batch x time: tokens before which x is zero, whatever the token before left; no gradient goes back
    // beyond them. NULL: there are none.
    const bool *begins;
    const void *weight; // packed (gemm_pack): forward W^T, n x n; needed in the backward step without tape
    const void *weight_backward; // packed: W
    const real *amplitude;       // A, n
    const real *tau;             // n; NULL: all of them are
    double fixed_tau;
    const synapses *synapses; // from n to n; then there are no act, abs_gate, weights, amplitude and tau
    membranes membranes;
    const real *input;   // batch x time x n; with synapses 2 n, input_1 and input_2
    const real *x_first; // before the first token, batch x n
    real *x;             // batch x time x n: after each token
    // Tape, batch x time x steps x stages x n: at which x the forward step evaluated the equation, and what
    // f was there, which the backward step overwrites; with synapses, the two sides of the equation, 2 n.
    // NULL: not kept; the backward step then computes them again, for some tokens at a time, as it always
    // does for dopri5.
    real *points, *kept;
    // batch x time x LTC_ADAPTIVE_STEPS: the steps that dopri5 took, 0 after the last, which the backward
    // step takes again; NULL: not kept. Where so many are not enough x becomes NaN.
    real *lengths;
    // Gradients; the forward step reads none of these.
    const real *dx;             // of x
    real *dinput;               // batch x time x n
    real *dweight, *damplitude; // n x n, n
    real *dtau, *dx_first;      // NULL: not wanted
    bool adds_dinput, adds_dweight, adds_damplitude, adds_dtau, adds_dx_first;
    synapse_gradients dsynapses;
    membrane_gradients dmembranes;
    void *workspace; // ltc_workspace bytes, 64-byte aligned
} ltc;

// A memory in front of another recurrent layer ("mixed memory", arXiv 2006.04418): an LSTM that goes on
// from the layer's h, and whose own h is what the layer goes on from. All tensors are batch x time x
// something, but for those of batch x R.
typedef struct mixed_memory {
    int time, width;     // R, the layer's
    const void *weight;  // packed (gemm_pack): forward W_hh^T, backward W_hh, 4 R x R
    const bool *begins;  // as of recurrence
    const real *c_first; // batch x R
    real *sums;          // 4 R: x W_ih^T + b
    real *gates;         // 4 R: from the forward step, for the backward step, which overwrites them
    real *c;             // R
    real *h_before;      // R: the layer's h before each token; zero where a document begins
    real *h;             // R: the memory's
    real *dsums;         // gradient of sums, and of h_before W_hh^T
    real *dc;            // scratch of the backward step, batch x R
    const real *zeros;   // R
} mixed_memory;

// A closed-form continuous-time network (arXiv 2106.13898) of `batch` sequences of `time` tokens and R =
// width hidden units; one unit of time passes from token to token. Each map reads what the one before made:
//     a_0 = phi(x W_x^T + b_0 + h W_0^T),   a_k = phi(a_k-1 W_k^T + b_k),   phi(p) = 1.7159 tanh(0.666 p)
// and the last, without phi, makes the heads s of what h is next:
//     CFC_DEFAULT   f = tanh(s_0), g = tanh(s_1), t = sigmoid(s_2):   h = f (1 - t) + g t
//     CFC_NO_GATE   the same:                                         h = f + g t
//     CFC_PURE      h = A - A exp(-(|w| + |s|)) s
typedef enum cfc_mode { CFC_DEFAULT, CFC_NO_GATE, CFC_PURE } cfc_mode;

static inline int cfc_heads(cfc_mode mode) {
    return mode == CFC_PURE ? 1 : 3;
}

enum { CFC_LAYERS = 4, CFC_MAPS = CFC_LAYERS + 1 }; // at most

// All tensors are batch x time x something.
typedef struct cfc {
    cfc_mode mode;
    int batch, time, width;
    int layers, units;            // before the heads: their number, and their width
    const void *weight[CFC_MAPS]; // packed (gemm_pack): forward W_k^T, backward W_k
    const real *bias[CFC_MAPS];   // of all but the first map
    const real *constants;        // CFC_PURE: A, then w, 2 x R
    // Tokens before which h is zero, and beyond which no gradient goes back; NULL: there are none.
    const bool *begins;
    const real *sums;           // x W_x^T + b_0
    const real *h_first;        // batch x R
    real *before;               // R: what each token goes on from: h of the last one, or of the memory
    real *layer[CFC_LAYERS];    // units: a_k
    real *heads;                // heads R: f, g, t; CFC_PURE: s
    real *h;                    // R
    const real *dh;             // gradient of h as an output
    real *dsums[CFC_MAPS];      // of the sums of each map; the last may be `heads`
    real *dconstants;           // CFC_PURE: of the rows of the batch, batch x 2 R
    real *dh_next;              // scratch of the backward step, batch x R
    const mixed_memory *memory; // whose h is `before`; NULL: none
} cfc;

// In double, so that 1 - beta and the like are exact to rounding when a kernel converts them to real (in
// float, 1 - 0.999f is wrong in its fifth digit).
typedef struct optimizer_update {
    double lr, beta1, beta2, epsilon, weight_decay; // lr after the schedule
    double gradient_scale;           // clip factor / accumulation count: multiplies every gradient
    double correction1, correction2; // 1 - beta1^t, 1 - beta2^t
    double momentum, dampening;      // SGD
    bool nesterov, first_step;
} optimizer_update;

// A range [begin, end) of the parameters with settings of its own. An update is one parallel loop over all
// pieces, so they should be of one size, and small (UPDATE_PIECE).
typedef struct update_piece {
    size_t begin, end;
    double lr_multiplier;
    bool decay; // weight decay applies
} update_piece;

enum { UPDATE_PIECE = 4096 };

#endif
