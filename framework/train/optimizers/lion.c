// Lion: steps of equal size in every coordinate, along the sign of the momentum.
#include "train/optimizers/optimizer.h"

typedef struct lion_settings {
    optimizer_common common;
    real_list betas;
} lion_settings;

#define SETTINGS lion_settings
static const option lion_options[] = {
    OPTIMIZER_LR("2.0e-4", DOC_LR "; 3 to 10 times below AdamW's"),
    OPTIMIZER_WEIGHT_DECAY("0.5", DOC_DECOUPLED_DECAY "; 3 to 10 times above AdamW's"),
    REALS(betas, "[0.9, 0.99]", 0, BELOW(1),
          "decay of the momentum in the direction of the step, and in the momentum itself", .min_count = 2,
          .max_count = 2),
    {0},
};
#undef SETTINGS

static void lion_update(const void *settings, const optimizer_call *call) {
    const lion_settings *s = settings;
    const parameter_set *set = call->parameters;
    optimizer_update u = optimizer_update_of(call, call->lr, s->common.weight_decay);
    u.beta1 = s->betas.values[0];
    u.beta2 = s->betas.values[1];
    kernels->update_lion(call->piece_count, call->pieces, &u, call->values, set->gradients,
                         call->moments[0]);
}

const optimizer_type optimizer_lion = {
    .about = {.name = "lion",
              .kind = "optimizer",
              .summary = "steps along the sign of the momentum, with half of Adam's memory",
              .paper = "arXiv 2302.06675",
              .details = "p -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p), then "
                         "m = beta2 * m + (1 - beta2) * g. Every coordinate moves by lr, so lr must be "
                         "smaller, and weight_decay larger, than for adamw.",
              .example = "optimizer: {type: lion, lr: 2.0e-4, weight_decay: 0.5}\n",
              .options = lion_options,
              .settings_size = sizeof(lion_settings)},
    .moments = 1,
    .moment_names = {"m"},
    .update = lion_update,
};
