// A straight line from the base rate down to a floor at the end of training.
#include "train/schedules/schedule.h"

typedef struct linear_settings {
    schedule_common common;
    double min_lr;
} linear_settings;

#define SETTINGS linear_settings
static const option linear_options[] = {
    SCHEDULE_WARMUP("0"),
    REAL(min_lr, "0.0", 0, INFINITY, "rate at the end of training"),
    {0},
};
#undef SETTINGS

static double linear_rate(const schedule *of, const schedule_progress *p) {
    const linear_settings *s = of->settings;
    const double lr = of->lr;
    return s->min_lr + (lr - s->min_lr) * (1 - schedule_fraction(&s->common, p, p->max_steps));
}

const schedule_type schedule_linear = {
    .about = {.name = "linear",
              .kind = "schedule",
              .summary = "a straight line from lr down to min_lr at the end of training",
              .paper = "arXiv 2310.07831",
              .example = "schedule: {type: linear, warmup_steps: 100}\n",
              .options = linear_options,
              .settings_size = sizeof(linear_settings)},
    .rate = linear_rate,
};
