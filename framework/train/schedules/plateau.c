// The rate multiplied by a factor whenever the validation loss has stopped falling.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct plateau_settings {
    schedule_common common;
    double factor, threshold, min_lr;
    int64_t patience, cooldown;
} plateau_settings;

#define SETTINGS plateau_settings
static const option plateau_options[] = {
    SCHEDULE_WARMUP("0"),
    REAL(factor, "0.1", ABOVE(0), BELOW(1), "factor of each reduction"),
    INT(patience, "10", 0, INFINITY,
        "evaluations without improvement to wait for; the next one reduces the rate",
        .unit = "evaluations"),
    REAL(threshold, "1.0e-4", 0, BELOW(1),
         "improvement means a loss below (1 - threshold) times the best so far"),
    INT(cooldown, "0", 0, INFINITY, "evaluations after a reduction that do not count towards patience",
        .unit = "evaluations"),
    REAL(min_lr, "0.0", 0, INFINITY, "the rate is never reduced below this"),
    {0},
};
#undef SETTINGS

// A smaller reduction of the rate is not made at all (as in PyTorch).
static const double smallest_change = 1e-8;

// The state: the factor of the rate, the best loss so far, evaluations without improvement since the last
// reduction, evaluations left of the cooldown.
enum { FACTOR, BEST, BAD, COOLDOWN, STATE_COUNT };

static double plateau_rate(const schedule *of, const schedule_progress *p) {
    (void)p;
    return of->lr * of->state[FACTOR];
}

static void plateau_observe(schedule *of, double val_loss) {
    const plateau_settings *s = of->settings;
    double *state = of->state;
    if (val_loss < state[BEST] * (1 - s->threshold)) {
        state[BEST] = val_loss;
        state[BAD] = 0;
    } else {
        state[BAD]++;
    }
    if (state[COOLDOWN] > 0) {
        state[COOLDOWN]--;
        state[BAD] = 0;
    }
    if (state[BAD] <= (double)s->patience) return;
    const double factor = fmax(state[FACTOR] * s->factor, s->min_lr / of->lr);
    if (of->lr * (state[FACTOR] - factor) > smallest_change) state[FACTOR] = factor;
    state[COOLDOWN] = (double)s->cooldown;
    state[BAD] = 0;
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
    .state_count = STATE_COUNT,
    .state = {[FACTOR] = {"plateau_factor", 1},
              [BEST] = {"plateau_best", INFINITY},
              [BAD] = {"plateau_bad", 0},
              [COOLDOWN] = {"plateau_cooldown", 0}},
    .rate = plateau_rate,
    .observe = plateau_observe,
};
