#include "store/checkpoint_format.h"

#include <stdio.h>

const state_field checkpoint_state_fields[] = {
    {"step", offsetof(run_state, step), STATE_INT64},
    {"tokens", offsetof(run_state, tokens), STATE_INT64},
    {"seconds", offsetof(run_state, seconds), STATE_DOUBLE},
    {"best_loss", offsetof(run_state, best_loss), STATE_DOUBLE},
    {"best_step", offsetof(run_state, best_step), STATE_INT64},
    {"evaluations_without_improvement", offsetof(run_state, evaluations_without_improvement), STATE_INT64},
    {"skipped_updates", offsetof(run_state, skipped_updates), STATE_INT64},
    {"plateau_factor", offsetof(run_state, plateau_factor), STATE_DOUBLE},
    {"plateau_best", offsetof(run_state, plateau_best), STATE_DOUBLE},
    {"plateau_bad", offsetof(run_state, plateau_bad), STATE_INT64},
    {"plateau_cooldown", offsetof(run_state, plateau_cooldown), STATE_INT64},
    {"batch_digest", offsetof(run_state, batch_digest), STATE_UINT32},
    {"seed", offsetof(run_state, seed), STATE_UINT64},
    {NULL, 0, STATE_INT64},
};

hid_t checkpoint_state_memory_type(state_type type) {
    switch (type) {
    case STATE_UINT64:
        return H5T_NATIVE_UINT64;
    case STATE_UINT32:
        return H5T_NATIVE_UINT32;
    case STATE_DOUBLE:
        return H5T_NATIVE_DOUBLE;
    case STATE_INT64:
        break;
    }
    return H5T_NATIVE_INT64;
}

bool checkpoint_each_block(const checkpoint_arrays *arrays, checkpoint_visit *visit, void *context) {
    if (arrays->values && !visit(context, "/weights", arrays->values)) return false;
    if (arrays->average && !visit(context, "/average", arrays->average)) return false;
    for (int i = 0; i < 2; i++) {
        char group[64];
        if (!arrays->moments[i]) continue;
        snprintf(group, sizeof group, "/optimizer/%s", arrays->moment_names[i]);
        if (!visit(context, group, arrays->moments[i])) return false;
    }
    return true;
}

hid_t checkpoint_real_type(void) {
    return sizeof(real) == sizeof(float) ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

void checkpoint_array_shape(const parameter *p, hsize_t shape[TENSOR_MAX_RANK]) {
    for (int i = 0; i < p->about.rank; i++) shape[i] = (hsize_t)p->about.shape[i];
}

hid_t checkpoint_array_space(const parameter *p) {
    hsize_t shape[TENSOR_MAX_RANK];
    checkpoint_array_shape(p, shape);
    return p->about.rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(p->about.rank, shape, NULL);
}
