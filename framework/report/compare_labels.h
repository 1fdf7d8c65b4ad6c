// What tells compared runs apart in a few words.
#ifndef RUNEXP_REPORT_COMPARE_LABELS_H
#define RUNEXP_REPORT_COMPARE_LABELS_H

#include "report/differences.h"

// A label for each run: its name when all are short and none has overrides; else "lr 1e-3, depth 4", when a
// few settings tell all runs apart; else the name without the overrides that all names have. Memory from a.
const char **report_labels(const report_run *runs, int count, const differing_setting *settings,
                           int independent, arena *a);

// The one number, apart from the seed, in which runs differ, which a colour can stand for.
typedef struct swept_number {
    const differing_setting *setting; // NULL: there is none, or it has less than three values
    double *values;                   // for each run
    double low, high;
    bool logarithmic; // positive, and at least a factor of 8 apart
} swept_number;

swept_number report_swept_number(const differing_setting *settings, int independent, int count, arena *a);

#endif
