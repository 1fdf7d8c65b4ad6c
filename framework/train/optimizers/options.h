// Rows that the option tables of several optimizers share, with the range of each.
#ifndef RUNEXP_TRAIN_OPTIMIZERS_OPTIONS_H
#define RUNEXP_TRAIN_OPTIMIZERS_OPTIONS_H

#include "config/component.h"

// clang-format off
#define ROW_RATE(key_, settings, member, fallback_, doc_) \
    {.key = key_, .type = OPTION_REAL, .offset = offsetof(settings, member), .fallback = fallback_, \
     .flags = OPTION_ABOVE_MIN, .doc = doc_}

#define ROW_DECAY(settings, fallback_, doc_) \
    {.key = "weight_decay", .type = OPTION_REAL, .offset = offsetof(settings, common.weight_decay), \
     .fallback = fallback_, .min = 0, .max = -1, .doc = doc_}

// A factor in [0, 1): how much of something running is kept.
#define ROW_KEPT(key_, settings, member, fallback_, doc_) \
    {.key = key_, .type = OPTION_REAL, .offset = offsetof(settings, member), .fallback = fallback_, \
     .min = 0, .max = 1, .flags = OPTION_BELOW_MAX, .doc = doc_}

#define ROW_BETAS(key_, settings, member, fallback_, doc_) \
    {.key = key_, .type = OPTION_REALS, .offset = offsetof(settings, member), .fallback = fallback_, \
     .min = 0, .max = 1, .flags = OPTION_BELOW_MAX, .min_count = 2, .max_count = 2, .doc = doc_}

#define ROW_EPSILON(key_, settings, member, fallback_, doc_) \
    {.key = key_, .type = OPTION_REAL, .offset = offsetof(settings, member), .fallback = fallback_, \
     .min = 0, .max = 1, .flags = OPTION_ABOVE_MIN, .doc = doc_}
// clang-format on

#define DOC_LR "learning rate at the top of the schedule"
#define DOC_COUPLED_DECAY                                                                                  \
    "L2 penalty: this times the weight is added to its gradient (matrices and embeddings only)"
#define DOC_DECOUPLED_DECAY "each step shrinks matrices and embeddings by the learning rate times this"

#endif
