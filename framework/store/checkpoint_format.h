// What the writer and the reader of checkpoints must agree on.
#ifndef RUNEXP_STORE_CHECKPOINT_FORMAT_H
#define RUNEXP_STORE_CHECKPOINT_FORMAT_H

#include "store/checkpoint.h"

#include <hdf5.h>

enum { CHECKPOINT_VERSION = 1 };

// The attributes of /state.
typedef enum state_type { STATE_INT64, STATE_UINT64, STATE_UINT32, STATE_DOUBLE } state_type;
typedef struct state_field {
    const char *name; // NULL ends the table
    size_t offset;    // in run_state
    state_type type;
} state_field;
extern const state_field checkpoint_state_fields[];
hid_t checkpoint_state_memory_type(state_type type);

// The groups that hold one dataset for each parameter; calls visit for every array of arrays that is not
// NULL until it returns false. Returns whether all returned true.
typedef bool checkpoint_visit(void *context, const char *group, real *values);
bool checkpoint_each_block(const checkpoint_arrays *arrays, checkpoint_visit *visit, void *context);

hid_t checkpoint_real_type(void);                 // real in memory
hid_t checkpoint_array_space(const parameter *p); // its shape
void checkpoint_array_shape(const parameter *p, hsize_t shape[TENSOR_MAX_RANK]);

#endif
