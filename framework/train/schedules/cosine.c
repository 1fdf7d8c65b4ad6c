// Half a cosine wave from the base rate down to a floor.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct cosine_settings {
    schedule_common common;
    double min_lr;
    duration decay_steps;
} cosine_settings;

#define SETTINGS cosine_settings
static const option cosine_options[] = {
    SCHEDULE_WARMUP("0"),
    REAL(min_lr, "0.0", 0, INFINITY, "rate at the end; a tenth of lr is common"),
    DURATION(decay_steps, "0", 0,
             "when the rate reaches min_lr, warm-up included; 0: at the end of training"),
    {0},
};
#undef SETTINGS

static double cosine_rate(const schedule *of, const schedule_progress *p) {
    const cosine_settings *s = of->settings;
    const double lr = of->lr;
    const int64_t end = s->decay_steps.steps > 0 ? s->decay_steps.steps : p->max_steps;
    const double x = schedule_fraction(&s->common, p, end);
    return s->min_lr + 0.5 * (lr - s->min_lr) * (1 + cos(M_PI * x));
}

const schedule_type schedule_cosine = {
    .about = {.name = "cosine",
              .kind = "schedule",
              .summary = "half a cosine wave from lr down to min_lr: the usual choice",
              .paper = "arXiv 1608.03983",
              .details =
                  "min_lr + (lr - min_lr) (1 + cos(pi x)) / 2, where x goes from 0 at the end of the "
                  "warm-up to 1 at decay_steps.",
              .example = "schedule: {type: cosine, warmup_steps: 100, min_lr: 1.0e-4}\n",
              .options = cosine_options,
              .settings_size = sizeof(cosine_settings)},
    .rate = cosine_rate,
};
