// runexp plot RUN...: draws the plots of runs, again.
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/pictures.h"
#include "report/plot.h"

typedef struct plot_options {
    const char *plots;
} plot_options;

static const option options[] = {
    {.key = "plots",
     .type = OPTION_STRING,
     .offset = offsetof(plot_options, plots),
     .fallback = "plots",
     .doc = "folder of the plots"},
    {0},
};

static status run(const command_call *call, error *err) {
    const plot_options *o = call->options;
    for (int i = 0; i < call->count; i++) {
        const char *folder;
        report_run loaded;
        TRY(find_run(call->arguments[i], call->memory, &folder, err));
        TRY(load_for_plots(folder, call->memory, &loaded, err));
        TRY(report_plot_run(&loaded, o->plots, &(gnuplot){0}, err));
    }
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
