#include "train/trained.h"

// The state and the weights, averaged ones if there are any.
static status read_contents(trained *t, arena *a, error *err) {
    parameter_set *set = t->model->parameters;
    TRY(parameters_allocate(set, false, err));
    const char *path = checkpoint_has(t->path, AVERAGE_GROUP) ? AVERAGE_GROUP : WEIGHTS_GROUP;
    const checkpoint_group weights = run_state_block(path, set, parameters_write(set), a);
    checkpoint_number numbers[RUN_STATE_NUMBERS];
    run_state_numbers(&t->state, numbers);
    const checkpoint_contents contents = {&weights, numbers, 1, RUN_STATE_NUMBERS};
    TRY(checkpoint_read(t->path, &contents, err));
    size_t element;
    const checkpoint_array *bad = run_state_not_finite(&weights, &element);
    if (!bad) return OK;
    fail(err, ERR_DATA, "the weights in %s are not finite: the first bad value is in %s, element %zu",
         t->path, bad->name, element);
    return error_hint(err,
                      "the run diverged; use its other checkpoint (last.h5, best.h5) or train again with a "
                      "lower optimizer.lr");
}

status trained_open(const char *path, const char *const *overrides, int override_count, arena *a,
                    trained *out, problems *p, error *err) {
    checkpoint_texts texts;
    *out = (trained){.path = path};
    TRY(checkpoint_read_texts(path, a, &texts, err));
    TRY(config_load_text(&experiment_component, path, texts.config, texts.config_length, overrides,
                         override_count, a, &out->config, p, err));
    out->experiment = out->config.settings;
    TRY(tokenizer_load(texts.tokenizer, texts.tokenizer_length, a, &out->tokenizer, err));
    TRY(model_new(&out->experiment->model, tokenizer_vocabulary(out->tokenizer),
                  (int)out->experiment->dataset.block_size, &out->model, err));
    status result = read_contents(out, a, err);
    if (result != OK) trained_free(out);
    return result;
}

void trained_free(trained *t) {
    model_free(t->model);
    t->model = NULL;
}
