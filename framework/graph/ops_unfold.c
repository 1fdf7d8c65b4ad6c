// op_unfold: the windows of a causal convolution as rows, which op_linear then multiplies by the kernel.
#include "graph/ops.h"

enum { X, BEFORE, INPUTS };

typedef struct unfold_settings {
    int taps, width;
} unfold_settings;

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const unfold_settings *s = o->settings;
    tensor *before = o->in[BEFORE]; // with carried state
    kernels->unfold(g->batch, g->time, s->width, s->taps, o->in[X]->data, before ? before->data : NULL,
                    o->out[0]->data);
    if (before) state_append_rows(before, o->in[X]);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const unfold_settings *s = o->settings;
    kernels->unfold_backward(g->batch, g->time, s->width, s->taps, o->out[0]->gradient->data,
                             o->in[X]->gradient->data, op_adds(c, o, X));
}

static const op_kind unfold_kind = {.name = "unfold", .forward = forward, .backward = backward};

tensor *op_unfold(graph *g, tensor *x, int taps) {
    if (taps == 1) return x;
    unfold_settings *s = arena_alloc(g->memory, sizeof *s);
    *s = (unfold_settings){.taps = taps, .width = x->shape[2]};
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->width * taps});
    tensor *before =
        g->options.states ? graph_state(g, "before", 3, (int[]){g->batch, taps - 1, s->width}) : NULL;
    graph_append(g, &unfold_kind, (tensor *[INPUTS]){x, before}, INPUTS, y, s);
    return y;
}
