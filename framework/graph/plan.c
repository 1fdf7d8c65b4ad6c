// graph_finish: which gradients there are, how long every tensor lives, and where its bytes are.
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

enum { PLACE_ALIGNMENT = 64 };

// --- gradients

static tensor *new_gradient(graph *g, tensor *of) {
    tensor *gradient = graph_tensor(g, of->kind, of->rank, of->shape);
    gradient->name = of->name;
    gradient->born = -1;
    gradient->outlives_pass = of->outlives_pass;
    of->gradient = gradient;
    return gradient;
}

// Whether the gradient step of some operator reads t.
static bool is_saved(const graph *g, const tensor *t) {
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        for (int i = 0; i < o->in_count; i++)
            if (o->in[i] == t && (o->kind->saves & SAVES_INPUT(i))) return true;
        for (int i = 0; i < o->out_count; i++)
            if (o->out[i] == t && (o->kind->saves & SAVES_OUTPUT(i))) return true;
    }
    return false;
}

// Gives in[i] of o a gradient, or notes that o adds to the one that it has.
static status plan_gradient(graph *g, op *o, int i, error *err) {
    tensor *in = o->in[i];
    if (!in || !in->differentiable) return OK;
    if (in->gradient && (o->kind->overwrites >> i & 1))
        return fail(err, ERR_INTERNAL, "%s: another operator also reads input %d of %s", o->path, i,
                    o->kind->name);
    if (!in->gradient && i == o->kind->passthrough && in->kind == TENSOR_ACTIVATION) {
        in->gradient = o->out[0]->gradient;
        return OK;
    }
    if (i == o->kind->passthrough) o->passes_apart = true;
    if (in->gradient)
        o->adds |= 1u << i;
    else
        new_gradient(g, in);
    return OK;
}

static status plan_loss(graph *g, op *o, error *err) {
    tensor *x = o->in[0];
    for (int i = 0; i < o->in_count; i++)
        if ((i == 0 || o->in[i]) && o->in[i]->gradient)
            return fail(err, ERR_INTERNAL, "%s: another operator gives input %d of %s a gradient first",
                        o->path, i, o->kind->name);
    const bool in_place = x->kind == TENSOR_ACTIVATION && !is_saved(g, x);
    if (o->kind->only_in_place && !in_place)
        return fail(err, ERR_INTERNAL, "%s: another operator also reads the input of the loss", o->path);
    for (int i = 0; i < o->in_count; i++) TRY(plan_gradient(g, o, i, err));
    if (in_place && x->gradient) x->gradient->shares = x;
    return OK;
}

static status plan_gradients(graph *g, error *err) {
    for (int k = g->op_count - 1; k >= 0; k--) {
        op *o = g->ops[k];
        if (o->kind->is_loss) {
            TRY(plan_loss(g, o, err));
            continue;
        }
        if (!o->out[0]->gradient) continue;
        // In the order in which they are written: what is passed through comes last.
        for (int i = 0; i < o->in_count; i++)
            if (i != o->kind->passthrough) TRY(plan_gradient(g, o, i, err));
        if (o->kind->passthrough >= 0) TRY(plan_gradient(g, o, o->kind->passthrough, err));
    }
    return OK;
}

static int gradient_makers(const graph *g, const tensor *t) {
    int count = 0;
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        if (!o->out[0]->gradient && !o->kind->is_loss) continue;
        for (int i = 0; i < o->in_count; i++) count += o->in[i] == t;
    }
    return count;
}

// See op_kind.slope.
static void plan_slopes(graph *g) {
    for (int k = 0; k < g->op_count; k++) {
        op *o = g->ops[k], *maker = o->in[0]->producer;
        if (!o->kind->multiplies || !o->out[0]->gradient || !maker) continue;
        const int slope = maker->kind->slope;
        if (slope == 0 || slope >= maker->out_count || gradient_makers(g, o->in[0]) > 1) continue;
        o->factor = maker->out[slope];
        maker->slope_done = true;
    }
}

// --- constants

// What operators that run every time read of those that do not is kept.
static void plan_constants(graph *g) {
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        for (int i = 0; i < o->in_count; i++)
            if (!o->constant && o->in[i] && o->in[i]->producer && o->in[i]->producer->constant)
                o->in[i]->constant = true;
    }
}

// Graphs of one model have the same constants in the same order.
static status place_constants(graph *g, error *err) {
    int number = 0;
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->constant)
            TRY(parameters_place_constant(g->parameters, number++, g->tensors[i]->count,
                                          &g->tensors[i]->data, err));
    return OK;
}

// --- lifetimes

// The tensor that owns the bytes.
static tensor *owner(tensor *t) {
    while (t->shares) t = t->shares;
    return t;
}

static void alive_at(tensor *t, int time) {
    if (!t || t->kind != TENSOR_ACTIVATION || t->constant) return;
    t = owner(t);
    if (t->born < 0 || time < t->born) t->born = time;
    if (time + 1 > t->dies) t->dies = time + 1;
}

static void plan_lifetimes(graph *g, tensor *const *keep) {
    int n = g->op_count;
    for (int i = 0; i < g->tensor_count; i++) g->tensors[i]->born = -1;
    for (int k = 0; k < n; k++) {
        op *o = g->ops[k];
        for (int i = 0; i < o->in_count; i++) alive_at(o->in[i], k);
        for (int i = 0; i < o->out_count; i++) alive_at(o->out[i], k);
        if (g->mode != GRAPH_TRAIN) continue;
        int backward = 2 * n - 1 - k;
        if (!o->out[0]->gradient && !o->kind->is_loss) continue;
        for (int i = 0; i < o->in_count; i++) {
            if (o->in[i]) alive_at(o->in[i]->gradient, backward);
            if (o->in[i] && o->kind->is_loss) alive_at(o->in[i]->gradient, k);
            if (o->kind->saves & SAVES_INPUT(i)) alive_at(o->in[i], backward);
        }
        for (int i = 0; i < o->out_count; i++) {
            alive_at(o->out[i]->gradient, backward);
            if (o->kind->saves & SAVES_OUTPUT(i)) alive_at(o->out[i], backward);
        }
    }
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->outlives_pass) alive_at(g->tensors[i], 0), alive_at(g->tensors[i], 2 * n);
    for (; keep && *keep; keep++) alive_at(*keep, 2 * n);
}

// --- places

static size_t bytes_of(const tensor *t) {
    return (t->count * sizeof(real) + PLACE_ALIGNMENT - 1) / PLACE_ALIGNMENT * PLACE_ALIGNMENT;
}

static int larger_first(const void *a, const void *b) {
    const tensor *const *x = a, *const *y = b;
    size_t p = bytes_of(*x), q = bytes_of(*y);
    if (p != q) return p < q ? 1 : -1;
    return (*x)->born - (*y)->born;
}

static int lower_first(const void *a, const void *b) {
    const tensor *const *x = a, *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

// Large tensors first, each at the lowest place free during its whole life.
static void plan_places(graph *g) {
    tensor **order = memory_alloc((size_t)(g->tensor_count + 1) * sizeof *order);
    tensor **living = memory_alloc((size_t)(g->tensor_count + 1) * sizeof *living);
    int count = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *t = g->tensors[i];
        if (t->kind == TENSOR_ACTIVATION && !t->shares && t->born >= 0) order[count++] = t;
    }
    qsort(order, (size_t)count, sizeof *order, larger_first);
    g->plan_bytes = 0;
    for (int i = 0; i < count; i++) {
        tensor *t = order[i];
        int neighbours = 0;
        for (int k = 0; k < i; k++)
            if (order[k]->born < t->dies && t->born < order[k]->dies) living[neighbours++] = order[k];
        qsort(living, (size_t)neighbours, sizeof *living, lower_first);
        size_t spot = 0;
        for (int k = 0; k < neighbours; k++) {
            if (living[k]->offset >= spot + bytes_of(t)) break;
            size_t end = living[k]->offset + bytes_of(living[k]);
            if (end > spot) spot = end;
        }
        t->offset = spot;
        if (spot + bytes_of(t) > g->plan_bytes) g->plan_bytes = spot + bytes_of(t);
    }
    free(living);
    free(order);
}

static void plan_workspace(graph *g) {
    g->workspace_bytes = 0;
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        if (!o->kind->workspace) continue;
        for (int backward = 0; backward <= (g->mode == GRAPH_TRAIN); backward++) {
            size_t bytes = o->kind->workspace(o, backward);
            if (bytes > g->workspace_bytes) g->workspace_bytes = bytes;
        }
    }
}

// --- binding

static void bind_parameters(graph *g) {
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *t = g->tensors[i];
        if (!t->parameter) continue;
        t->data = g->parameters->values + t->parameter->offset;
        if (t->gradient) t->gradient->data = g->parameters->gradients + t->parameter->offset;
    }
}

status graph_place(graph *g, const graph *lender, error *err) {
    size_t bytes = g->plan_bytes + g->workspace_bytes;
    g->borrowed = lender && lender->plan_memory && lender->plan_bytes + lender->workspace_bytes >= bytes;
    if (g->borrowed)
        g->plan_memory = lender->plan_memory;
    else
        TRY(memory_planned_alloc(&g->plan_memory, bytes, "activations", err));
    g->workspace = (char *)g->plan_memory + g->plan_bytes;
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *t = g->tensors[i];
        if (t->kind == TENSOR_ACTIVATION && !t->constant)
            t->data = (real *)((char *)g->plan_memory + owner(t)->offset);
    }
    bind_parameters(g);
    if (g->mode != GRAPH_DECODE) return OK;
    TRY(place_constants(g, err));
    return parameters_place_packed(g->parameters, err);
}

status graph_finish(graph *g, tensor *const *keep, bool allocate, error *err) {
    if (g->mode == GRAPH_TRAIN) {
        TRY(plan_gradients(g, err));
        plan_slopes(g);
    }
    plan_constants(g);
    plan_lifetimes(g, keep);
    plan_places(g);
    plan_workspace(g);
    return allocate ? graph_place(g, NULL, err) : OK;
}
