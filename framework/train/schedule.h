// Schedules: the learning rate of each update.
#ifndef RUNEXP_TRAIN_SCHEDULE_H
#define RUNEXP_TRAIN_SCHEDULE_H

#include "config/component.h"
#include "store/checkpoint.h"

typedef struct schedule_progress {
    int64_t step, max_steps; // step: 0 for the first update
    int64_t steps_per_epoch;
    const run_state *state; // plateau numbers
} schedule_progress;

typedef struct schedule_type {
    component about;
    // lr: the optimizer's base rate. Warm-up, which every schedule takes, is applied by schedule_rate.
    double (*rate)(const void *settings, double lr, const schedule_progress *p);
    void (*observe)(const void *settings, double lr, double val_loss,
                    run_state *state); // after an evaluation; NULL: not needed
} schedule_type;

// constant, step, exponential, cosine, linear, inverse_sqrt, wsd, one_cycle, plateau
extern const component *const schedule_registry[];

double schedule_rate(const component_choice *choice, double lr, const schedule_progress *p);
void schedule_observe(const component_choice *choice, double lr, double val_loss, run_state *state);

#endif
