// runexp show FILE|RUN: the resolved experiment.
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/runs.h"
#include "train/run_folder.h"

#include <stdio.h>

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

static status run(const command_call *call, error *err) {
    const show_options *o = call->options;
    const char *path = call->arguments[0], *folder;
    error not_a_run;
    // A folder, or a name that is no file, is a run: its config.yaml.
    if (!file_exists(path) || file_is_folder(path))
        if (find_run(path, o->runs, call->memory, &folder, &not_a_run) == OK)
            path = run_folder_at(call->memory, folder).config;
    config c;
    TRY(load_experiment(path, call->arguments + 1, call->count - 1, call->memory, &c, err));
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
