// Liquid time-constant networks.
#include "models/registry.h"

#include <math.h>
#include <stdio.h>

typedef struct ltc_settings {
    int64_t hidden, steps;
    int form, solver, activation, checkpointing;
    double step_size, rtol, atol, tau;
    bool adaptive, abs_gate, train_tau;
} ltc_settings;

enum { FORM_NEURAL, FORM_SYNAPSES };
static const char *const form_names[] = {"neural", "synapses", NULL};
static const char *const solver_names[] = {"semi_implicit", "euler", "rk4", "dopri5",
                                           NULL}; // as ode_solver
enum { ACT_SIGMOID, ACT_TANH };
static const char *const activation_names[] = {"sigmoid", "tanh", NULL};
enum { CHECKPOINTING_AUTO, CHECKPOINTING_ON };
static const char *const checkpointing_names[] = {"auto", "true", "false", NULL};

#define SETTINGS ltc_settings
static const option ltc_options_table[] = {
    INT(hidden, "0", 0, 1 << 20, "number of neurons, the width of the output; 0: width of the input"),
    CHOICE(
        form, "neural", form_names,
        "what drives the equation: a layer of neurons, or synapses with a sigmoid for each, which take long where there are many neurons"),
    CHOICE(solver, "semi_implicit", solver_names,
           "of the differential equation; the first is stable whatever the step, dopri5 chooses its steps"),
    INT(steps, "6", 1, 1000, "steps of the solver for a token; for dopri5 only their total length counts"),
    REAL(step_size, "0.0", 0, 100, "length of a step; 0: 1 / steps, so that a token lasts 1",
         .unit = "time"),
    REAL(rtol, "1e-3", 0, 1, "dopri5: error of a step that is accepted, relative to x"),
    REAL(atol, "1e-4", ABOVE(0), 1, "dopri5: the same, added to it"),
    CHOICE(activation, "sigmoid", activation_names, "of the neurons that drive the neural form"),
    BOOL(adaptive, "true", "time constants that depend on the input; false: only on the neuron"),
    BOOL(
        abs_gate, "true",
        "neural form: |f| in the decay, as in the authors' own experiments, rather than f; the same for sigmoid"),
    REAL(tau, "1.0", ABOVE(0), 1e6, "neural form: time constants at first", .unit = "time"),
    BOOL(train_tau, "true", "neural form: learn them, one for each neuron"),
    CHOICE(
        checkpointing, "auto", checkpointing_names,
        "compute all steps again in the backward pass rather than keep them; auto: where they take more than 256 MiB; the gradients are the same, but for rounding"),
    {0},
};
#undef SETTINGS

// --- stability, by the largest decay that the equation can have: in the neural form 1/tau, and 1 more
// where it is adaptive

typedef struct solver_limits {
    double safe, stable; // of step x decay: x stays within its bounds; x does not grow without end
} solver_limits;

static const solver_limits limits_of[] = {
    [SOLVER_SEMI_IMPLICIT] = {INFINITY, INFINITY},
    [SOLVER_EULER] = {1, 2},
    [SOLVER_RK4] = {2.7, 2.785},
    [SOLVER_DOPRI5] = {INFINITY, INFINITY},
};

static double step_of(const ltc_settings *s) {
    return s->step_size > 0 ? s->step_size : 1 / (double)s->steps;
}

static double decay_beyond_rate(const ltc_settings *s) {
    return s->adaptive ? 1 : 0;
}

// What tau stays above, so that the steps remain safe whatever is learned.
static double least_tau(const ltc_settings *s) {
    const double safe = limits_of[s->solver].safe;
    return isinf(safe) ? 0.05 : 1 / (safe / step_of(s) - decay_beyond_rate(s));
}

static tensor *fail_unstable(builder *b, const component_choice *choice, double value, double limit) {
    const ltc_settings *s = choice->settings;
    char hint[160];
    const int64_t enough = (int64_t)floor(value / limit * (double)s->steps) + 1;
    if (s->step_size > 0)
        snprintf(hint, sizeof hint,
                 "make step_size smaller than %.4g, or tau larger, or choose solver: semi_implicit",
                 step_of(s) * limit / value);
    else
        snprintf(hint, sizeof hint, "take steps: %lld or more, or a larger tau, or solver: semi_implicit",
                 (long long)enough);
    return builder_fail(
        b, choice, s->step_size > 0 ? "step_size" : "steps", hint,
        "a step of %.4g is too long for %s: step x (1/tau%s) is %.4g, and must be below %.4g", step_of(s),
        solver_names[s->solver], s->adaptive ? " + 1" : "", value, limit);
}

// Refuses what must diverge, and warns of what may.
static bool neural_is_stable(builder *b, const component_choice *choice) {
    const ltc_settings *s = choice->settings;
    const solver_limits limits = limits_of[s->solver];
    const double value = step_of(s) * (1 / s->tau + decay_beyond_rate(s));
    const double limit = s->train_tau ? limits.safe : limits.stable;
    if (value >= limit) return fail_unstable(b, choice, value, limit), false;
    if (value >= limits.safe)
        builder_warn(
            b, choice, "solver",
            "step x (1/tau%s) is %.4g, and x is sure to stay within bounds below %.4g only: take more steps, or semi_implicit",
            s->adaptive ? " + 1" : "", value, limits.safe);
    if (s->adaptive && s->activation == ACT_TANH && !s->abs_gate)
        builder_warn(
            b, choice, "abs_gate",
            "with tanh, the decay 1/tau + f is negative where f is below -1/tau, and x may grow: leave abs_gate true");
    if (s->train_tau && s->tau <= least_tau(s))
        return builder_fail(b, choice, "tau", "make it larger, or set train_tau to false",
                            "learned time constants stay above %.4g with this solver and step: so must tau",
                            least_tau(s)),
               false;
    return true;
}

// At first a membrane's decay is 1 (leak over capacity, which are 1/2 on average), and as much again for
// every synapse that is open.
static bool synapses_are_stable(builder *b, const component_choice *choice, int in, int n) {
    const ltc_settings *s = choice->settings;
    const solver_limits limits = limits_of[s->solver];
    const double step = step_of(s), most = step * (s->adaptive ? 1 + in + n : 1);
    if (step >= limits.stable)
        return builder_fail(
                   b, choice, s->step_size > 0 ? "step_size" : "steps",
                   "take shorter steps, or solver: semi_implicit",
                   "a step of %.4g is too long for %s: step x leak / capacity is %.4g at first, and must be below %.4g",
                   step, solver_names[s->solver], step, limits.stable),
               false;
    if (most >= limits.safe)
        builder_warn(
            b, choice, "solver",
            "step x decay reaches %.4g where all synapses are open, and x is sure to stay within bounds below %.4g only: take more steps, or semi_implicit",
            most, limits.safe);
    return true;
}

static bool has_unused(builder *b, const component_choice *choice) {
    const ltc_settings *s = choice->settings;
    const char *key = s->activation != ACT_SIGMOID ? "activation"
                      : !s->abs_gate               ? "abs_gate"
                      : !s->train_tau              ? "train_tau"
                      : s->tau != 1                ? "tau"
                                                   : NULL;
    if (!key) return false;
    builder_fail(b, choice, key, "leave it out, or choose form: neural",
                 "%s belongs to the neural form, and this layer has synapses", key);
    return true;
}

// --- the layer

// Checkpointing, in a pass that would keep more.
enum { TAPE_MEBIBYTES = 256 };

static bool has_checkpoints(const builder *b, const ltc_settings *s, int n) {
    if (s->checkpointing != CHECKPOINTING_AUTO) return s->checkpointing == CHECKPOINTING_ON;
    const double evaluations = (double)s->steps * solver_stages((ode_solver)s->solver);
    const double kept = (s->form == FORM_SYNAPSES ? 3.0 : 2.0) * n;
    const double values = kept * b->graph->batch * b->graph->time * evaluations;
    return values * sizeof(real) > TAPE_MEBIBYTES * 1048576.0;
}

static ltc_options options_of(const builder *b, const ltc_settings *s, int n) {
    return (ltc_options){
        .solver = (ode_solver)s->solver,
        .steps = (int)s->steps,
        .step = step_of(s),
        .fixed_tau = s->tau,
        .rtol = s->rtol,
        .atol = s->atol,
        .act = s->activation == ACT_TANH ? ACTIVATION_TANH : ACTIVATION_SIGMOID,
        .adaptive = s->adaptive,
        .abs_gate = s->abs_gate,
        .checkpointing = has_checkpoints(b, s, n),
    };
}

static tensor *build_neural(builder *b, const component_choice *choice, tensor *x, int n) {
    const ltc_settings *s = choice->settings;
    const int in = tensor_width(x);
    if (!neural_is_stable(b, choice)) return NULL;
    parameter_declaration recurrent = {.rank = 2, .shape = {n, n}, .decay = true, .matrix = true};
    recurrent.init = INIT_ORTHOGONAL, recurrent.init_value = 0.5;
    const parameter_declaration bias = {.rank = 1, .shape = {n}};
    const parameter_declaration amplitude = {
        .rank = 1, .shape = {n}, .init = INIT_UNIFORM, .init_value = 1};
    tensor *input_weight = builder_parameter(b, "input.weight", builder_glorot_weight(n, in));
    tensor *input_bias = builder_parameter(b, "input.bias", bias);
    ltc_options options = options_of(b, s, n);
    options.weight = builder_parameter(b, "recurrent.weight", recurrent);
    options.amplitude = builder_parameter(b, "amplitude", amplitude);
    if (s->train_tau) {
        const double least = least_tau(s);
        const parameter_declaration raw = {
            .rank = 1, .shape = {n}, .init_value = softplus_inverse(s->tau, least)};
        options.tau = op_softplus(b->graph, builder_parameter(b, "tau_raw", raw), least);
    }
    x = op_linear(b->graph, x, input_weight, input_bias, ACTIVATION_NONE);
    return op_ltc(b->graph, x, &options);
}

// --- synapses, with the names, shapes and distributions of ncps (github.com/mlech26l/ncps), of the values
// themselves where they are positive. Those never fall below the bounds of the authors' first program.

static const double LEAST_CONDUCTANCE = 1e-5, LEAST_CAPACITY = 1e-6;

static double raw_conductance(double value) {
    return softplus_inverse(value, LEAST_CONDUCTANCE);
}

static double raw_capacity(double value) {
    return softplus_inverse(value, LEAST_CAPACITY);
}

static double sign(double value) {
    return value < 0 ? -1 : 1;
}

static tensor *declare_range(builder *b, const char *prefix, const char *name, int rows, int columns,
                             double low, double high, double (*map)(double)) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    parameter_declaration about = {.init = INIT_RANGE, .init_value = low, .init_last = high, .map = map};
    about.rank = rows ? 2 : 1;
    about.shape[0] = rows ? rows : columns;
    about.shape[1] = rows ? columns : 0;
    return builder_parameter(b, full, about);
}

static synapse_tensors declare_synapses(builder *b, const char *prefix, int in, int n) {
    tensor *w = declare_range(b, prefix, "w_raw", in, n, 0.001, 1, raw_conductance);
    return (synapse_tensors){
        .w = op_softplus(b->graph, w, LEAST_CONDUCTANCE),
        .sigma = declare_range(b, prefix, "sigma", in, n, 3, 8, NULL),
        .mu = declare_range(b, prefix, "mu", in, n, 0.3, 0.8, NULL),
        .erev = declare_range(b, prefix, "erev", in, n, -1, 1, sign),
    };
}

static tensor *build_synapses(builder *b, const component_choice *choice, tensor *x, int n) {
    const ltc_settings *s = choice->settings;
    const int in = tensor_width(x);
    if (has_unused(b, choice) || !synapses_are_stable(b, choice, in, n)) return NULL;
    const synapse_tensors sensory = declare_synapses(b, "sensory_", in, n);
    ltc_options options = options_of(b, s, n);
    options.synapses = declare_synapses(b, "", n, n);
    tensor *leak = declare_range(b, "", "gleak_raw", 0, n, 0.001, 1, raw_conductance);
    tensor *capacity = declare_range(b, "", "cm_raw", 0, n, 0.4, 0.6, raw_capacity);
    options.leak = op_softplus(b->graph, leak, LEAST_CONDUCTANCE);
    options.rest = declare_range(b, "", "vleak", 0, n, -0.2, 0.2, NULL);
    options.capacity = op_softplus(b->graph, capacity, LEAST_CAPACITY);
    return op_ltc(b->graph, op_synapses(b->graph, x, &sensory, s->adaptive), &options);
}

static tensor *build_ltc(builder *b, const component_choice *choice, tensor *x) {
    const ltc_settings *s = choice->settings;
    const int n = s->hidden ? (int)s->hidden : tensor_width(x);
    return s->form == FORM_SYNAPSES ? build_synapses(b, choice, x, n) : build_neural(b, choice, x, n);
}

const layer_type layer_ltc = {
    .about =
        {
            .name = "ltc",
            .kind = "layer",
            .summary = "liquid time-constant network: neurons that follow a differential equation",
            .paper = "Hasani et al., Liquid time-constant networks, arXiv 2006.04439",
            .details =
                "The neural form: while a token u lasts, dx/dt = -(1/tau + |f|) x + f A with f = act(W_r x + W_i u + b): the larger f, the faster x follows. The output is x at the end of the token, and the next one begins there. One step h of semi_implicit is x' = (x + h f A) / (1 + h (1/tau + |f|)), which keeps x between 0 and A (-A and A with tanh).\n\nSynapses: cm_j dv_j/dt = gleak_j (vleak_j - v_j) + the sum over neurons i, and over inputs, of w_ij s(sigma_ij (v_i - mu_ij)) (erev_ij - v_j), s being the sigmoid; the output is v.\n\neuler and rk4 are refused where h is too long for them. dopri5 (Dormand and Prince 1980) chooses steps for each sequence by itself, at most 64 for a token: where more are needed x is not a number.\n\nParameters of the neural form: input.weight (n, width), input.bias (n), recurrent.weight (n, n), amplitude (A, n), and with train_tau tau_raw (n): tau = m + log(1 + exp(tau_raw)), m = 0.05, or for euler and rk4 the least value for which h is never too long. Weight decay applies to the two weights alone. Of synapses, as in ncps: w_raw, sigma, mu, erev (n, n), sensory_w_raw and so on (width, n), gleak_raw, vleak, cm_raw (n); what is positive is made of what ends in _raw in the same way, m = 0.00001, or 0.000001 for cm. There is no weight decay. Generation carries x from token to token, for as long as one likes.",
            .example = "- residual: [layernorm, {ltc: {hidden: 256, steps: 6}}]\n",
            .options = ltc_options_table,
            .settings_size = sizeof(ltc_settings),
        },
    .build = build_ltc,
};
