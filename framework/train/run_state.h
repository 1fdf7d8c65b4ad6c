// What a run carries from step to step besides arrays, and how all of it is laid out in checkpoints.
#ifndef RUNEXP_TRAIN_RUN_STATE_H
#define RUNEXP_TRAIN_RUN_STATE_H

#include "graph/graph.h"
#include "store/checkpoint.h"

typedef struct run_state {
    int64_t step, tokens; // completed updates, tokens trained on
    double seconds;       // of training
    double best_loss;     // smallest validation loss so far; infinity before the first
    int64_t best_step;
    int64_t evaluations_without_improvement;
    int64_t batch_digest; // CRC-32 of the next batch
    int64_t sample_bytes; // length of samples.txt
} run_state;

// Its numbers, named as in checkpoints.
enum { RUN_STATE_NUMBERS = 8 };
void run_state_numbers(run_state *state, checkpoint_number out[RUN_STATE_NUMBERS]);

// The arrays, one for each parameter, of a block laid out like set->values: the weights, their average, a
// moment of an optimizer. The list comes from a; path and names are not copied.
checkpoint_group run_state_block(const char *path, const parameter_set *set, real *block, arena *a);

// The first array of a group with a number that is NaN or infinite, and which element; NULL: there is none.
const checkpoint_array *run_state_not_finite(const checkpoint_group *group, size_t *element);

// The states of a set, an array (lanes, reals of each) for each, below /states. Those of a graph exist once
// it is built.
checkpoint_group run_state_lanes(const state_set *states, arena *a);

// The groups of the weights and of the averaged ones.
#define WEIGHTS_GROUP "/weights"
#define AVERAGE_GROUP "/average"

#endif
