// runexp plot RUN...: draws the plots of runs, again.
#include "cli/commands.h"
#include "cli/pictures.h"
#include "cli/runs.h"

typedef struct plot_options {
    const char *runs, *plots;
} plot_options;

#define SETTINGS plot_options
static const option options[] = {
    RUNS_OPTION,
    STRING(plots, "plots", "folder of the plots"),
    {0},
};
#undef SETTINGS

static status run(const command_call *call, error *err) {
    const plot_options *o = call->options;
    report_run *runs;
    int count;
    TRY(load_runs(call, o->runs, &runs, &count, err));
    for (int i = 0; i < count; i++) TRY(draw_run(&runs[i], o->plots, call->stop, call->memory, err));
    return OK;
}

const command command_plot = {
    .about =
        {
            .name = "plot",
            .kind = "command",
            .summary = "Draws the plots of runs, also while they train",
            .details =
                "Writes plots/<run>/*.gp, gnuplot scripts that carry their data, and runs them when gnuplot is installed.",
            .example = "  runexp plot gpt_nano\n",
            .options = options,
            .settings_size = sizeof(plot_options),
        },
    .usage = "RUN...",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
