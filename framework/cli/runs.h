// Runs as arguments of commands: found by name or path, loaded, opened.
#ifndef RUNEXP_CLI_RUNS_H
#define RUNEXP_CLI_RUNS_H

#include "cli/command.h"
#include "config/settings.h"
#include "report/run.h"
#include "train/trained.h"

#define RUNS_FOLDER "runs"

// The row of --runs in the option table of a command; its settings struct has a member `const char *runs`.
#define RUNS_OPTION STRING(runs, RUNS_FOLDER, "folder of the runs")

// The folder of a run: the argument itself, or <runs>/<argument>. ERR_USAGE when neither is the folder of a
// run; the hint then names what is near. Memory from the call.
status find_run(const command_call *call, const char *argument, const char *runs, const char **folder,
                error *err);

// What to type instead of an argument that is no run: the runs whose names begin like it, or the nearest.
// NULL: nothing comes near. Memory from the call.
const char *nearest_runs(const command_call *call, const char *argument, const char *runs);

// Adds the hint that `list` shows the runs of that folder; returns the error's code.
status hint_at_list(const char *runs, error *err);

// Loads the runs that the arguments of the call name, in order, each once. Memory from the call.
status load_runs(const command_call *call, const char *runs, report_run **out, int *count, error *err);

// Opens a checkpoint of a run: `which` is best, last, auto (the best there is) or the path of a file; the
// argument may also be a checkpoint file itself. Problems with the overrides are printed: ERR_CONFIG with
// an empty message then. Memory from the call; free with trained_free.
status open_trained(const command_call *call, const char *run, const char *runs, const char *which,
                    const string_list *overrides, trained *out, error *err);

#endif
