// A run as reports see it: its metrics and the settings it was made with.
#ifndef RUNEXP_REPORT_RUN_H
#define RUNEXP_REPORT_RUN_H

#include "config/node.h"
#include "models/filters.h"
#include "report/history.h"
#include "store/metrics.h"

typedef struct report_run {
    const char *folder;
    const char *name;        // of the folder: a copied run has the stored name of the other
    const char *description; // "" when there is none
    metrics_data metrics;
    history history;
    const node *settings;        // the resolved experiment; NULL when it could not be read
    int64_t max_steps;           // 0 when unknown
    int64_t steps_per_epoch;     // 0 unless the length of the run is given in epochs, and they are known
    double grad_clip;            // 0: off or unknown
    const model_filter *filters; // of its long convolutions, once report_run_load_filters has read them
    int filter_count;
} report_run;

// Reads a run's folder; works while the run is training. Memory from a. Errors of metrics_read.
status report_run_load(const char *folder, arena *a, report_run *out, error *err);

// Computes the filters of the model in the run's best checkpoint, or last where there is no best; none when
// there is no checkpoint yet. Memory from a. Errors of trained_open and model_filters.
status report_run_load_filters(report_run *run, arena *a, error *err);

// The status as users read it: "interrupted (killed)" for "killed".
const char *report_run_status(const report_run *run);

#endif
