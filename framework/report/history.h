// What is derived from a run's metrics: smoothed loss, best and final evaluation, gap, where overfitting
// starts, where the loss stopped being a number.
#ifndef RUNEXP_REPORT_HISTORY_H
#define RUNEXP_REPORT_HISTORY_H

#include "base/memory.h"
#include "store/metrics.h"

typedef struct gap_row { // at an evaluation of the validation split
    int64_t step;
    double gap; // validation loss - training loss
} gap_row;

typedef struct history {
    const metrics_data *metrics;
    double *smoothed; // of metrics->train[].loss; NaN where the loss is not finite
    bool has_val;     // at least one finite validation loss; else best and final are zeros
    eval_row best;    // smallest validation loss, the first one of equals
    eval_row final;   // last finite one
    // Overfitting starts at the best evaluation when at least two follow, the last one is worse by more
    // than 0.5% and the training loss has gone on falling.
    bool overfits;
    bool gap_is_evaluated; // training loss from whole evaluations; else smoothed losses of batches
    gap_row *gaps;
    size_t gap_count;
    // The status says so, or a training or validation loss is NaN or infinite, the first one after this
    // step (0: there is no row before it).
    bool diverged;
    int64_t diverged_after;
    int64_t steps, tokens;             // of the last row
    double seconds, tokens_per_second; // tokens over seconds of training
} history;

// A moving mean of the finite values, over 2% of them on each side; NaN where the value itself is not
// finite. The window shrinks on both sides at the beginning, where curves fall fast, and only on the right
// at the end, where they are nearly level. out has room for count numbers.
void history_smooth(const double *values, size_t count, double *out);

// m must outlive *out. Memory from a.
void history_derive(const metrics_data *m, arena *a, history *out);

#endif
