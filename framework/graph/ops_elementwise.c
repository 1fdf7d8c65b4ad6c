// Operators that treat elements alike: sums, products, activations, gated units, dropout, concatenation
// and its opposite.
#include "graph/ops.h"
#include "graph/ops_fuse.h"

#include <string.h>

static tensor *like(graph *g, const tensor *x) {
    return graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
}

// --- add

static void add_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    kernels->add(o->out[0]->count, o->in[0]->data, o->in[1]->data, o->out[0]->data);
}

static void add_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    if (!o->in[1]->gradient) return;
    kernels->scale(o->out[0]->count, 1, o->out[0]->gradient->data, o->in[1]->gradient->data,
                   op_adds(c, o, 1));
}

static const op_kind add_kind = {
    .name = "add", .forward = add_forward, .backward = add_backward, .passthrough = INPUT(0)};

tensor *op_add(graph *g, tensor *a, tensor *b) {
    tensor *y = like(g, a);
    graph_append(g, &add_kind, (tensor *[]){a, b}, 2, y, NULL);
    return y;
}

tensor *op_residual(graph *g, tensor *x, tensor *branch) {
    op *producer = branch->producer;
    bool is_last = producer && producer == g->ops[g->op_count - 1];
    if (is_last && branch != x && (linear_fuse_residual(producer, x) || dropout_fuse_residual(producer, x)))
        return branch;
    return op_add(g, x, branch);
}

// --- multiply

static void multiply_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    kernels->multiply(o->out[0]->count, o->in[0]->data, o->in[1]->data, o->out[0]->data, false);
}

static void multiply_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    const real *dy = o->out[0]->gradient->data;
    for (int i = 0; i < 2; i++)
        if (o->in[i]->gradient)
            kernels->multiply(o->out[0]->count, dy, o->in[1 - i]->data, o->in[i]->gradient->data,
                              op_adds(c, o, i));
}

static const op_kind multiply_kind = {
    .name = "multiply",
    .forward = multiply_forward,
    .backward = multiply_backward,
    .saves = INPUT(0) | INPUT(1),
};

tensor *op_multiply(graph *g, tensor *a, tensor *b) {
    tensor *y = like(g, a);
    graph_append(g, &multiply_kind, (tensor *[]){a, b}, 2, y, NULL);
    return y;
}

// --- activation

typedef struct activation_settings {
    activation act;
    int rows, width; // gated: of the output
} activation_settings;

static void activation_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const activation_settings *s = o->settings;
    kernels->activation_forward(s->act, o->out[0]->count, o->in[0]->data, o->out[0]->data);
}

static void activation_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    const activation_settings *s = o->settings;
    kernels->activation_backward(s->act, o->out[0]->count, o->in[0]->data, o->out[0]->gradient->data,
                                 o->in[0]->gradient->data, op_adds(c, o, 0));
}

static const op_kind activation_kind = {
    .name = "activation",
    .forward = activation_forward,
    .backward = activation_backward,
    .saves = INPUT(0),
};

tensor *op_activation(graph *g, tensor *x, activation act) {
    activation_settings *s = arena_alloc(g->memory, sizeof *s);
    s->act = act;
    tensor *y = like(g, x);
    graph_append(g, &activation_kind, (tensor *[]){x}, 1, y, s);
    return y;
}

// --- gated unit

static void gated_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const activation_settings *s = o->settings;
    kernels->gated_forward(s->act, s->rows, s->width, o->in[0]->data, o->out[0]->data);
}

static void gated_backward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const activation_settings *s = o->settings;
    kernels->gated_backward(s->act, s->rows, s->width, o->in[0]->data, o->out[0]->gradient->data,
                            o->in[0]->gradient->data);
}

static const op_kind gated_kind = {
    .name = "gated",
    .forward = gated_forward,
    .backward = gated_backward,
    .saves = INPUT(0),
    .overwrites = INPUT(0),
};

tensor *op_gated(graph *g, tensor *x, activation act) {
    activation_settings *s = arena_alloc(g->memory, sizeof *s);
    int shape[TENSOR_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    s->act = act;
    s->width = shape[x->rank - 1] /= 2;
    s->rows = (int)(x->count / 2 / (size_t)s->width);
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, shape);
    graph_append(g, &gated_kind, (tensor *[]){x}, 1, y, s);
    return y;
}

// --- dropout

typedef struct dropout_settings {
    double p;
    int column; // the first, of op_dropout_columns
} dropout_settings;

static dropout_mask mask_of(const run_context *c, const op *o) {
    const dropout_settings *s = o->settings;
    return (dropout_mask){(real)s->p, op_dropout_stream(c, o)};
}

static void dropout_forward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    dropout_mask mask = mask_of(c, o);
    kernels->dropout(o->out[0]->count, &mask, o->in[0]->data, o->in[1] ? o->in[1]->data : NULL,
                     o->out[0]->data, false);
}

static void dropout_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    dropout_mask mask = mask_of(c, o);
    kernels->dropout(o->out[0]->count, &mask, o->out[0]->gradient->data, NULL, o->in[0]->gradient->data,
                     op_adds(c, o, 0));
}

static const op_kind dropout_kind = {
    .name = "dropout",
    .forward = dropout_forward,
    .backward = dropout_backward,
    .varies = true,
    .passthrough = INPUT(1),
};

tensor *op_dropout(graph *g, tensor *x, double p) {
    if (p == 0 || !g->options.gradients) return x;
    dropout_settings *s = arena_alloc(g->memory, sizeof *s);
    s->p = p;
    tensor *y = like(g, x);
    graph_append(g, &dropout_kind, (tensor *[]){x, NULL}, 2, y, s)->site = g->sites++;
    return y;
}

bool dropout_fuse_residual(op *o, tensor *residual) {
    if (o->kind != &dropout_kind || o->in[1]) return false;
    o->in[1] = residual;
    return true;
}

// --- some columns, and dropout of them

static void columns_forward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    const dropout_settings *s = o->settings;
    const tensor *x = o->in[0], *y = o->out[0];
    const dropout_mask mask = mask_of(c, o);
    const int width = tensor_width(y);
    kernels->dropout_columns((int)(y->count / (size_t)width), width, &mask, x->data + s->column,
                             tensor_width(x), y->data, width, false);
}

static void columns_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    const dropout_settings *s = o->settings;
    const tensor *dx = o->in[0]->gradient, *y = o->out[0];
    const dropout_mask mask = mask_of(c, o);
    const bool adds = op_adds(c, o, 0);
    const int width = tensor_width(y);
    if (!adds) memset(dx->data, 0, dx->count * sizeof(real));
    kernels->dropout_columns((int)(y->count / (size_t)width), width, &mask, y->gradient->data, width,
                             dx->data + s->column, tensor_width(dx), adds);
}

static const op_kind columns_kind = {
    .name = "columns",
    .forward = columns_forward,
    .backward = columns_backward,
};

static const op_kind dropout_columns_kind = {
    .name = "dropout",
    .forward = columns_forward,
    .backward = columns_backward,
    .varies = true,
};

tensor *op_dropout_columns(graph *g, tensor *x, int column, int width, double p) {
    dropout_settings *s = arena_alloc(g->memory, sizeof *s);
    int shape[TENSOR_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank - 1] = width;
    *s = (dropout_settings){g->options.gradients ? p : 0, column};
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, shape);
    op *o = graph_append(g, s->p > 0 ? &dropout_columns_kind : &columns_kind, &x, 1, y, s);
    if (s->p > 0) o->site = g->sites++;
    return y;
}

tensor *op_columns(graph *g, tensor *x, int column, int width) {
    return op_dropout_columns(g, x, column, width, 0);
}

// --- concatenation

static const dropout_mask KEEP_ALL = {0};

typedef struct concat_settings {
    int rows; // of each part
} concat_settings;

static void concat_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const tensor *y = o->out[0];
    const int rows = ((const concat_settings *)o->settings)->rows, width = (int)(y->count / (size_t)rows);
    real *to = y->data;
    for (int i = 0; i < o->in_count; i++) {
        const int part = (int)(o->in[i]->count / (size_t)rows);
        kernels->dropout_columns(rows, part, &KEEP_ALL, o->in[i]->data, part, to, width, false);
        to += part;
    }
}

static void concat_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    const tensor *y = o->out[0];
    const int rows = ((const concat_settings *)o->settings)->rows, width = (int)(y->count / (size_t)rows);
    const real *from = y->gradient->data;
    for (int i = 0; i < o->in_count; i++) {
        const int part = (int)(o->in[i]->count / (size_t)rows);
        if (o->in[i]->gradient)
            kernels->dropout_columns(rows, part, &KEEP_ALL, from, width, o->in[i]->gradient->data, part,
                                     op_adds(c, o, i));
        from += part;
    }
}

static const op_kind concat_kind = {
    .name = "concat", .forward = concat_forward, .backward = concat_backward};

static tensor *concat_along(graph *g, tensor *const *parts, int count, int axis) {
    concat_settings *s = arena_alloc(g->memory, sizeof *s);
    int shape[TENSOR_MAX_RANK];
    memcpy(shape, parts[0]->shape, sizeof shape);
    s->rows = 1;
    for (int i = 0; i < axis; i++) s->rows *= shape[i];
    for (int i = 1; i < count; i++) shape[axis] += parts[i]->shape[axis];
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, parts[0]->rank, shape);
    graph_append(g, &concat_kind, parts, count, y, s);
    return y;
}

tensor *op_concat(graph *g, tensor *const *parts, int count) {
    return concat_along(g, parts, count, parts[0]->rank - 1);
}

tensor *op_stack(graph *g, tensor *const *parts, int count) {
    return concat_along(g, parts, count, 0);
}
