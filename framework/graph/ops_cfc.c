// op_cfc: a closed-form continuous-time network over a block of tokens. What the first map makes of the
// inputs of all tokens is an op_linear; the gradients of the weights are one matrix product each. Between
// them, the kernel goes through time.
#include "graph/carried_rows.h"
#include "graph/ops.h"

// The bias of the first map is part of SUMS.
enum {
    SUMS,
    CONSTANTS,
    H,
    WEIGHT,
    BIAS = WEIGHT + CFC_MAPS,
    PACKED_TRANSPOSED = BIAS + CFC_MAPS,
    PACKED = PACKED_TRANSPOSED + CFC_MAPS,
    INPUTS = PACKED + CFC_MAPS
};
enum { Y, H_FIRST, BEFORE, HEADS, LAYERS };
_Static_assert((int)INPUTS <= (int)OP_MAX_INPUTS, "room for the weights of all maps");

typedef struct cfc_settings {
    cfc_mode mode;
    int rows, width, units, layers; // rows: batch x time
} cfc_settings;

static int in_width(const op *o, int map) {
    return tensor_width(o->in[WEIGHT + map]);
}

static int out_width(const op *o, int map) {
    return o->in[WEIGHT + map]->shape[0];
}

static cfc cfc_of(const graph *g, const run_context *c, const op *o) {
    const cfc_settings *s = o->settings;
    cfc of = {
        .mode = s->mode,
        .batch = g->batch,
        .time = g->time,
        .width = s->width,
        .layers = s->layers,
        .units = s->units,
        .constants = o->in[CONSTANTS] ? o->in[CONSTANTS]->data : NULL,
        .begins = c->begins,
        .sums = o->in[SUMS]->data,
        .h_first = o->out[H_FIRST]->data,
        .before = o->out[BEFORE]->data,
        .heads = o->out[HEADS]->data,
        .h = o->out[Y]->data,
    };
    for (int k = 0; k < s->layers; k++)
        of.layer[k] = o->out[LAYERS]->data + (size_t)k * (size_t)s->rows * (size_t)s->units;
    return of;
}

static void forward(const graph *g, const run_context *c, const op *o) {
    const cfc_settings *s = o->settings;
    cfc of = cfc_of(g, c, o);
    for (int k = 0; k <= s->layers; k++) {
        of.weight[k] = o->in[PACKED_TRANSPOSED + k]->data;
        of.bias[k] = k > 0 ? o->in[BIAS + k]->data : NULL;
    }
    carried_rows_begin(g, c, o->in[H], o->out[H_FIRST]);
    kernels->cfc_forward(&of);
    carried_rows_end(g, o->out[Y], o->in[H]);
}

// Scratch of the backward step: dh_next, dconstants, then dsums of layers 1 and on; behind them that of
// gemm.
static size_t scratch_reals(const op *o, int layer) {
    enum { ALIGNMENT = 64 / sizeof(real) };
    const cfc_settings *s = o->settings;
    const size_t state = (size_t)o->in[SUMS]->shape[0] * (size_t)s->width;
    const size_t before = (3 * state + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t each = ((size_t)s->rows * (size_t)s->units + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return before + (size_t)(layer > 1 ? layer - 1 : 0) * each;
}

static void through_time(const graph *g, const run_context *c, const op *o, cfc *of) {
    const cfc_settings *s = o->settings;
    real *scratch = g->workspace;
    of->dh = o->out[Y]->gradient->data;
    of->dh_next = scratch;
    of->dconstants = scratch + (size_t)g->batch * (size_t)s->width;
    for (int k = 0; k <= s->layers; k++) {
        of->weight[k] = o->in[PACKED + k]->data;
        of->dsums[k] = k == 0           ? o->in[SUMS]->gradient->data
                       : k == s->layers ? of->heads
                                        : scratch + scratch_reals(o, k);
    }
    kernels->cfc_backward(of);
    if (o->in[CONSTANTS])
        kernels->column_sum(g->batch, 2 * s->width, of->dconstants, 2 * s->width,
                            o->in[CONSTANTS]->gradient->data, op_adds(c, o, CONSTANTS));
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const cfc_settings *s = o->settings;
    cfc of = cfc_of(g, c, o);
    through_time(g, c, o, &of);
    real *workspace = (real *)g->workspace + scratch_reals(o, s->layers);
    for (int k = 0; k <= s->layers; k++) {
        const int in = in_width(o, k), out = out_width(o, k);
        const gemm_epilogue epilogue = {.accumulate = op_adds(c, o, WEIGHT + k)};
        kernels->gemm(true, false, out, in, s->rows, of.dsums[k], out, k == 0 ? of.before : of.layer[k - 1],
                      in, o->in[WEIGHT + k]->gradient->data, in, &epilogue, workspace);
        if (k > 0)
            kernels->column_sum(s->rows, out, of.dsums[k], out, o->in[BIAS + k]->gradient->data,
                                op_adds(c, o, BIAS + k));
    }
}

static double flops(const op *o) {
    const cfc_settings *s = o->settings;
    double weights = 0;
    for (int k = 0; k <= s->layers; k++) weights += (double)in_width(o, k) * out_width(o, k);
    return 2 * s->rows * weights;
}

static size_t workspace(const op *o, bool for_backward) {
    const cfc_settings *s = o->settings;
    size_t most = 0;
    for (int k = 0; for_backward && k <= s->layers; k++) {
        const size_t bytes = kernels->gemm_workspace(in_width(o, k), s->rows);
        if (bytes > most) most = bytes;
    }
    return for_backward ? scratch_reals(o, s->layers) * sizeof(real) + most : 0;
}

enum { LEAST_BATCH = 64 }; // as of op_recurrence

static const op_kind cfc_kind = {
    .name = "cfc",
    .forward = forward,
    .backward = backward,
    .saves = OUTPUT(BEFORE) | OUTPUT(HEADS) | OUTPUT(LAYERS),
    .overwrites = INPUT(SUMS),
    .varies = true,
    .least_batch = LEAST_BATCH,
    .flops = flops,
    .workspace = workspace,
};

tensor *op_cfc(graph *g, tensor *x, const cfc_options *options) {
    cfc_settings *s = arena_alloc(g->memory, sizeof *s);
    const int in = tensor_width(x), first[] = {g->batch, options->width}, layers = options->layers;
    *s = (cfc_settings){options->mode, g->batch * g->time, options->width, 1, layers};
    tensor *inputs[INPUTS] = {[CONSTANTS] = options->constants};
    for (int k = 0; k <= layers; k++) {
        tensor *weight = options->weight[k];
        inputs[WEIGHT + k] = k == 0 ? op_columns(g, weight, in, s->width) : weight;
        if (k > 0) inputs[BIAS + k] = options->bias[k];
        if (k < layers) s->units = weight->shape[0];
        inputs[PACKED_TRANSPOSED + k] = op_pack(g, inputs[WEIGHT + k], true);
        if (g->options.gradients) inputs[PACKED + k] = op_pack(g, inputs[WEIGHT + k], false);
    }
    inputs[SUMS] =
        op_linear(g, x, op_columns(g, options->weight[0], 0, in), options->bias[0], ACTIVATION_NONE);
    if (g->options.states) inputs[H] = graph_state(g, "h", 2, first);
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->width});
    op *o = graph_append(g, &cfc_kind, inputs, INPUTS, y, s);
    op_output(g, o, 2, first);                                                        // H_FIRST
    op_output(g, o, 3, y->shape);                                                     // BEFORE
    op_output(g, o, 3, (int[]){g->batch, g->time, out_width(o, layers)});             // HEADS
    if (layers > 0) op_output(g, o, 4, (int[]){layers, g->batch, g->time, s->units}); // LAYERS
    return y;
}
