// Plots of one run: what each is, and how all of a run's are written and drawn.
#ifndef RUNEXP_REPORT_PLOT_H
#define RUNEXP_REPORT_PLOT_H

#include "config/component.h"
#include "report/gnuplot.h"
#include "report/run.h"
#include "report/script.h"

// One kind of plot. about.name is the script's file name.
typedef struct plot_type {
    component about;
    const char *title; // after the run's name
    // Adds axes, data and the plot command to a script that has its heading. False, with nothing added,
    // when the run has nothing to show.
    bool (*draw)(const report_run *run, arena *a, text *script);
    int (*height)(const report_run *run); // pixels of the picture; NULL: SCRIPT_HEIGHT
} plot_type;

extern const component *const plot_registry[]; // loss, perplexity, gap, lr, grad_norm, speed, filters

// Writes plots_folder/<run's folder name>/<plot>.gp for every plot that has something to show and draws
// them. Without gnuplot the scripts are written all the same. Says where they are in one line of the log. A
// plot that cannot be drawn is a warning; ERR_IO when a script cannot be written.
status report_plot_run(const report_run *run, const char *plots_folder, const gnuplot *program, error *err);

// Curves over steps, in memory of a. offset: of a double in train_row or eval_row.
curve plot_train_curve(const metrics_data *m, size_t offset, arena *a);
curve plot_eval_curve(const metrics_data *m, split part, size_t offset, arena *a);

// The axis of steps from 0 to last; above the plot one of epochs, where the run's length is given in them.
void plot_step_axis(const report_run *run, double last, axes *drawn, script_plot *plot, text *s);

// history_smooth of a curve; of its logarithm for positive values that are drawn over a logarithmic axis.
curve plot_smoothed_curve(const curve *c, bool in_logarithm, arena *a);

#endif
