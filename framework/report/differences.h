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
// is trained. Numbers are compared as numbers. Runs whose settings are unknown are passed over.
//
// First come those that say something by themselves, *telling of them: among these a row model.layers that
// names the layers of each run that not all of them have. The others are settings of layers, with the value
// of a telling one in every run (to which they refer), or the same wherever that layer is.
// Returns the count of all. Memory from a.
int report_differences(const report_run *runs, int count, arena *a, differing_setting **out, int *telling);

#endif
