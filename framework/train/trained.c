#include "train/trained.h"

static status read_weights(trained *t, error *err) {
    TRY(parameters_allocate(t->model->parameters, false, err));
    checkpoint_arrays arrays = {.parameters = t->model->parameters};
    if (checkpoint_has_average(t->path))
        arrays.average = t->model->parameters->values;
    else
        arrays.values = t->model->parameters->values;
    return checkpoint_read_arrays(t->path, &arrays, err);
}

status trained_open(const char *path, const char *const *overrides, int override_count, arena *a,
                    trained *out, problems *p, error *err) {
    checkpoint_info info;
    *out = (trained){.path = path};
    TRY(checkpoint_read_info(path, a, &info, err));
    TRY(config_load_text(&experiment_component, path, info.config_text, info.config_length, overrides,
                         override_count, a, &out->config, p, err));
    out->experiment = out->config.settings;
    out->state = info.state;
    TRY(tokenizer_load(info.tokenizer_text, info.tokenizer_length, a, &out->tokenizer, err));
    TRY(model_new(&out->experiment->model, tokenizer_vocabulary(out->tokenizer),
                  (int)out->experiment->dataset.block_size, &out->model, err));
    status result = read_weights(out, err);
    if (result != OK) trained_free(out);
    return result;
}

void trained_free(trained *t) {
    model_free(t->model);
    t->model = NULL;
}
