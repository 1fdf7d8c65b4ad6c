// A trained model read back from a checkpoint: what sampling and evaluation need.
#ifndef RUNEXP_TRAIN_TRAINED_H
#define RUNEXP_TRAIN_TRAINED_H

#include "config/config.h"
#include "data/tokenizer.h"
#include "models/model.h"
#include "train/experiment.h"
#include "train/run_state.h"

typedef struct trained {
    config config;
    experiment *experiment;
    tokenizer *tokenizer;
    model *model; // weights in place: the averaged ones when the checkpoint has them
    run_state state;
    const char *path; // of the checkpoint
} trained;

// Reads a checkpoint (ERR_DATA also when its weights are not finite); overrides change the stored
// experiment (only what does not change the model makes sense: sampling, evaluation). Problems with
// overrides are added to p. Memory from a, but the model: free it with trained_free.
status trained_open(const char *path, const char *const *overrides, int override_count, arena *a,
                    trained *out, problems *p, error *err);
void trained_free(trained *t);

#endif
