// Experiments as arguments of commands: loaded, named and checked.
#ifndef RUNEXP_CLI_LOAD_H
#define RUNEXP_CLI_LOAD_H

#include "cli/command.h"
#include "config/config.h"
#include "train/experiment.h"

// Loads an experiment with overrides, gives it the name of its run (the file's name where it sets none, and
// ",key=value" for each override, unless one of them is the name) and checks that its layers fit together. Problems are printed to standard
// error: ERR_CONFIG with an empty message then.
status load_experiment(const char *path, const char *const *overrides, int override_count, arena *a,
                       config *out, error *err);

static inline experiment *experiment_of(const config *c) {
    return c->settings;
}

// Where ".yaml" or ".yml" ends a path; "" when neither does.
const char *yaml_extension(const char *path);

// Prints problems to standard error, sorted; returns how many.
int print_problems(problems *p);

#endif
