// Drawing, as several commands need it.
#ifndef RUNEXP_CLI_PICTURES_H
#define RUNEXP_CLI_PICTURES_H

#include "base/memory.h"
#include "report/run.h"

// Draws the plots of a run into <plots>/<run name>, with the filters of its model; filters that cannot be
// had are a warning. Errors of report_plot_run; ERR_INTERRUPTED, without a message, once *stop (NULL:
// never) is not 0 any more.
status draw_run(report_run *run, const char *plots, const volatile int *stop, arena *a, error *err);

#endif
