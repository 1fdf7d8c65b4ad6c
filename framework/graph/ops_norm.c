// Normalisation: layernorm and rmsnorm over the last axis.
#include "graph/ops.h"

enum { X, GAMMA, BETA, INPUTS };
enum { Y, STATISTICS };

typedef struct norm_settings {
    int rows, columns;
    double epsilon;
} norm_settings;

static size_t workspace(const op *o, bool backward) {
    const norm_settings *s = o->settings;
    return backward ? kernels->norm_workspace(s->rows, s->columns) : 0;
}

static void layernorm_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const norm_settings *s = o->settings;
    kernels->layernorm_forward(s->rows, s->columns, (real)s->epsilon, o->in[X]->data, o->in[GAMMA]->data,
                               o->in[BETA] ? o->in[BETA]->data : NULL, o->out[Y]->data,
                               o->out[STATISTICS]->data);
}

static void layernorm_backward(const graph *g, const run_context *c, const op *o) {
    const norm_settings *s = o->settings;
    kernels->layernorm_backward(
        s->rows, s->columns, o->in[X]->data, o->in[GAMMA]->data, o->out[STATISTICS]->data,
        o->out[Y]->gradient->data, o->in[X]->gradient->data, op_adds(c, o, X), o->in[GAMMA]->gradient->data,
        o->in[BETA] ? o->in[BETA]->gradient->data : NULL, op_adds(c, o, GAMMA), g->workspace);
}

static const op_kind layernorm_kind = {
    .name = "layernorm",
    .forward = layernorm_forward,
    .backward = layernorm_backward,
    .saves = INPUT(X) | INPUT(GAMMA) | OUTPUT(STATISTICS),
    .workspace = workspace,
};

static void rmsnorm_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const norm_settings *s = o->settings;
    kernels->rmsnorm_forward(s->rows, s->columns, (real)s->epsilon, o->in[X]->data, o->in[GAMMA]->data,
                             o->out[Y]->data, o->out[STATISTICS]->data);
}

static void rmsnorm_backward(const graph *g, const run_context *c, const op *o) {
    const norm_settings *s = o->settings;
    kernels->rmsnorm_backward(s->rows, s->columns, o->in[X]->data, o->in[GAMMA]->data,
                              o->out[STATISTICS]->data, o->out[Y]->gradient->data, o->in[X]->gradient->data,
                              op_adds(c, o, X), o->in[GAMMA]->gradient->data, op_adds(c, o, GAMMA),
                              g->workspace);
}

static const op_kind rmsnorm_kind = {
    .name = "rmsnorm",
    .forward = rmsnorm_forward,
    .backward = rmsnorm_backward,
    .saves = INPUT(X) | INPUT(GAMMA) | OUTPUT(STATISTICS),
    .workspace = workspace,
};

static tensor *norm(graph *g, const op_kind *kind, tensor *x, tensor *gamma, tensor *beta, double epsilon,
                    int statistics) {
    norm_settings *s = arena_alloc(g->memory, sizeof *s);
    s->columns = tensor_width(x);
    s->rows = (int)(x->count / (size_t)s->columns);
    s->epsilon = epsilon;
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
    op *o = graph_append(g, kind, (tensor *[INPUTS]){x, gamma, beta}, INPUTS, y, s);
    op_output(g, o, 2, (int[]){s->rows, statistics});
    return y;
}

tensor *op_layernorm(graph *g, tensor *x, tensor *gamma, tensor *beta, double epsilon) {
    return norm(g, &layernorm_kind, x, gamma, beta, epsilon, 2);
}

tensor *op_rmsnorm(graph *g, tensor *x, tensor *gamma, double epsilon) {
    return norm(g, &rmsnorm_kind, x, gamma, NULL, epsilon, 1);
}
