// op_shrink: small values become zero, the others smaller (soft thresholding, Donoho, IEEE Trans. Inf.
// Theory 41 (1995)).
#include "graph/ops.h"

typedef struct shrink_settings {
    real threshold;
} shrink_settings;

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const shrink_settings *s = o->settings;
    kernels->shrink_forward(o->out[0]->count, s->threshold, o->in[0]->data, o->out[0]->data);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    const shrink_settings *s = o->settings;
    kernels->shrink_backward(o->out[0]->count, s->threshold, o->in[0]->data, o->out[0]->gradient->data,
                             o->in[0]->gradient->data, op_adds(c, o, 0));
}

static const op_kind shrink_kind = {
    .name = "shrink", .forward = forward, .backward = backward, .saves = INPUT(0)};

tensor *op_shrink(graph *g, tensor *x, double threshold) {
    shrink_settings *s = arena_alloc(g->memory, sizeof *s);
    s->threshold = (real)threshold;
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
    graph_append(g, &shrink_kind, &x, 1, y, s);
    return y;
}
