// Experiments as arguments of commands: found, loaded, named and checked.
#ifndef RUNEXP_CLI_LOAD_H
#define RUNEXP_CLI_LOAD_H

#include "cli/command.h"
#include "config/config.h"
#include "train/experiment.h"

// Finds an experiment (cli/places.h), loads it with overrides, gives it the name of its run (the file's
// name where it sets none, and ",key=value" for each override, unless one of them is the name) and checks
// that its layers fit together. Problems are printed to standard error: ERR_CONFIG with an empty message
// then. ERR_USAGE when the path names no experiment file. Memory from the call.
status load_experiment(const command_call *call, const char *path, const char *const *overrides,
                       int override_count, config *out, error *err);

// The same of the experiment that a checkpoint carries.
status load_checkpoint_experiment(const command_call *call, const char *path, const char *const *overrides,
                                  int override_count, config *out, error *err);

// Finds and reads the texts of an experiment, and gives durations in epochs their steps; what is not there,
// or does not fit the text, has the place of the setting. Memory from the call.
status open_dataset(const command_call *call, config *c, dataset **out, error *err);

static inline experiment *experiment_of(const config *c) {
    return c->settings;
}

// Where ".yaml" or ".yml" ends a path; "" when neither does.
const char *yaml_extension(const char *path);

// What to type instead of the path of an experiment that there is not: the same path with ".yaml", or the
// nearest name in its folder or among the experiments that come with the program. NULL: nothing comes near.
// Memory from the call.
const char *nearest_experiment(const command_call *call, const char *path);

// Prints problems to standard error, sorted; returns how many.
int print_problems(problems *p);

#endif
