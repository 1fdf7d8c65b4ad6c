// graph_finish: which gradients there are, how long every tensor lives, and where its bytes are.
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

enum { PLACE_ALIGNMENT = 64 };

// --- what is needed

static bool is_read(const graph *g, const tensor *t, tensor *const *keep) {
    for (; keep && *keep; keep++)
        if (*keep == t) return true;
    for (int k = 0; k < g->op_count; k++)
        for (int i = 0; i < g->ops[k]->in_count; i++)
            if (g->ops[k]->in[i] == t) return true;
    return false;
}

// Takes out operators whose result nobody reads: an embedding, say, when the layer after it looks up what
// it needs by itself.
static void drop_unread(graph *g, tensor *const *keep) {
    for (int k = g->op_count - 1; k >= 0; k--) {
        if (g->ops[k]->kind->is_loss || is_read(g, g->ops[k]->out[0], keep)) continue;
        g->op_count--;
        memmove(g->ops + k, g->ops + k + 1, (size_t)(g->op_count - k) * sizeof *g->ops);
    }
}

// --- gradients

static tensor *new_gradient(graph *g, tensor *of) {
    tensor *gradient = graph_tensor(g, of->kind, of->rank, of->shape);
    gradient->name = of->name;
    gradient->born = -1;
    gradient->is_derived = of->is_derived;
    of->gradient = gradient;
    return gradient;
}

// Whether the gradient step of some operator reads t.
static bool is_saved(const graph *g, const tensor *t) {
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        for (int i = 0; i < o->in_count; i++)
            if (o->in[i] == t && (o->kind->saves & INPUT(i))) return true;
        for (int i = 0; i < o->out_count; i++)
            if (o->out[i] == t && (o->kind->saves & OUTPUT(i))) return true;
    }
    return false;
}

// Gives in[i] of o a gradient, or notes that o adds to the one that it has.
static status plan_gradient(graph *g, op *o, int i, error *err) {
    tensor *in = o->in[i];
    if (!in || !in->differentiable) return OK;
    if (in->gradient && (o->kind->overwrites & INPUT(i)))
        return fail(err, ERR_INTERNAL, "%s: another operator also reads input %d of %s", o->path, i,
                    o->kind->name);
    if (!in->gradient && (o->kind->passthrough & INPUT(i)) && in->kind == TENSOR_ACTIVATION &&
        in->is_derived == o->is_derived) {
        in->gradient = o->out[0]->gradient;
        return OK;
    }
    if (o->kind->passthrough & INPUT(i)) o->passes_apart = true;
    if (in->gradient)
        o->adds |= INPUT(i);
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
    const bool in_place = x->kind == TENSOR_ACTIVATION && !x->is_derived && !is_saved(g, x);
    if (o->kind->only_in_place && !in_place)
        return fail(err, ERR_INTERNAL, "%s: another operator also reads the input of the loss", o->path);
    for (int i = 0; i < o->in_count; i++) TRY(plan_gradient(g, o, i, err));
    if (in_place && x->gradient) x->gradient->shares = x;
    return OK;
}

static status plan_op(graph *g, op *o, error *err) {
    if (o->kind->is_loss) return plan_loss(g, o, err);
    if (!o->out[0]->gradient) return OK;
    if (!o->kind->backward && !o->kind->passthrough)
        return fail(err, ERR_INTERNAL, "%s: %s has no gradient", o->path, o->kind->name);
    // In the order in which they are written: what is passed through comes last.
    for (int i = 0; i < o->in_count; i++)
        if (!(o->kind->passthrough & INPUT(i))) TRY(plan_gradient(g, o, i, err));
    for (int i = 0; i < o->in_count; i++)
        if (o->kind->passthrough & INPUT(i)) TRY(plan_gradient(g, o, i, err));
    return OK;
}

// In the order in which they run: derived operators come after all others.
static status plan_gradients(graph *g, error *err) {
    for (int derived = 0; derived < 2; derived++)
        for (int k = g->op_count - 1; k >= 0; k--)
            if (g->ops[k]->is_derived == derived) TRY(plan_op(g, g->ops[k], err));
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
        op *o = g->ops[k];
        if (!o->kind->multiplies || !o->out[0]->gradient) continue;
        const op *producer = o->in[0]->producer;
        if (!producer || producer->is_derived != o->is_derived || gradient_makers(g, o->in[0]) > 1)
            continue;
        for (int i = 0; i < producer->out_count; i++)
            if (producer->kind->slope & OUTPUT(i)) o->factor = producer->out[i];
        if (o->factor) o->in[0]->producer->slope_done = true;
    }
}

// --- derived tensors

// Whether the inputs are parameters and what is derived from them.
static bool is_fed_by_parameters(const op *o) {
    bool any = false;
    for (int i = 0; i < o->in_count; i++) {
        const tensor *t = o->in[i];
        if (!t) continue;
        if (t->kind != TENSOR_PARAMETER && !t->is_derived) return false;
        any = true;
    }
    return any;
}

static void mark_derived(graph *g) {
    for (int k = 0; k < g->op_count; k++) {
        op *o = g->ops[k];
        o->is_derived = !o->kind->varies && !o->kind->is_loss && is_fed_by_parameters(o);
        for (int i = 0; i < o->out_count; i++) o->out[i]->is_derived = o->is_derived;
    }
}

// Their gradients lie behind those of the parameters.
static void plan_derived_gradients(graph *g) {
    enum { ALIGNMENT = PLACE_ALIGNMENT / sizeof(real) };
    g->gradient_reals = g->parameters->total;
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *gradient = g->tensors[i]->gradient;
        if (!g->tensors[i]->is_derived || !gradient) continue;
        gradient->offset = g->gradient_reals;
        g->gradient_reals += (gradient->count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

// The first thing that a derived operator is made of.
static const tensor *source_of(const op *o) {
    int i = 0;
    while (!o->in[i]) i++;
    return o->in[i];
}

// Graphs of one model build the same layers in the same order, but some pack more weights than others:
// path, kind, what it is made of and a number tell which tensor it is.
static status place_derived(graph *g, error *err) {
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        if (!o->is_derived) continue;
        const tensor *source = source_of(o);
        const char *from = source->parameter ? source->parameter->name : source->derived->name;
        int number = 0;
        for (int i = 0; i < k; i++) {
            const op *other = g->ops[i];
            number += other->is_derived && other->kind == o->kind && source_of(other) == source &&
                      strcmp(other->path, o->path) == 0;
        }
        for (int i = 0; i < o->out_count; i++) {
            tensor *t = o->out[i];
            const char *name =
                arena_format(g->memory, "%s/%s%d(%s).%d", o->path, o->kind->name, number, from, i);
            TRY(parameters_derived(g->parameters, name, t->count, &t->derived, err));
            t->data = t->derived->data;
        }
    }
    return OK;
}

// --- lifetimes

// The tensor that owns the bytes.
static tensor *owner(tensor *t) {
    while (t->shares) t = t->shares;
    return t;
}

static void alive_at(tensor *t, int time) {
    if (!t || t->kind != TENSOR_ACTIVATION || t->is_derived) return;
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
        if (!g->options.gradients) continue;
        int backward = 2 * n - 1 - k;
        if (!o->out[0]->gradient && !o->kind->is_loss) continue;
        for (int i = 0; i < o->in_count; i++) {
            if (o->in[i]) alive_at(o->in[i]->gradient, backward);
            if (o->in[i] && o->kind->is_loss) alive_at(o->in[i]->gradient, k);
            if (o->kind->saves & INPUT(i)) alive_at(o->in[i], backward);
        }
        for (int i = 0; i < o->out_count; i++) {
            alive_at(o->out[i]->gradient, backward);
            if (o->kind->saves & OUTPUT(i)) alive_at(o->out[i], backward);
        }
    }
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
    const size_t first = (*x)->offset, second = (*y)->offset;
    return first < second ? -1 : first > second;
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
        for (int backward = 0; backward <= g->options.gradients; backward++) {
            size_t bytes = o->kind->workspace(o, backward);
            if (bytes > g->workspace_bytes) g->workspace_bytes = bytes;
        }
    }
}

// --- binding

void graph_bind_gradients(graph *g, real *block) {
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *t = g->tensors[i], *gradient = t->gradient;
        if (!gradient) continue;
        if (t->parameter) gradient->data = block + t->parameter->offset;
        if (t->is_derived) gradient->data = block + gradient->offset;
    }
}

static void bind_parameters(graph *g) {
    for (int i = 0; i < g->tensor_count; i++) {
        tensor *t = g->tensors[i];
        if (t->parameter) t->data = (real *)g->parameters->values + t->parameter->offset;
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
        if (t->kind == TENSOR_ACTIVATION && !t->is_derived)
            t->data = (real *)((char *)g->plan_memory + owner(t)->offset);
    }
    bind_parameters(g);
    TRY(place_derived(g, err));
    if (!g->options.gradients) return OK;
    TRY(parameters_place_gradients(g->parameters, g->gradient_reals - g->parameters->total, err));
    graph_bind_gradients(g, g->parameters->gradients);
    return OK;
}

status graph_finish(graph *g, tensor *const *keep, error *err) {
    drop_unread(g, keep);
    mark_derived(g);
    if (g->options.gradients) {
        TRY(plan_gradients(g, err));
        plan_slopes(g);
    }
    plan_derived_gradients(g);
    plan_lifetimes(g, keep);
    plan_places(g);
    plan_workspace(g);
    return OK;
}
