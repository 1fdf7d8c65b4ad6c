// Token embedding, and positions added to it.
#include "graph/ops.h"
#include "graph/ops_fuse.h"

#include <math.h>
#include <string.h>

// --- embedding

enum { IDS, TABLE, INPUTS };

typedef struct embedding_settings {
    int rows, columns, vocabulary;
    double scale;
} embedding_settings;

static void embedding_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const embedding_settings *s = o->settings;
    kernels->embedding_forward(s->rows, s->columns, (real)s->scale, o->in[IDS]->ids, o->in[TABLE]->data,
                               o->out[0]->data);
}

static void embedding_backward(const graph *g, const run_context *c, const op *o) {
    const embedding_settings *s = o->settings;
    const real *dy = o->out[0]->gradient->data;
    kernels->embedding_backward(s->rows, s->columns, s->vocabulary, (real)s->scale, o->in[IDS]->ids, dy,
                                o->in[TABLE]->gradient->data, op_adds(c, o, TABLE), g->workspace);
}

static size_t embedding_workspace(const op *o, bool backward) {
    const embedding_settings *s = o->settings;
    return backward ? kernels->embedding_workspace(s->rows, s->vocabulary) : 0;
}

static const op_kind embedding_kind = {
    .name = "embedding",
    .forward = embedding_forward,
    .backward = embedding_backward,
    .saves = INPUT(IDS),
    .gathers = INPUT(TABLE),
    .workspace = embedding_workspace,
};

tensor *op_embedding(graph *g, tensor *ids, tensor *table, double scale) {
    embedding_settings *s = arena_alloc(g->memory, sizeof *s);
    s->rows = g->batch * g->time;
    s->vocabulary = table->shape[0];
    s->columns = table->shape[1];
    s->scale = scale;
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->columns});
    graph_append(g, &embedding_kind, (tensor *[INPUTS]){ids, table}, INPUTS, y, s);
    return y;
}

bool embedding_inputs(const tensor *x, tensor **ids, tensor **table) {
    const op *o = x->producer;
    if (!o || o->kind != &embedding_kind || ((const embedding_settings *)o->settings)->scale != 1)
        return false;
    *ids = o->in[IDS];
    *table = o->in[TABLE];
    return true;
}

// --- positions

// y[b][t] = x[b][t] + table[first + t]
static void add_positions(const graph *g, const run_context *c, const op *o, const real *table) {
    int columns = o->out[0]->shape[2];
    size_t per_row = (size_t)g->time * (size_t)columns;
    table += (size_t)c->position * (size_t)columns;
    for (int b = 0; b < g->batch; b++)
        kernels->add(per_row, o->in[0]->data + (size_t)b * per_row, table,
                     o->out[0]->data + (size_t)b * per_row);
}

static void learned_forward(const graph *g, const run_context *c, const op *o) {
    add_positions(g, c, o, o->in[1]->data);
}

static void learned_backward(const graph *g, const run_context *c, const op *o) {
    const tensor *into = o->in[1]->gradient;
    bool adds = op_adds(c, o, 1);
    size_t used = (size_t)g->time * (size_t)o->out[0]->shape[2]; // positions beyond `time` have no gradient
    if (!adds) memset(into->data + used, 0, (into->count - used) * sizeof(real));
    kernels->positions_backward(g->batch, g->time, o->out[0]->shape[2], o->out[0]->gradient->data,
                                into->data, adds);
}

static const op_kind learned_kind = {.name = "learned_positions",
                                     .forward = learned_forward,
                                     .backward = learned_backward,
                                     .varies = true,
                                     .passthrough = INPUT(0)};

tensor *op_learned_positions(graph *g, tensor *x, tensor *table) {
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
    graph_append(g, &learned_kind, (tensor *[]){x, table}, 2, y, NULL);
    return y;
}

typedef struct sinusoid_settings {
    real *table; // block_size x columns
} sinusoid_settings;

static void sinusoid_forward(const graph *g, const run_context *c, const op *o) {
    add_positions(g, c, o, ((const sinusoid_settings *)o->settings)->table);
}

static const op_kind sinusoid_kind = {
    .name = "sinusoidal_positions", .forward = sinusoid_forward, .varies = true, .passthrough = INPUT(0)};

tensor *op_sinusoidal_positions(graph *g, tensor *x, int block_size) {
    sinusoid_settings *s = arena_alloc(g->memory, sizeof *s);
    int width = x->shape[2];
    s->table = arena_alloc(g->memory, (size_t)block_size * (size_t)width * sizeof(real));
    for (int p = 0; p < block_size; p++)
        for (int i = 0; i < width; i++) {
            double angle = p * pow(10000, -(double)(i - i % 2) / width);
            s->table[(size_t)p * (size_t)width + (size_t)i] = (real)(i % 2 ? cos(angle) : sin(angle));
        }
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
    graph_append(g, &sinusoid_kind, (tensor *[]){x}, 1, y, s);
    return y;
}
