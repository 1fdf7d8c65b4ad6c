// Causal self-attention: preparation of q and k (per-head RMSNorm, rotary positions), attention over a
// block, attention over a cache when decoding.
//
// Sources: arXiv 1706.03762 (attention), 2305.13245 (grouped queries), 2104.09864 (rotary positions, "half"
// pairing), 2205.14135 (no T x T tensor).
#include "graph/ops.h"

#include <math.h>
#include <string.h>

// --- preparation of q and k

enum { QKV, Q_GAMMA, K_GAMMA, PREPARE_INPUTS };
enum { PREPARED, Q_STATISTICS, K_STATISTICS };

static const real QK_NORM_EPSILON = (real)1e-5;

typedef struct prepare_settings {
    int rows, heads, kv_heads, head_size, width; // width of a qkv row
    int rope_dim;
    double *frequencies; // rope_dim/2: by how much each pair turns from token to token, in radians
    real *cosine, *sine; // time x rope_dim/2
    int tabulated_from;  // position of the tables' first row; -1: not filled yet
} prepare_settings;

// Fills the tables for positions first .. first+time-1, in double precision: angles grow without bound in a
// long stream.
static void tabulate(prepare_settings *s, int time, int first) {
    if (s->tabulated_from == first) return;
    int half = s->rope_dim / 2;
    for (int t = 0; t < time; t++)
        for (int i = 0; i < half; i++) {
            double angle = (double)(first + t) * s->frequencies[i];
            s->cosine[t * half + i] = (real)cos(angle);
            s->sine[t * half + i] = (real)sin(angle);
        }
    s->tabulated_from = first;
}

// from may be to.
static void rotate_q_and_k(const prepare_settings *s, int time, int sign, const real *from, real *to) {
    const int k = s->heads * s->head_size;
    kernels->rotate(s->rows, time, s->heads, s->head_size, s->rope_dim, sign, s->cosine, s->sine, from, to,
                    s->width);
    kernels->rotate(s->rows, time, s->kv_heads, s->head_size, s->rope_dim, sign, s->cosine, s->sine,
                    from + k, to + k, s->width);
}

// As a rotation of none of its elements.
static void copy_v(const prepare_settings *s, int time, const real *from, real *to) {
    const int v = (s->heads + s->kv_heads) * s->head_size;
    kernels->rotate(s->rows, time, s->kv_heads, s->head_size, 0, 1, s->cosine, s->sine, from + v, to + v,
                    s->width);
}

static void prepare_forward(const graph *g, const run_context *c, const op *o) {
    prepare_settings *s = o->settings;
    if (s->rope_dim) tabulate(s, g->time, c->position);
    const real *x = o->in[QKV]->data;
    real *y = o->out[PREPARED]->data;
    if (o->in[Q_GAMMA]) {
        int k = s->heads * s->head_size;
        kernels->head_norm_forward(s->rows, s->heads, s->head_size, s->width, QK_NORM_EPSILON, x,
                                   o->in[Q_GAMMA]->data, y, o->out[Q_STATISTICS]->data);
        kernels->head_norm_forward(s->rows, s->kv_heads, s->head_size, s->width, QK_NORM_EPSILON, x + k,
                                   o->in[K_GAMMA]->data, y + k, o->out[K_STATISTICS]->data);
    }
    if (s->rope_dim) rotate_q_and_k(s, g->time, 1, o->in[Q_GAMMA] ? y : x, y);
    copy_v(s, g->time, x, y);
}

static void prepare_backward(const graph *g, const run_context *c, const op *o) {
    const prepare_settings *s = o->settings;
    const real *dy = o->out[PREPARED]->gradient->data;
    real *dx = o->in[QKV]->gradient->data;
    copy_v(s, g->time, dy, dx);
    if (s->rope_dim) rotate_q_and_k(s, g->time, -1, dy, dx);
    if (!o->in[Q_GAMMA]) return;
    int k = s->heads * s->head_size;
    const real *x = o->in[QKV]->data, *normalised = s->rope_dim ? dx : dy;
    kernels->head_norm_backward(s->rows, s->heads, s->head_size, s->width, x, o->in[Q_GAMMA]->data,
                                o->out[Q_STATISTICS]->data, normalised, dx, o->in[Q_GAMMA]->gradient->data,
                                op_adds(c, o, Q_GAMMA), g->workspace);
    kernels->head_norm_backward(s->rows, s->kv_heads, s->head_size, s->width, x + k, o->in[K_GAMMA]->data,
                                o->out[K_STATISTICS]->data, normalised + k, dx + k,
                                o->in[K_GAMMA]->gradient->data, op_adds(c, o, K_GAMMA), g->workspace);
}

static size_t prepare_workspace(const op *o, bool backward) {
    const prepare_settings *s = o->settings;
    return backward && o->in[Q_GAMMA] ? kernels->norm_workspace(s->rows * s->heads, s->head_size) : 0;
}

static const op_kind rotate_kind = {.name = "rotate_qk",
                                    .forward = prepare_forward,
                                    .backward = prepare_backward,
                                    .varies = true,
                                    .overwrites = INPUT(QKV)};

static const op_kind prepare_kind = {
    .name = "normalise_qk",
    .forward = prepare_forward,
    .backward = prepare_backward,
    .saves = INPUT(QKV) | INPUT(Q_GAMMA) | INPUT(K_GAMMA) | OUTPUT(Q_STATISTICS) | OUTPUT(K_STATISTICS),
    .varies = true,
    .overwrites = INPUT(QKV),
    .workspace = prepare_workspace,
};

static tensor *prepare(graph *g, tensor *qkv, const attention_options *options) {
    prepare_settings *s = arena_alloc(g->memory, sizeof *s);
    s->heads = options->heads;
    s->kv_heads = options->kv_heads;
    s->head_size = options->head_size;
    s->width = qkv->shape[2];
    s->rows = g->batch * g->time;
    s->rope_dim = options->rope_dim;
    s->frequencies = arena_alloc(g->memory, (size_t)(s->rope_dim / 2) * sizeof(double));
    for (int i = 0; i < s->rope_dim / 2; i++)
        s->frequencies[i] = pow(options->rope_base, -2.0 * i / s->rope_dim);
    s->tabulated_from = -1;
    size_t table = (size_t)g->time * (size_t)(s->rope_dim / 2) * sizeof(real);
    s->cosine = arena_alloc(g->memory, table);
    s->sine = arena_alloc(g->memory, table);
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, qkv->shape);
    bool normalised = options->q_gamma != NULL;
    op *o = graph_append(g, normalised ? &prepare_kind : &rotate_kind,
                         (tensor *[PREPARE_INPUTS]){qkv, options->q_gamma, options->k_gamma},
                         PREPARE_INPUTS, y, s);
    if (normalised) {
        op_output(g, o, 2, (int[]){s->rows, s->heads});
        op_output(g, o, 2, (int[]){s->rows, s->kv_heads});
    }
    return y;
}

// --- attention over a block

enum { SCALE = 1, BLOCK_INPUTS, KEYS = BLOCK_INPUTS, VALUES, DECODE_INPUTS };
enum { Y, LSE };

typedef struct attention_settings {
    attention_shape shape;
    double dropout;
    int capacity; // of the cache
} attention_settings;

static dropout_mask mask_of(const graph *g, const run_context *c, const op *o) {
    const attention_settings *s = o->settings;
    return (dropout_mask){g->options.gradients ? (real)s->dropout : 0, op_dropout_stream(c, o)};
}

static attention_shape shape_of(const op *o) {
    attention_shape shape = ((const attention_settings *)o->settings)->shape;
    if (o->in[SCALE]) shape.scale = o->in[SCALE]->data[0];
    return shape;
}

static void block_forward(const graph *g, const run_context *c, const op *o) {
    const attention_shape shape = shape_of(o);
    dropout_mask mask = mask_of(g, c, o);
    kernels->attention_forward(&shape, &mask, o->in[QKV]->data, o->out[Y]->data, o->out[LSE]->data,
                               g->workspace);
}

static void block_backward(const graph *g, const run_context *c, const op *o) {
    const attention_shape shape = shape_of(o);
    dropout_mask mask = mask_of(g, c, o);
    double dscale;
    kernels->attention_backward(&shape, &mask, o->in[QKV]->data, o->out[Y]->data, o->out[LSE]->data,
                                o->out[Y]->gradient->data, o->in[QKV]->gradient->data, op_adds(c, o, QKV),
                                o->in[SCALE] ? &dscale : NULL, g->workspace);
    if (!o->in[SCALE]) return;
    real *to = o->in[SCALE]->gradient->data;
    *to = (real)dscale + (op_adds(c, o, SCALE) ? *to : 0);
}

// Scores and weighted values over the visible half of the square (or the window).
static double block_flops(const op *o) {
    const attention_shape *s = &((const attention_settings *)o->settings)->shape;
    double span = s->window && s->window < s->time ? s->window : 0.5 * (s->time + 1);
    return 4.0 * s->batch * s->heads * s->head_size * s->time * span;
}

static size_t block_workspace(const op *o, bool backward) {
    (void)backward;
    return kernels->attention_workspace(&((const attention_settings *)o->settings)->shape,
                                        kernels_threads());
}

static const op_kind block_kind = {
    .name = "attention",
    .forward = block_forward,
    .backward = block_backward,
    .saves = INPUT(QKV) | INPUT(SCALE) | OUTPUT(Y) | OUTPUT(LSE),
    .varies = true,
    .mixes_documents = true,
    .flops = block_flops,
    .workspace = block_workspace,
};

// --- attention over a cache

// A cache is a ring: token p stands in slot p mod capacity. The order of keys does not matter to a softmax.
static void decode_forward(const graph *g, const run_context *c, const op *o) {
    const attention_settings *s = o->settings;
    const attention_shape shape = shape_of(o);
    kernels->attention_decode(&shape, s->capacity, c->position, o->in[QKV]->data, o->in[KEYS]->data,
                              o->in[VALUES]->data, o->out[Y]->data, g->workspace);
}

// One score for each slot.
static size_t decode_workspace(const op *o, bool backward) {
    (void)backward;
    const attention_settings *s = o->settings;
    return (size_t)kernels_threads() * (size_t)s->capacity * sizeof(real);
}

static const op_kind decode_kind = {.name = "attention_decode",
                                    .forward = decode_forward,
                                    .mixes_documents = true,
                                    .workspace = decode_workspace};

tensor *op_attention(graph *g, tensor *qkv, const attention_options *options) {
    attention_settings *s = arena_alloc(g->memory, sizeof *s);
    s->shape = (attention_shape){
        .batch = g->batch,
        .time = g->time,
        .heads = options->heads,
        .kv_heads = options->kv_heads,
        .head_size = options->head_size,
        .window = options->window,
        .scale = (real)(1 / sqrt(options->head_size)),
        .shared_qkv = options->shared_qkv,
    };
    s->dropout = options->dropout;
    if (options->rope_dim || options->q_gamma) {
        if (s->shape.shared_qkv) qkv = op_concat(g, (tensor *[]){qkv, qkv, qkv}, 3);
        s->shape.shared_qkv = false;
        qkv = prepare(g, qkv, options);
    }
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3,
                             (int[]){g->batch, g->time, options->heads * options->head_size});
    if (g->options.states && !g->options.attention_restarts) {
        // A window that reaches beyond the block never made a difference in training.
        bool windowed = options->window && options->window < options->block_size;
        s->capacity = windowed ? options->window : options->block_size;
        int ring[] = {g->batch, s->capacity, options->kv_heads * options->head_size};
        tensor *in[DECODE_INPUTS] = {qkv, options->scale, graph_state(g, "keys", 3, ring),
                                     graph_state(g, "values", 3, ring)};
        graph_append(g, &decode_kind, in, DECODE_INPUTS, y, s);
        return y;
    }
    op *o = graph_append(g, &block_kind, (tensor *[]){qkv, options->scale}, BLOCK_INPUTS, y, s);
    op_output(g, o, 3, (int[]){g->batch, options->heads, g->time});
    o->site = g->sites++;
    return y;
}
