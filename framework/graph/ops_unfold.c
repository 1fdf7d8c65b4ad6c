// op_unfold: the windows of a causal convolution as rows, which op_linear then multiplies by the kernel.
#include "graph/ops.h"

#include <string.h>

enum { X, BEFORE, INPUTS };

typedef struct unfold_settings {
    int taps, width;
} unfold_settings;

// Windows, or their gradients, without what stands before the documents that begin in them.
static void cut_windows(const graph *g, const run_context *c, const unfold_settings *s, real *windows) {
    const int taps = s->taps, rows = g->batch * g->time;
    for (int r = 0; c->begins && r < rows; r++) {
        if (!c->begins[r]) continue;
        // Windows that end k tokens later reach taps - 1 - k tokens too far back.
        for (int k = 0; k < taps - 1 && r % g->time + k < g->time; k++)
            for (int i = 0; i < s->width; i++)
                memset(windows + ((size_t)(r + k) * (size_t)s->width + (size_t)i) * (size_t)taps, 0,
                       (size_t)(taps - 1 - k) * sizeof *windows);
    }
}

// Forgets what stands before the last document that begins in each row.
static void cut_state(const graph *g, const run_context *c, const unfold_settings *s, real *before) {
    const int kept = s->taps - 1;
    for (int b = 0; c->begins && b < g->batch; b++) {
        int last = g->time - 1;
        while (last >= 0 && !c->begins[b * g->time + last]) last--;
        const int forgotten = last - (g->time - kept); // rows of the state whose tokens come earlier
        if (last >= 0 && forgotten > 0)
            memset(before + (size_t)(b * kept) * (size_t)s->width, 0,
                   (size_t)forgotten * (size_t)s->width * sizeof *before);
    }
}

static void forward(const graph *g, const run_context *c, const op *o) {
    const unfold_settings *s = o->settings;
    tensor *before = o->in[BEFORE]; // with carried state
    kernels->unfold(g->batch, g->time, s->width, s->taps, o->in[X]->data, before ? before->data : NULL,
                    o->out[0]->data);
    cut_windows(g, c, s, o->out[0]->data);
    if (!before) return;
    state_append_rows(before, o->in[X]);
    cut_state(g, c, s, before->data);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const unfold_settings *s = o->settings;
    cut_windows(g, c, s, o->out[0]->gradient->data); // which nothing reads after this step
    kernels->unfold_backward(g->batch, g->time, s->width, s->taps, o->out[0]->gradient->data,
                             o->in[X]->gradient->data, op_adds(c, o, X));
}

static const op_kind unfold_kind = {
    .name = "unfold", .forward = forward, .backward = backward, .varies = true};

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
