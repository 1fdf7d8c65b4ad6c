// The rate multiplied by a factor after every `period` updates, or at given updates.
#include "train/schedules/schedule.h"

#include <math.h>

typedef struct step_settings {
    schedule_common common;
    int64_t period;
    real_list milestones;
    double gamma;
} step_settings;

static const option step_options[] = {
    ROW_WARMUP(step_settings, "0"),
    {.key = "period",
     .type = OPTION_INT,
     .offset = offsetof(step_settings, period),
     .fallback = "1000",
     .min = 1,
     .max = -1,
     .unit = "steps",
     .doc = "the rate is multiplied by gamma each time this many steps are done; unused with milestones"},
    {.key = "milestones",
     .type = OPTION_REALS,
     .offset = offsetof(step_settings, milestones),
     .fallback = "[]",
     .min = 0,
     .max = -1,
     .unit = "steps",
     .doc = "multiply by gamma when this many steps are done, at each of these, instead of every period"},
    {.key = "gamma",
     .type = OPTION_REAL,
     .offset = offsetof(step_settings, gamma),
     .fallback = "0.1",
     .min = 0,
     .max = 1,
     .flags = OPTION_ABOVE_MIN,
     .doc = "factor of each reduction"},
    {0},
};

static double step_rate(const schedule *of, const schedule_progress *p) {
    const step_settings *s = of->settings;
    const double lr = of->lr;
    int64_t reductions = 0;
    if (s->milestones.count > 0)
        for (int i = 0; i < s->milestones.count; i++)
            reductions += s->milestones.values[i] <= (double)p->step;
    else
        reductions = p->step / s->period;
    return lr * pow(s->gamma, (double)reductions);
}

const schedule_type schedule_step = {
    .about = {.name = "step",
              .kind = "schedule",
              .summary = "the rate falls by a factor at intervals or at given steps",
              .details =
                  "lr * gamma^n, where n is the number of whole periods done, or of milestones reached. "
                  "Both count from the first step, warm-up included. The same numbers as "
                  "torch.optim.lr_scheduler.StepLR and MultiStepLR.",
              .example = "schedule: {type: step, milestones: [1000, 1500], gamma: 0.3}\n",
              .options = step_options,
              .settings_size = sizeof(step_settings)},
    .rate = step_rate,
};
