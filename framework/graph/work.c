// How much an operator computes and moves, from its shapes.
#include "graph/graph.h"

static double forward_flops(const op *o) {
    return o->kind->flops ? o->kind->flops(o) : 0;
}

// A product's gradient is two products of its size: one for either factor. What needs no gradient (the
// first layer's input) saves its one.
static double gradient_flops(const op *o) {
    if (o->kind->gradient_flops) return o->kind->gradient_flops(o);
    return o->in[0]->gradient ? 2 * forward_flops(o) : forward_flops(o);
}

// Whether the forward step makes the gradient of a weight: of a loss that is a product too.
static bool has_weight_gradient(const op *o) {
    for (int i = 1; o->kind->is_loss && i < o->in_count; i++)
        if (o->in[i] && o->in[i]->gradient) return true;
    return false;
}

double op_flops(const op *o, bool backward) {
    if (!backward) return forward_flops(o) + (has_weight_gradient(o) ? gradient_flops(o) : 0);
    return o->kind->backward && o->out[0]->gradient ? gradient_flops(o) : 0;
}

// Bytes of what a tensor stands for; tensors that are left out have none.
static double bytes_of(const tensor *t) {
    if (!t) return 0;
    return (double)t->count * (t->kind == TENSOR_TOKENS ? sizeof(int32_t) : sizeof(real));
}

// Packed weights and spectra stand for what they were made from, which is counted.
static bool stands_for_another(const tensor *t) {
    return t && t->is_derived && !t->differentiable;
}

static double forward_bytes(const op *o) {
    double bytes = 0;
    for (int i = 0; i < o->out_count; i++) bytes += bytes_of(o->out[i]);
    for (int i = 0; i < o->in_count; i++) {
        if (stands_for_another(o->in[i])) continue;
        const bool gathered = (o->kind->gathers & INPUT(i)) && bytes_of(o->in[i]) > bytes_of(o->out[0]);
        bytes += bytes_of(gathered ? o->out[0] : o->in[i]);
        if (o->kind->is_loss && o->in[i]) bytes += bytes_of(o->in[i]->gradient);
    }
    return bytes;
}

static double backward_bytes(const op *o) {
    double bytes = bytes_of(o->out[0]->gradient);
    for (int i = 0; i < o->out_count; i++)
        if (o->kind->saves & OUTPUT(i)) bytes += bytes_of(o->out[i]);
    for (int i = 0; i < o->in_count; i++) {
        if (!o->in[i] || stands_for_another(o->in[i])) continue;
        if (o->kind->saves & INPUT(i)) bytes += bytes_of(o->in[i]);
        if ((o->kind->passthrough & INPUT(i)) && !o->passes_apart) continue; // the same bytes
        bytes += bytes_of(o->in[i]->gradient) * (o->adds & INPUT(i) ? 2 : 1);
    }
    return bytes;
}

double op_bytes(const op *o, bool backward) {
    if (!backward) return forward_bytes(o);
    return o->kind->backward && o->out[0]->gradient ? backward_bytes(o) : 0;
}

int graph_least_batch(const graph *g) {
    int least = 0;
    for (int k = 0; k < g->op_count; k++)
        if (g->ops[k]->kind->least_batch > least) least = g->ops[k]->kind->least_batch;
    return least;
}

double graph_flops(const graph *g, bool derived) {
    double flops = 0;
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i]->is_derived == derived) flops += forward_flops(g->ops[i]);
    return flops;
}
