// What single option tables cannot see: settings that do not work together, or not with the text.
#ifndef RUNEXP_TRAIN_EXPERIMENT_CHECKS_H
#define RUNEXP_TRAIN_EXPERIMENT_CHECKS_H

#include "config/config.h"
#include "data/dataset.h"

typedef enum check_scope {
    CHECK_SETTINGS, // before any text is read
    CHECK_OVERRIDES // the same, but only of settings that were given as overrides
} check_scope;

// Adds what cannot work to p and what has no effect to c->notes. Memory from a.
void experiment_check(config *c, check_scope scope, arena *a, problems *p);

// With the text at hand: gives durations in epochs their steps, and checks the rest. ERR_CONFIG, naming the
// first setting that cannot work with the text. Notes as above.
status experiment_check_text(config *c, const dataset *data, arena *a, error *err);

#endif
