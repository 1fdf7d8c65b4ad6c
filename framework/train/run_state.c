#include "train/run_state.h"

#include <math.h>
#include <string.h>

void run_state_numbers(run_state *state, checkpoint_number out[RUN_STATE_NUMBERS]) {
    const checkpoint_number numbers[RUN_STATE_NUMBERS] = {
        {.name = "step", .integer = &state->step},
        {.name = "tokens", .integer = &state->tokens},
        {.name = "seconds", .number = &state->seconds},
        {.name = "best_loss", .number = &state->best_loss},
        {.name = "best_step", .integer = &state->best_step},
        {.name = "evaluations_without_improvement", .integer = &state->evaluations_without_improvement},
        {.name = "batch_digest", .integer = &state->batch_digest},
        {.name = "sample_bytes", .integer = &state->sample_bytes},
    };
    memcpy(out, numbers, sizeof numbers);
}

checkpoint_group run_state_block(const char *path, const parameter_set *set, real *block, arena *a) {
    checkpoint_array *arrays = arena_alloc(a, (size_t)set->count * sizeof *arrays);
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        arrays[i] = (checkpoint_array){p->name, p->about.rank, p->about.shape, block + p->offset};
    }
    return (checkpoint_group){path, arrays, set->count};
}

const checkpoint_array *run_state_not_finite(const checkpoint_group *group, size_t *element) {
    for (int i = 0; i < group->count; i++) {
        const checkpoint_array *array = &group->arrays[i];
        size_t count = 1;
        for (int k = 0; k < array->rank; k++) count *= (size_t)array->shape[k];
        for (size_t k = 0; k < count; k++) {
            if (isfinite(array->data[k])) continue;
            *element = k;
            return array;
        }
    }
    return NULL;
}

checkpoint_group run_state_lanes(const state_set *states, arena *a) {
    int count = 0;
    for (const carried_state *s = states_first(states); s; s = s->next) count++;
    checkpoint_array *arrays = arena_alloc(a, (size_t)count * sizeof *arrays);
    int i = 0;
    for (const carried_state *s = states_first(states); s; s = s->next)
        arrays[i++] = (checkpoint_array){s->name, 2, s->shape, s->data};
    return (checkpoint_group){"/states", arrays, count};
}
