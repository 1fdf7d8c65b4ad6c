// Evaluation of whole splits: every token is scored exactly once, so that the result depends neither on
// a random choice nor on the batch size.
#ifndef RUNEXP_TRAIN_EVALUATE_H
#define RUNEXP_TRAIN_EVALUATE_H

#include "data/dataset.h"
#include "models/model.h"
#include "train/experiment.h"

typedef struct evaluation {
    double loss;       // nats per token
    double perplexity; // e^loss, per token
    // Of the scored tokens' text, its characters and the bytes of its UTF-8; NaN when it has none (bytes
    // that begin no character). Bits per byte are those of a code without loss: unknown tokens also cost
    // tokenizer_unknown_nats, and have as many bytes as the unknown characters of the split on average.
    double bits_per_char, bits_per_byte;
    size_t tokens;       // scored
    double unknown_rate; // share of scored tokens outside the vocabulary
} evaluation;

typedef struct evaluator evaluator;

typedef struct evaluator_options {
    int batch;          // rows of a pass, which make no difference to the result
    bool carries_state; // as batches of the training did: lanes are evaluated, else windows
    int stride;         // distance of windows (1..block_size)
    int warmup_tokens;  // that a lane reads before the first it is scored on
} evaluator_options;

// Those of an experiment, with another stride unless that is 0.
evaluator_options evaluator_options_of(const experiment *e, int batch, int64_t stride);

// lender: a graph whose memory this one uses between its runs, or NULL. The parameters must have been
// allocated. Free with evaluator_free.
status evaluator_new(model *m, const evaluator_options *options, const graph *lender, evaluator **out,
                     error *err);
void evaluator_free(evaluator *e);
size_t evaluator_bytes(const evaluator *e); // of its own

// Windows of block_size tokens start at 0, stride, 2*stride, ...; the first scores all its targets, later
// ones the last `stride`; the final one is aligned to the end and scores what is left. A split of n tokens
// has n-1 targets.
//
// Lanes are consecutive segments of the split, whose number depends on its length alone: at most 32, of
// 1024 targets or more. Each is read from warmup_tokens before it (the first: from the beginning of the
// split), in blocks, with the state carried from block to block.
void evaluate_split(evaluator *e, const split_tokens *part, const tokenizer *t, evaluation *out);

// About max_tokens of the split, in windows or lanes spread evenly over it.
void evaluate_sample(evaluator *e, const split_tokens *part, const tokenizer *t, size_t max_tokens,
                     evaluation *out);

#endif
