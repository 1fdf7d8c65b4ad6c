// The curves of compared runs and the ranges of their axes.
#ifndef RUNEXP_REPORT_COMPARE_CURVES_H
#define RUNEXP_REPORT_COMPARE_CURVES_H

#include "report/run.h"
#include "report/script.h"

typedef enum over { OVER_STEPS, OVER_TOKENS, OVER_SECONDS, OVERS } over;

// What is drawn of one run.
typedef struct overlay {
    curve val, train, lr; // train is smoothed
    bool has_val, has_train, has_lr;
    bool shows_train; // which many curves would bury
} overlay;

// The run is the rank-th best of count runs, the first `named` of which have a look of their own.
overlay compare_overlay(const report_run *run, over x, int rank, int count, int named, arena *a);

// The largest x of all curves.
double compare_last_x(const overlay *o, int count);

// The losses that axes must show: every validation point, of runs without validation every point of their
// training loss, of the other training losses only the smallest, since their steep beginning would flatten
// the rest. Runs with one or two evaluations count as far as their training loss, but for its first tenth.
//
// Losses of more than three times the smallest first loss of a run are `worse`: such a run knows less than
// one that has not learned, and would flatten the rest too. It is empty when there are no others.
typedef struct loss_ranges {
    range usual, worse;
} loss_ranges;
loss_ranges compare_loss_ranges(const overlay *o, int count);

// The learning rates that the axis must show. It is logarithmic when the runs' highest rates are far apart,
// and then leaves out the smallest rates of a decay.
range compare_rate_range(const overlay *o, int count, bool *logarithmic);

#endif
