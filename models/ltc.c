// Liquid time-constant networks.
#include "models/registry.h"

#include <math.h>
#include <stdio.h>

typedef struct ltc_settings {
    int64_t hidden, steps;
    int solver, activation, checkpointing;
    double step_size, rtol, atol, tau;
    bool adaptive, abs_gate, train_tau;
} ltc_settings;

static const char *const solver_names[] = {"semi_implicit", "euler", "rk4", "dopri5",
                                           NULL}; // as ode_solver
enum { ACT_SIGMOID, ACT_TANH };
static const char *const activation_names[] = {"sigmoid", "tanh", NULL};
enum { CHECKPOINTING_AUTO, CHECKPOINTING_ON };
static const char *const checkpointing_names[] = {"auto", "true", "false", NULL};

#define SETTINGS ltc_settings
static const option ltc_options_table[] = {
    INT(hidden, "0", 0, 1 << 20, "number of neurons, the width of the output; 0: width of the input"),
    CHOICE(solver, "semi_implicit", solver_names,
           "of the differential equation; the first is stable whatever the step, dopri5 chooses its steps"),
    INT(steps, "6", 1, 1000, "steps of the solver for a token; for dopri5 only their total length counts"),
    REAL(step_size, "0.0", 0, 100, "length of a step; 0: 1 / steps, so that a token lasts 1",
         .unit = "time"),
    REAL(rtol, "1e-3", 0, 1, "dopri5: error of a step that is accepted, relative to x"),
    REAL(atol, "1e-4", ABOVE(0), 1, "dopri5: the same, added to it"),
    CHOICE(activation, "sigmoid", activation_names, "of the neurons that drive the equation"),
    BOOL(adaptive, "true", "time constants that depend on the input; false: tau alone"),
    BOOL(abs_gate, "true",
         "|f| in the decay, as in the authors' own experiments, rather than f; the same for sigmoid"),
    REAL(tau, "1.0", ABOVE(0), 1e6, "time constants at first", .unit = "time"),
    BOOL(train_tau, "true", "learn them, one for each neuron"),
    CHOICE(
        checkpointing, "auto", checkpointing_names,
        "compute all steps again in the backward pass rather than keep them; auto: where they take more than 256 MiB; the gradients are the same, but for rounding"),
    {0},
};
#undef SETTINGS

// --- stability, by the largest decay that the equation can have: 1/tau, and 1 more where it is adaptive

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
static bool is_stable(builder *b, const component_choice *choice) {
    const ltc_settings *s = choice->settings;
    const solver_limits limits = limits_of[s->solver];
    const double value = step_of(s) * (1 / s->tau + decay_beyond_rate(s));
    const double limit = s->train_tau ? limits.safe : limits.stable;
    if (value >= limit) return fail_unstable(b, choice, value, limit), false;
    if (value >= limits.safe)
        builder_warn(b, choice, "solver",
                     "step x (1/tau%s) is %.4g: x is sure to stay within bounds below %.4g only",
                     s->adaptive ? " + 1" : "", value, limits.safe);
    if (s->adaptive && s->activation == ACT_TANH && !s->abs_gate)
        builder_warn(b, choice, "abs_gate",
                     "with tanh, the decay 1/tau + f is negative where f is below -1/tau: x may grow");
    if (s->train_tau && s->tau <= least_tau(s))
        return builder_fail(b, choice, "tau", "or set train_tau to false",
                            "learned time constants stay above %.4g with this solver and step: so must tau",
                            least_tau(s)),
               false;
    return true;
}

// --- the layer

// Checkpointing, in a pass that would keep more.
enum { TAPE_MEBIBYTES = 256 };

static bool has_checkpoints(const builder *b, const ltc_settings *s, int n) {
    if (s->checkpointing != CHECKPOINTING_AUTO) return s->checkpointing == CHECKPOINTING_ON;
    const double evaluations = (double)s->steps * solver_stages((ode_solver)s->solver);
    const double values = 2.0 * b->graph->batch * b->graph->time * evaluations * n;
    return values * sizeof(real) > TAPE_MEBIBYTES * 1048576.0;
}

static tensor *build_ltc(builder *b, const component_choice *choice, tensor *x) {
    const ltc_settings *s = choice->settings;
    const int in = tensor_width(x), n = s->hidden ? (int)s->hidden : in;
    if (!is_stable(b, choice)) return NULL;
    const parameter_declaration weight = {.rank = 2,
                                          .shape = {n, in},
                                          .init = INIT_UNIFORM,
                                          .init_value = sqrt(6.0 / (n + in)),
                                          .decay = true,
                                          .matrix = true};
    const parameter_declaration recurrent = {.rank = 2,
                                             .shape = {n, n},
                                             .init = INIT_ORTHOGONAL,
                                             .init_value = 0.5,
                                             .decay = true,
                                             .matrix = true};
    const parameter_declaration bias = {.rank = 1, .shape = {n}};
    const parameter_declaration amplitude = {
        .rank = 1, .shape = {n}, .init = INIT_UNIFORM, .init_value = 1};
    const double least = least_tau(s);
    const parameter_declaration raw = {
        .rank = 1, .shape = {n}, .init_value = s->train_tau ? softplus_inverse(s->tau, least) : 0};
    tensor *to_neurons = builder_parameter(b, "input.weight", weight);
    tensor *to_neurons_bias = builder_parameter(b, "input.bias", bias);
    ltc_options options = {
        .weight = builder_parameter(b, "recurrent.weight", recurrent),
        .amplitude = builder_parameter(b, "amplitude", amplitude),
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
    if (s->train_tau) options.tau = op_softplus(b->graph, builder_parameter(b, "tau_raw", raw), least);
    x = op_linear(b->graph, x, to_neurons, to_neurons_bias, ACTIVATION_NONE);
    return op_ltc(b->graph, x, &options);
}

const layer_type layer_ltc = {
    .about =
        {
            .name = "ltc",
            .kind = "layer",
            .summary = "liquid time-constant network: neurons that follow a differential equation",
            .paper = "Hasani et al., Liquid time-constant networks, arXiv 2006.04439",
            .details =
                "While a token u lasts, dx/dt = -(1/tau + |f|) x + f A with f = act(W_r x + W_i u + b): the larger f, the faster x follows. The output is x at the end of the token, and the next one begins there.\n\nOne step h of semi_implicit is x' = (x + h f A) / (1 + h (1/tau + |f|)), which keeps x between 0 and A (-A and A with tanh). euler and rk4 are refused where h is too long for them, and tau stays so large that it never is. dopri5 (Dormand and Prince 1980) chooses steps for each sequence by itself, at most 64 for a token: where more are needed x is not a number.\n\nParameters: input.weight (n, width), input.bias (n), recurrent.weight (n, n), amplitude (A, n), and with train_tau tau_raw (n): tau = m + log(1 + exp(tau_raw)), m = 0.05, or for euler and rk4 the least safe value. Weight decay applies to the two weights alone. Generation carries x from token to token, for as long as one likes.",
            .example = "- residual: [layernorm, {ltc: {hidden: 256, steps: 6}}]\n",
            .options = ltc_options_table,
            .settings_size = sizeof(ltc_settings),
        },
    .build = build_ltc,
};
