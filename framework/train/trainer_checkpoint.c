// Checkpoints of a run: what a trainer saves, and how it resumes.
#include "train/trainer_parts.h"

#include <stdio.h>

// Digest of the batch of the coming step: a resumed run compares it, and so notices data that changed.
static int64_t next_batch_digest(trainer *t) {
    trainer_fill_batch(t, t->state.step);
    return batches_digest(t->batch.ids, t->batch.targets, (size_t)t->rows * (size_t)t->model->block_size);
}

enum { MOST_GROUPS = 3 + OPTIMIZER_MAX_MOMENTS, MOST_NUMBERS = RUN_STATE_NUMBERS + SCHEDULE_MAX_STATE };

static int list_weights(const trainer *t, arena *a, checkpoint_group *out) {
    parameter_set *set = t->model->parameters;
    out[0] = run_state_block(WEIGHTS_GROUP, set, parameters_write(set), a);
    if (!t->average) return 1;
    out[1] = run_state_block(AVERAGE_GROUP, set, t->average, a);
    return 2;
}

// Everything that the next step depends on.
static checkpoint_contents list_contents(trainer *t, arena *a) {
    checkpoint_group *groups = arena_alloc(a, MOST_GROUPS * sizeof *groups);
    int group_count = list_weights(t, a, groups);
    for (int i = 0; i < optimizer_moments(t->optimizer); i++) {
        const char *path = arena_format(a, "/optimizer/%s", optimizer_moment_name(t->optimizer, i));
        groups[group_count++] =
            run_state_block(path, t->model->parameters, optimizer_moment(t->optimizer, i), a);
    }
    if (t->states && states_first(t->states)) groups[group_count++] = run_state_lanes(t->states, a);
    checkpoint_number *numbers = arena_alloc(a, MOST_NUMBERS * sizeof *numbers);
    run_state_numbers(&t->state, numbers);
    const schedule_type *type = t->schedule.type;
    for (int i = 0; i < type->state_count; i++)
        numbers[RUN_STATE_NUMBERS + i] =
            (checkpoint_number){.name = type->state[i].name, .number = &t->schedule.state[i]};
    return (checkpoint_contents){groups, numbers, group_count, RUN_STATE_NUMBERS + type->state_count};
}

// Whether all arrays are finite; `what` then is empty, else the first bad value: "weights/mlp/bias, element
// 3,".
static bool are_finite(const checkpoint_contents *contents, char *what, size_t size) {
    what[0] = '\0';
    for (int i = 0; i < contents->group_count && !what[0]; i++) {
        const checkpoint_group *group = &contents->groups[i];
        size_t element;
        const checkpoint_array *bad = run_state_not_finite(group, &element);
        if (bad) snprintf(what, size, "%s/%s, element %zu,", group->path + 1, bad->name, element);
    }
    return !what[0];
}

static status save(trainer *t, const char *path, arena *a, error *err) {
    const checkpoint_contents contents = list_contents(t, a);
    char what[512];
    // What the last update spoiled would be noticed only by the next step, which may never come. Weights
    // may also be finite, and so large that nothing can be computed with them.
    if (!are_finite(&contents, what, sizeof what)) return trainer_diverged(t, what, t->state.step, "", err);
    t->state.batch_digest = next_batch_digest(t);
    TRY(trainer_check_weights(t, err));
    t->state.sample_bytes = run_folder_sample_bytes(&t->request.folder);
    const checkpoint_texts texts = {t->tokenizer_text.bytes, t->config_text.bytes, t->tokenizer_text.length,
                                    t->config_text.length};
    return checkpoint_write(path, &contents, &texts, &t->request.facts, err);
}

status trainer_save(trainer *t, const char *path, error *err) {
    arena *a = arena_new();
    const status result = save(t, path, a, err);
    arena_free(a);
    return result;
}

status trainer_load(trainer *t, error *err) {
    const char *path = t->request.folder.last;
    arena *a = arena_new();
    const checkpoint_contents contents = list_contents(t, a);
    char what[512];
    status result = checkpoint_read(path, &contents, err);
    if (result == OK && !are_finite(&contents, what, sizeof what)) {
        result = fail(err, ERR_DATA, "cannot resume %s: %s is not finite", path, what);
        error_hint(err, "add --fresh to start anew");
    }
    arena_free(a);
    TRY(result);
    if (next_batch_digest(t) == t->state.batch_digest) return OK;
    fail(err, ERR_DATA,
         "cannot resume %s: the next batch is not the one that the interrupted run would have trained on",
         path);
    return error_hint(err, "the training text has changed since; restore it, or add --fresh to start anew");
}

status trainer_load_best(trainer *t, error *err) {
    arena *a = arena_new();
    checkpoint_group groups[MOST_GROUPS];
    const checkpoint_contents weights = {.groups = groups, .group_count = list_weights(t, a, groups)};
    status result = checkpoint_read(t->request.folder.best, &weights, err);
    arena_free(a);
    return result;
}
