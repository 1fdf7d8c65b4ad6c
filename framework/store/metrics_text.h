// metrics.tsv: the text twin of metrics.h5, and the lock that says who is training into a run.
#ifndef RUNEXP_STORE_METRICS_TEXT_H
#define RUNEXP_STORE_METRICS_TEXT_H

#include "store/metrics.h"

typedef struct metrics_text metrics_text;

// Opens folder/metrics.tsv (created when missing) and takes the lock: an open file description lock, which
// the kernel releases with the process, and which readers do not disturb. ERR_DATA when another process
// holds it.
status metrics_text_open(const char *folder, metrics_text **out, error *err);
void metrics_text_close(metrics_text *t); // NULL is allowed

// Empties the file but for its heading.
status metrics_text_reset(metrics_text *t, error *err);

// Cuts off what follows the last whole line of a step <= the given one, and the evaluation of the test
// split, which is the last line of a run. A file without our heading is emptied.
status metrics_text_cut(metrics_text *t, int64_t step, error *err);

// One line, one write. On failure the file ends with a whole line and the line waits for the next call.
status metrics_text_add_train(metrics_text *t, const train_row *row, error *err);
status metrics_text_add_eval(metrics_text *t, split part, const eval_row *row, error *err);

// Fills the rows of *out (perplexity from the loss; bits are NaN). ERR_DATA for a foreign file.
status metrics_text_read(const char *folder, arena *a, metrics_data *out, error *err);

#endif
