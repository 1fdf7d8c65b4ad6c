// Evaluation of whole splits: every token is scored exactly once, so that the result depends neither on
// a random choice nor on the batch size.
#ifndef RUNEXP_TRAIN_EVALUATE_H
#define RUNEXP_TRAIN_EVALUATE_H

#include "data/dataset.h"
#include "models/model.h"

typedef struct evaluation {
    double loss;       // nats per token
    double perplexity; // e^loss, per token
    // Of the scored tokens' text; NaN when that has no character (bytes that begin none).
    double bits_per_char;
    size_t tokens;       // scored
    double unknown_rate; // share of scored tokens outside the vocabulary
} evaluation;

typedef struct evaluator evaluator;

// batch: windows evaluated at once; stride: distance of the windows (1..block_size); lender: a graph whose
// memory this one uses between its runs, or NULL. The parameters must have been allocated. Free with
// evaluator_free.
status evaluator_new(model *m, int batch, int stride, const graph *lender, evaluator **out, error *err);
void evaluator_free(evaluator *e);
size_t evaluator_bytes(const evaluator *e); // of its own

// Windows of block_size tokens start at 0, stride, 2*stride, ...; the first scores all its targets, later
// ones the last `stride`; the final one is aligned to the end and scores what is left. A split of n tokens
// has n-1 targets.
void evaluate_split(evaluator *e, const split_tokens *part, const tokenizer *t, evaluation *out);

// About max_tokens of the split, in windows spread evenly over it.
void evaluate_sample(evaluator *e, const split_tokens *part, const tokenizer *t, size_t max_tokens,
                     evaluation *out);

#endif
