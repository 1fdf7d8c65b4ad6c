// runexp show FILE|RUN: the resolved experiment.
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/runs.h"
#include "store/checkpoint.h"
#include "train/run_folder.h"

#include <stdio.h>
#include <string.h>

typedef struct show_options {
    bool plain;
    const char *runs;
} show_options;

#define SETTINGS show_options
static const option options[] = {
    BOOL(plain, OPTIONAL, "leave out the comments"),
    RUNS_OPTION,
    {0},
};
#undef SETTINGS

// err says why it is no run.
static status refuse(const command_call *call, const char *argument, const char *runs, error *err) {
    const bool is_folder =
        file_is_folder(argument) || file_is_folder(path_join(call->memory, runs, argument));
    if (is_folder || checkpoint_name(argument) || strpbrk(argument, "*?[")) return err->code;
    const char *near = nearest_runs(call, argument, runs);
    if (!near) near = nearest_experiment(call, argument);
    fail(err, ERR_USAGE, "\"%s\" is neither an experiment file nor a run", argument);
    if (near) return error_hint(err, "did you mean %s?", near);
    return hint_at_list(runs, err);
}

// An experiment file, the experiment of a run, or what a checkpoint carries.
static status load(const command_call *call, const char *runs, config *out, error *err) {
    const char *argument = call->arguments[0], *const *overrides = call->arguments + 1, *folder;
    const int count = call->count - 1;
    if (file_is_plain(argument) && checkpoint_name(argument))
        return load_checkpoint_experiment(call, argument, overrides, count, out, err);
    if (file_is_plain(argument) || yaml_extension(argument)[0])
        return load_experiment(call, argument, overrides, count, out, err);
    if (find_run(call, argument, runs, &folder, err) != OK) return refuse(call, argument, runs, err);
    const run_folder run = run_folder_at(call->memory, folder);
    if (file_exists(run.config)) return load_experiment(call, run.config, overrides, count, out, err);
    return load_checkpoint_experiment(call, run_folder_best(&run), overrides, count, out, err);
}

static status run(const command_call *call, error *err) {
    const show_options *o = call->options;
    config c;
    TRY(load(call, o->runs, &c, err));
    text yaml = {0};
    config_write(&c, !o->plain, log_columns(), &yaml);
    fwrite(yaml.bytes, 1, yaml.length, stdout);
    text_free(&yaml);
    return OK;
}

const command command_show = {
    .about =
        {
            .name = "show",
            .kind = "command",
            .summary = "Prints a resolved experiment: each value with its type, default and origin",
            .example =
                "  runexp show experiments/gpt_nano.yaml optimizer.lr=3e-3\n  runexp show gpt_nano --plain\n",
            .options = options,
            .settings_size = sizeof(show_options),
        },
    .usage = "FILE|RUN [key.path=value ...]",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
