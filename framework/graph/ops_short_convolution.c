// op_short_convolution: a causal convolution of a few taps along time for each channel. Decoding keeps the
// last rows of the input.
#include "graph/ops.h"

enum { X, WEIGHT, BIAS, HISTORY, INPUTS };

static int channels_of(const op *o) {
    return o->in[X]->shape[2];
}

static int taps_of(const op *o) {
    return (int)(o->in[WEIGHT]->count / (size_t)channels_of(o));
}

static void run(const graph *g, const op *o, const real *history) {
    kernels->short_convolution_forward(g->batch, g->time, channels_of(o), taps_of(o), o->in[X]->data,
                                       history, o->in[WEIGHT]->data, o->in[BIAS] ? o->in[BIAS]->data : NULL,
                                       o->out[0]->data, g->workspace);
}

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    run(g, o, NULL);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const tensor *dx = o->in[X]->gradient, *bias = o->in[BIAS];
    kernels->short_convolution_backward(g->batch, g->time, channels_of(o), taps_of(o), o->in[X]->data,
                                        o->in[WEIGHT]->data, o->out[0]->gradient->data,
                                        dx ? dx->data : NULL, dx && op_adds(c, o, X),
                                        o->in[WEIGHT]->gradient->data, bias ? bias->gradient->data : NULL,
                                        op_adds(c, o, WEIGHT), g->workspace);
}

static double flops(const op *o) {
    return 2.0 * (double)o->in[X]->count * taps_of(o);
}

static size_t workspace(const op *o, bool for_backward) {
    const int *shape = o->in[X]->shape;
    return kernels->short_convolution_workspace(shape[0], shape[1], shape[2], taps_of(o), for_backward);
}

static const op_kind block_kind = {.name = "short_convolution",
                                   .forward = forward,
                                   .backward = backward,
                                   .saves = INPUT(X) | INPUT(WEIGHT),
                                   .mixes_documents = true,
                                   .flops = flops,
                                   .workspace = workspace};

static void decode_forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    run(g, o, o->in[HISTORY]->data);
    state_append_rows(o->in[HISTORY], o->in[X]);
}

static const op_kind decode_kind = {.name = "short_convolution",
                                    .forward = decode_forward,
                                    .mixes_documents = true,
                                    .flops = flops,
                                    .workspace = workspace};

tensor *op_short_convolution(graph *g, tensor *x, tensor *weight, tensor *bias) {
    tensor *in[INPUTS] = {x, weight, bias, NULL}, *y = graph_tensor(g, TENSOR_ACTIVATION, 3, x->shape);
    const int channels = x->shape[2], taps = (int)(weight->count / (size_t)channels);
    const bool keeps = g->options.states && taps > 1;
    if (keeps) in[HISTORY] = graph_state(g, "short", 3, (int[]){g->batch, taps - 1, channels});
    graph_append(g, keeps ? &decode_kind : &block_kind, in, INPUTS, y, NULL);
    return y;
}
