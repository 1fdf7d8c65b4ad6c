// The plots of a run, by file. The registry is in plots.c.
#ifndef RUNEXP_REPORT_PLOTS_H
#define RUNEXP_REPORT_PLOTS_H

#include "report/plot.h"

extern const plot_type plot_loss, plot_perplexity, plot_gap; // plots_loss.c
extern const plot_type plot_lr, plot_grad_norm, plot_speed;  // plots_training.c
extern const plot_type plot_filters;                         // plots_filters.c

#endif
