// One cycle: up from a small rate to the base rate, then down to almost nothing.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct one_cycle_settings {
    schedule_common common;
    double up_fraction, start_divisor, end_divisor;
} one_cycle_settings;

#define SETTINGS one_cycle_settings
static const option one_cycle_options[] = {
    SCHEDULE_WARMUP("0"),
    REAL(up_fraction, "0.3", 0, 1, "fraction of the steps during which the rate rises"),
    REAL(start_divisor, "25.0", 1, 1e12, "the first rate is lr divided by this"),
    REAL(end_divisor, "1.0e4", 1, 1e12, "the last rate is the first one divided by this"),
    {0},
};
#undef SETTINGS

// From `from` (x = 0) to `to` (x = 1) along half a cosine wave.
static double ease(double from, double to, double x) {
    return to + 0.5 * (from - to) * (1 + cos(M_PI * x));
}

static double one_cycle_rate(const schedule *of, const schedule_progress *p) {
    const one_cycle_settings *s = of->settings;
    const double lr = of->lr;
    const double steps = (double)(p->max_steps - s->common.warmup_steps.steps);
    const double t = (double)(p->step - s->common.warmup_steps.steps);
    const double peak = fmax(0, s->up_fraction * steps - 1), last = steps - 1;
    const double first_rate = lr / s->start_divisor, last_rate = first_rate / s->end_divisor;
    if (t < peak) return ease(first_rate, lr, t / peak);
    if (t == peak) return lr;
    return ease(lr, last_rate, t < last ? (t - peak) / (last - peak) : 1);
}

const schedule_type schedule_one_cycle = {
    .about = {.name = "one_cycle",
              .kind = "schedule",
              .summary = "up to lr and down to almost nothing, once",
              .paper = "arXiv 1708.07120",
              .details =
                  "Half a cosine wave from lr / start_divisor up to lr over the first up_fraction of the "
                  "steps, another down to lr / start_divisor / end_divisor at the last step. It has its "
                  "own rise: leave warmup_steps at 0 unless the cycle shall begin later. The same "
                  "numbers as torch.optim.lr_scheduler.OneCycleLR.",
              .example = "schedule: {type: one_cycle, up_fraction: 0.3}\n",
              .options = one_cycle_options,
              .settings_size = sizeof(one_cycle_settings)},
    .rate = one_cycle_rate,
};
