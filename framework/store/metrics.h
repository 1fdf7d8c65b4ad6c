// Metrics of a run: metrics.h5 (the archive) and metrics.tsv (its append-only twin in text).
//
// metrics.h5: /train/{step,tokens,seconds,loss,lr,grad_norm,tokens_per_second} and
// /eval/{train,val,test}/{step,tokens,seconds,loss,perplexity,bits_per_char,bits_per_byte}, one growing 1-d
// dataset each (files of earlier versions lack bits_per_byte), created up front, flushed row by row, so
// that a killed run leaves a readable file; /config as a dataset; attributes of the root as in run_facts,
// plus status and finished. metrics.tsv: one line per row; columns named in the first line (step tokens
// seconds loss lr grad_norm tokens_per_second train_loss val_loss test_loss), separated by tabs, nan
// where a row has no value.
//
// While a metrics object is open its process holds a lock on metrics.tsv that ends with the process: two
// processes cannot train into one run, and a run that says "running" without the lock has been killed.
#ifndef RUNEXP_STORE_METRICS_H
#define RUNEXP_STORE_METRICS_H

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"

typedef struct run_facts { // attributes of the root; NULL or 0 when unknown
    const char *name, *version, *git_commit, *hostname, *cpu, *instruction_set, *started;
    int64_t seed, parameters, steps_per_epoch;
    int threads;
    text_digests texts; // what the run was trained and evaluated on
} run_facts;

typedef struct train_row {
    int64_t step, tokens; // completed updates and tokens trained on so far
    double seconds;       // of training so far, without earlier interruptions
    double loss, lr, grad_norm, tokens_per_second;
} train_row;

typedef struct eval_row {
    int64_t step, tokens;
    double seconds, loss, perplexity, bits_per_char, bits_per_byte;
} eval_row;

typedef struct metrics metrics;

// Creates both files (the folder exists; files of an earlier run are replaced), with status "running".
// ERR_DATA when another process is training into this folder, which is then left alone; ERR_IO. *out is
// NULL on failure.
status metrics_create(const char *folder, const run_facts *facts, const char *config_text, metrics **out,
                      error *err);

// Opens them again to go on after `step`: rows of later steps (written after the checkpoint that is being
// resumed) are cut off, and so is the evaluation of the test split, which ends a run: a run that was killed
// after it ends again. The attributes are those of facts, except that started keeps its first value. An
// archive too damaged to open is set aside as metrics.h5.damaged, with a warning, and built again from its
// twin and config.yaml. Errors as in metrics_create.
status metrics_resume(const char *folder, const run_facts *facts, int64_t step, metrics **out, error *err);

// After a failure (a full disk) the row is kept and written with the next one that can be: the run may go
// on.
status metrics_add_train(metrics *m, const train_row *row, error *err);
status metrics_add_eval(metrics *m, split part, const eval_row *row, error *err);

// Sets the attribute status (running, finished, interrupted, diverged, failed) and finished (time), and
// closes, also on failure. m may be NULL.
status metrics_close(metrics *m, const char *run_status, error *err);

// A run's metrics read back. Memory from a. Works while the run is being written (HDF5 file locking is
// switched off; if the file cannot be read at that moment the text twin is used, which has no attributes).
// status is "killed" when the file says "running" and no process holds the run.
typedef struct metrics_data {
    run_facts facts;
    const char *status, *finished, *config_text; // status is never NULL, the others may be
    train_row *train;
    size_t train_count;
    eval_row *eval[SPLIT_COUNT];
    size_t eval_count[SPLIT_COUNT];
} metrics_data;

// ERR_DATA or ERR_IO when neither file can be read; *out is then empty.
status metrics_read(const char *folder, arena *a, metrics_data *out, error *err);

// Whether a process is training into the folder at this moment.
bool metrics_running(const char *folder);

#endif
