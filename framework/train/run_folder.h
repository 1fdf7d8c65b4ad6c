// The folder of a run: what it holds, and whether an experiment may continue in it.
#ifndef RUNEXP_TRAIN_RUN_FOLDER_H
#define RUNEXP_TRAIN_RUN_FOLDER_H

#include "base/error.h"
#include "base/memory.h"
#include "config/config.h"

typedef struct run_folder {
    const char *path;                                 // "runs/hyena_small"
    const char *config, *last, *best, *log, *samples; // files in it
} run_folder;

run_folder run_folder_at(arena *a, const char *path);

// The path of the best checkpoint there is: best.h5, or last.h5 where there is no best.
const char *run_folder_best(const run_folder *f);

typedef enum run_progress {
    RUN_NEW,        // no folder, or one in which no checkpoint has been written yet
    RUN_UNFINISHED, // last.h5 is there, max_steps not reached
    RUN_FINISHED
} run_progress;

// Checks whether `c` may be trained in the folder. ERR_CONFIG, with every difference in the message, when
// the folder holds a run of other settings; settings of the sections in run_free_settings may differ.
status run_folder_inspect(const run_folder *f, const component *root, const config *c, run_progress *out,
                          error *err);

// Settings that do not affect training, and so may change between runs in one folder.
extern const char *const run_free_settings[];

// Creates the folder (others may be creating it at the same moment) and writes config.yaml.
status run_folder_prepare(const run_folder *f, const component *root, const config *c, error *err);

// Removes the files of an earlier run: --fresh.
status run_folder_clear(const run_folder *f, error *err);

// Appends to samples.txt: a heading and the text.
status run_folder_add_sample(const run_folder *f, const char *heading, const char *sample, error *err);

#endif
