// What several commands do with their arguments: experiments loaded and checked, runs found.
#ifndef RUNEXP_CLI_LOAD_H
#define RUNEXP_CLI_LOAD_H

#include "cli/command.h"
#include "config/config.h"
#include "train/experiment.h"

// Loads an experiment with overrides, prints every problem to standard error, gives it its run name (the
// file's name where it sets none, then
// ",key=value" for each override) and checks that its layers fit together. ERR_CONFIG with an empty message
// when problems were printed.
status load_experiment(const char *path, const char *const *overrides, int override_count, arena *a,
                       config *out, error *err);

static inline experiment *experiment_of(const config *c) {
    return c->settings;
}

// Prints problems to standard error, sorted; returns how many.
int print_problems(problems *p);

// The folder of a run: the argument itself, or runs/<argument>. ERR_USAGE when neither is a folder.
status find_run(const char *argument, arena *a, const char **folder, error *err);

// The checkpoint of a run: `which` is best, last, auto (the best there is) or the path of a file. The run
// may be given as a checkpoint file itself.
status find_checkpoint(const char *run, const char *which, arena *a, const char **path, error *err);

#endif
