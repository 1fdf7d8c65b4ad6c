// The same rate from the first update to the last.
#include "train/schedules/schedule.h"

typedef struct constant_settings {
    schedule_common common;
} constant_settings;

#define SETTINGS constant_settings
static const option constant_options[] = {
    SCHEDULE_WARMUP("0"),
    {0},
};
#undef SETTINGS

static double constant_rate(const schedule *of, const schedule_progress *p) {
    (void)p;
    return of->lr;
}

const schedule_type schedule_constant = {
    .about = {.name = "constant",
              .kind = "schedule",
              .summary = "the optimizer's rate throughout",
              .example = "schedule: {type: constant, warmup_steps: 100}\n",
              .options = constant_options,
              .settings_size = sizeof(constant_settings)},
    .rate = constant_rate,
};
