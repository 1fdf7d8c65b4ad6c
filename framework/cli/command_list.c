// runexp list [RUN...]: runs and their state.
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "cli/commands.h"
#include "cli/places.h"
#include "cli/runs.h"
#include "report/compare.h"

#include <stdio.h>

typedef struct list_options {
    const char *runs;
} list_options;

#define SETTINGS list_options
static const option options[] = {
    RUNS_OPTION,
    {0},
};
#undef SETTINGS

static status run(const command_call *call, error *err) {
    const list_options *o = call->options;
    report_run *runs = NULL;
    int count = call->count;
    if (count > 0)
        TRY(load_runs(call, o->runs, &runs, &count, err));
    else if (file_exists(o->runs))
        TRY(report_find_runs(o->runs, call->memory, &runs, &count, err));
    if (count == 0) {
        const char *first = "quickstart.yaml", *path;
        const bool is_shipped = find_experiment(first, call->shipped, call->memory, &path);
        printf("no runs yet in %s: `%s %s` makes one\n", o->runs, program_name(),
               is_shipped ? first : "EXPERIMENT.yaml");
        return OK;
    }
    text table = {0};
    report_list_table(runs, count, log_columns(), &table);
    fwrite(table.bytes, 1, table.length, stdout);
    text_free(&table);
    return OK;
}

const command command_list = {
    .about =
        {
            .name = "list",
            .kind = "command",
            .summary = "Lists runs and their state",
            .example = "  runexp list\n",
            .options = options,
            .settings_size = sizeof(list_options),
        },
    .usage = "[RUN...]",
    .min_arguments = 0,
    .max_arguments = -1,
    .run = run,
};
