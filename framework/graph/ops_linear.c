// op_linear: y = act(x W^T + b) (+ residual), one matrix product with its epilogue; and packed weights. A
// row's results have the same bits however many rows there are.
#include "graph/ops.h"
#include "graph/ops_fuse.h"

// --- packed weights

static int rows_of(const tensor *weight) {
    return weight->shape[0];
}

static int columns_of(const tensor *weight) {
    return (int)(weight->count / (size_t)weight->shape[0]);
}

static void pack_transposed(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const tensor *w = o->in[0];
    kernels->gemm_pack(true, rows_of(w), columns_of(w), w->data, columns_of(w), o->out[0]->data);
}

static void pack_as_it_is(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    const tensor *w = o->in[0];
    kernels->gemm_pack(false, columns_of(w), rows_of(w), w->data, columns_of(w), o->out[0]->data);
}

static const op_kind pack_transposed_kind = {.name = "pack_transposed", .forward = pack_transposed};
static const op_kind pack_kind = {.name = "pack", .forward = pack_as_it_is};

tensor *op_pack(graph *g, tensor *weight, bool transposed) {
    const op_kind *kind = transposed ? &pack_transposed_kind : &pack_kind;
    for (int k = 0; k < g->op_count; k++)
        if (g->ops[k]->kind == kind && g->ops[k]->in[0] == weight) return g->ops[k]->out[0];
    const int out = rows_of(weight), in = columns_of(weight);
    const size_t bytes = kernels->gemm_packed_bytes(transposed ? out : in, transposed ? in : out);
    tensor *packed = graph_tensor(g, TENSOR_ACTIVATION, 1, (int[]){(int)(bytes / sizeof(real))});
    graph_append(g, kind, &weight, 1, packed, NULL);
    packed->differentiable = false; // the products make the weight's gradient
    return packed;
}

// --- the product

enum { X, WEIGHT, BIAS, RESIDUAL, PACKED_TRANSPOSED, PACKED, INPUTS };
enum { Y, SLOPE };

typedef struct linear_settings {
    activation act;
    int rows, in, out;
} linear_settings;

// x W^T or, for the gradient of x, dy W; by the packed weight, where there is one.
static void multiply(const graph *g, const op *o, bool transposed, const real *from, real *to,
                     const gemm_epilogue *epilogue) {
    const linear_settings *s = o->settings;
    const int N = transposed ? s->out : s->in, K = transposed ? s->in : s->out;
    const tensor *packed = o->in[transposed ? PACKED_TRANSPOSED : PACKED];
    if (packed)
        kernels->gemm_packed(false, s->rows, N, K, from, K, packed->data, to, N, epilogue);
    else
        kernels->gemm(false, transposed, s->rows, N, K, from, K, o->in[WEIGHT]->data, s->in, to, N,
                      epilogue, g->workspace);
}

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const linear_settings *s = o->settings;
    const gemm_epilogue epilogue = {
        .bias = o->in[BIAS] ? o->in[BIAS]->data : NULL,
        .act = s->act,
        .slope = o->out_count > SLOPE ? o->out[SLOPE]->data : NULL,
        .residual = o->in[RESIDUAL] ? o->in[RESIDUAL]->data : NULL,
    };
    multiply(g, o, true, o->in[X]->data, o->out[Y]->data, &epilogue);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const linear_settings *s = o->settings;
    real *dy = o->out[Y]->gradient->data;
    if (s->act != ACTIVATION_NONE && !o->slope_done)
        kernels->multiply(o->out[Y]->count, dy, o->out[SLOPE]->data, dy, false);
    if (o->in[BIAS])
        kernels->column_sum(s->rows, s->out, dy, s->out, o->in[BIAS]->gradient->data, op_adds(c, o, BIAS));
    const gemm_epilogue to_weight = {.accumulate = op_adds(c, o, WEIGHT)};
    kernels->gemm(true, false, s->out, s->in, s->rows, dy, s->out, o->in[X]->data, s->in,
                  o->in[WEIGHT]->gradient->data, s->in, &to_weight, g->workspace);
    if (!o->in[X]->gradient) return;
    const gemm_epilogue to_input = {.factor = o->factor ? o->factor->data : NULL,
                                    .accumulate = op_adds(c, o, X)};
    multiply(g, o, false, dy, o->in[X]->gradient->data, &to_input);
}

static double flops(const op *o) {
    const linear_settings *s = o->settings;
    return 2.0 * s->rows * s->in * s->out;
}

static size_t workspace(const op *o, bool for_backward) {
    const linear_settings *s = o->settings;
    size_t bytes = kernels->gemm_workspace(s->out, s->in);
    if (!for_backward) return bytes;
    size_t weight = kernels->gemm_workspace(s->in, s->rows), input = kernels->gemm_workspace(s->in, s->out);
    if (weight > bytes) bytes = weight;
    return input > bytes ? input : bytes;
}

static const op_kind linear_kind = {
    .name = "linear",
    .forward = forward,
    .backward = backward,
    .saves = INPUT(X) | INPUT(WEIGHT) | OUTPUT(SLOPE),
    .passthrough = INPUT(RESIDUAL),
    .slope = OUTPUT(SLOPE),
    .multiplies = true,
    .flops = flops,
    .workspace = workspace,
};

tensor *op_linear(graph *g, tensor *x, tensor *weight, tensor *bias, activation act) {
    linear_settings *s = arena_alloc(g->memory, sizeof *s);
    s->act = act;
    s->out = rows_of(weight);
    s->in = columns_of(weight);
    s->rows = (int)(x->count / (size_t)s->in);
    int shape[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i] = x->shape[i];
    shape[x->rank - 1] = s->out;
    tensor *in[INPUTS] = {[X] = x, [WEIGHT] = weight, [BIAS] = bias};
    // Of parameters it is derived: the weight is used once, and packed on the way.
    if (g->options.packs_weights && x->kind != TENSOR_PARAMETER) {
        in[PACKED_TRANSPOSED] = op_pack(g, weight, true);
        if (g->options.gradients && x->differentiable) in[PACKED] = op_pack(g, weight, false);
    }
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, shape);
    op *o = graph_append(g, &linear_kind, in, INPUTS, y, s);
    if (act != ACTIVATION_NONE && g->options.gradients) op_output(g, o, x->rank, shape);
    return y;
}

bool linear_fuse_residual(op *o, tensor *residual) {
    const linear_settings *s = o->settings;
    if (o->kind != &linear_kind || s->act != ACTIVATION_NONE || o->in[RESIDUAL]) return false;
    o->in[RESIDUAL] = residual;
    return true;
}

bool linear_take_apart(graph *g, tensor *y, tensor **x, tensor **weight, tensor **bias) {
    const op *o = y->producer;
    if (!o || o != g->ops[g->op_count - 1] || o->kind != &linear_kind) return false;
    if (((const linear_settings *)o->settings)->act != ACTIVATION_NONE || o->in[RESIDUAL]) return false;
    *x = o->in[X];
    *weight = o->in[WEIGHT];
    *bias = o->in[BIAS];
    y->producer = NULL;
    g->op_count--;
    return true;
}
