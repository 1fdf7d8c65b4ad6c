// One line on how far a run is: on a terminal as much as fits, with a bar where there is room.
#ifndef RUNEXP_TRAIN_PROGRESS_H
#define RUNEXP_TRAIN_PROGRESS_H

#include "base/text.h"

typedef struct progress {
    int64_t step, max_steps;
    double epoch, epochs; // epochs: the length of the run; 0: it is not in epochs
    double loss, lr, grad_norm, tokens_per_second, seconds_left;
} progress;

// Appends the line in fewer than `columns` columns (the last one of a terminal makes some of them wrap):
// what matters less is left out, numbers are never cut. columns 0: all of it and no bar.
void progress_line(const progress *p, int columns, text *out);

#endif
