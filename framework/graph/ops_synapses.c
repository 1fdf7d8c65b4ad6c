// op_synapses: what presynaptic values make of a layer of neurons, all tokens at once.
#include "graph/ops.h"

enum { V, W, SIGMA, MU, EREV, INPUTS };

typedef struct synapses_settings {
    int rows, in, out;
    bool conducts;
} synapses_settings;

static synapses synapses_of(const op *o) {
    const synapses_settings *s = o->settings;
    return (synapses){s->in,           s->out,           o->in[W]->data, o->in[SIGMA]->data,
                      o->in[MU]->data, o->in[EREV]->data};
}

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const synapses_settings *s = o->settings;
    const synapses of = synapses_of(o);
    kernels->synapses_forward(s->rows, &of, s->conducts, o->in[V]->data, o->out[0]->data);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const synapses_settings *s = o->settings;
    const synapses of = synapses_of(o);
    const synapse_gradients d = {o->in[W]->gradient->data,  o->in[SIGMA]->gradient->data,
                                 o->in[MU]->gradient->data, o->in[EREV]->gradient->data,
                                 op_adds(c, o, W),          op_adds(c, o, SIGMA),
                                 op_adds(c, o, MU),         op_adds(c, o, EREV)};
    real *dv = tensor_gradient(o->in[V]);
    kernels->synapses_backward(s->rows, &of, s->conducts, o->in[V]->data, o->out[0]->gradient->data, dv,
                               dv && op_adds(c, o, V), &d, g->workspace);
}

static double flops(const op *o) {
    const synapses_settings *s = o->settings;
    return 6.0 * s->rows * s->in * s->out; // without the sigmoids
}

static size_t workspace(const op *o, bool for_backward) {
    const synapses_settings *s = o->settings;
    return for_backward ? kernels->synapses_workspace(s->rows, s->in, s->out) : 0;
}

static const op_kind synapses_kind = {
    .name = "synapses",
    .forward = forward,
    .backward = backward,
    .saves = INPUT(V) | INPUT(W) | INPUT(SIGMA) | INPUT(MU) | INPUT(EREV),
    .flops = flops,
    .workspace = workspace,
};

tensor *op_synapses(graph *g, tensor *v, const synapse_tensors *from, bool conducts) {
    synapses_settings *s = arena_alloc(g->memory, sizeof *s);
    *s = (synapses_settings){(int)(v->count / (size_t)tensor_width(v)), tensor_width(v),
                             tensor_width(from->w), conducts};
    tensor *in[INPUTS] = {v, from->w, from->sigma, from->mu, from->erev};
    int shape[TENSOR_MAX_RANK];
    for (int i = 0; i < v->rank; i++) shape[i] = v->shape[i];
    shape[v->rank - 1] = 2 * s->out;
    tensor *sums = graph_tensor(g, TENSOR_ACTIVATION, v->rank, shape);
    graph_append(g, &synapses_kind, in, INPUTS, sums, s);
    return sums;
}
