// Batches: which tokens step s trains on, as a pure function of (seed, step): there is no state to
// save.
#ifndef RUNEXP_DATA_BATCHES_H
#define RUNEXP_DATA_BATCHES_H

#include "config/component.h"
#include "data/dataset.h"

// "windows": random windows of block_size+1 tokens, drawn anew every step (nanoGPT). "chunks": the split
// cut into consecutive chunks of block_size, each seen once an epoch, in an order shuffled by epoch.
// NULL-terminated.
extern const component *const batches_registry[];

// Fills rows x block_size ids and targets (the next tokens) out of a split. rows is the batch of the whole
// step (all micro-batches). Where the split has no token to learn from, the id is 0 and the target -1:
// behind the end of a short last chunk or split, and in whole rows when the last batch of an epoch of
// chunks is not full. At least one target of a batch is not -1. The split has at least 2 tokens.
void batches_fill(const component_choice *batches, const split_tokens *from, int block_size, int rows,
                  uint64_t seed, int64_t step, int32_t *ids, int32_t *targets);

// Steps of an epoch: the steps after which about (windows) or exactly (chunks) every token was seen once;
// at least 1.
int64_t batches_steps_per_epoch(const component_choice *batches, const split_tokens *from, int block_size,
                                int rows);

// CRC-32 (of ISO 3309, as in gzip) of a batch: stored in checkpoints, compared on resume.
uint32_t batches_digest(const int32_t *ids, const int32_t *targets, size_t count);

#endif
