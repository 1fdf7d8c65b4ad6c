// Stochastic gradient descent, with momentum (PyTorch's form).
#include "train/optimizers/optimizer.h"

typedef struct sgd_settings {
    optimizer_common common;
    double momentum, dampening;
    bool nesterov;
} sgd_settings;

#define SETTINGS sgd_settings
static const option sgd_options[] = {
    OPTIMIZER_LR("0.1", DOC_LR),
    OPTIMIZER_WEIGHT_DECAY("0.0", DOC_COUPLED_DECAY),
    REAL(momentum, "0.9", 0, BELOW(1), "fraction of the previous direction that is kept; 0: no momentum"),
    REAL(dampening, "0.0", 0, 1,
         "1 minus this scales the gradient that is added to the momentum, from the second step on"),
    BOOL(nesterov, "false", "step along gradient + momentum * direction instead of along the direction"),
    {0},
};
#undef SETTINGS

static void sgd_update(const void *settings, const optimizer_call *call) {
    const sgd_settings *s = settings;
    const parameter_set *set = call->parameters;
    optimizer_update u = optimizer_update_of(call, call->lr, s->common.weight_decay);
    u.momentum = s->momentum;
    u.dampening = s->momentum > 0 ? s->dampening : 0; // without momentum there is nothing to dampen
    u.nesterov = s->nesterov;
    kernels->update_sgd(call->piece_count, call->pieces, &u, call->values, set->gradients,
                        call->moments[0]);
}

const optimizer_type optimizer_sgd = {
    .about = {.name = "sgd",
              .kind = "optimizer",
              .summary = "stochastic gradient descent with momentum",
              .paper = "momentum: Polyak 1964; Nesterov: Sutskever et al., ICML 2013",
              .details = "g = gradient + weight_decay * p; m = g at the first step, then momentum * m + "
                         "(1 - dampening) * g; p -= lr * m, or lr * (g + momentum * m) with nesterov. The "
                         "same numbers as torch.optim.SGD.",
              .example = "optimizer: {type: sgd, lr: 0.1, momentum: 0.9, nesterov: true}\n",
              .options = sgd_options,
              .settings_size = sizeof(sgd_settings)},
    .moments = 1,
    .moment_names = {"m"},
    .update = sgd_update,
};
