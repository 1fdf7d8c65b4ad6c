// The rate multiplied by a factor whenever the validation loss has stopped falling.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct plateau_settings {
    schedule_common common;
    double factor, threshold, min_lr;
    int64_t patience, cooldown;
} plateau_settings;

static const option plateau_options[] = {
    ROW_WARMUP(plateau_settings, "0"),
    {.key = "factor",
     .type = OPTION_REAL,
     .offset = offsetof(plateau_settings, factor),
     .fallback = "0.1",
     .min = 0,
     .max = 1,
     .flags = OPTION_ABOVE_MIN | OPTION_BELOW_MAX,
     .doc = "factor of each reduction"},
    {.key = "patience",
     .type = OPTION_INT,
     .offset = offsetof(plateau_settings, patience),
     .fallback = "10",
     .min = 0,
     .max = -1,
     .unit = "evaluations",
     .doc = "evaluations without improvement that are let pass; the next one reduces the rate"},
    {.key = "threshold",
     .type = OPTION_REAL,
     .offset = offsetof(plateau_settings, threshold),
     .fallback = "1.0e-4",
     .min = 0,
     .max = 1,
     .flags = OPTION_BELOW_MAX,
     .doc = "only a loss below (1 - threshold) times the best one is an improvement"},
    {.key = "cooldown",
     .type = OPTION_INT,
     .offset = offsetof(plateau_settings, cooldown),
     .fallback = "0",
     .min = 0,
     .max = -1,
     .unit = "evaluations",
     .doc = "evaluations after a reduction that do not count against patience"},
    ROW_MIN_LR(plateau_settings, "the rate is never reduced below this"),
    {0},
};

// How small a change of the rate is not made at all (as in PyTorch).
static const double smallest_change = 1e-8;

static bool is_fresh(const run_state *state) {
    return state->plateau_factor == 0; // a factor in use is above 0
}

static double plateau_rate(const void *settings, double lr, const schedule_progress *p) {
    (void)settings;
    return p->state == NULL || is_fresh(p->state) ? lr : lr * p->state->plateau_factor;
}

static void plateau_observe(const void *settings, double lr, double val_loss, run_state *state) {
    const plateau_settings *s = settings;
    if (is_fresh(state)) {
        state->plateau_factor = 1;
        state->plateau_best = INFINITY;
    }
    if (val_loss < state->plateau_best * (1 - s->threshold)) {
        state->plateau_best = val_loss;
        state->plateau_bad = 0;
    } else {
        state->plateau_bad++;
    }
    if (state->plateau_cooldown > 0) {
        state->plateau_cooldown--;
        state->plateau_bad = 0;
    }
    if (state->plateau_bad <= s->patience) return;
    const double factor = fmax(state->plateau_factor * s->factor, s->min_lr / lr);
    if (lr * (state->plateau_factor - factor) > smallest_change) state->plateau_factor = factor;
    state->plateau_cooldown = s->cooldown;
    state->plateau_bad = 0;
}

const schedule_type schedule_plateau = {
    .about = {.name = "plateau",
              .kind = "schedule",
              .summary = "the rate falls by a factor when the validation loss stops falling",
              .details = "Looks at the validation loss of each evaluation. The same decisions as "
                         "torch.optim.lr_scheduler.ReduceLROnPlateau with a relative threshold.",
              .example = "schedule: {type: plateau, factor: 0.5, patience: 3}\n",
              .options = plateau_options,
              .settings_size = sizeof(plateau_settings)},
    .rate = plateau_rate,
    .observe = plateau_observe,
};
