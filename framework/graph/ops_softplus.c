// op_softplus: positive numbers, such as time constants, out of parameters without bounds.
#include "graph/ops.h"

#include <math.h>

typedef struct softplus_settings {
    real least;
} softplus_settings;

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const softplus_settings *s = o->settings;
    kernels->softplus_forward(o->out[0]->count, s->least, o->in[0]->data, o->out[0]->data);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    kernels->softplus_backward(o->out[0]->count, o->in[0]->data, o->out[0]->gradient->data,
                               o->in[0]->gradient->data, op_adds(c, o, 0));
}

static const op_kind softplus_kind = {
    .name = "softplus", .forward = forward, .backward = backward, .saves = INPUT(0)};

tensor *op_softplus(graph *g, tensor *x, double least) {
    softplus_settings *s = arena_alloc(g->memory, sizeof *s);
    s->least = (real)least;
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
    graph_append(g, &softplus_kind, &x, 1, y, s);
    return y;
}

double softplus_inverse(double y, double least) {
    return y - least + log(-expm1(least - y));
}
