// Adam and AdamW: they differ in where the weight decay enters, and in their defaults.
#include "train/optimizers/optimizer.h"

#include <math.h>

typedef struct adam_settings {
    optimizer_common common;
    real_list betas;
    double epsilon;
} adam_settings;

#define DOC_BETAS "decay of the running means of the gradient and of its square"
#define DOC_EPSILON "added to the bias-corrected root to avoid division by zero"

#define SETTINGS adam_settings
static const option adam_options[] = {
    OPTIMIZER_LR("1.0e-3", DOC_LR),
    OPTIMIZER_WEIGHT_DECAY("0.0", DOC_COUPLED_DECAY),
    REALS(betas, "[0.9, 0.999]", 0, BELOW(1), DOC_BETAS, .min_count = 2, .max_count = 2),
    REAL(epsilon, "1.0e-8", ABOVE(0), 1, DOC_EPSILON),
    {0},
};
#undef SETTINGS

#define SETTINGS adam_settings
static const option adamw_options[] = {
    OPTIMIZER_LR("1.0e-3", DOC_LR),
    OPTIMIZER_WEIGHT_DECAY("0.1", DOC_DECOUPLED_DECAY),
    REALS(betas, "[0.9, 0.95]", 0, BELOW(1), DOC_BETAS, .min_count = 2, .max_count = 2),
    REAL(epsilon, "1.0e-8", ABOVE(0), 1, DOC_EPSILON),
    {0},
};
#undef SETTINGS

static void update(const adam_settings *s, const optimizer_call *call, bool decoupled) {
    const parameter_set *set = call->parameters;
    const double beta1 = s->betas.values[0], beta2 = s->betas.values[1];
    optimizer_update u = optimizer_update_of(call, call->lr, s->common.weight_decay);
    u.beta1 = beta1;
    u.beta2 = beta2;
    u.epsilon = s->epsilon;
    u.correction1 = 1 - pow(beta1, (double)call->step);
    u.correction2 = 1 - pow(beta2, (double)call->step);
    kernels->update_adam(call->piece_count, call->pieces, &u, decoupled, call->values, set->gradients,
                         call->moments[0], call->moments[1]);
}

static void adam_update(const void *settings, const optimizer_call *call) {
    update(settings, call, false);
}

static void adamw_update(const void *settings, const optimizer_call *call) {
    update(settings, call, true);
}

const optimizer_type optimizer_adam = {
    .about = {.name = "adam",
              .kind = "optimizer",
              .summary = "steps scaled by running means of the gradient and of its square",
              .paper = "arXiv 1412.6980",
              .details =
                  "g = gradient + weight_decay * p; m and v are running means of g and g^2, corrected "
                  "for their start at zero; p -= lr * m / (sqrt(v) + epsilon). Because the decay is "
                  "part of g it is divided by sqrt(v) too; adamw keeps it apart. The same numbers as "
                  "torch.optim.Adam.",
              .example = "optimizer: {type: adam, lr: 1.0e-3, betas: [0.9, 0.999]}\n",
              .options = adam_options,
              .settings_size = sizeof(adam_settings)},
    .moments = 2,
    .moment_names = {"m", "v"},
    .update = adam_update,
};

const optimizer_type optimizer_adamw = {
    .about = {.name = "adamw",
              .kind = "optimizer",
              .summary = "Adam with weight decay kept apart from the gradient: the usual choice",
              .paper = "arXiv 1711.05101",
              .details =
                  "p *= 1 - lr * weight_decay, then Adam's step with the gradient alone. The same "
                  "numbers as torch.optim.AdamW. Small models with short contexts often do better with "
                  "a second beta of 0.98 or 0.99.",
              .example = "optimizer: {type: adamw, lr: 1.0e-3, betas: [0.9, 0.99], weight_decay: 0.1}\n",
              .options = adamw_options,
              .settings_size = sizeof(adam_settings)},
    .moments = 2,
    .moment_names = {"m", "v"},
    .update = adamw_update,
};
