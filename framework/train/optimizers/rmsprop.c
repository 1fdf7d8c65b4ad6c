// RMSprop: the gradient divided by a running root mean square of itself.
#include "train/optimizers/optimizer.h"

typedef struct rmsprop_settings {
    optimizer_common common;
    double alpha, epsilon;
} rmsprop_settings;

#define SETTINGS rmsprop_settings
static const option rmsprop_options[] = {
    OPTIMIZER_LR("2.0e-3", DOC_LR),
    OPTIMIZER_WEIGHT_DECAY("0.0", DOC_COUPLED_DECAY),
    REAL(alpha, "0.99", 0, BELOW(1), "decay of the running mean of squares (char-rnn: 0.95)"),
    REAL(epsilon, "1.0e-8", ABOVE(0), 1, "added to the root to avoid division by zero"),
    {0},
};
#undef SETTINGS

static void rmsprop_update(const void *settings, const optimizer_call *call) {
    const rmsprop_settings *s = settings;
    const parameter_set *set = call->parameters;
    optimizer_update u = optimizer_update_of(call, call->lr, s->common.weight_decay);
    u.beta2 = s->alpha;
    u.epsilon = s->epsilon;
    kernels->update_rmsprop(call->piece_count, call->pieces, &u, call->values, set->gradients,
                            call->moments[0]);
}

const optimizer_type optimizer_rmsprop = {
    .about = {.name = "rmsprop",
              .kind = "optimizer",
              .summary = "gradient divided by its running root mean square",
              .paper = "Tieleman and Hinton, Coursera lecture 6.5, 2012",
              .details =
                  "g = gradient + weight_decay * p; v = alpha * v + (1 - alpha) * g^2; "
                  "p -= lr * g / (sqrt(v) + epsilon). The same numbers as torch.optim.RMSprop without "
                  "momentum and centering.",
              .example = "optimizer: {type: rmsprop, lr: 2.0e-3, alpha: 0.95}\n",
              .options = rmsprop_options,
              .settings_size = sizeof(rmsprop_settings)},
    .moments = 1,
    .moment_names = {"v"},
    .update = rmsprop_update,
};
