// Durations: how long training or a part of it takes, or how far a point of it is from the beginning. Users
// write a number of steps ("800"), or of epochs, decimals too ("5 epochs", "0.5 epochs", "1 epoch").
//
// Settings are read before the text, which alone says how many steps an epoch has: until
// durations_count_epochs a duration in epochs has 0 steps.
#ifndef RUNEXP_CONFIG_DURATION_H
#define RUNEXP_CONFIG_DURATION_H

#include "base/text.h"
#include "config/component.h"

// A duration as written, strictly: with one blank before the word, without surrounding ones. False for
// anything else, negative epochs among it; *out is then unspecified.
bool duration_read(const char *written, duration *out);

// Adds what may have been meant by something else: "5 epochs" for "5epochs", "5" for "5 steps". False, with
// nothing added, when nothing comes near.
bool duration_nearest(const char *written, text *out);

// Whether both are durations, of the same number in the same unit: "1 epoch" and "1.0 epochs".
bool duration_same(const char *a, const char *b);

// Its steps where an epoch has that many: a whole number, at least 1 when it is in epochs.
double duration_steps(const duration *d, int64_t steps_per_epoch);

// A setting that is given in epochs.
typedef struct epochs_setting {
    const char *path; // "training.max_steps", "schedule.milestones.0"
    place where;
    duration *value;
} epochs_setting;

typedef struct epochs_settings {
    epochs_setting *items;
    int count, capacity;
} epochs_settings;

// Gives each of them its steps. ERR_CONFIG, at its place, for the first that has too many.
status durations_count_epochs(const epochs_settings *settings, int64_t steps_per_epoch, error *err);

#endif
