// Warm-up, a stable stretch, a decay: long runs may branch off before the decay.
#include "train/schedules/schedule.h"

#include <math.h>

typedef enum wsd_shape { WSD_LINEAR, WSD_SQRT } wsd_shape;

typedef struct wsd_settings {
    schedule_common common;
    double decay_fraction, min_lr;
    int shape; // wsd_shape
} wsd_settings;

static const char *const shapes[] = {"linear", "sqrt", NULL};

#define SETTINGS wsd_settings
static const option wsd_options[] = {
    SCHEDULE_WARMUP("0"),
    REAL(decay_fraction, "0.2", 0, 1, "fraction of the steps, at the end, during which the rate falls"),
    CHOICE(shape, "linear", shapes, "how it falls: linearly, or as 1 - sqrt(x), fast at first"),
    REAL(min_lr, "0.0", 0, INFINITY, "rate at the end of training"),
    {0},
};
#undef SETTINGS

static double wsd_rate(const schedule *of, const schedule_progress *p) {
    const wsd_settings *s = of->settings;
    const double lr = of->lr;
    const double end = (double)p->max_steps, start = (1 - s->decay_fraction) * end, t = (double)p->step;
    if (t <= start) return lr;
    const double x = fmin(1, (t - start) / (end - start));
    return s->min_lr + (lr - s->min_lr) * (1 - (s->shape == WSD_SQRT ? sqrt(x) : x));
}

const schedule_type schedule_wsd = {
    .about = {.name = "wsd",
              .kind = "schedule",
              .summary = "warm-up, then lr, then a decay over the last part of training",
              .paper = "arXiv 2404.06395; shape sqrt: arXiv 2405.18392",
              .details =
                  "With x from 0 to 1 over the last decay_fraction of max_steps, the rate goes from lr to "
                  "min_lr as 1 - x or 1 - sqrt(x). Until then the run does not depend on max_steps.",
              .example = "schedule: {type: wsd, warmup_steps: 100, decay_fraction: 0.2, shape: sqrt}\n",
              .options = wsd_options,
              .settings_size = sizeof(wsd_settings)},
    .rate = wsd_rate,
};
