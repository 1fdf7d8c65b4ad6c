// Every kernel, listed once: KERNEL(result, name, parameters). Define KERNEL, then include this: so are
// made the members of kernel_table (kernels.h), the declarations for kernel sources (declarations.h) and
// the table of each instruction set (table.c).
//
// Matrices are row-major. (+)= adds when `accumulate` is set and overwrites otherwise. Parallel kernels
// split work by shape, never by the number of threads, so that results do not depend on it. Those marked
// SERIAL never start threads: they are for use inside parallel loops.
#ifndef KERNEL
#error "define KERNEL(result, name, parameters) before including kernels/list.h"
#endif

// ---- matrix products

// C (M x N) = epilogue(op(A) op(B)); op(A) is M x K: A is M x K (lda) or, transposed, K x M; op(B) is K x
// N. M, N, K >= 1. epilogue may be NULL. workspace: gemm_workspace() bytes, 64-byte aligned, for the number
// of threads that is in force when gemm_workspace is called, or fewer. Not for use inside parallel loops.
KERNEL(void, gemm,
       (bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda, const real *B,
        int ldb, real *C, int ldc, const gemm_epilogue *epilogue, void *workspace))
KERNEL(size_t, gemm_workspace, (int N, int K))
// The same in two steps, for a B that several products share: op(B) goes to `packed`, gemm_packed_bytes()
// bytes, 64-byte aligned, in the layout of the instruction set in force. Each row of C has the same bits as
// from gemm, whatever M is and wherever the row stands.
KERNEL(void, gemm_pack, (bool transpose_b, int N, int K, const real *B, int ldb, void *packed))
KERNEL(size_t, gemm_packed_bytes, (int N, int K))
KERNEL(void, gemm_packed,
       (bool transpose_a, int M, int N, int K, const real *A, int lda, const void *packed, real *C, int ldc,
        const gemm_epilogue *epilogue))

// ---- elementwise and reductions

// n elements: y = act(x); dx (+)= dy act'(pre). y may be x, dx may be dy.
KERNEL(void, activation_forward, (activation act, size_t n, const real *x, real *y))
KERNEL(void, activation_backward,
       (activation act, size_t n, const real *pre, const real *dy, real *dx, bool accumulate))
// n elements: y = least + log(1 + exp(x)); dx (+)= dy / (1 + exp(-x)).
KERNEL(void, softplus_forward, (size_t n, real least, const real *x, real *y))
KERNEL(void, softplus_backward, (size_t n, const real *x, const real *dy, real *dx, bool accumulate))
// Gated units (arXiv 2002.05202): ab is rows x 2F (a | u): y = act(a) * u, rows x F.
KERNEL(void, gated_forward, (activation act, int rows, int F, const real *ab, real *y))
KERNEL(void, gated_backward, (activation act, int rows, int F, const real *ab, const real *dy, real *dab))
KERNEL(void, add, (size_t n, const real *a, const real *b, real *y)) // y = a + b; y may be a or b
KERNEL(void, multiply, (size_t n, const real *a, const real *b, real *y, bool accumulate)) // y (+)= a * b
KERNEL(void, scale, (size_t n, real factor, const real *x, real *y, bool accumulate)) // y (+)= factor * x
// y = (residual) + mask(x); residual may be NULL. Also its own backward: dx (+)= mask(dy).
KERNEL(void, dropout,
       (size_t n, const dropout_mask *mask, const real *x, const real *residual, real *y, bool accumulate))
// The same of rows x width values within longer rows, elements being counted without what is between.
KERNEL(void, dropout_columns,
       (int rows, int width, const dropout_mask *mask, const real *x, int ldx, real *y, int ldy,
        bool accumulate))
// out[c] (+)= sum over rows of x[r][c], rows x columns; fixed chunks of rows.
KERNEL(void, column_sum, (int rows, int columns, const real *x, int ldx, real *out, bool accumulate))
// Sum of squares in double precision, fixed chunks.
KERNEL(double, sum_of_squares, (size_t n, const real *x))
// Index of the first element that is NaN or infinite, or -1.
KERNEL(ptrdiff_t, first_not_finite, (size_t n, const real *x))

// ---- normalisation

// statistics: rows x 2 (mean, reciprocal deviation) for layernorm, rows for rmsnorm. beta and dbeta may be
// NULL. workspace of the backward passes: norm_workspace(rows, columns) bytes.
KERNEL(void, layernorm_forward,
       (int rows, int columns, real epsilon, const real *x, const real *gamma, const real *beta, real *y,
        real *statistics))
KERNEL(void, layernorm_backward,
       (int rows, int columns, const real *x, const real *gamma, const real *statistics, const real *dy,
        real *dx, bool accumulate_dx, real *dgamma, real *dbeta, bool accumulate_parameters,
        void *workspace))
KERNEL(void, rmsnorm_forward,
       (int rows, int columns, real epsilon, const real *x, const real *gamma, real *y, real *statistics))
KERNEL(void, rmsnorm_backward,
       (int rows, int columns, const real *x, const real *gamma, const real *statistics, const real *dy,
        real *dx, bool accumulate_dx, real *dgamma, bool accumulate_parameters, void *workspace))
KERNEL(size_t, norm_workspace, (int rows, int columns))

// ---- embedding

// y[r] = scale * table[ids[r]].
KERNEL(void, embedding_forward,
       (int rows, int columns, real scale, const int32_t *ids, const real *table, real *y))
// dtable[v] (+)= scale * sum of dy over the rows whose id is v, in row order. workspace:
// embedding_workspace bytes.
KERNEL(void, embedding_backward,
       (int rows, int columns, int vocabulary, real scale, const int32_t *ids, const real *dy, real *dtable,
        bool accumulate, void *workspace))
KERNEL(size_t, embedding_workspace, (int rows, int vocabulary))
// dpositions[t] (+)= sum over batch of dy[b][t].
KERNEL(void, positions_backward,
       (int batch, int time, int columns, const real *dy, real *dpositions, bool accumulate))

// ---- windows of a causal convolution

// im2col: y[b][t][i*taps + j] = x[b][t - (taps-1) + j][i]. A row of y holds column 0 of the last `taps`
// tokens, then column 1, as a convolution's weight (out, width, taps) is laid out. x: batch x time x width.
// `before` (batch x taps-1 x width) holds the tokens before the first; NULL: zeros.
KERNEL(void, unfold, (int batch, int time, int width, int taps, const real *x, const real *before, real *y))
// col2im: dx (+)= the sum over all windows that hold the token.
KERNEL(void, unfold_backward,
       (int batch, int time, int width, int taps, const real *dy, real *dx, bool accumulate))

// ---- rotary positions and per-head RMSNorm of q and k

// RoPE (arXiv 2104.09864) on heads x head_size values at the start of rows of width ld; y may be x. Row r
// has position r mod time. cosine, sine: time x rope_dim/2. sign +1 rotates forward, -1 backward (the
// gradient). Pairs are (i, i + rope_dim/2); values from rope_dim on are copied.
KERNEL(void, rotate,
       (int rows, int time, int heads, int head_size, int rope_dim, int sign, const real *cosine,
        const real *sine, const real *x, real *y, int ld))

// RMSNorm over head_size of each head, x and y inside rows of width ld; statistics: rows x heads. gamma:
// head_size.
KERNEL(void, head_norm_forward,
       (int rows, int heads, int head_size, int ld, real epsilon, const real *x, const real *gamma, real *y,
        real *statistics))
// dx is overwritten; dx may be dy. workspace: norm_workspace(rows * heads, head_size) bytes.
KERNEL(void, head_norm_backward,
       (int rows, int heads, int head_size, int ld, const real *x, const real *gamma,
        const real *statistics, const real *dy, real *dx, real *dgamma, bool accumulate_parameters,
        void *workspace))

// ---- attention

// qkv: (batch*time) x attention_columns. out: (batch*time) x heads*head_size. lse:
// batch*heads*time, the logarithm of each softmax's sum. mask: dropout of the probabilities, element
// ((b*heads + h)*time + query)*stride + key, where stride is time rounded up to a multiple of 8; NULL:
// none. Scores exist for a block of queries and keys at a time, never as a time x time matrix (arXiv
// 2205.14135). workspace: attention_workspace(shape, threads) bytes, 64-byte aligned.
KERNEL(void, attention_forward,
       (const attention_shape *shape, const dropout_mask *mask, const real *qkv, real *out, real *lse,
        void *workspace))
// dscale: the gradient of shape->scale; NULL: not wanted.
KERNEL(void, attention_backward,
       (const attention_shape *shape, const dropout_mask *mask, const real *qkv, const real *out,
        const real *lse, const real *dout, real *dqkv, bool accumulate_dqkv, double *dscale,
        void *workspace))
KERNEL(size_t, attention_workspace, (const attention_shape *shape, int threads))
// The next `time` tokens of each sequence of the batch against a KV cache, one query after the other: the
// key and value of token t, which has position + t in its text, go to slot (position + t) mod capacity,
// then its query attends to all slots in use (shape->window is ignored). qkv and out as above. keys and
// values: batch x capacity x kv_heads*head_size reals, in a layout of the kernel's own. workspace: capacity
// reals for each thread.
KERNEL(void, attention_decode,
       (const attention_shape *shape, int capacity, int position, const real *qkv, real *keys, real *values,
        real *out, void *workspace))

// ---- soft thresholding

// y = sign(x) max(|x| - threshold, 0); dx (+)= |x| > threshold ? dy : 0. n elements.
KERNEL(void, shrink_forward, (size_t n, real threshold, const real *x, real *y))
KERNEL(void, shrink_backward,
       (size_t n, real threshold, const real *x, const real *dy, real *dx, bool accumulate))

// ---- long convolution (struct convolution), by Fourier transforms

// Twiddles for sequences of `time` rows: convolution_tables() reals. SERIAL.
KERNEL(size_t, convolution_tables, (int time))
KERNEL(void, convolution_tabulate, (int time, real *tables))
// Computes c->prepared, which forward and backward read, from filter and beta: convolution_prepared()
// reals, 64-byte aligned, valid until filter or beta change.
KERNEL(size_t, convolution_prepared, (int time, int channels))
KERNEL(void, convolution_prepare, (const convolution *c, void *workspace))
// workspace of all three: convolution_workspace(c, threads) bytes, 64-byte aligned; of c that function
// reads the shape and filter.adds, which must be set where filter.gradient is NULL.
KERNEL(void, convolution_forward, (const convolution *c, void *workspace))
KERNEL(void, convolution_backward, (const convolution *c, void *workspace))
KERNEL(size_t, convolution_workspace, (const convolution *c, int threads))

// The same for streams whose next inputs are not known before the last outputs, as when decoding: the next
// `time` tokens, `position` tokens having come before. The filter has `taps` taps, however long the stream.
// constants: convolution_online_constants() reals, which convolution_online_prepare makes of filter and
// beta. state: convolution_online_state() reals for each stream, zero at first. workspace:
// convolution_online_workspace() bytes. All are 64-byte aligned. phase >= 0, constant for a stream: streams
// of different phases do their rare large transforms at different tokens.
KERNEL(size_t, convolution_online_constants, (int taps, int channels))
KERNEL(void, convolution_online_prepare, (const convolution *c, int taps, real *constants, void *workspace))
KERNEL(size_t, convolution_online_state, (int taps, int channels))
KERNEL(void, convolution_online,
       (const convolution *c, int taps, int position, int phase, const real *constants, real *state,
        void *workspace))
KERNEL(size_t, convolution_online_workspace, (int taps, int threads))

// ---- implicit filters (structs filter_*)

// h: taps x (filters * width). normaliser: 2 x (filters * width), needed when normalised: the factor of
// each channel, and its tap 0 before the skip term. workspace of both: filter_workspace(shape, threads,
// backward) bytes, 64-byte aligned.
KERNEL(void, filter_forward,
       (const filter_shape *shape, const filter_parameters *parameters, real *h, real *normaliser,
        void *workspace))
// From the gradients dh of h; h and normaliser as forward left them, needed when normalised.
KERNEL(void, filter_backward,
       (const filter_shape *shape, const filter_parameters *parameters, const real *h,
        const real *normaliser, const real *dh, const filter_gradients *gradients, void *workspace))
KERNEL(size_t, filter_workspace, (const filter_shape *shape, int threads, bool backward))

// ---- short convolution

// y[b][t][c] = bias[c] + sum over j of weight[c][j] x[b][t - taps + 1 + j][c]; weight: channels x taps,
// taps <= SHORT_CONVOLUTION_TAPS; bias may be NULL. history: batch x (taps - 1) x channels, the rows before
// the first; NULL: zeros. workspace of both: short_convolution_workspace bytes.
KERNEL(void, short_convolution_forward,
       (int batch, int time, int channels, int taps, const real *x, const real *history, const real *weight,
        const real *bias, real *y, void *workspace))
// After a forward step without history. dx and dbias may be NULL.
KERNEL(void, short_convolution_backward,
       (int batch, int time, int channels, int taps, const real *x, const real *weight, const real *dy,
        real *dx, bool accumulate_dx, real *dweight, real *dbias, bool accumulate_parameters,
        void *workspace))
KERNEL(size_t, short_convolution_workspace, (int batch, int time, int channels, int taps, bool backward))

// ---- recurrences

// From the first token to the last, and back. No products of weights with inputs, nor gradients of weights:
// those are matrix products over all tokens.
KERNEL(void, recurrence_forward, (const recurrence *r))
KERNEL(void, recurrence_backward, (const recurrence *r))
KERNEL(size_t, recurrence_workspace, (cell_type cell, int batch, int width))
// The same for a closed-form continuous-time network.
KERNEL(void, cfc_forward, (const cfc *c))
KERNEL(void, cfc_backward, (const cfc *c))
// The same for a liquid time-constant network, with the gradient of its recurrent weight. Of l,
// ltc_workspace reads the shape, the solver and whether there is a tape.
KERNEL(void, ltc_forward, (const ltc *l))
KERNEL(void, ltc_backward, (const ltc *l))
KERNEL(size_t, ltc_workspace, (const ltc *l, bool backward))

// Of rows of presynaptic values v (rows x in): sums, rows x 2 out, drive then decay; without decay where
// not `conducts`. dv (+)= its gradient; NULL: not wanted. workspace: synapses_workspace bytes, 64-byte
// aligned.
KERNEL(void, synapses_forward, (int rows, const synapses *s, bool conducts, const real *v, real *sums))
KERNEL(void, synapses_backward,
       (int rows, const synapses *s, bool conducts, const real *v, const real *dsums, real *dv,
        bool accumulate_dv, const synapse_gradients *gradients, void *workspace))
KERNEL(size_t, synapses_workspace, (int rows, int in, int out))

// ---- loss

// losses[r] = lse(logits[r]) - sum of q logits[r], where lse is the logarithm of the sum of exponentials
// and
//     q = (1 - smoothing) onehot(target[r]) + smoothing / vocabulary;
// 0 where target[r] is negative. When gradient is set, the logits are overwritten by
//     gradient_scale * (softmax - q), 0 for ignored rows.
KERNEL(void, cross_entropy,
       (int rows, int vocabulary, real *logits, const int32_t *targets, real smoothing, bool gradient,
        real gradient_scale, real *losses))

// ---- optimizers

// One pass over the pieces of the parameters p, with gradients g; m and v are the optimizer's state. In
// each piece lr is multiplied by its lr_multiplier, and weight_decay is 0 unless it decays. In the formulas
//     h = gradient_scale g
// plus weight_decay p where the decay is coupled: sgd, rmsprop, and adam unless decoupled.

//     m = first_step ? h : momentum m + (1 - dampening) h
//     p -= lr (nesterov ? h + momentum m : m)
// Without momentum p -= lr h, and m may be NULL.
KERNEL(void, update_sgd,
       (int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g, real *m))
//     v = beta2 v + (1 - beta2) h^2
//     p -= lr h / (sqrt(v) + epsilon)
KERNEL(void, update_rmsprop,
       (int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g, real *v))
//     p *= 1 - lr weight_decay (decoupled only)
//     m = beta1 m + (1 - beta1) h
//     v = beta2 v + (1 - beta2) h^2
//     p -= lr / correction1 m / (sqrt(v / correction2) + epsilon)
KERNEL(void, update_adam,
       (int count, const update_piece *pieces, const optimizer_update *u, bool decoupled, real *p,
        const real *g, real *m, real *v))
//     p -= lr (sign(beta1 m + (1 - beta1) h) + weight_decay p), sign(0) = 0
//     m = beta2 m + (1 - beta2) h
KERNEL(void, update_lion,
       (int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g, real *m))
// shadow = decay * shadow + (1 - decay) * p
KERNEL(void, update_average, (size_t n, real decay, const real *p, real *shadow))

// ---- the machine's ceilings (timing/ceilings.h), SERIAL

// Multiply-adds on registers only; returns how many. *out receives a value that depends on all of them, so
// that none is optimised away.
KERNEL(double, peak_multiply_adds, (long rounds, real *out))
// The sum of x. n: a multiple of 1024.
KERNEL(real, read_all, (size_t n, const real *x))
// STREAM's triad: y = a + factor b. n: a multiple of 1024.
KERNEL(void, triad, (size_t n, real factor, const real *a, const real *b, real *y))

#undef KERNEL
