#include "graph/graph.h"

#include "base/clock.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

graph *graph_new(const graph_options *options, parameter_set *parameters) {
    arena *memory = arena_new();
    graph *g = arena_alloc(memory, sizeof *g);
    g->memory = memory;
    g->options = *options;
    g->batch = options->batch;
    g->time = options->time;
    g->parameters = parameters;
    g->lane = -1;
    g->path = "";
    return g;
}

void graph_free(graph *g) {
    if (!g) return;
    if (!g->borrowed) memory_planned_free(g->plan_memory, g->plan_bytes + g->workspace_bytes);
    free(g->ops);
    free(g->tensors);
    free(g->filters);
    arena_free(g->memory);
}

tensor *graph_tensor(graph *g, tensor_kind kind, int rank, const int *shape) {
    tensor *t = arena_alloc(g->memory, sizeof *t);
    t->name = arena_copy_text(g->memory, g->path);
    t->kind = kind;
    t->rank = rank;
    t->count = 1;
    for (int i = 0; i < rank; i++) {
        t->shape[i] = shape[i];
        t->count *= (size_t)shape[i];
    }
    if (g->tensor_count == g->tensor_capacity) {
        g->tensor_capacity = g->tensor_capacity ? 2 * g->tensor_capacity : 64;
        g->tensors = memory_resize(g->tensors, (size_t)g->tensor_capacity * sizeof(tensor *));
    }
    g->tensors[g->tensor_count++] = t;
    return t;
}

void graph_show_filter(graph *g, tensor *taps, int column, int channels) {
    if (g->filter_count == g->filter_capacity) {
        g->filter_capacity = g->filter_capacity ? 2 * g->filter_capacity : 16;
        g->filters = memory_resize(g->filters, (size_t)g->filter_capacity * sizeof *g->filters);
    }
    g->filters[g->filter_count++] =
        (graph_filter){arena_copy_text(g->memory, g->path), taps, column, channels};
}

tensor *graph_parameter(graph *g, parameter *p) {
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->parameter == p) return g->tensors[i];
    tensor *t = graph_tensor(g, TENSOR_PARAMETER, p->about.rank, p->about.shape);
    t->name = p->name;
    t->parameter = p;
    t->differentiable = true;
    return t;
}

op *graph_append(graph *g, const op_kind *kind, tensor *const *in, int in_count, tensor *out,
                 void *settings) {
    op *o = arena_alloc(g->memory, sizeof *o);
    o->kind = kind;
    o->path = arena_copy_text(g->memory, g->path);
    o->settings = settings;
    o->in_count = in_count;
    for (int i = 0; i < in_count; i++) {
        o->in[i] = in[i];
        if (in[i] && in[i]->differentiable) out->differentiable = true;
    }
    o->out[0] = out;
    o->out_count = 1;
    out->producer = o;
    if (g->op_count == g->op_capacity) {
        g->op_capacity = g->op_capacity ? 2 * g->op_capacity : 64;
        g->ops = memory_resize(g->ops, (size_t)g->op_capacity * sizeof(op *));
    }
    g->ops[g->op_count++] = o;
    return o;
}

const op *graph_without_gradient(const graph *g, int first) {
    for (int k = first; k < g->op_count; k++) {
        const op *o = g->ops[k];
        if (o->out[0]->differentiable && !o->kind->backward && !o->kind->passthrough) return o;
    }
    return NULL;
}

const op *graph_mixing_documents(const graph *g) {
    for (int k = 0; k < g->op_count; k++)
        if (g->ops[k]->kind->mixes_documents) return g->ops[k];
    return NULL;
}

tensor *op_output(graph *g, op *o, int rank, const int *shape) {
    tensor *t = graph_tensor(g, TENSOR_ACTIVATION, rank, shape);
    o->out[o->out_count++] = t;
    return t;
}

// Whether something that learns hangs on the operator.
static bool has_backward(const op *o) {
    return o->out[0]->gradient || o->kind->is_loss;
}

static void run_forward(const graph *g, const run_context *c, int number) {
    const op *o = g->ops[number];
    const double begin = g->times ? clock_seconds() : 0;
    o->kind->forward(g, c, o);
    if (!g->times) return;
    g->times[number].forward += clock_seconds() - begin;
    g->times[number].forward_runs++;
}

static void differentiate(const graph *g, const run_context *c, const op *o) {
    if (o->kind->backward) o->kind->backward(g, c, o);
    for (int i = 0; o->passes_apart && i < o->in_count; i++) {
        if (!(o->kind->passthrough & INPUT(i))) continue;
        const tensor *into = o->in[i]->gradient;
        kernels->scale(into->count, 1, o->out[0]->gradient->data, into->data, op_adds(c, o, i));
    }
}

static void run_backward(const graph *g, const run_context *c, int number) {
    const op *o = g->ops[number];
    if (!has_backward(o)) return;
    const double begin = g->times ? clock_seconds() : 0;
    differentiate(g, c, o);
    if (!g->times) return;
    g->times[number].backward += clock_seconds() - begin;
    g->times[number].backward_runs++;
}

// Another graph of the model may have run it already.
static bool is_up_to_date(const op *o, uint64_t version) {
    for (int i = 0; i < o->out_count; i++)
        if (o->out[i]->derived->version != version) return false;
    return true;
}

void graph_derive(graph *g, const run_context *c) {
    const uint64_t version = g->parameters->version;
    if (g->version == version) return;
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        if (!o->is_derived || is_up_to_date(o, version)) continue;
        run_forward(g, c, k);
        for (int i = 0; i < o->out_count; i++) o->out[i]->derived->version = version;
    }
    g->version = version;
}

// Points the states at the lanes of this run.
static void bind_lanes(graph *g, int lane) {
    if (!g->options.states || g->lane == lane) return;
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *t = g->tensors[i];
        if (t->state) t->data = t->state->data + (size_t)lane * (size_t)t->state->shape[1];
    }
    g->lane = lane;
}

void graph_forward(graph *g, const run_context *c) {
    graph_derive(g, c);
    bind_lanes(g, c->lane);
    for (int k = 0; k < g->op_count; k++)
        if (!g->ops[k]->is_derived) run_forward(g, c, k);
}

static void backward(const graph *g, const run_context *c, bool derived) {
    for (int k = g->op_count - 1; k >= 0; k--)
        if (g->ops[k]->is_derived == derived) run_backward(g, c, k);
}

void graph_backward(graph *g, const run_context *c) {
    backward(g, c, false);
}

void graph_backward_derived(graph *g, const run_context *c) {
    backward(g, c, true);
}

static bool not_finite(const tensor *t, size_t *index) {
    ptrdiff_t at = t && t->data ? kernels->first_not_finite(t->count, t->data) : -1;
    if (at >= 0) *index = (size_t)at;
    return at >= 0;
}

static const tensor *first_gradient_not_finite(const op *o, size_t *index) {
    for (int k = 0; k < o->in_count; k++) {
        tensor *t = o->in[k];
        if (t && not_finite(t->gradient, index)) return t;
    }
    return NULL;
}

const tensor *graph_find_not_finite(graph *g, const run_context *c, size_t *index, bool *is_gradient,
                                    const op **maker) {
    *is_gradient = false;
    bind_lanes(g, c->lane);
    for (int i = 0; i < g->op_count; i++) {
        *maker = g->ops[i];
        for (int k = 0; k < (*maker)->in_count; k++) {
            tensor *t = (*maker)->in[k];
            if (t && t->kind == TENSOR_PARAMETER && not_finite(t, index)) return t;
        }
        run_forward(g, c, i);
        for (int k = 0; k < (*maker)->out_count; k++)
            if (not_finite((*maker)->out[k], index)) return (*maker)->out[k];
    }
    if (!g->options.gradients) return NULL;
    *is_gradient = true;
    for (int derived = 0; derived < 2; derived++)
        for (int i = g->op_count - 1; i >= 0; i--) {
            *maker = g->ops[i];
            if (!has_backward(*maker) || (*maker)->is_derived != derived) continue;
            run_backward(g, c, i);
            const tensor *bad = first_gradient_not_finite(*maker, index);
            if (bad) return bad;
        }
    return NULL;
}
