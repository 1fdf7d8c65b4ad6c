// op_cfc: a closed-form continuous-time network over a block of tokens. What the first map makes of the
// inputs of all tokens is an op_linear; the gradients of the weights are one matrix product each. Between
// them, the kernel goes through time.
#include "graph/carried_rows.h"
#include "graph/ops.h"

#include <string.h>

// The bias of the first map is part of SUMS.
enum {
    SUMS,
    CONSTANTS,
    H,
    WEIGHT,
    BIAS = WEIGHT + CFC_MAPS,
    PACKED_TRANSPOSED = BIAS + CFC_MAPS,
    PACKED = PACKED_TRANSPOSED + CFC_MAPS,
    MEMORY_SUMS = PACKED + CFC_MAPS,
    MEMORY_WEIGHT,
    MEMORY_PACKED_TRANSPOSED,
    MEMORY_PACKED,
    C,
    INPUTS
};
// Those of the memory are left out where there is none; those of the layers are the last.
enum { Y, H_FIRST, BEFORE, HEADS, MEMORY_GATES, MEMORY_C, MEMORY_BEFORE, MEMORY_C_FIRST };
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
        of.layer[k] = o->out[o->out_count - 1]->data + (size_t)k * (size_t)s->rows * (size_t)s->units;
    return of;
}

static mixed_memory memory_of(const graph *g, const run_context *c, const op *o) {
    return (mixed_memory){
        .time = g->time,
        .width = tensor_width(o->out[Y]),
        .begins = c->begins,
        .c_first = o->out[MEMORY_C_FIRST]->data,
        .sums = o->in[MEMORY_SUMS]->data,
        .gates = o->out[MEMORY_GATES]->data,
        .c = o->out[MEMORY_C]->data,
        .h_before = o->out[MEMORY_BEFORE]->data,
        .h = o->out[BEFORE]->data,
    };
}

static void forward(const graph *g, const run_context *c, const op *o) {
    const cfc_settings *s = o->settings;
    const bool has_memory = o->in[MEMORY_SUMS];
    cfc of = cfc_of(g, c, o);
    mixed_memory memory;
    if (has_memory) {
        carried_rows_begin(g, c, o->in[C], o->out[MEMORY_C_FIRST]);
        memory = memory_of(g, c, o);
        memory.weight = o->in[MEMORY_PACKED_TRANSPOSED]->data;
        of.memory = &memory;
    }
    for (int k = 0; k <= s->layers; k++) {
        of.weight[k] = o->in[PACKED_TRANSPOSED + k]->data;
        of.bias[k] = k > 0 ? o->in[BIAS + k]->data : NULL;
    }
    carried_rows_begin(g, c, o->in[H], o->out[H_FIRST]);
    kernels->cfc_forward(&of);
    carried_rows_end(g, o->out[Y], o->in[H]);
    if (has_memory) carried_rows_end(g, o->out[MEMORY_C], o->in[C]);
}

// Scratch of the backward step: dh_next, dconstants, dc and zeros of a memory, then dsums of layers 1 and
// on; behind them that of gemm.
static size_t scratch_reals(const op *o, int layer) {
    enum { ALIGNMENT = 64 / sizeof(real) };
    const cfc_settings *s = o->settings;
    const size_t state = (size_t)o->in[SUMS]->shape[0] * (size_t)s->width;
    const size_t before = (4 * state + (size_t)s->width + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t each = ((size_t)s->rows * (size_t)s->units + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return before + (size_t)(layer > 1 ? layer - 1 : 0) * each;
}

static void through_time(const graph *g, const run_context *c, const op *o, cfc *of) {
    const cfc_settings *s = o->settings;
    const size_t state = (size_t)g->batch * (size_t)s->width;
    real *scratch = g->workspace, *zeros = scratch + 4 * state;
    mixed_memory memory;
    if (o->in[MEMORY_SUMS]) {
        memory = memory_of(g, c, o);
        memory.weight = o->in[MEMORY_PACKED]->data;
        memory.dsums = o->in[MEMORY_SUMS]->gradient->data;
        memory.dc = scratch + 3 * state;
        memory.zeros = memset(zeros, 0, (size_t)s->width * sizeof(real));
        of->memory = &memory;
    }
    of->dh = o->out[Y]->gradient->data;
    of->dh_next = scratch;
    of->dconstants = scratch + state;
    for (int k = 0; k <= s->layers; k++) {
        of->weight[k] = o->in[PACKED + k]->data;
        of->dsums[k] = k == 0           ? o->in[SUMS]->gradient->data
                       : k == s->layers ? of->heads
                                        : scratch + scratch_reals(o, k);
    }
    kernels->cfc_backward(of);
    of->memory = NULL;
    if (o->in[CONSTANTS])
        kernels->column_sum(g->batch, 2 * s->width, of->dconstants, 2 * s->width,
                            o->in[CONSTANTS]->gradient->data, op_adds(c, o, CONSTANTS));
}

// The sum over tokens of the gradients of a map's sums times what its weight multiplies.
static void to_weight(const graph *g, const run_context *c, const op *o, int weight, const real *dsums,
                      const real *by) {
    const cfc_settings *s = o->settings;
    const int in = tensor_width(o->in[weight]), out = o->in[weight]->shape[0];
    const gemm_epilogue epilogue = {.accumulate = op_adds(c, o, weight)};
    real *workspace = (real *)g->workspace + scratch_reals(o, s->layers);
    kernels->gemm(true, false, out, in, s->rows, dsums, out, by, in, o->in[weight]->gradient->data, in,
                  &epilogue, workspace);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const cfc_settings *s = o->settings;
    cfc of = cfc_of(g, c, o);
    through_time(g, c, o, &of);
    for (int k = 0; k <= s->layers; k++) {
        const int out = out_width(o, k);
        to_weight(g, c, o, WEIGHT + k, of.dsums[k], k == 0 ? of.before : of.layer[k - 1]);
        if (k > 0)
            kernels->column_sum(s->rows, out, of.dsums[k], out, o->in[BIAS + k]->gradient->data,
                                op_adds(c, o, BIAS + k));
    }
    if (o->in[MEMORY_SUMS])
        to_weight(g, c, o, MEMORY_WEIGHT, o->in[MEMORY_SUMS]->gradient->data, o->out[MEMORY_BEFORE]->data);
}

static double flops(const op *o) {
    const cfc_settings *s = o->settings;
    double weights = 0;
    for (int k = 0; k <= s->layers; k++) weights += (double)in_width(o, k) * out_width(o, k);
    if (o->in[MEMORY_WEIGHT]) weights += (double)o->in[MEMORY_WEIGHT]->count;
    return 2 * s->rows * weights;
}

static size_t workspace(const op *o, bool for_backward) {
    const cfc_settings *s = o->settings;
    size_t most = kernels->gemm_workspace(s->width, s->rows);
    for (int k = 0; for_backward && k <= s->layers; k++) {
        const size_t bytes = kernels->gemm_workspace(in_width(o, k), s->rows);
        if (bytes > most) most = bytes;
    }
    return for_backward ? scratch_reals(o, s->layers) * sizeof(real) + most : 0;
}

enum { LEAST_BATCH = 64 }; // as of op_recurrence

// All outputs but Y and H_FIRST, however many there are.
#define SAVED (~(OUTPUT(0) - 1) & ~(OUTPUT(Y) | OUTPUT(H_FIRST)))

static const op_kind cfc_kind = {
    .name = "cfc",
    .forward = forward,
    .backward = backward,
    .saves = SAVED,
    .overwrites = INPUT(SUMS) | INPUT(MEMORY_SUMS),
    .varies = true,
    .least_batch = LEAST_BATCH,
    .flops = flops,
    .workspace = workspace,
};

static void take_memory(graph *g, tensor *x, const cfc_options *options, tensor **inputs) {
    inputs[MEMORY_WEIGHT] = options->memory_hh;
    inputs[MEMORY_PACKED_TRANSPOSED] = op_pack(g, options->memory_hh, true);
    if (g->options.gradients) inputs[MEMORY_PACKED] = op_pack(g, options->memory_hh, false);
    inputs[MEMORY_SUMS] = op_linear(g, x, options->memory_ih, options->memory_bias, ACTIVATION_NONE);
}

static void make_memory(graph *g, op *o, int R) {
    const int first[] = {g->batch, R};
    op_output(g, o, 3, (int[]){g->batch, g->time, cell_gates(CELL_LSTM) * R}); // MEMORY_GATES
    op_output(g, o, 3, (int[]){g->batch, g->time, R});                         // MEMORY_C
    op_output(g, o, 3, (int[]){g->batch, g->time, R});                         // MEMORY_BEFORE
    op_output(g, o, 2, first);                                                 // MEMORY_C_FIRST
}

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
    if (options->memory_hh) take_memory(g, x, options, inputs);
    if (g->options.states) inputs[H] = graph_state(g, "h", 2, first);
    if (g->options.states && options->memory_hh) inputs[C] = graph_state(g, "c", 2, first);
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->width});
    op *o = graph_append(g, &cfc_kind, inputs, INPUTS, y, s);
    op_output(g, o, 2, first);                                            // H_FIRST
    op_output(g, o, 3, y->shape);                                         // BEFORE
    op_output(g, o, 3, (int[]){g->batch, g->time, out_width(o, layers)}); // HEADS
    if (options->memory_hh) make_memory(g, o, s->width);
    if (layers > 0) op_output(g, o, 4, (int[]){layers, g->batch, g->time, s->units}); // of layers
    return y;
}
