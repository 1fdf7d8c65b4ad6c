// The way of a recurrent layer through the tokens of a block, whatever its cell.
#ifndef RUNEXP_KERNELS_RECURRENCE_THROUGH_TIME_H
#define RUNEXP_KERNELS_RECURRENCE_THROUGH_TIME_H

#include "kernels/declarations.h"

// Does what is to be done for token t in rows begin to end - 1 of the batch, after (or, backwards, before)
// that of token t - 1. It may share this out again (parallel_for): within rows that a thread has to itself,
// that is done on the spot.
typedef void token_step(const void *of, int t, int begin, int end);

// Runs step over all tokens of all rows, from the first token to the last or from the last to the first.
//
// A thread takes some rows of the batch through all tokens, and waits for nobody. With too few rows for
// that, step gets all rows of a token at once, to share out among the threads itself. A row has the same
// bits either way, since those of a product do not depend on its number of rows.
void through_time(int batch, int time, bool backwards, token_step *step, const void *of)
    ISA_SYMBOL(through_time);

// Shares rows begin to end - 1 of token t out among the threads, unless one has them to itself; a row takes
// `operations` vector operations.
void share_rows(token_step *work, const void *of, int t, int begin, int end, double operations)
    ISA_SYMBOL(share_rows);

#endif
