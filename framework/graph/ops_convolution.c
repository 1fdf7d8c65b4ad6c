// op_long_convolution: a causal convolution as long as the sequence, every channel with a filter of its
// own, between two gates (arXiv 2302.10866).
#include "graph/ops.h"

#include <math.h>
#include <string.h>

enum { X, FILTER, BETA, GATE_IN, GATE_OUT, PREPARED, INPUTS };
enum { Y, Z };

typedef struct convolution_settings {
    int batch, time, channels;
    int taps, phase;    // decoding: of the filter; see kernels->convolution_online
    const char *name;   // of the decoding state
    int column[INPUTS]; // where in their rows the operands begin
    real *tables;
} convolution_settings;

// What an input's row holds.
static convolution_operand operand(const op *o, int i) {
    const tensor *t = o->in[i];
    const int column = ((const convolution_settings *)o->settings)->column[i];
    if (!t) return (convolution_operand){0};
    return (convolution_operand){
        .value = t->data + column,
        .gradient = t->gradient ? t->gradient->data + column : NULL,
        .ld = tensor_width(t),
    };
}

static convolution convolution_of(const op *o) {
    const convolution_settings *s = o->settings;
    return (convolution){
        .batch = s->batch,
        .time = s->time,
        .channels = s->channels,
        .x = operand(o, X),
        .gate_in = operand(o, GATE_IN),
        .gate_out = operand(o, GATE_OUT),
        .filter = operand(o, FILTER),
        .beta = o->in[BETA] ? o->in[BETA]->data + s->column[BETA] : NULL,
        .tables = s->tables,
        .prepared = o->in[PREPARED]->data,
        .y = o->out[Y]->data,
        .z = o->out_count > Z ? o->out[Z]->data : NULL,
    };
}

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const convolution v = convolution_of(o);
    kernels->convolution_forward(&v, g->workspace);
}

// Clears what the operator does not write of the gradient of in[i].
static void clear_rest(const op *o, int i) {
    const convolution_settings *s = o->settings;
    const tensor *t = o->in[i];
    const int all = tensor_width(t);
    const size_t rows = i == FILTER ? (size_t)s->time : t->count / (size_t)all;
    real *gradient = t->gradient->data;
    memset(gradient + rows * (size_t)all, 0, (t->count - rows * (size_t)all) * sizeof(real));
    for (int begin = 0, end; begin < all; begin = end) { // to where the next operand begins or ends
        bool is_written = false;
        end = all;
        for (int k = 0; k < INPUTS; k++) {
            if (o->in[k] != t) continue;
            const int first = s->column[k], last = first + s->channels;
            if (first <= begin && begin < last) is_written = true;
            if (first > begin && first < end) end = first;
            if (last > begin && last < end) end = last;
        }
        for (size_t r = 0; r < rows && !is_written; r++)
            memset(gradient + r * (size_t)all + begin, 0, (size_t)(end - begin) * sizeof(real));
    }
}

// Whether the gradient of in[i] is to be added to. Where the operator is the first to reach it but does not
// write all of it, the rest becomes zero.
static bool begin_gradient(const run_context *c, const op *o, int i) {
    const tensor *t = o->in[i];
    if (!t || !t->gradient) return false;
    if (op_adds(c, o, i)) return true;
    clear_rest(o, i);
    return false;
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const convolution_settings *s = o->settings;
    convolution v = convolution_of(o);
    convolution_operand *const operands[INPUTS] = {
        [X] = &v.x, [FILTER] = &v.filter, [GATE_IN] = &v.gate_in, [GATE_OUT] = &v.gate_out};
    bool adds[INPUTS] = {false};
    for (int i = 0; i < INPUTS; i++) {
        int first = 0; // of the inputs that are the same tensor
        while (o->in[first] != o->in[i]) first++;
        adds[i] = first < i ? adds[first] : begin_gradient(c, o, i);
        if (operands[i]) operands[i]->adds = adds[i];
    }
    if (!v.filter.gradient) v.filter.adds = true;
    v.dy = o->out[Y]->gradient->data;
    if (o->in[BETA] && o->in[BETA]->gradient) {
        v.dbeta = o->in[BETA]->gradient->data + s->column[BETA];
        v.adds_beta = adds[BETA];
    }
    kernels->convolution_backward(&v, g->workspace);
}

// Two transforms of twice the length, of 5/2 n log2 n each, and the product between them; or, where that is
// less, the sums over what came before.
static double per_value(const op *o, double transforms, double product) {
    const convolution_settings *s = o->settings;
    const double direct = transforms * (s->time + 1) / 2, fourier = transforms * 5 * log2(2.0 * s->time);
    return s->batch * (double)s->time * s->channels * fmin(direct, fourier + product);
}

static double flops(const op *o) {
    return per_value(o, 2, 6);
}

static double gradient_flops(const op *o) {
    return o->in[X]->gradient ? per_value(o, 3, 14) : per_value(o, 1, 8);
}

static size_t workspace(const op *o, bool for_backward) {
    const convolution_settings *s = o->settings;
    const tensor *filter = o->in[FILTER];
    const convolution v = {
        .batch = s->batch,
        .time = s->time,
        .channels = s->channels,
        // Gradients of parameters are added to in later passes.
        .filter.adds = for_backward && (filter->kind == TENSOR_PARAMETER || filter->is_derived ||
                                        !filter->gradient || (o->adds >> FILTER & 1)),
    };
    return kernels->convolution_workspace(&v, kernels_threads());
}

static const op_kind convolution_kind = {
    .name = "long_convolution",
    .mixes_documents = true,
    .forward = forward,
    .backward = backward,
    .saves = INPUT(X) | INPUT(GATE_IN) | INPUT(GATE_OUT) | INPUT(PREPARED) | OUTPUT(Z),
    .flops = flops,
    .gradient_flops = gradient_flops,
    .workspace = workspace,
};

// --- what follows from the filter alone, for a block of tokens and for streams

enum { CONSTANTS = FILTER, STATE = BETA }; // in place of the filter's inputs

static convolution filter_of(const op *o) {
    const convolution_settings *s = o->settings;
    return (convolution){
        .batch = s->batch,
        .time = s->time,
        .channels = s->channels,
        .filter = operand(o, FILTER),
        .beta = o->in[BETA] ? o->in[BETA]->data + s->column[BETA] : NULL,
        .tables = s->tables,
        .prepared = o->out[0]->data,
    };
}

static void prepare_block(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const convolution v = filter_of(o);
    kernels->convolution_prepare(&v, g->workspace);
}

static void prepare_stream(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const convolution_settings *s = o->settings;
    const convolution v = filter_of(o);
    kernels->convolution_online_prepare(&v, s->taps, o->out[0]->data, g->workspace);
}

static size_t stream_workspace(const op *o, bool for_backward) {
    (void)for_backward;
    const convolution_settings *s = o->settings;
    return kernels->convolution_online_workspace(s->taps, kernels_threads());
}

static const op_kind prepare_block_kind = {
    .name = "prepare_convolution", .forward = prepare_block, .workspace = workspace};

static const op_kind prepare_stream_kind = {
    .name = "prepare_online_convolution", .forward = prepare_stream, .workspace = stream_workspace};

// Two axes: there may be more reals than an int counts. The convolution itself makes the filter's gradient.
static tensor *prepare(graph *g, const op_kind *kind, tensor *const *in, size_t reals,
                       convolution_settings *s) {
    tensor *prepared = graph_tensor(g, TENSOR_ACTIVATION, 2, (int[]){(int)(reals / 2), 2});
    graph_append(g, kind, (tensor *[]){NULL, in[FILTER], in[BETA]}, 3, prepared, s);
    prepared->differentiable = false;
    return prepared;
}

// --- streams

static void stream_forward(const graph *g, const run_context *c, const op *o) {
    const convolution_settings *s = o->settings;
    const convolution v = {
        .batch = s->batch,
        .time = s->time,
        .channels = s->channels,
        .x = operand(o, X),
        .gate_in = operand(o, GATE_IN),
        .gate_out = operand(o, GATE_OUT),
        .y = o->out[Y]->data,
    };
    kernels->convolution_online(&v, s->taps, c->position, s->phase, o->in[CONSTANTS]->data,
                                o->in[STATE]->data, g->workspace);
}

static const op_kind stream_kind = {.name = "long_convolution",
                                    .mixes_documents = true,
                                    .forward = stream_forward,
                                    .workspace = stream_workspace};

static tensor *convolve_streams(graph *g, tensor *const *in, convolution_settings *s) {
    s->taps = in[FILTER]->shape[0];
    s->phase = (int)((uint32_t)g->op_count * 40503 % 65536); // spread: by the golden ratio
    tensor *constants = prepare(g, &prepare_stream_kind, in,
                                kernels->convolution_online_constants(s->taps, s->channels), s);
    const int state[] = {g->batch, (int)kernels->convolution_online_state(s->taps, s->channels)};
    tensor *const with[] = {
        [X] = in[X],
        [CONSTANTS] = constants,
        [STATE] = graph_state(g, "convolution", 2, state),
        [GATE_IN] = in[GATE_IN],
        [GATE_OUT] = in[GATE_OUT],
    };
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->channels});
    graph_append(g, &stream_kind, with, GATE_OUT + 1, y, s);
    return y;
}

tensor *op_long_convolution(graph *g, tensor *x, tensor *filter, tensor *beta,
                            const convolution_options *options) {
    convolution_settings *s = arena_alloc(g->memory, sizeof *s);
    *s = (convolution_settings){
        .batch = g->batch,
        .time = g->time,
        .channels = options->channels,
        .column = {[X] = options->column,
                   [FILTER] = options->filter_column,
                   [BETA] = options->filter_column,
                   [GATE_IN] = options->gate_in_column,
                   [GATE_OUT] = options->gate_out_column},
    };
    tensor *in[INPUTS] = {
        [X] = x,
        [FILTER] = filter,
        [BETA] = beta,
        [GATE_IN] = options->gate_in,
        [GATE_OUT] = options->gate_out,
    };
    graph_show_filter(g, filter, options->filter_column, options->channels);
    if (g->options.states) return convolve_streams(g, in, s);
    s->tables = arena_alloc(g->memory, kernels->convolution_tables(g->time) * sizeof(real));
    kernels->convolution_tabulate(g->time, s->tables);
    in[PREPARED] =
        prepare(g, &prepare_block_kind, in, kernels->convolution_prepared(g->time, s->channels), s);
    const int shape[] = {g->batch, g->time, options->channels};
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, shape);
    op *o = graph_append(g, &convolution_kind, in, INPUTS, y, s);
    if (g->options.gradients && options->gate_out) op_output(g, o, 3, shape);
    return y;
}
