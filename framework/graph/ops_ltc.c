// op_ltc: a liquid time-constant network over a block of tokens.
#include "graph/carried_rows.h"
#include "graph/ops.h"

enum { ACROSS, WEIGHT, AMPLITUDE, TAU, FIRST, PACKED_TRANSPOSED, PACKED, INPUTS };
enum { X, X_FIRST, LENGTHS, POINTS = LENGTHS, KEPT }; // LENGTHS: of dopri5, POINTS and KEPT: of the others

// What the kernel takes, but for the arrays.
static ltc shape_of(const graph *g, int width, const ltc_options *s) {
    return (ltc){
        .solver = s->solver,
        .act = s->act,
        .adaptive = s->adaptive,
        .abs_gate = s->abs_gate,
        .batch = g->batch,
        .time = g->time,
        .width = width,
        .steps = s->steps,
        .step = s->step,
        .fixed_tau = s->fixed_tau,
        .rtol = s->rtol,
        .atol = s->atol,
    };
}

static real *values_of(const tensor *t) {
    return t ? t->data : NULL;
}

static real *gradient_of(const tensor *t) {
    return t && t->gradient ? t->gradient->data : NULL;
}

static ltc with_arrays(const graph *g, const run_context *c, const op *o) {
    ltc l = *(const ltc *)o->settings;
    l.begins = c->begins;
    l.weight = o->in[PACKED_TRANSPOSED]->data;
    l.weight_backward = values_of(o->in[PACKED]);
    l.amplitude = o->in[AMPLITUDE]->data;
    l.tau = values_of(o->in[TAU]);
    l.input = o->in[ACROSS]->data;
    l.x_first = o->out[X_FIRST]->data;
    l.x = o->out[X]->data;
    if (o->out_count > KEPT)
        l.points = o->out[POINTS]->data, l.kept = o->out[KEPT]->data;
    else if (o->out_count > LENGTHS)
        l.lengths = o->out[LENGTHS]->data;
    l.workspace = g->workspace;
    return l;
}

static void forward(const graph *g, const run_context *c, const op *o) {
    const ltc l = with_arrays(g, c, o);
    carried_rows_begin(g, c, o->in[FIRST], o->out[X_FIRST]);
    kernels->ltc_forward(&l);
    carried_rows_end(g, o->out[X], o->in[FIRST]);
}

static bool adds(const run_context *c, const op *o, int i) {
    return o->in[i] && op_adds(c, o, i);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    ltc l = with_arrays(g, c, o);
    l.dx = o->out[X]->gradient->data;
    l.dinput = gradient_of(o->in[ACROSS]), l.adds_dinput = adds(c, o, ACROSS);
    l.dweight = gradient_of(o->in[WEIGHT]), l.adds_dweight = adds(c, o, WEIGHT);
    l.damplitude = gradient_of(o->in[AMPLITUDE]), l.adds_damplitude = adds(c, o, AMPLITUDE);
    l.dtau = gradient_of(o->in[TAU]), l.adds_dtau = adds(c, o, TAU);
    l.dx_first = gradient_of(o->in[FIRST]), l.adds_dx_first = adds(c, o, FIRST);
    kernels->ltc_backward(&l);
}

// Of a run; dopri5 takes as many as it takes, and begins with steps of a quarter of a token.
static double evaluations(const ltc *l) {
    if (l->solver == SOLVER_DOPRI5) return 4.0 * l->batch * l->time * solver_stages(l->solver);
    return (double)l->batch * l->time * l->steps * solver_stages(l->solver);
}

static double flops(const op *o) {
    const ltc *l = o->settings;
    return 2 * evaluations(l) * l->width * l->width;
}

static size_t workspace(const op *o, bool for_backward) {
    ltc l = *(const ltc *)o->settings;
    static real kept[1]; // stands for the tape, which has no place yet
    if (o->out_count > KEPT) l.points = kept;
    return kernels->ltc_workspace(&l, for_backward);
}

// Each evaluation reads all of the weight, in every thread.
enum { LEAST_BATCH = 32 };

static const op_kind ltc_kind = {
    .name = "ltc",
    .forward = forward,
    .backward = backward,
    .saves = INPUT(ACROSS) | INPUT(AMPLITUDE) | INPUT(TAU) | INPUT(PACKED_TRANSPOSED) | INPUT(PACKED) |
             OUTPUT(X) | OUTPUT(X_FIRST) | OUTPUT(POINTS) | OUTPUT(KEPT),
    .varies = true,
    .least_batch = LEAST_BATCH,
    .flops = flops,
    .workspace = workspace,
};

tensor *op_ltc(graph *g, tensor *input, const ltc_options *options) {
    const int n = tensor_width(input), first[] = {g->batch, n};
    ltc *l = arena_alloc(g->memory, sizeof *l);
    *l = shape_of(g, n, options);
    tensor *in[INPUTS] = {
        [ACROSS] = input,
        [WEIGHT] = options->weight,
        [AMPLITUDE] = options->amplitude,
        [TAU] = options->tau,
        [FIRST] = options->first,
        [PACKED_TRANSPOSED] = op_pack(g, options->weight, true),
    };
    if (g->options.gradients) in[PACKED] = op_pack(g, options->weight, false);
    if (g->options.states) in[FIRST] = graph_state(g, "x", 2, first);
    tensor *x = graph_tensor(g, TENSOR_ACTIVATION, 3, input->shape);
    op *o = graph_append(g, &ltc_kind, in, INPUTS, x, l);
    op_output(g, o, 2, first); // X_FIRST
    if (g->options.gradients && l->solver == SOLVER_DOPRI5) {
        op_output(g, o, 3, (int[]){g->batch, g->time, LTC_ADAPTIVE_STEPS}); // LENGTHS
    } else if (g->options.gradients && !options->checkpointing) {
        const int tape[] = {g->batch, g->time, l->steps * solver_stages(l->solver), n};
        op_output(g, o, 4, tape); // POINTS
        op_output(g, o, 4, tape); // KEPT
    }
    return x;
}
