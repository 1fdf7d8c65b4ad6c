// runexp compare RUN...: a table of the runs and overlaid curves.
#include "base/log.h"
#include "cli/commands.h"
#include "cli/runs.h"
#include "report/compare.h"

#include <stdio.h>

typedef struct compare_options {
    bool csv, no_plots;
    const char *runs, *plots;
} compare_options;

#define SETTINGS compare_options
static const option options[] = {
    BOOL(csv, OPTIONAL, "print the table as CSV, with all settings that differ; draw nothing"),
    BOOL(no_plots, OPTIONAL, "print the table; draw nothing"),
    RUNS_OPTION,
    STRING(plots, "plots", "folder of the plots"),
    {0},
};
#undef SETTINGS

static status run(const command_call *call, error *err) {
    const compare_options *o = call->options;
    report_run *runs;
    int count;
    TRY(load_runs(call, o->runs, &runs, &count, err));
    text table = {0};
    report_compare_table(runs, count, o->csv, log_columns(), &table);
    fwrite(table.bytes, 1, table.length, stdout);
    text_free(&table);
    if (o->csv || o->no_plots) return OK;
    return report_compare(runs, count, o->plots, &(gnuplot){.stop = call->stop}, err);
}

const command command_compare = {
    .about =
        {
            .name = "compare",
            .kind = "command",
            .summary = "Compares runs: a table, and their curves by step, token and second",
            .details = "The table shows the settings in which the runs differ, the best first.",
            .example = "  runexp compare smallm_decay smallm_no_decay\n"
                       "  runexp compare runs/gpt_nano* --csv > sweep.csv\n",
            .options = options,
            .settings_size = sizeof(compare_options),
        },
    .usage = "RUN...",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
