// Sampling: the next token from logits.
#ifndef RUNEXP_TRAIN_SAMPLING_H
#define RUNEXP_TRAIN_SAMPLING_H

#include "base/real.h"
#include "config/component.h"

#include <stdint.h>

typedef enum sampling_mode {
    SAMPLE_ARGMAX,
    SAMPLE_PROB,
    SAMPLE_TOP_K,
    SAMPLE_TOP5,
    SAMPLE_TOP_P,
    SAMPLE_MIN_P
} sampling_mode;
typedef enum overflow_mode { OVERFLOW_AUTO, OVERFLOW_CROP, OVERFLOW_HOP, OVERFLOW_RING } overflow_mode;

// The `sampling` section of an experiment; `sample` overrides single members from its options.
typedef struct sampling_settings {
    const char *prompt;
    int mode; // sampling_mode; top5 is top_k with k = 5
    int64_t k;
    double p, min_p, temperature, repetition_penalty;
    int64_t repetition_window; // tokens; 0: the whole context
    int64_t max_tokens, seed;
    int overflow; // overflow_mode: what to do when the context is longer than block_size
} sampling_settings;

extern const component sampling_section;

typedef struct sampler sampler; // scratch for one vocabulary

// settings are copied. vocabulary >= 1. Free with sampler_free (NULL is allowed).
sampler *sampler_new(const sampling_settings *settings, int vocabulary);
void sampler_free(sampler *s);

// The next token. logits (vocabulary) are not changed; context: the tokens so far, for the repetition
// penalty. The same (seed, stream, number, logits, context) give the same token. number: how many tokens
// this stream has produced before. Allocates nothing.
//
// In this order: repetition penalty; the largest logit if the mode is argmax or the temperature 0;
// temperature; the mode's filter (top_k, top_p or min_p); softmax over what is left, in double; draw. Equal
// logits rank by smaller id. Logits that are NaN or infinite are never chosen; when none is finite the
// answer is token 0.
int32_t sampler_pick(sampler *s, const real *logits, const int32_t *context, size_t context_count,
                     uint32_t stream, uint32_t number);

#endif
