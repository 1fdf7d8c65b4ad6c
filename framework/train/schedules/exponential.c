// The rate multiplied by a factor after every epoch, or after every step.
#include "train/schedules/schedule.h"

#include <math.h>

typedef enum exponential_per { PER_EPOCH, PER_STEP } exponential_per;

typedef struct exponential_settings {
    schedule_common common;
    double gamma;
    int per; // exponential_per
    int64_t after;
} exponential_settings;

static const char *const pers[] = {"epoch", "step", NULL};

#define SETTINGS exponential_settings
static const option exponential_options[] = {
    SCHEDULE_WARMUP("0"),
    REAL(gamma, "0.95", ABOVE(0), 1,
         "factor of each reduction; very close to 1 if it is applied at every step"),
    CHOICE(per, "epoch", pers, "reduce after every epoch, or after every step past the warm-up"),
    INT(after, "1", 1, INFINITY, "when the first reduction comes (char-rnn: 10 epochs)",
        .unit = "epochs or steps"),
    {0},
};
#undef SETTINGS

static double exponential_rate(const schedule *of, const schedule_progress *p) {
    const exponential_settings *s = of->settings;
    const double lr = of->lr;
    int64_t done = 0;
    if (s->per == PER_STEP)
        done = p->step - s->common.warmup_steps.steps;
    else if (p->steps_per_epoch > 0)
        done = p->step / p->steps_per_epoch;
    return done < s->after ? lr : lr * pow(s->gamma, (double)(done - s->after + 1));
}

const schedule_type schedule_exponential = {
    .about = {.name = "exponential",
              .kind = "schedule",
              .summary = "the rate falls by a factor after every epoch or every step",
              .details =
                  "lr * gamma^max(0, n - after + 1), n the number of whole epochs done (warm-up included) "
                  "or of steps done since the warm-up. With after: 1 the same numbers as "
                  "torch.optim.lr_scheduler.ExponentialLR.",
              .example = "schedule: {type: exponential, gamma: 0.97, per: epoch, after: 10}\n",
              .options = exponential_options,
              .settings_size = sizeof(exponential_settings)},
    .rate = exponential_rate,
};
