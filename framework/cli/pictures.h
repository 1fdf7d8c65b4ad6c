// Drawing, as several commands need it.
#ifndef RUNEXP_CLI_PICTURES_H
#define RUNEXP_CLI_PICTURES_H

#include "base/memory.h"
#include "report/run.h"

// Reads all that is drawn of a run. Errors of report_run_load; filters that cannot be had are a warning.
status load_for_plots(const char *folder, arena *a, report_run *out, error *err);

// Draws the plots of a run's folder into <plots>/<run name>; says where, or what went wrong, as a line or
// warning: missing pictures never fail a run.
void draw_run(const char *folder, const char *plots, arena *a);

#endif
