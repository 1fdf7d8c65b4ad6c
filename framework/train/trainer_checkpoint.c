// Checkpoints of a run: what a trainer saves, and how it goes on from there.
#include "data/batches.h"
#include "train/trainer_parts.h"

// Digest of the batch of the coming step: a resumed run compares it, and so notices data that changed.
static uint32_t next_batch_digest(trainer *t) {
    trainer_fill_batch(t, t->state.step);
    return batches_digest(t->ids, t->targets, (size_t)t->rows * (size_t)t->model->block_size);
}

static checkpoint_arrays weights_of(const trainer *t) {
    return (checkpoint_arrays){
        .parameters = t->model->parameters, .values = t->model->parameters->values, .average = t->average};
}

static checkpoint_arrays arrays_of(const trainer *t) {
    checkpoint_arrays arrays = weights_of(t);
    for (int i = 0; i < optimizer_moments(t->optimizer); i++) {
        arrays.moments[i] = optimizer_moment(t->optimizer, i);
        arrays.moment_names[i] = optimizer_moment_name(t->optimizer, i);
    }
    return arrays;
}

status trainer_save(trainer *t, const char *path, error *err) {
    t->state.batch_digest = next_batch_digest(t);
    checkpoint_arrays arrays = arrays_of(t);
    return checkpoint_write(path, &arrays, &t->state, t->tokenizer_text.bytes, t->config_text.bytes,
                            &t->request.facts, err);
}

status trainer_load(trainer *t, error *err) {
    arena *a = arena_new();
    checkpoint_info info;
    const char *path = t->request.folder.last;
    status result = checkpoint_read_info(path, a, &info, err);
    arena_free(a);
    TRY(result);
    t->state = info.state;
    checkpoint_arrays arrays = arrays_of(t);
    TRY(checkpoint_read_arrays(path, &arrays, err));
    if (next_batch_digest(t) == info.state.batch_digest) return OK;
    fail(err, ERR_DATA,
         "cannot resume %s: the next batch is not the one that the interrupted run would have trained on",
         path);
    return error_hint(err, "the training text has changed since; restore it, or add --fresh to start anew");
}

status trainer_load_best(trainer *t, error *err) {
    const checkpoint_arrays weights = weights_of(t);
    return checkpoint_read_arrays(t->request.folder.best, &weights, err);
}
