// Schedules: the learning rate of each update.
//
// A schedule is one file (train/schedules/<name>.c) and one line in schedule_registry. Most are functions
// of the update's number alone; one that also depends on what has happened declares its state as named
// numbers, which every checkpoint stores.
#ifndef RUNEXP_TRAIN_SCHEDULES_SCHEDULE_H
#define RUNEXP_TRAIN_SCHEDULES_SCHEDULE_H

#include "config/settings.h"

// Every schedule's settings struct begins with these, as `common`. The row follows.
typedef struct schedule_common {
    duration warmup_steps;
} schedule_common;

#define SCHEDULE_WARMUP(default_)                                                                          \
    SETTING(OPTION_DURATION, duration, "warmup_steps", common.warmup_steps, .fallback = default_,          \
            .min = 0, .max = INFINITY, .doc = "length of a linear warm-up to lr, before anything else")

enum { SCHEDULE_MAX_STATE = 4 };

// One number of a schedule's state.
typedef struct schedule_number {
    const char *name; // in checkpoints, where it stands beside those of the run: "plateau_best"
    double initial;
} schedule_number;

typedef struct schedule_type schedule_type;

// The schedule of a run.
typedef struct schedule {
    const schedule_type *type;
    const void *settings;
    double lr; // the optimizer's base rate
    double state[SCHEDULE_MAX_STATE];
} schedule;

typedef struct schedule_progress {
    int64_t step, max_steps; // step: 0 for the first update
    int64_t steps_per_epoch; // 0: the data has no epochs
} schedule_progress;

struct schedule_type {
    component about;
    int state_count;
    schedule_number state[SCHEDULE_MAX_STATE];
    // Warm-up, which every schedule takes, is applied by schedule_rate: this is called only from step
    // warmup_steps on.
    double (*rate)(const schedule *of, const schedule_progress *p);
    // After an evaluation; NULL: not needed.
    void (*observe)(schedule *of, double val_loss);
};

extern const schedule_type schedule_constant, schedule_step, schedule_exponential, schedule_cosine,
    schedule_linear, schedule_inverse_sqrt, schedule_wsd, schedule_one_cycle, schedule_plateau;

extern const component *const schedule_registry[]; // all of them, NULL-terminated

// A schedule in its initial state. The settings of choice must outlive it.
schedule schedule_begin(const component_choice *choice, double lr);

// The rate of update p->step. The first W = warmup_steps updates take lr (t + 1) / (W + 1), t = 0, 1, ...
double schedule_rate(const schedule *s, const schedule_progress *p);

// Gives the schedule the validation loss of an evaluation; its state may change.
void schedule_observe(schedule *s, double val_loss);

// For the schedules: how far update t is from the end of the warm-up (0) to the end of training (1, never
// passed).
double schedule_fraction(const schedule_common *common, const schedule_progress *p, int64_t end);

#endif
