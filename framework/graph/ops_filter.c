// op_implicit_filter: the long filters of a Hyena operator, made by a small network from positions. They
// depend on no input: a derived operator (graph.h).
//
// Source: arXiv 2302.10866, section 3.3 and appendix D.3.
#include "graph/ops.h"

#include "kernels/convolution/filter_features.h"

#include <math.h>

enum { FREQUENCY, OUT, SKIP, RATES, FEATURES, WEIGHTS, INPUTS = WEIGHTS + 2 * FILTER_LAYERS };
enum { FILTERS, NORMALISER };
_Static_assert((int)INPUTS <= (int)OP_MAX_INPUTS, "room for the parameters of all layers");

typedef struct filter_settings {
    filter_shape shape;
    real *rates; // when they are not learned
} filter_settings;

// Evenly spaced exponents: windows fall to `target` after slow x grid positions in the first channel and
// fast x grid in the last.
static double rate_of(double slowest, double fastest, int channels, size_t channel) {
    return channels > 1 ? slowest + (fastest - slowest) * (double)channel / (channels - 1) : slowest;
}

static double rate_formula(const parameter_declaration *about, size_t index) {
    return rate_of(about->init_value, about->init_last, about->shape[2], index);
}

parameter_declaration implicit_filter_rates(int channels, double slowest, double fastest) {
    return (parameter_declaration){.rank = 3,
                                   .shape = {1, 1, channels},
                                   .init = INIT_FORMULA,
                                   .formula = rate_formula,
                                   .init_value = slowest,
                                   .init_last = fastest};
}

static double feature_formula(const parameter_declaration *about, size_t index) {
    const size_t features = (size_t)about->shape[2];
    return filter_feature(about->shape[1], about->shape[2], (int)(index / features),
                          (int)(index % features));
}

parameter_declaration implicit_filter_features(int grid, int features) {
    return (parameter_declaration){
        .rank = 3, .shape = {1, grid, features}, .init = INIT_FORMULA, .formula = feature_formula};
}

static const real *values(const tensor *t) {
    return t ? t->data : NULL;
}

static filter_parameters parameters_of(const op *o) {
    const filter_settings *s = o->settings;
    filter_parameters p = {.features = values(o->in[FEATURES]),
                           .frequency = o->in[FREQUENCY]->data,
                           .out = o->in[OUT]->data,
                           .rates = o->in[RATES] ? o->in[RATES]->data : s->rates,
                           .skip = o->in[SKIP]->data};
    for (int i = 0; i < s->shape.layers; i++) {
        p.weight[i] = o->in[WEIGHTS + 2 * i]->data;
        p.bias[i] = o->in[WEIGHTS + 2 * i + 1]->data;
    }
    return p;
}

static filter_gradients gradients_of(const run_context *c, const op *o) {
    const filter_settings *s = o->settings;
    filter_gradients d = {.features = tensor_gradient(o->in[FEATURES]),
                          .frequency = tensor_gradient(o->in[FREQUENCY]),
                          .out = tensor_gradient(o->in[OUT]),
                          .rates = tensor_gradient(o->in[RATES]),
                          .skip = tensor_gradient(o->in[SKIP]),
                          .accumulate = op_adds(c, o, FREQUENCY)};
    for (int i = 0; i < s->shape.layers; i++) {
        d.weight[i] = tensor_gradient(o->in[WEIGHTS + 2 * i]);
        d.bias[i] = tensor_gradient(o->in[WEIGHTS + 2 * i + 1]);
    }
    return d;
}

static real *normaliser(const op *o) {
    return o->out_count > NORMALISER ? o->out[NORMALISER]->data : NULL;
}

static void forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const filter_settings *s = o->settings;
    const filter_parameters p = parameters_of(o);
    kernels->filter_forward(&s->shape, &p, o->out[FILTERS]->data, normaliser(o), g->workspace);
}

static void backward(const graph *g, const run_context *c, const op *o) {
    const filter_settings *s = o->settings;
    const filter_parameters p = parameters_of(o);
    const filter_gradients d = gradients_of(c, o);
    kernels->filter_backward(&s->shape, &p, o->out[FILTERS]->data, normaliser(o),
                             o->out[FILTERS]->gradient->data, &d, g->workspace);
}

static double flops(const op *o) {
    const filter_shape *s = &((const filter_settings *)o->settings)->shape;
    const double products = (double)s->features * s->hidden +
                            (double)(s->layers - 1) * s->hidden * s->hidden +
                            (double)s->hidden * s->width * s->filters;
    return 2 * products * (s->normalised ? s->grid : s->taps);
}

static size_t workspace(const op *o, bool for_backward) {
    return kernels->filter_workspace(&((const filter_settings *)o->settings)->shape, kernels_threads(),
                                     for_backward);
}

static const op_kind filter_kind = {.name = "implicit_filter",
                                    .forward = forward,
                                    .backward = backward,
                                    .flops = flops,
                                    .workspace = workspace};

static const op_kind normalised_kind = {.name = "implicit_filter",
                                        .forward = forward,
                                        .backward = backward,
                                        .saves = OUTPUT(FILTERS) | OUTPUT(NORMALISER),
                                        .flops = flops,
                                        .workspace = workspace};

tensor *op_implicit_filter(graph *g, const implicit_filter_options *options) {
    filter_settings *s = arena_alloc(g->memory, sizeof *s);
    const int channels = options->out->shape[0];
    s->shape = (filter_shape){
        .grid = options->grid,
        .taps = !g->options.states && g->time < options->grid ? g->time : options->grid,
        .features = options->weight[0]->shape[1],
        .hidden = options->weight[0]->shape[0],
        .layers = options->layers,
        .filters = options->filters,
        .width = channels / options->filters,
        .shift = options->shift,
        .normalised = options->normalised,
    };
    if (!options->rates) {
        s->rates = arena_alloc(g->memory, (size_t)channels * sizeof *s->rates);
        for (int c = 0; c < channels; c++)
            s->rates[c] = (real)rate_of(options->slowest, options->fastest, channels, (size_t)c);
    }
    tensor *in[INPUTS] = {options->frequency, options->out, options->skip, options->rates,
                          options->features};
    for (int i = 0; i < options->layers; i++) {
        in[WEIGHTS + 2 * i] = options->weight[i];
        in[WEIGHTS + 2 * i + 1] = options->bias[i];
    }
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, 2, (int[]){s->shape.taps, channels});
    op *o = graph_append(g, s->shape.normalised ? &normalised_kind : &filter_kind, in,
                         WEIGHTS + 2 * options->layers, y, s);
    if (s->shape.normalised) op_output(g, o, 2, (int[]){2, channels});
    return y;
}
