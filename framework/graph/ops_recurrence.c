// op_recurrence: a recurrent layer over a block of tokens. The products with the inputs of all tokens are
// one matrix product; so are those that make the gradients of the weights. Between them, the kernel goes
// through time.
//
// When the inputs are rows of an embedding's table, there are fewer different ones than tokens: then that
// table is multiplied, a derived tensor, and what belongs to each token is looked up in the product.
#include "graph/carried_rows.h"
#include "graph/ops.h"
#include "graph/ops_fuse.h"
#include "kernels/recurrence/rows.h"

#include <string.h>

enum {
    X, // or IDS and PRODUCT; then W_IH, B_IH and what is packed are absent, too
    IDS,
    PRODUCT, // table W_ih^T + b_ih
    W_IH,
    W_HH,
    B_IH,
    B_HH,
    H,
    C,
    PACKED_IH_TRANSPOSED,
    PACKED_IH,
    PACKED_HH_TRANSPOSED,
    PACKED_HH,
    INPUTS
};
enum { Y, GATES, SAVED, H_FIRST, C_FIRST };

typedef struct recurrence_settings {
    cell_type cell;
    int rows, in, gates, width; // rows: batch x time; in: 0 where X is absent; gates: width of all of them
} recurrence_settings;

static recurrence recurrence_of(const graph *g, const run_context *c, const op *o) {
    const recurrence_settings *s = o->settings;
    const real *h_first = o->out[H_FIRST]->data;
    return (recurrence){
        .cell = s->cell,
        .batch = g->batch,
        .time = g->time,
        .width = s->width,
        .begins = c->begins,
        .h_first = h_first,
        .c_first = s->cell == CELL_LSTM ? o->out[C_FIRST]->data : h_first,
        .gates = o->out[GATES]->data,
        .saved = o->out[SAVED]->data,
        .h = o->out[Y]->data,
        .workspace = g->workspace,
    };
}

// The sums of the gates that come from the inputs.
static void add_up_inputs(const graph *g, const op *o) {
    const recurrence_settings *s = o->settings;
    const tensor *x = o->in[X], *gates = o->out[GATES];
    const gemm_epilogue epilogue = {.bias = o->in[B_IH] ? o->in[B_IH]->data : NULL};
    if (o->in[PRODUCT])
        kernels->embedding_forward(s->rows, s->gates, 1, o->in[IDS]->ids, o->in[PRODUCT]->data,
                                   gates->data);
    else if (o->in[PACKED_IH_TRANSPOSED])
        kernels->gemm_packed(false, s->rows, s->gates, s->in, x->data, s->in,
                             o->in[PACKED_IH_TRANSPOSED]->data, gates->data, s->gates, &epilogue);
    else
        kernels->gemm(false, true, s->rows, s->gates, s->in, x->data, s->in, o->in[W_IH]->data, s->in,
                      gates->data, s->gates, &epilogue, g->workspace);
}

static void forward(const graph *g, const run_context *c, const op *o) {
    const recurrence_settings *s = o->settings;
    add_up_inputs(g, o);
    carried_rows_begin(g, c, o->in[H], o->out[H_FIRST]);
    if (s->cell == CELL_LSTM) carried_rows_begin(g, c, o->in[C], o->out[C_FIRST]);
    recurrence r = recurrence_of(g, c, o);
    r.weight = o->in[PACKED_HH_TRANSPOSED]->data;
    r.bias = o->in[B_HH] ? o->in[B_HH]->data : NULL;
    kernels->recurrence_forward(&r);
    carried_rows_end(g, o->out[Y], o->in[H]);
    carried_rows_end(g, o->out[SAVED], o->in[C]);
}

// Some of the gates, and the gradients of their sums: batch x time rows, `ld` apart.
typedef struct gate_gradients {
    int first, count; // rows of the weights
    real *sums;
    int ld;
} gate_gradients;

static real *rows_of(const tensor *gradient, int first) {
    return gradient->data + (size_t)first * (gradient->count / (size_t)gradient->shape[0]);
}

// The sum over tokens of the gradient of a gate times what its weight was multiplied by.
static void to_weight(const graph *g, const op *o, int weight, const gate_gradients *d, int tokens,
                      const real *sums, int ld, const real *by, bool adds) {
    const int width = tensor_width(o->in[weight]);
    const gemm_epilogue epilogue = {.accumulate = adds};
    kernels->gemm(true, false, d->count, width, tokens, sums, ld, by, width,
                  rows_of(o->in[weight]->gradient, d->first), width, &epilogue, g->workspace);
}

static void to_bias(const run_context *c, const op *o, int bias, const gate_gradients *d) {
    const recurrence_settings *s = o->settings;
    if (o->in[bias])
        kernels->column_sum(s->rows, d->count, d->sums, d->ld, rows_of(o->in[bias]->gradient, d->first),
                            op_adds(c, o, bias));
}

// Token t goes with the output of token t-1, the row before. First tokens go with the state before them,
// and are then set to zero, because the row before is the end of another sequence; so are those that begin
// a document.
static void to_recurrent_weight(const graph *g, const run_context *c, const op *o,
                                const gate_gradients *d) {
    const recurrence_settings *s = o->settings;
    to_weight(g, o, W_HH, d, g->batch, d->sums, g->time * d->ld, o->out[H_FIRST]->data,
              op_adds(c, o, W_HH));
    if (g->time == 1) return;
    for (int b = 0; b < g->batch; b++)
        for (int t = 0; t < g->time; t++)
            if (t == 0 || row_begins(c->begins, g->time, b, t))
                memset(row_at(d->sums, g->time, d->ld, b, t), 0, (size_t)d->count * sizeof(real));
    to_weight(g, o, W_HH, d, s->rows - 1, d->sums + d->ld, d->ld, o->out[Y]->data, true);
}

static void to_input(const graph *g, const run_context *c, const op *o) {
    const recurrence_settings *s = o->settings;
    real *dx = tensor_gradient(o->in[X]), *gates = o->out[GATES]->data;
    if (!dx) return;
    const gemm_epilogue epilogue = {.accumulate = op_adds(c, o, X)};
    if (o->in[PACKED_IH])
        kernels->gemm_packed(false, s->rows, s->in, s->gates, gates, s->gates, o->in[PACKED_IH]->data, dx,
                             s->in, &epilogue);
    else
        kernels->gemm(false, false, s->rows, s->in, s->gates, gates, s->gates, o->in[W_IH]->data, s->in, dx,
                      s->in, &epilogue, g->workspace);
}

static void through_time(const graph *g, const run_context *c, const op *o) {
    recurrence r = recurrence_of(g, c, o);
    r.weight = o->in[PACKED_HH]->data;
    r.dy = o->out[Y]->gradient->data;
    r.dh_first = tensor_gradient(o->in[H]);
    r.dc_first = tensor_gradient(o->in[C]);
    r.adds_dh_first = r.dh_first && op_adds(c, o, H);
    r.adds_dc_first = r.dc_first && op_adds(c, o, C);
    kernels->recurrence_backward(&r);
}

static void to_product(const graph *g, const run_context *c, const op *o) {
    const recurrence_settings *s = o->settings;
    kernels->embedding_backward(s->rows, s->gates, o->in[PRODUCT]->shape[0], 1, o->in[IDS]->ids,
                                o->out[GATES]->data, o->in[PRODUCT]->gradient->data, op_adds(c, o, PRODUCT),
                                g->workspace);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const recurrence_settings *s = o->settings;
    through_time(g, c, o);
    // The sums of input and state have the same gradients, but for the last gate of a GRU.
    real *gates = o->out[GATES]->data, *saved = o->out[SAVED]->data;
    const int alike = s->cell == CELL_GRU ? s->gates - s->width : s->gates;
    const gate_gradients of_input = {0, s->gates, gates, s->gates}, of_state = {0, alike, gates, s->gates},
                         last = {alike, s->gates - alike, saved, s->width};
    if (o->in[PRODUCT]) {
        to_product(g, c, o);
    } else {
        to_weight(g, o, W_IH, &of_input, s->rows, gates, s->gates, o->in[X]->data, op_adds(c, o, W_IH));
        to_bias(c, o, B_IH, &of_input);
        to_input(g, c, o);
    }
    to_bias(c, o, B_HH, &of_state);
    to_recurrent_weight(g, c, o, &of_state);
    if (!last.count) return;
    to_bias(c, o, B_HH, &last);
    to_recurrent_weight(g, c, o, &last);
}

static double flops(const op *o) {
    const recurrence_settings *s = o->settings;
    return 2.0 * s->rows * s->gates * (s->in + s->width);
}

// Of the weights; of the inputs, where that is wanted; and of the states.
static double gradient_flops(const op *o) {
    const recurrence_settings *s = o->settings;
    const int of_inputs = tensor_gradient(o->in[X]) ? 2 * s->in : s->in;
    return 2.0 * s->rows * s->gates * (of_inputs + 2 * s->width);
}

static size_t larger_of(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t workspace(const op *o, bool for_backward) {
    const recurrence_settings *s = o->settings;
    size_t bytes = kernels->recurrence_workspace(s->cell, o->out[Y]->shape[0], s->width);
    if (o->in[X]) bytes = larger_of(bytes, kernels->gemm_workspace(s->gates, s->in));
    if (!for_backward) return bytes;
    if (o->in[X]) {
        bytes = larger_of(bytes, kernels->gemm_workspace(s->in, s->gates));
        bytes = larger_of(bytes, kernels->gemm_workspace(s->in, s->rows));
    } else {
        bytes = larger_of(bytes, kernels->embedding_workspace(s->rows, o->in[PRODUCT]->shape[0]));
    }
    return larger_of(bytes, kernels->gemm_workspace(s->width, s->rows));
}

// Each token reads all of W_hh, in every thread: with a dozen rows of the batch for each of a few threads,
// that keeps up with the multiplications.
enum { LEAST_BATCH = 64 };

static const op_kind recurrence_kind = {
    .name = "recurrence",
    .forward = forward,
    .backward = backward,
    .saves = INPUT(X) | INPUT(IDS) | INPUT(W_IH) | INPUT(PACKED_IH) | INPUT(PACKED_HH) | OUTPUT(Y) |
             OUTPUT(GATES) | OUTPUT(SAVED) | OUTPUT(H_FIRST) | OUTPUT(C_FIRST),
    .varies = true,
    .least_batch = LEAST_BATCH,
    .flops = flops,
    .gradient_flops = gradient_flops,
    .workspace = workspace,
};

// Whether a product with a table of so many rows, once for each change of the weights, is less work than
// one with every token. Without gradients a graph runs many times before they change.
static bool pays(const graph *g, int vocabulary) {
    enum { LARGEST = 4096 };
    return g->options.gradients ? 2 * vocabulary <= g->batch * g->time : vocabulary <= LARGEST;
}

// The inputs that have to do with x.
static void take_input(graph *g, tensor *x, const recurrence_options *options, tensor *in[INPUTS]) {
    tensor *ids, *table;
    if (embedding_inputs(x, &ids, &table) && pays(g, table->shape[0])) {
        in[IDS] = ids;
        in[PRODUCT] = op_linear(g, table, options->w_ih, options->b_ih, ACTIVATION_NONE);
        return;
    }
    in[X] = x;
    in[W_IH] = options->w_ih;
    in[B_IH] = options->b_ih;
    if (!g->options.packs_weights) return;
    in[PACKED_IH_TRANSPOSED] = op_pack(g, options->w_ih, true);
    if (g->options.gradients && x->differentiable) in[PACKED_IH] = op_pack(g, options->w_ih, false);
}

tensor *op_recurrence(graph *g, tensor *x, const recurrence_options *options) {
    recurrence_settings *s = arena_alloc(g->memory, sizeof *s);
    s->cell = options->cell;
    s->rows = g->batch * g->time;
    s->width = tensor_width(options->w_hh);
    s->gates = cell_gates(s->cell) * s->width;
    const bool gradients = g->options.gradients, has_c = s->cell == CELL_LSTM;
    const int first[] = {g->batch, s->width};
    tensor *in[INPUTS] = {
        [W_HH] = options->w_hh,
        [B_HH] = options->b_hh,
        [H] = options->h,
        [C] = options->c,
        [PACKED_HH_TRANSPOSED] = op_pack(g, options->w_hh, true),
    };
    if (gradients) in[PACKED_HH] = op_pack(g, options->w_hh, false);
    take_input(g, x, options, in);
    s->in = in[X] ? tensor_width(x) : 0;
    if (g->options.states) {
        in[H] = graph_state(g, "h", 2, first);
        if (has_c) in[C] = graph_state(g, "c", 2, first);
    }
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, s->width});
    op *o = graph_append(g, &recurrence_kind, in, INPUTS, y, s);
    op_output(g, o, 3, (int[]){g->batch, g->time, s->gates}); // GATES
    op_output(g, o, 3, y->shape);                             // SAVED
    op_output(g, o, 2, first);                                // H_FIRST
    if (has_c) op_output(g, o, 2, first);                     // C_FIRST
    return y;
}
