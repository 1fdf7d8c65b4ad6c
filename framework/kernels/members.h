// The functions of one instruction set that table.c gathers; kernels.h says what they do.
#ifndef RUNEXP_KERNELS_MEMBERS_H
#define RUNEXP_KERNELS_MEMBERS_H

#include "kernels/isa.h"
#include "kernels/kernels.h"

extern const kernel_table KERNEL(kernel_table);

// gemm.c
void KERNEL(gemm)(bool transpose_a, bool transpose_b, int M, int N, int K, const real *A, int lda,
                  const real *B, int ldb, real *C, int ldc, const gemm_epilogue *epilogue, void *workspace);
size_t KERNEL(gemm_workspace)(int N, int K);
void KERNEL(gemm_pack)(bool transpose_b, int N, int K, const real *B, int ldb, real *packed);
size_t KERNEL(gemm_packed_reals)(int N, int K);
void KERNEL(gemm_packed)(bool transpose_a, int M, int N, int K, const real *A, int lda, const real *packed,
                         real *C, int ldc, const gemm_epilogue *epilogue);

// packed.c
size_t KERNEL(packed_reals)(int N, int K);
void KERNEL(packed_fill)(int N, int K, const real *W, real *packed);
void KERNEL(packed_multiply)(int M, int N, int K, const real *x, const real *packed, real *y,
                             const gemm_epilogue *epilogue);

// elementwise.c
void KERNEL(activation_forward)(activation act, size_t n, const real *x, real *y);
void KERNEL(activation_backward)(activation act, size_t n, const real *pre, const real *dy, real *dx,
                                 bool accumulate);
void KERNEL(gated_forward)(activation act, int rows, int F, const real *ab, real *y);
void KERNEL(gated_backward)(activation act, int rows, int F, const real *ab, const real *dy, real *dab);
void KERNEL(add)(size_t n, const real *a, const real *b, real *y);
void KERNEL(multiply)(size_t n, const real *a, const real *b, real *y, bool accumulate);
void KERNEL(scale)(size_t n, real factor, const real *x, real *y, bool accumulate);
void KERNEL(dropout)(size_t n, const dropout_mask *mask, const real *x, const real *residual, real *y,
                     bool accumulate);
void KERNEL(dropout_columns)(int rows, int width, const dropout_mask *mask, const real *x, int ldx, real *y,
                             int ldy, bool accumulate);

// reduce.c
void KERNEL(column_sum)(int rows, int columns, const real *x, int ldx, real *out, bool accumulate);
double KERNEL(sum_of_squares)(size_t n, const real *x);
ptrdiff_t KERNEL(first_not_finite)(size_t n, const real *x);

// norm.c
void KERNEL(layernorm_forward)(int rows, int columns, real epsilon, const real *x, const real *gamma,
                               const real *beta, real *y, real *statistics);
void KERNEL(layernorm_backward)(int rows, int columns, const real *x, const real *gamma,
                                const real *statistics, const real *dy, real *dx, bool accumulate_dx,
                                real *dgamma, real *dbeta, bool accumulate_parameters, void *workspace);
void KERNEL(rmsnorm_forward)(int rows, int columns, real epsilon, const real *x, const real *gamma, real *y,
                             real *statistics);
void KERNEL(rmsnorm_backward)(int rows, int columns, const real *x, const real *gamma,
                              const real *statistics, const real *dy, real *dx, bool accumulate_dx,
                              real *dgamma, bool accumulate_parameters, void *workspace);
size_t KERNEL(norm_workspace)(int rows, int columns);
void KERNEL(head_norm_forward)(int rows, int heads, int head_size, int ld, real epsilon, const real *x,
                               const real *gamma, real *y, real *statistics);
void KERNEL(head_norm_backward)(int rows, int heads, int head_size, int ld, const real *x,
                                const real *gamma, const real *statistics, const real *dy, real *dx,
                                real *dgamma, bool accumulate_parameters, void *workspace);

// embedding.c
void KERNEL(embedding_forward)(int rows, int columns, real scale, const int32_t *ids, const real *table,
                               real *y);
void KERNEL(embedding_backward)(int rows, int columns, int vocabulary, real scale, const int32_t *ids,
                                const real *dy, real *dtable, bool accumulate, void *workspace);
size_t KERNEL(embedding_workspace)(int rows, int vocabulary);
void KERNEL(positions_backward)(int batch, int time, int columns, const real *dy, real *dpositions,
                                bool accumulate);
void KERNEL(rotate)(int rows, int time, int heads, int head_size, int rope_dim, int sign,
                    const real *cosine, const real *sine, const real *x, real *y, int ld);

// unfold.c
void KERNEL(unfold)(int batch, int time, int width, int taps, const real *x, const real *before, real *y);
void KERNEL(unfold_backward)(int batch, int time, int width, int taps, const real *dy, real *dx,
                             bool accumulate);

// attention.c
void KERNEL(attention_forward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                               real *out, real *lse, void *workspace);
void KERNEL(attention_backward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                                const real *out, const real *lse, const real *dout, real *dqkv,
                                void *workspace);
size_t KERNEL(attention_workspace)(const attention_shape *shape, int threads);

// attention_decode.c
void KERNEL(attention_decode)(const attention_shape *shape, int capacity, int position, const real *qkv,
                              real *keys, real *values, real *out, void *workspace);

// shrink.c
void KERNEL(shrink_forward)(size_t n, real threshold, const real *x, real *y);
void KERNEL(shrink_backward)(size_t n, real threshold, const real *x, const real *dy, real *dx,
                             bool accumulate);

// convolution.c
size_t KERNEL(convolution_tables)(int time);
void KERNEL(convolution_tabulate)(int time, real *tables);
size_t KERNEL(convolution_prepared)(int time, int channels);
void KERNEL(convolution_prepare)(const convolution *c, void *workspace);
void KERNEL(convolution_forward)(const convolution *c, void *workspace);
void KERNEL(convolution_backward)(const convolution *c, void *workspace);
size_t KERNEL(convolution_workspace)(const convolution *c, int threads);

// filter.c
void KERNEL(filter_forward)(const filter_shape *shape, const filter_parameters *parameters, real *h,
                            real *normaliser, void *workspace);
void KERNEL(filter_backward)(const filter_shape *shape, const filter_parameters *parameters, const real *h,
                             const real *normaliser, const real *dh, const filter_gradients *gradients,
                             void *workspace);
size_t KERNEL(filter_workspace)(const filter_shape *shape, int threads, bool backward);

// short_convolution.c
void KERNEL(short_convolution_forward)(int batch, int time, int channels, int taps, const real *x,
                                       const real *history, const real *weight, const real *bias, real *y,
                                       void *workspace);
void KERNEL(short_convolution_backward)(int batch, int time, int channels, int taps, const real *x,
                                        const real *weight, const real *dy, real *dx, bool accumulate_dx,
                                        real *dweight, real *dbias, bool accumulate_parameters,
                                        void *workspace);
size_t KERNEL(short_convolution_workspace)(int batch, int time, int channels, int taps, bool backward);

// convolution_online.c
size_t KERNEL(convolution_online_constants)(int taps, int channels);
void KERNEL(convolution_online_prepare)(const convolution *c, int taps, real *constants, void *workspace);
size_t KERNEL(convolution_online_state)(int taps, int channels);
void KERNEL(convolution_online)(const convolution *c, int taps, int position, int phase,
                                const real *constants, real *state, void *workspace);
size_t KERNEL(convolution_online_workspace)(int taps, int threads);

// loss.c
void KERNEL(cross_entropy)(int rows, int vocabulary, real *logits, const int32_t *targets, real smoothing,
                           bool gradient, real gradient_scale, real *losses);

// update.c
void KERNEL(update_sgd)(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                        const real *g, real *m);
void KERNEL(update_rmsprop)(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                            const real *g, real *v);
void KERNEL(update_adam)(int count, const update_piece *pieces, const optimizer_update *u, bool decoupled,
                         real *p, const real *g, real *m, real *v);
void KERNEL(update_lion)(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                         const real *g, real *m);
void KERNEL(update_average)(size_t n, real decay, const real *p, real *shadow);

// peak.c
double KERNEL(peak_multiply_adds)(long rounds, real *out);
real KERNEL(read_all)(size_t n, const real *x);
void KERNEL(triad)(size_t n, real factor, const real *a, const real *b, real *y);

#endif
