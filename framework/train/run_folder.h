// The folder of a run: what it holds, and whether an experiment may continue in it.
#ifndef RUNEXP_TRAIN_RUN_FOLDER_H
#define RUNEXP_TRAIN_RUN_FOLDER_H

#include "base/error.h"
#include "base/memory.h"
#include "config/config.h"
#include "data/dataset.h"

typedef struct run_folder {
    const char *path;                                 // "runs/hyena_small"
    const char *config, *last, *best, *log, *samples; // files in it
} run_folder;

run_folder run_folder_at(arena *a, const char *path);

// Whether a folder is that of a run: it holds settings, metrics or a checkpoint.
bool run_folder_is_run(const char *path, arena *a);

// The path of the best checkpoint there is: best.h5, or last.h5 where there is no best.
const char *run_folder_best(const run_folder *f);

typedef enum run_progress {
    RUN_NEW,        // no run in the folder
    RUN_BEGUN,      // a run that ended before its first checkpoint: it has to start over
    RUN_UNFINISHED, // last.h5 is there, max_steps not reached
    RUN_FINISHED
} run_progress;

// Checks whether `c` may be trained in the folder. ERR_CONFIG, with every difference in the message, when
// its config.yaml or last.h5 is that of other settings (a folder that was copied, or edited by hand);
// free settings may differ. ERR_CONFIG too when there are results and no config.yaml.
status run_folder_inspect(const run_folder *f, const component *root, const config *c, run_progress *out,
                          error *err);

// Checks that an experiment file, when it is the config.yaml of a run, is in the folder of that run's name:
// it would otherwise train, or find finished, the run in another folder. ERR_CONFIG. Memory from a.
status run_folder_check_name(const char *path, const component *root, arena *a, error *err);

// Checks that the run in the folder was trained and evaluated on texts of these digests. ERR_DATA, naming
// the splits whose text is another one. Runs that recorded no digests pass.
status run_folder_check_texts(const run_folder *f, const text_digests *texts, error *err);

// Whether an override ("sampling.k=3", "training={log_interval: 5}") gives only settings that do not affect
// training, which may change between runs in one folder and are no part of a run's name. Memory from a.
bool run_override_is_free(const char *override, arena *a);

// Creates the folder (others may be creating it at the same moment) and writes config.yaml.
status run_folder_prepare(const run_folder *f, const config *c, error *err);

// Removes the files of an earlier run: --fresh.
status run_folder_clear(const run_folder *f, error *err);

// Appends to samples.txt: a heading and the text.
status run_folder_add_sample(const run_folder *f, const char *heading, const char *sample, error *err);

// The length of samples.txt, which checkpoints remember; cuts off what was written after it.
int64_t run_folder_sample_bytes(const run_folder *f);
status run_folder_cut_samples(const run_folder *f, int64_t bytes, error *err);

#endif
