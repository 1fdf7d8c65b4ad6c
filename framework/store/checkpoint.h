// Checkpoints: everything that is needed to sample, evaluate or resume, in one HDF5 file.
//
// /weights/<layer path>/<parameter> float32 with PyTorch's names and shapes; /average/... the same for
// averaged weights, when kept; /optimizer/<moment>/<layer path>/<parameter>; /state attributes; /tokenizer
// and /config texts. Written beside the old file, synced, renamed over it.
#ifndef RUNEXP_STORE_CHECKPOINT_H
#define RUNEXP_STORE_CHECKPOINT_H

#include "base/error.h"
#include "base/memory.h"
#include "graph/parameters.h"
#include "store/metrics.h"

// Numbers of a run that a checkpoint carries (/state). All are restored exactly.
typedef struct run_state {
    int64_t step, tokens; // completed updates, tokens trained on
    double seconds;       // of training
    double best_loss;     // smallest validation loss so far; infinity before the first
    int64_t best_step;
    int64_t evaluations_without_improvement;
    int64_t skipped_updates;             // because of a gradient that was not finite
    double plateau_factor, plateau_best; // of the plateau schedule
    int64_t plateau_bad, plateau_cooldown;
    uint32_t batch_digest; // CRC-32 of the next batch
    uint64_t seed;
} run_state;

typedef struct checkpoint_arrays { // blocks laid out like parameter_set.values; NULL: absent
    const parameter_set *parameters;
    real *values;
    real *average;
    real *moments[2];
    const char *moment_names[2]; // "m", "v"
} checkpoint_arrays;

status checkpoint_write(const char *path, const checkpoint_arrays *arrays, const run_state *state,
                        const char *tokenizer_text, const char *config_text, const run_facts *facts,
                        error *err);

// The texts and numbers, without the arrays. ERR_DATA for a file that is not a checkpoint or is damaged.
typedef struct checkpoint_info {
    run_state state;
    const char *tokenizer_text, *config_text;
    size_t tokenizer_length, config_length;
} checkpoint_info;
status checkpoint_read_info(const char *path, arena *a, checkpoint_info *out, error *err);

// Reads the arrays asked for (members not NULL) into place. ERR_DATA when a parameter is missing, has
// another shape, or the file has one that the model does not; arrays are then partly overwritten.
status checkpoint_read_arrays(const char *path, const checkpoint_arrays *arrays, error *err);
bool checkpoint_has_average(const char *path);

#endif
