// The rate multiplied by a factor after every `period` updates, or at given updates.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct step_settings {
    schedule_common common;
    duration period;
    duration_list milestones;
    double gamma;
} step_settings;

#define SETTINGS step_settings
static const option step_options[] = {
    SCHEDULE_WARMUP("0"),
    DURATION(period, "1000", 1,
             "multiply the rate by gamma every time this has passed; ignored if there are milestones"),
    DURATIONS(milestones, "[]", 0, "multiply the rate by gamma at these points instead of every period"),
    REAL(gamma, "0.1", ABOVE(0), 1, "factor of each reduction"),
    {0},
};
#undef SETTINGS

static double step_rate(const schedule *of, const schedule_progress *p) {
    const step_settings *s = of->settings;
    const double lr = of->lr;
    int64_t reductions = 0;
    if (s->milestones.count > 0)
        for (int i = 0; i < s->milestones.count; i++)
            reductions += s->milestones.values[i].steps <= p->step;
    else
        reductions = p->step / s->period.steps;
    return lr * pow(s->gamma, (double)reductions);
}

const schedule_type schedule_step = {
    .about = {.name = "step",
              .kind = "schedule",
              .summary = "the rate falls by a factor at intervals or at given points",
              .details =
                  "lr * gamma^n, where n is the number of whole periods done, or of milestones reached. "
                  "Both count from the first step, warm-up included. The same numbers as "
                  "torch.optim.lr_scheduler.StepLR and MultiStepLR.",
              .example = "schedule: {type: step, milestones: [1000, 1500], gamma: 0.3}\n",
              .options = step_options,
              .settings_size = sizeof(step_settings)},
    .rate = step_rate,
};
