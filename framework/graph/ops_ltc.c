// op_ltc: a liquid time-constant network over a block of tokens.
#include "graph/carried_rows.h"
#include "graph/ops.h"

enum {
    ACROSS,
    FIRST,
    WEIGHT,
    AMPLITUDE,
    TAU,
    PACKED_TRANSPOSED,
    PACKED,
    W,
    SIGMA,
    MU,
    EREV,
    LEAK,
    REST,
    CAPACITY,
    INPUTS
};
enum { X, X_FIRST, LENGTHS, POINTS = LENGTHS, KEPT }; // LENGTHS: of dopri5, POINTS and KEPT: of the others

// What the kernel takes, but for the arrays.
static ltc *shape_of(const graph *g, int width, const ltc_options *s) {
    ltc *l = arena_alloc(g->memory, sizeof *l);
    *l = (ltc){
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
    if (!s->synapses.w) return l;
    synapses *between = arena_alloc(g->memory, sizeof *between);
    between->in = between->out = width;
    l->synapses = between;
    return l;
}

static real *values_of(const tensor *t) {
    return t ? t->data : NULL;
}

// of: where the synapses are put.
static ltc with_arrays(const graph *g, const run_context *c, const op *o, synapses *of) {
    ltc l = *(const ltc *)o->settings;
    tensor *const *in = o->in;
    l.begins = c->begins;
    l.weight = values_of(in[PACKED_TRANSPOSED]);
    l.weight_backward = values_of(in[PACKED]);
    l.amplitude = values_of(in[AMPLITUDE]);
    l.tau = values_of(in[TAU]);
    if (l.synapses) {
        *of = (synapses){l.width, l.width, in[W]->data, in[SIGMA]->data, in[MU]->data, in[EREV]->data};
        l.synapses = of;
        l.membranes = (membranes){in[LEAK]->data, in[REST]->data, in[CAPACITY]->data};
    }
    l.input = in[ACROSS]->data;
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
    synapses of;
    const ltc l = with_arrays(g, c, o, &of);
    carried_rows_begin(g, c, o->in[FIRST], o->out[X_FIRST]);
    kernels->ltc_forward(&l);
    carried_rows_end(g, o->out[X], o->in[FIRST]);
}

static bool adds(const run_context *c, const op *o, int i) {
    return o->in[i] && op_adds(c, o, i);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    synapses of;
    ltc l = with_arrays(g, c, o, &of);
    l.dx = o->out[X]->gradient->data;
    l.dinput = tensor_gradient(o->in[ACROSS]), l.adds_dinput = adds(c, o, ACROSS);
    l.dweight = tensor_gradient(o->in[WEIGHT]), l.adds_dweight = adds(c, o, WEIGHT);
    l.damplitude = tensor_gradient(o->in[AMPLITUDE]), l.adds_damplitude = adds(c, o, AMPLITUDE);
    l.dtau = tensor_gradient(o->in[TAU]), l.adds_dtau = adds(c, o, TAU);
    l.dx_first = tensor_gradient(o->in[FIRST]), l.adds_dx_first = adds(c, o, FIRST);
    l.dsynapses = (synapse_gradients){tensor_gradient(o->in[W]),
                                      tensor_gradient(o->in[SIGMA]),
                                      tensor_gradient(o->in[MU]),
                                      tensor_gradient(o->in[EREV]),
                                      adds(c, o, W),
                                      adds(c, o, SIGMA),
                                      adds(c, o, MU),
                                      adds(c, o, EREV)};
    l.dmembranes = (membrane_gradients){tensor_gradient(o->in[LEAK]),
                                        tensor_gradient(o->in[REST]),
                                        tensor_gradient(o->in[CAPACITY]),
                                        adds(c, o, LEAK),
                                        adds(c, o, REST),
                                        adds(c, o, CAPACITY)};
    kernels->ltc_backward(&l);
}

// Of a run; of dopri5, which takes as many as it takes, those of two steps, the fewest there can be.
static double evaluations(const ltc *l) {
    if (l->solver == SOLVER_DOPRI5) return 2.0 * l->batch * l->time * solver_stages(l->solver);
    return (double)l->batch * l->time * l->steps * solver_stages(l->solver);
}

enum { FLOPS_OF_SYNAPSE = 6 }; // without the sigmoid

static double flops(const op *o) {
    const ltc *l = o->settings;
    const double each = l->synapses ? FLOPS_OF_SYNAPSE : 2;
    return each * evaluations(l) * l->width * l->width;
}

static size_t workspace(const op *o, bool for_backward) {
    ltc l = *(const ltc *)o->settings;
    static real kept[1]; // stands for the tape, which has no place yet
    if (o->out_count > KEPT) l.points = kept;
    return kernels->ltc_workspace(&l, for_backward);
}

static const char *why_not_finite(const op *o) {
    const ltc *l = o->settings;
    if (l->solver != SOLVER_DOPRI5) return NULL;
    return "dopri5 took 64 steps without reaching the end of a token: make rtol and atol larger or steps x step_size smaller, or choose solver: semi_implicit";
}

// Each evaluation reads all of the weight, in every thread.
enum { LEAST_BATCH = 32 };

static const op_kind ltc_kind = {
    .name = "ltc",
    .forward = forward,
    .backward = backward,
    .saves = INPUT(ACROSS) | INPUT(AMPLITUDE) | INPUT(TAU) | INPUT(PACKED_TRANSPOSED) | INPUT(PACKED) |
             INPUT(W) | INPUT(SIGMA) | INPUT(MU) | INPUT(EREV) | INPUT(LEAK) | INPUT(REST) |
             INPUT(CAPACITY) | OUTPUT(X) | OUTPUT(X_FIRST) | OUTPUT(POINTS) | OUTPUT(KEPT),
    .varies = true,
    .least_batch = LEAST_BATCH,
    .flops = flops,
    .workspace = workspace,
    .why_not_finite = why_not_finite,
};

tensor *op_ltc(graph *g, tensor *input, const ltc_options *options) {
    const bool synaptic = options->synapses.w != NULL, gradients = g->options.gradients;
    const int n = synaptic ? tensor_width(input) / 2 : tensor_width(input), first[] = {g->batch, n};
    ltc *l = shape_of(g, n, options);
    tensor *in[INPUTS] = {
        [ACROSS] = input,
        [FIRST] = options->first,
        [WEIGHT] = options->weight,
        [AMPLITUDE] = options->amplitude,
        [TAU] = options->tau,
        [W] = options->synapses.w,
        [SIGMA] = options->synapses.sigma,
        [MU] = options->synapses.mu,
        [EREV] = options->synapses.erev,
        [LEAK] = options->leak,
        [REST] = options->rest,
        [CAPACITY] = options->capacity,
    };
    if (!synaptic) in[PACKED_TRANSPOSED] = op_pack(g, options->weight, true);
    if (!synaptic && gradients) in[PACKED] = op_pack(g, options->weight, false);
    if (g->options.states) in[FIRST] = graph_state(g, "x", 2, first);
    tensor *x = graph_tensor(g, TENSOR_ACTIVATION, 3, (int[]){g->batch, g->time, n});
    op *o = graph_append(g, &ltc_kind, in, INPUTS, x, l);
    op_output(g, o, 2, first); // X_FIRST
    if (gradients && l->solver == SOLVER_DOPRI5) {
        op_output(g, o, 3, (int[]){g->batch, g->time, LTC_ADAPTIVE_STEPS}); // LENGTHS
    } else if (gradients && !options->checkpointing) {
        const int evaluations = l->steps * solver_stages(l->solver);
        op_output(g, o, 4, (int[]){g->batch, g->time, evaluations, n});                    // POINTS
        op_output(g, o, 4, (int[]){g->batch, g->time, evaluations, synaptic ? 2 * n : n}); // KEPT
    }
    return x;
}
