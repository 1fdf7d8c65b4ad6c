// Schedules: the learning rate of each update.
//
// A schedule is one file (train/schedules/<name>.c) and one line in schedule_registry. It is a function of
// the update's number alone, except `plateau`, whose memory is in run_state and so in every checkpoint.
#ifndef RUNEXP_TRAIN_SCHEDULES_SCHEDULE_H
#define RUNEXP_TRAIN_SCHEDULES_SCHEDULE_H

#include "config/component.h"
#include "store/checkpoint.h"

// Every schedule's settings struct begins with these.
typedef struct schedule_common {
    int64_t warmup_steps;
} schedule_common;

typedef struct schedule_progress {
    int64_t step, max_steps; // step: 0 for the first update
    int64_t steps_per_epoch; // 0: the data has no epochs
    const run_state *state;  // plateau numbers
} schedule_progress;

typedef struct schedule_type {
    component about;
    // lr: the optimizer's base rate. Warm-up, which every schedule takes, is applied by schedule_rate: this
    // is called only from step warmup_steps on.
    double (*rate)(const void *settings, double lr, const schedule_progress *p);
    // After an evaluation; NULL: not needed.
    void (*observe)(const void *settings, double lr, double val_loss, run_state *state);
} schedule_type;

extern const schedule_type schedule_constant, schedule_step, schedule_exponential, schedule_cosine,
    schedule_linear, schedule_inverse_sqrt, schedule_wsd, schedule_one_cycle, schedule_plateau;

extern const component *const schedule_registry[]; // all of them, NULL-terminated

// The rate of update p->step. The first W = warmup_steps updates take lr (t + 1) / (W + 1), t = 0, 1, ...
double schedule_rate(const component_choice *choice, double lr, const schedule_progress *p);

// Tells the schedule the validation loss of an evaluation, so that it may change the plateau numbers of
// state. A state whose plateau numbers are all zero is a fresh one.
void schedule_observe(const component_choice *choice, double lr, double val_loss, run_state *state);

// For the schedules: the warm-up's row in an option table, and how far update t is from the end of the
// warm-up (0) to the end of training (1, never passed).
#define ROW_WARMUP(settings, fallback_)                                                                    \
    {                                                                                                      \
        .key = "warmup_steps", .type = OPTION_INT, .offset = offsetof(settings, common.warmup_steps),      \
        .fallback = fallback_, .min = 0, .max = -1, .unit = "steps",                                       \
        .doc = "the rate rises in a straight line to lr over this many steps before anything else"         \
    }

#define ROW_MIN_LR(settings, doc_)                                                                         \
    {                                                                                                      \
        .key = "min_lr", .type = OPTION_REAL, .offset = offsetof(settings, min_lr), .fallback = "0.0",     \
        .min = 0, .max = -1, .doc = doc_                                                                   \
    }

double schedule_fraction(const schedule_common *common, const schedule_progress *p, int64_t end);

#endif
