// Checkpoints: named arrays and numbers, with the texts that say what they belong to, in one HDF5 file.
//
// <group>/<array> are datasets of float32 ("/weights" and "repeat/0/layernorm/weight"), the numbers
// attributes of /state; /tokenizer and /config are texts. Which arrays and numbers there are is up to the
// caller (train/run_state.h). A file is written beside the old one, synced, and renamed over it.
#ifndef RUNEXP_STORE_CHECKPOINT_H
#define RUNEXP_STORE_CHECKPOINT_H

#include "base/error.h"
#include "base/memory.h"
#include "base/real.h"
#include "store/metrics.h"

typedef struct checkpoint_array {
    const char *name; // below its group; may have several parts
    int rank;         // 0: a single number
    const int *shape;
    real *data; // row-major
} checkpoint_array;

typedef struct checkpoint_group {
    const char *path; // from the root: "/optimizer/m"
    const checkpoint_array *arrays;
    int count;
} checkpoint_group;

typedef struct checkpoint_number { // exactly one of the pointers is set
    const char *name;
    int64_t *integer;
    double *number;
} checkpoint_number;

typedef struct checkpoint_contents {
    const checkpoint_group *groups;
    const checkpoint_number *numbers;
    int group_count, number_count;
} checkpoint_contents;

typedef struct checkpoint_texts {
    const char *tokenizer, *config;
    size_t tokenizer_length, config_length;
} checkpoint_texts;

status checkpoint_write(const char *path, const checkpoint_contents *contents,
                        const checkpoint_texts *texts, const run_facts *facts, error *err);

// ERR_DATA for a file that is not a checkpoint, has another format or is damaged.
status checkpoint_read_texts(const char *path, arena *a, checkpoint_texts *out, error *err);
status checkpoint_read_facts(const char *path, arena *a, run_facts *out, error *err);

// Reads numbers and arrays into place. ERR_DATA as above, and when a number or an array is missing, an
// array has another shape, or the file has an array in one of the groups that is not listed; what contents
// point to is then partly overwritten.
status checkpoint_read(const char *path, const checkpoint_contents *contents, error *err);

// Whether a path is named as checkpoints are: it ends in ".h5".
bool checkpoint_name(const char *path);

// Whether the file is a checkpoint with a group of that path.
bool checkpoint_has(const char *path, const char *group);

#endif
