// What tells compared runs apart in a few words, and what they have in common.
#ifndef RUNEXP_REPORT_COMPARE_LABELS_H
#define RUNEXP_REPORT_COMPARE_LABELS_H

#include "report/differences.h"

// A label for each run: its name when all are short, differ and have no overrides; else "lr 1e-3, depth 4",
// when a few settings tell all runs apart; else its name without what all have: overrides, words at the
// beginning or end; else, where runs of one name lie in several folders, its folder without what all have.
// A single run is called by its name without overrides. Memory from a.
const char **report_labels(const report_run *runs, int count, const differing_setting *settings,
                           int independent, arena *a);

// The title of a comparison: what the runs are called without overrides (all of them, or the first ones and
// how many others there are, or what long names have in common), how many there are, and by which settings
// they are compared: "gpt_nano: 5 runs compared by lr". Memory from a.
const char *report_compare_title(const report_run *runs, int count, const differing_setting *settings,
                                 int independent, arena *a);

// "lr, depth and 7 more": as many headings of settings as there is room for. Memory from a.
const char *report_setting_list(const differing_setting *settings, int independent, int max_columns,
                                arena *a);

// The one number, apart from the seed, in which runs differ, which a colour can stand for.
typedef struct swept_number {
    const differing_setting *setting; // NULL: there is none, or it has less than three values
    double *values;                   // for each run
    bool in_epochs;                   // numbers of epochs
    double low, high;
    bool logarithmic; // positive, and at least a factor of 8 apart
} swept_number;

swept_number report_swept_number(const differing_setting *settings, int independent, int count, arena *a);

#endif
