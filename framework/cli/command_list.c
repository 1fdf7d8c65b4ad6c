// runexp list [RUN...]: runs and their state.
#include "base/file.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "report/compare.h"

#include <stdio.h>

typedef struct list_options {
    const char *runs;
} list_options;

static const option options[] = {
    {.key = "runs",
     .type = OPTION_STRING,
     .offset = offsetof(list_options, runs),
     .fallback = "runs",
     .doc = "folder of the runs"},
    {0},
};

static status load(const command_call *call, report_run **runs, int *count, error *err) {
    const list_options *o = call->options;
    *count = call->count;
    if (call->count == 0)
        return file_exists(o->runs) ? report_find_runs(o->runs, call->memory, runs, count, err) : OK;
    *runs = arena_alloc(call->memory, (size_t)call->count * sizeof **runs);
    for (int i = 0; i < call->count; i++) {
        const char *folder;
        TRY(find_run(call->arguments[i], call->memory, &folder, err));
        TRY(report_run_load(folder, call->memory, &(*runs)[i], err));
    }
    return OK;
}

static status run(const command_call *call, error *err) {
    report_run *runs = NULL;
    int count;
    TRY(load(call, &runs, &count, err));
    if (count == 0) {
        printf("no runs yet in %s: runexp EXPERIMENT.yaml makes one\n",
               ((const list_options *)call->options)->runs);
        return OK;
    }
    text table = {0};
    report_list_table(runs, count, &table);
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
