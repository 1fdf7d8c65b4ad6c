// Kernels: the inner loops over plain arrays. They know no graph and allocate nothing.
//
// Each kernel source is compiled once per instruction set (see kernels/isa.h); `kernels` is the table of
// the chosen one. Matrices are row-major. Parallel kernels split work by shape, never by the number of
// threads, so results do not depend on it. Those marked SERIAL never start threads: they are for use inside
// parallel loops.
#ifndef RUNEXP_KERNELS_KERNELS_H
#define RUNEXP_KERNELS_KERNELS_H

#include "base/error.h"
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
// slope, when not NULL, receives act'(op(A) op(B) + bias), which the backward pass multiplies by: it is the
// factor of the product that makes the gradient of C. NULL members are left out. Sums over a long K wait in
// C, or in slope when there is one; so an activation without slope excludes accumulate and a residual that
// is C, and accumulate excludes a residual that is C.
typedef struct gemm_epilogue {
    const real *bias; // N values, added to every row
    activation act;
    real *slope;          // M x N, leading dimension ldc
    const real *residual; // M x N, leading dimension ldc; may be C itself
    bool accumulate;      // beta = 1, else 0 (C is then never read)
    const real *factor;   // M x N, leading dimension ldc; then none of the four before
} gemm_epilogue;

// Dropout of a tensor: element e of stream `random` is dropped when its 16 bits (rng_half) are below
// p * 2^16, rounded; what is kept is scaled by the reciprocal of the share that this leaves, which differs
// from 1 - p by 2^-17 at most, so that the mean is exactly what it would be without dropout.
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

// Shape of causal self-attention. Rows of qkv hold q (heads*head_size), k (kv_heads*head_size), v (the
// same).
typedef struct attention_shape {
    int batch, time, heads, kv_heads, head_size;
    int window; // 0: full causal; else key j is visible to query i when i-window < j <= i
    real scale; // of the scores, 1/sqrt(head_size) by default
} attention_shape;

// One side of a long convolution: row r, of as many values as there are channels, begins at r ld. Absent
// when value is NULL; its gradient has the same rows, and is NULL when nobody wants it.
typedef struct convolution_operand {
    const real *value;
    real *gradient;
    int ld;
    bool adds; // to the gradient
} convolution_operand;

// y = gate_out * z, z_t = sum over j <= t of h_t-j w_j + beta w_t, w = gate_in * x, for `batch` sequences
// of `time` rows and every channel apart. h: `time` rows. The gates and beta may be absent.
typedef struct convolution {
    int batch, time, channels;
    convolution_operand x, gate_in, gate_out, filter;
    const real *beta;
    const real *tables; // from convolution_tabulate
    real *prepared;     // from convolution_prepare
    real *y;            // batch x time x channels, as z, which may be NULL in the forward step
    real *z;            // and is read by the backward step for the gradient of gate_out only
    const real *dy;
    real *dbeta; // NULL: not wanted
    bool adds_beta;
} convolution;

// Implicit filters (arXiv 2302.10866, section 3.3), `filters` of `width` channels each side by side, made
// by one network: at position p of the grid, with its features z and t = p / (grid - 1),
//   a = sin(frequency * (W_i a + b_i)), i = 0 .. layers-1, a = z at first;
//   h = (out a) (exp(-t |rates|) + shift)
// Channel c of `out`, `rates` and `skip` belongs to filter c mod filters at width c / filters. `normalised`
// divides every channel by the sum of |h| over the grid. Finally skip is added to position 0: a convolution
// with the filter then adds skip times its input.
typedef struct filter_shape {
    int grid, taps;               // positions; how many of the first are wanted
    int features, hidden, layers; // features: odd
    int filters, width;
    double shift;
    bool normalised;
} filter_shape;

enum { FILTER_LAYERS = 5 }; // at most

typedef struct filter_parameters {
    const real *features; // grid x features; NULL: those of kernels/filter_features.h
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

// In double, so that 1 - beta and the like are exact to rounding when a kernel takes them to real (in
// float, 1 - 0.999f is wrong in its fifth digit).
typedef struct optimizer_update {
    double lr, beta1, beta2, epsilon, weight_decay; // lr after the schedule
    double gradient_scale;           // clip factor / accumulation count: multiplies every gradient
    double correction1, correction2; // 1 - beta1^t, 1 - beta2^t
    double momentum, dampening;      // SGD
    bool nesterov, first_step;
} optimizer_update;

// A stretch [begin, end) of the parameters, and what is special about it. Updates of all of them run in one
// parallel loop over the pieces, so pieces should be of one size, and small (UPDATE_PIECE).
typedef struct update_piece {
    size_t begin, end;
    double lr_multiplier;
    bool decay; // weight decay applies
} update_piece;

enum { UPDATE_PIECE = 4096 };

typedef struct kernel_table {
    const char *name; // "avx512", "avx2", "sse4", "plain"
    int vector_bytes;

    // ---- matrix products

    // C (M x N) = epilogue(op(A) op(B)); op(A) is M x K: A is M x K (lda) or, transposed, K x M; op(B) is
    // K x N. M, N, K >= 1. epilogue may be NULL. workspace: gemm_workspace() bytes, 64-byte aligned,
    // asked for with at least as many threads in force as later multiply. Not for use inside parallel
    // loops.
    void (*gemm)(bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda,
                 const real *B, int ldb, real *C, int ldc, const gemm_epilogue *epilogue, void *workspace);
    size_t (*gemm_workspace)(int N, int K);
    // The same in two parts, for a B that several products share: op(B) goes to `packed`,
    // gemm_packed_reals() reals, 64-byte aligned. Bit for bit the results of gemm.
    void (*gemm_pack)(bool transpose_b, int N, int K, const real *B, int ldb, real *packed);
    size_t (*gemm_packed_reals)(int N, int K);
    void (*gemm_packed)(bool transpose_a, int M, int N, int K, const real *A, int lda, const real *packed,
                        real *C, int ldc, const gemm_epilogue *epilogue);

    // y = epilogue(x W^T) for a matrix that is used many times: x is M x K, W is N x K, y is M x N, all
    // without gaps. packed: packed_reals() values, 64-byte aligned, that packed_fill made from W for this
    // instruction set. Each row of y is the same to the bit whatever M is and wherever the row stands. Of
    // the epilogue, which may not be NULL, slope, factor and accumulate are not supported; the residual may
    // be y. Made for work of microseconds: the threads are a team (base/team.h), a thread always reads the
    // same part of W.
    size_t (*packed_reals)(int N, int K);
    void (*packed_fill)(int N, int K, const real *W, real *packed);
    void (*packed_multiply)(int M, int N, int K, const real *x, const real *packed, real *y,
                            const gemm_epilogue *epilogue);

    // ---- elementwise and reductions

    // n elements: y = act(x); dx (+)= dy act'(pre). y may be x, dx may be dy.
    void (*activation_forward)(activation act, size_t n, const real *x, real *y);
    void (*activation_backward)(activation act, size_t n, const real *pre, const real *dy, real *dx,
                                bool accumulate);
    // Gated units (arXiv 2002.05202): ab is rows x 2F (a | u): y = act(a) * u, rows x F.
    void (*gated_forward)(activation act, int rows, int F, const real *ab, real *y);
    void (*gated_backward)(activation act, int rows, int F, const real *ab, const real *dy, real *dab);
    void (*add)(size_t n, const real *a, const real *b, real *y); // y = a + b; y may be a or b
    void (*multiply)(size_t n, const real *a, const real *b, real *y, bool accumulate); // y (+)= a * b
    void (*scale)(size_t n, real factor, const real *x, real *y, bool accumulate);      // y (+)= factor * x
    // y = (residual) + mask(x); residual may be NULL. Also its own backward: dx (+)= mask(dy).
    void (*dropout)(size_t n, const dropout_mask *mask, const real *x, const real *residual, real *y,
                    bool accumulate);
    // The same of rows x width values within longer rows, elements being counted without what is between.
    void (*dropout_columns)(int rows, int width, const dropout_mask *mask, const real *x, int ldx, real *y,
                            int ldy, bool accumulate);
    // out[c] (+)= sum over rows of x[r][c], rows x columns; fixed chunks of rows.
    void (*column_sum)(int rows, int columns, const real *x, int ldx, real *out, bool accumulate);
    // Sum of squares in double precision, fixed chunks.
    double (*sum_of_squares)(size_t n, const real *x);
    // Index of the first element that is NaN or infinite, or -1.
    ptrdiff_t (*first_not_finite)(size_t n, const real *x);

    // ---- normalisation

    // statistics: rows x 2 (mean, reciprocal deviation) for layernorm, rows for rmsnorm. beta and dbeta may
    // be NULL. workspace of the backward passes: norm_workspace(rows, columns) bytes.
    void (*layernorm_forward)(int rows, int columns, real epsilon, const real *x, const real *gamma,
                              const real *beta, real *y, real *statistics);
    void (*layernorm_backward)(int rows, int columns, const real *x, const real *gamma,
                               const real *statistics, const real *dy, real *dx, bool accumulate_dx,
                               real *dgamma, real *dbeta, bool accumulate_parameters, void *workspace);
    void (*rmsnorm_forward)(int rows, int columns, real epsilon, const real *x, const real *gamma, real *y,
                            real *statistics);
    void (*rmsnorm_backward)(int rows, int columns, const real *x, const real *gamma,
                             const real *statistics, const real *dy, real *dx, bool accumulate_dx,
                             real *dgamma, bool accumulate_parameters, void *workspace);
    size_t (*norm_workspace)(int rows, int columns);

    // ---- embedding

    // y[r] = scale * table[ids[r]].
    void (*embedding_forward)(int rows, int columns, real scale, const int32_t *ids, const real *table,
                              real *y);
    // dtable[v] (+)= scale * sum of dy over the rows whose id is v, in row order. workspace:
    // embedding_workspace bytes.
    void (*embedding_backward)(int rows, int columns, int vocabulary, real scale, const int32_t *ids,
                               const real *dy, real *dtable, bool accumulate, void *workspace);
    size_t (*embedding_workspace)(int rows, int vocabulary);
    // dpositions[t] (+)= sum over batch of dy[b][t].
    void (*positions_backward)(int batch, int time, int columns, const real *dy, real *dpositions,
                               bool accumulate);

    // ---- windows of a causal convolution

    // y[b][t][i*taps + j] = x[b][t - (taps-1) + j][i]: a row holds what the last `taps` tokens have in
    // column 0, then in column 1, as a convolution's weight (out, width, taps) is laid out. x: batch x time
    // x width. Tokens before the first are in before (batch x taps-1 x width), or zero when it is NULL.
    void (*unfold)(int batch, int time, int width, int taps, const real *x, const real *before, real *y);
    // dx (+)= the sum over the windows that a token is in.
    void (*unfold_backward)(int batch, int time, int width, int taps, const real *dy, real *dx,
                            bool accumulate);

    // ---- rotary positions and per-head RMSNorm of q and k

    // heads x head_size values at the start of rows of width ld, in place or to another place with the same
    // ld; row r has position r mod time. cosine, sine: time x rope_dim/2. sign +1 rotates forward, -1
    // backward (the gradient). Pairs are (i, i + rope_dim/2); values from rope_dim on are copied.
    void (*rotate)(int rows, int time, int heads, int head_size, int rope_dim, int sign, const real *cosine,
                   const real *sine, const real *x, real *y, int ld);

    // RMSNorm over head_size of each head, x and y inside rows of width ld; statistics: rows x heads.
    // gamma: head_size.
    void (*head_norm_forward)(int rows, int heads, int head_size, int ld, real epsilon, const real *x,
                              const real *gamma, real *y, real *statistics);
    // dx is overwritten; dx may be dy. workspace: norm_workspace(rows * heads, head_size) bytes.
    void (*head_norm_backward)(int rows, int heads, int head_size, int ld, const real *x, const real *gamma,
                               const real *statistics, const real *dy, real *dx, real *dgamma,
                               bool accumulate_parameters, void *workspace);

    // ---- attention

    // qkv: (batch*time) x (heads + 2 kv_heads)*head_size. out: (batch*time) x heads*head_size. lse:
    // batch*heads*time, the logarithm of each softmax's sum. mask: dropout of the probabilities, element
    // ((b*heads + h)*time + query)*stride + key, where stride is time rounded up to a multiple of 8; NULL
    // for none. The scores of a few queries and keys exist at a time, never a time x time matrix.
    // workspace: attention_workspace(shape, threads) bytes, 64-byte aligned.
    void (*attention_forward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                              real *out, real *lse, void *workspace);
    // dqkv is overwritten.
    void (*attention_backward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                               const real *out, const real *lse, const real *dout, real *dqkv,
                               void *workspace);
    size_t (*attention_workspace)(const attention_shape *shape, int threads);
    // The next `time` tokens of each sequence of the batch against a cache, one query after the other: the
    // keys and values of token t, which is number position + t of its text, take slot (position + t) mod
    // capacity, then its query attends to all slots in use (shape->window plays no part). qkv and out as
    // above. keys and values: batch x capacity x kv_heads*head_size reals in an order of the kernel's own.
    // workspace: capacity reals for each thread. Threads are a team (base/team.h).
    void (*attention_decode)(const attention_shape *shape, int capacity, int position, const real *qkv,
                             real *keys, real *values, real *out, void *workspace);

    // y = sign(x) max(|x| - threshold, 0); dx (+)= |x| > threshold ? dy : 0. n elements.
    void (*shrink_forward)(size_t n, real threshold, const real *x, real *y);
    void (*shrink_backward)(size_t n, real threshold, const real *x, const real *dy, real *dx,
                            bool accumulate);

    // ---- long convolution (see the struct above), by Fourier transforms

    // Angles for sequences of this length: so many reals, SERIAL.
    size_t (*convolution_tables)(int time);
    void (*convolution_tabulate)(int time, real *tables);
    // Makes of filter and beta what the other two read: so many reals, 64-byte aligned, good until filter
    // or beta change.
    size_t (*convolution_prepared)(int time, int channels);
    void (*convolution_prepare)(const convolution *c, void *workspace);
    // workspace: convolution_workspace(c, threads) bytes, 64-byte aligned, for all three; of c it looks at
    // the shape and at filter.adds, which must be set where filter.gradient is NULL.
    void (*convolution_forward)(const convolution *c, void *workspace);
    void (*convolution_backward)(const convolution *c, void *workspace);
    size_t (*convolution_workspace)(const convolution *c, int threads);

    // ---- implicit filters (see the structs above), short convolutions

    // h: taps x (filters * width). normaliser: 2 x (filters * width), needed when normalised: what a
    // channel was multiplied by, and its tap 0 before the skip term. workspace of both:
    // filter_workspace(shape, threads, backward) bytes, 64-byte aligned.
    void (*filter_forward)(const filter_shape *shape, const filter_parameters *parameters, real *h,
                           real *normaliser, void *workspace);
    // From the gradients dh of h; h and normaliser as forward left them, needed when normalised.
    void (*filter_backward)(const filter_shape *shape, const filter_parameters *parameters, const real *h,
                            const real *normaliser, const real *dh, const filter_gradients *gradients,
                            void *workspace);
    size_t (*filter_workspace)(const filter_shape *shape, int threads, bool backward);

    // y[b][t][c] = bias[c] + sum over j of weight[c][j] x[b][t - taps + 1 + j][c]; weight: channels x taps,
    // taps <= SHORT_CONVOLUTION_TAPS; bias may be NULL. history: batch x (taps - 1) x channels, the rows
    // before the first; NULL: zeros. workspace of both: short_convolution_workspace bytes.
    void (*short_convolution_forward)(int batch, int time, int channels, int taps, const real *x,
                                      const real *history, const real *weight, const real *bias, real *y,
                                      void *workspace);
    // After a forward step without history. dx and dbias may be NULL.
    void (*short_convolution_backward)(int batch, int time, int channels, int taps, const real *x,
                                       const real *weight, const real *dy, real *dx, bool accumulate_dx,
                                       real *dweight, real *dbias, bool accumulate_parameters,
                                       void *workspace);
    size_t (*short_convolution_workspace)(int batch, int time, int channels, int taps, bool backward);

    // The same for the next `time` tokens of streams, position tokens having come before: outputs are
    // needed before the next inputs are known. The filter has so many taps, however long the stream.
    // constants: so many reals that convolution_online_prepare makes of filter and beta; state: so many
    // reals for each stream, zero at first. Both are 64-byte aligned, and so is the workspace, of so many
    // bytes. phase: what is done now and then, for many tokens, is done at other tokens in another phase; 0
    // or more, always the same for a stream. Threads are a team (base/team.h); those of
    // convolution_online_prepare are not.
    size_t (*convolution_online_constants)(int taps, int channels);
    void (*convolution_online_prepare)(const convolution *c, int taps, real *constants, void *workspace);
    size_t (*convolution_online_state)(int taps, int channels);
    void (*convolution_online)(const convolution *c, int taps, int position, int phase,
                               const real *constants, real *state, void *workspace);
    size_t (*convolution_online_workspace)(int taps, int threads);

    // ---- loss

    // losses[r] = lse(logits[r]) - sum of q logits[r], where q = (1 - smoothing) onehot(target[r]) +
    // smoothing / vocabulary; 0 where target is negative. When gradient is set the logits are overwritten
    // by gradient_scale * (softmax - q), 0 for ignored rows.
    void (*cross_entropy)(int rows, int vocabulary, real *logits, const int32_t *targets, real smoothing,
                          bool gradient, real gradient_scale, real *losses);

    // ---- optimizers: one pass over the parameters p in the pieces; m and v are the state. For each piece
    // lr is multiplied by its lr_multiplier, and weight_decay is 0 unless it decays.

    // With h = gradient_scale g, and h += weight_decay p where the decay is coupled (sgd, rmsprop, adam
    // that is not decoupled): sgd      m = first_step ? h : momentum m + (1 - dampening) h;  p -= lr
    // (nesterov ? h + momentum m : m);
    //          without momentum p -= lr h, and m may be NULL
    void (*update_sgd)(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                       const real *g, real *m);
    // rmsprop  v = beta2 v + (1 - beta2) h^2;  p -= lr h / (sqrt(v) + epsilon)
    void (*update_rmsprop)(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                           const real *g, real *v);
    // adam     p *= 1 - lr weight_decay (decoupled only);  m = beta1 m + (1 - beta1) h;
    //          v = beta2 v + (1 - beta2) h^2;  p -= lr / correction1 m / (sqrt(v / correction2) + epsilon)
    void (*update_adam)(int count, const update_piece *pieces, const optimizer_update *u, bool decoupled,
                        real *p, const real *g, real *m, real *v);
    // lion     p -= lr (sign(beta1 m + (1 - beta1) h) + weight_decay p);  m = beta2 m + (1 - beta2) h;
    //          sign(0) = 0
    void (*update_lion)(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                        const real *g, real *m);
    // shadow = decay * shadow + (1 - decay) * p
    void (*update_average)(size_t n, real decay, const real *p, real *shadow);

    // ---- what the machine can do at most (see timing/ceilings.h), SERIAL

    // Multiply-adds on registers only; returns how many. *out receives something that depends on all of
    // them.
    double (*peak_multiply_adds)(long rounds, real *out);
    // The sum of x. n: a multiple of 1024.
    real (*read_all)(size_t n, const real *x);
    void (*triad)(size_t n, real factor, const real *a, const real *b,
                  real *y); // y = a + factor b; n as above
} kernel_table;

// The chosen table: the best that this processor runs, until kernels_select asks for another.
extern const kernel_table *kernels;

// Chooses by name ("auto", "avx512", "avx2", "sse4", "plain"). ERR_USAGE when unknown or not runnable here;
// the choice is then unchanged.
status kernels_select(const char *name, error *err);

// The names that this processor runs, best first, NULL-terminated.
const char *const *kernels_available(void);

// Threads used by parallel kernels from now on (>= 1), and the number in force.
void kernels_set_threads(int threads);
// From now on only the team's threads (base/team.h) help the caller, and OpenMP's do not, or they do again:
// two sets of threads that take turns are in each other's way. Their numbers are the same.
void kernels_loop_alone(bool alone);
int kernels_threads(void);

#endif
