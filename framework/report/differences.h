// The settings in which runs differ.
#ifndef RUNEXP_REPORT_DIFFERENCES_H
#define RUNEXP_REPORT_DIFFERENCES_H

#include "report/run.h"

typedef struct differing_setting {
    const char *path;    // "schedule.gamma"
    const char *heading; // the shortest end of the path that no other one of these ends in: "gamma"
    const char **values; // for each run; NULL where the run has no such setting
} differing_setting;

// In the order of the experiments, without name, description, vars and sampling, which do not change what
// is trained. Numbers are compared as numbers. Runs whose settings are unknown are left out.
//
// The first *independent of them cannot be inferred from others; among these is a row model.layers with the
// names of those layers that not all runs have. The rest are settings of layers that always have the value
// of an independent one (which they refer to), or the same value wherever that layer is. Returns the number
// of all. Memory from a.
int report_differences(const report_run *runs, int count, arena *a, differing_setting **out,
                       int *independent);

#endif
