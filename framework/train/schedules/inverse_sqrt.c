// The rate falls as one over the root of the step, whatever the length of the run.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct inverse_sqrt_settings {
    schedule_common common;
} inverse_sqrt_settings;

#define SETTINGS inverse_sqrt_settings
static const option inverse_sqrt_options[] = {
    SCHEDULE_WARMUP("100"),
    {0},
};
#undef SETTINGS

static double inverse_sqrt_rate(const schedule *of, const schedule_progress *p) {
    const inverse_sqrt_settings *s = of->settings;
    const double lr = of->lr;
    const double warmup = fmax((double)s->common.warmup_steps.steps, 1);
    return lr * sqrt(warmup / fmax((double)p->step, warmup));
}

const schedule_type schedule_inverse_sqrt = {
    .about = {.name = "inverse_sqrt",
              .kind = "schedule",
              .summary = "the rate falls as one over the square root of the step",
              .paper = "arXiv 1706.03762, section 5.3",
              .details =
                  "lr * sqrt(W / t) from step t = W = warmup_steps on, so that the warm-up's length also "
                  "sets how slowly the rate falls: four times the steps, half the rate. It does not "
                  "depend on max_steps, so a run may be prolonged.",
              .example = "schedule: {type: inverse_sqrt, warmup_steps: 400}\n",
              .options = inverse_sqrt_options,
              .settings_size = sizeof(inverse_sqrt_settings)},
    .rate = inverse_sqrt_rate,
};
