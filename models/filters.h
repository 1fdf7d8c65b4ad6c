// The filters over time of a model, as its operators compute them from its weights.
#ifndef RUNEXP_MODELS_FILTERS_H
#define RUNEXP_MODELS_FILTERS_H

#include "models/model.h"

typedef struct model_filter {
    const char *layer; // path
    int lags, channels;
    const real *taps; // lags x channels
} model_filter;

// Computes the filters of a model with weights, over the lags of a block, in the order of the layers.
// *count is 0 for a model without any. Memory from a. Errors of model_build.
status model_filters(model *m, arena *a, model_filter **out, int *count, error *err);

#endif
