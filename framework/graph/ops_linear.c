// op_linear: y = act(x W^T + b) (+ residual), one matrix product with its epilogue. Decoding graphs read
// the packed copy of W, and give each row the same bits however many rows there are.
#include "graph/ops.h"
#include "graph/ops_fuse.h"

enum { X, WEIGHT, BIAS, RESIDUAL, INPUTS };
enum { Y, SLOPE };

typedef struct linear_settings {
    activation act;
    int rows, in, out;
    tensor *packed[2]; // the weight as forward and backward steps want it; NULL: packed for every product
} linear_settings;

// A product with the weight W (out x in): x W^T, or with backward dy W. A step of several passes packs the
// weight in its first.
static void multiply(const graph *g, const run_context *c, const op *o, bool backward, const real *from,
                     real *to, const gemm_epilogue *epilogue) {
    const linear_settings *s = o->settings;
    const int N = backward ? s->in : s->out, K = backward ? s->out : s->in;
    const real *weight = o->in[WEIGHT]->data;
    const tensor *packed = s->packed[backward];
    if (!packed) {
        kernels->gemm(false, !backward, s->rows, N, K, from, K, weight, s->in, to, N, epilogue,
                      g->workspace);
        return;
    }
    if (c->micro == 0) kernels->gemm_pack(!backward, N, K, weight, s->in, packed->data);
    kernels->gemm_packed(false, s->rows, N, K, from, K, packed->data, to, N, epilogue);
}

static void forward(const graph *g, const run_context *c, const op *o) {
    const linear_settings *s = o->settings;
    const gemm_epilogue epilogue = {
        .bias = o->in[BIAS] ? o->in[BIAS]->data : NULL,
        .act = s->act,
        .slope = o->out_count > SLOPE ? o->out[SLOPE]->data : NULL,
        .residual = o->in[RESIDUAL] ? o->in[RESIDUAL]->data : NULL,
    };
    if (g->mode == GRAPH_DECODE)
        kernels->gemm_packed(false, s->rows, s->out, s->in, o->in[X]->data, s->in,
                             g->parameters->packed + o->in[WEIGHT]->parameter->packed_offset,
                             o->out[Y]->data, s->out, &epilogue);
    else
        multiply(g, c, o, false, o->in[X]->data, o->out[Y]->data, &epilogue);
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
    multiply(g, c, o, true, dy, o->in[X]->gradient->data, &to_input);
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
    .saves = SAVES_INPUT(X) | SAVES_INPUT(WEIGHT) | SAVES_OUTPUT(SLOPE),
    .passthrough = RESIDUAL,
    .slope = SLOPE,
    .multiplies = true,
    .flops = flops,
    .workspace = workspace,
};

// Room for a packed weight that later passes of a step find as the first left it.
static tensor *packed(graph *g, int N, int K) {
    tensor *t = graph_tensor(g, TENSOR_ACTIVATION, 1,
                             (int[]){(int)(kernels->gemm_packed_bytes(N, K) / sizeof(real))});
    t->outlives_pass = true;
    return t;
}

tensor *op_linear(graph *g, tensor *x, tensor *weight, tensor *bias, activation act) {
    linear_settings *s = arena_alloc(g->memory, sizeof *s);
    s->act = act;
    s->out = weight->shape[0];
    s->in = (int)(weight->count / (size_t)s->out);
    s->rows = (int)(x->count / (size_t)s->in);
    int shape[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i] = x->shape[i];
    shape[x->rank - 1] = s->out;
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, shape);
    op *o = graph_append(g, &linear_kind, (tensor *[INPUTS]){x, weight, bias, NULL}, INPUTS, y, s);
    if (g->mode == GRAPH_DECODE) weight->parameter->packs = true;
    if (act != ACTIVATION_NONE && g->mode == GRAPH_TRAIN) {
        o->out[SLOPE] = graph_tensor(g, TENSOR_ACTIVATION, x->rank, shape);
        o->out_count = 2;
    }
    if (g->passes > 1) {
        s->packed[false] = packed(g, s->out, s->in);
        if (x->differentiable) s->packed[true] = packed(g, s->in, s->out);
    }
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
