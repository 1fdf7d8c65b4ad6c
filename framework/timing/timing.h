// Where the time of a training step goes.
#ifndef RUNEXP_TIMING_TIMING_H
#define RUNEXP_TIMING_TIMING_H

#include "graph/graph.h"
#include "train/trainer.h"

// What a row of the result stands for: all operators of a kind, all of a layer, or one operator. Rows of
// what is done outside of the graph follow; their name is in parentheses, their time in `forward`.
typedef enum timing_group { TIMING_BY_KIND, TIMING_BY_LAYER, TIMING_BY_OPERATOR } timing_group;

// Times are seconds of a step, medians over the steps; work is of a step, too, all passes together.
typedef struct timing_row {
    const char *name;     // kind or layer
    const char *layer;    // with TIMING_BY_OPERATOR, else NULL
    const tensor *output; // the same
    int operators;        // 0 outside of the graph
    double forward, backward;
    double forward_flops, backward_flops; // see op_flops
    double forward_bytes, backward_bytes; // see op_bytes
} timing_row;

typedef struct timing {
    timing_group by;
    timing_row *rows; // of the graph in the order in which their first operators run
    int count;
    double seconds, flops; // of a step
    int64_t tokens;        // of a step
    int steps, warm_up;    // that were timed, and those before
} timing;

// Trains from fresh weights: a few steps to warm up, then at least `seconds` and at least five steps, which
// are timed. Writes no file. Everything is allocated from `a`; names belong to the trainer. ERR_INTERRUPTED
// after `stop`, ERR_DIVERGED as in training.
status timing_measure(trainer *t, double seconds, timing_group by, arena *a, timing *out, error *err);

#endif
