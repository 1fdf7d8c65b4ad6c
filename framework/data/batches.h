// Batches: which tokens step s trains on, as a pure function of (seed, step): there is no state to
// save.
#ifndef RUNEXP_DATA_BATCHES_H
#define RUNEXP_DATA_BATCHES_H

#include "config/component.h"
#include "data/dataset.h"

// "windows": random windows of block_size+1 tokens, drawn anew every step (nanoGPT). "chunks": the split
// cut into consecutive chunks of block_size, each seen once an epoch, in an order shuffled by epoch.
// "stream": each row goes through a part of the split of its own, from block to block. NULL-terminated.
extern const component *const batches_registry[];

// Tokens of a step, rows x block_size each.
typedef struct batch_tokens {
    int32_t *ids, *targets;
    bool *begins; // tokens that begin a document, which only a stream marks; NULL: not wanted
} batch_tokens;

// Fills rows x block_size ids and targets (the next tokens) out of a split. rows is the batch of the whole
// step (all micro-batches). Where the split has no token to learn from, the id is 0 and the target -1:
// behind the end of a short last chunk, block of a stream or split, and in whole rows when the last batch
// of an epoch of chunks is not full. At least one target of a batch is not -1. The split has at least 2
// tokens.
void batches_fill(const component_choice *batches, const split_tokens *from, int block_size, int rows,
                  uint64_t seed, int64_t step, const batch_tokens *out);

// Whether a row goes on where it ended in the step before, within an epoch (stream): a model then carries
// its state from step to step, and begins each epoch with none.
bool batches_carry_state(const component_choice *batches);

// Steps of an epoch: the steps after which about (windows) or exactly (chunks, stream) every token was seen
// once; at least 1.
int64_t batches_steps_per_epoch(const component_choice *batches, const split_tokens *from, int block_size,
                                int rows);

// CRC-32 (of ISO 3309, as in gzip) of a batch: stored in checkpoints, compared on resume.
uint32_t batches_digest(const int32_t *ids, const int32_t *targets, size_t count);

#endif
