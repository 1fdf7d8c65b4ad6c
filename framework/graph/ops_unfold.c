// op_unfold: the windows of a causal convolution as rows, which op_linear then multiplies by the kernel.
#include "graph/ops.h"

#include <string.h>

enum { X, BEFORE, INPUTS };

typedef struct unfold_settings {
    int taps, width;
} unfold_settings;

// While decoding: puts the last taps-1 tokens into `before`.
static void remember(const graph *g, const unfold_settings *s, const real *x, real *before) {
    const size_t row = (size_t)s->width, kept = (size_t)(s->taps - 1) * row, fresh = (size_t)g->time * row;
    for (int b = 0; b < g->batch; b++, x += fresh, before += kept) {
        if (fresh < kept) {
            memmove(before, before + fresh, (kept - fresh) * sizeof(real));
            memcpy(before + kept - fresh, x, fresh * sizeof(real));
        } else {
            memcpy(before, x + fresh - kept, kept * sizeof(real));
        }
    }
}

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const unfold_settings *s = o->settings;
    real *before = o->in[BEFORE] ? o->in[BEFORE]->data : NULL;
    kernels->unfold(g->batch, g->time, s->width, s->taps, o->in[X]->data, before, o->out[0]->data);
    if (before) remember(g, s, o->in[X]->data, before);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const unfold_settings *s = o->settings;
    kernels->unfold_backward(g->batch, g->time, s->width, s->taps, o->out[0]->gradient->data,
                             o->in[X]->gradient->data, op_adds(c, o, X));
}

static const op_kind unfold_kind = {
    .name = "unfold", .forward = forward, .backward = backward, .passthrough = -1};

tensor *op_unfold(graph *g, tensor *x, int taps) {
    if (taps == 1) return x;
    unfold_settings *s = arena_alloc(g->memory, sizeof *s);
    *s = (unfold_settings){.taps = taps, .width = x->shape[2]};
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->width * taps});
    tensor *before =
        g->mode == GRAPH_DECODE ? graph_state(g, "before", 3, (int[]){g->batch, taps - 1, s->width}) : NULL;
    graph_append(g, &unfold_kind, (tensor *[INPUTS]){x, before}, INPUTS, y, s);
    return y;
}
