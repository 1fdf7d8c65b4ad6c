// Datasets: from the `dataset` section of an experiment to the tokens of its splits.
#ifndef RUNEXP_DATA_DATASET_H
#define RUNEXP_DATA_DATASET_H

#include "base/error.h"
#include "base/memory.h"
#include "config/component.h"
#include "data/tokenizer.h"

#include <stdint.h>

typedef enum split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_COUNT } split;
extern const char *const split_names[]; // "train", "val", "test", NULL

typedef struct dataset_settings {
    string_list source;                  // catalogue names, paths, globs: concatenated in order
    string_list val_source, test_source; // separate files for these splits; else parts of source by `split`
    component_choice tokenizer;
    component_choice batches; // out of batches_registry (data/batches.h)
    int64_t block_size;
    real_list split; // fractions of train, val, test
} dataset_settings;

extern const component dataset_section;

// Where corpora are looked for, in this order. The command line fills it in from RUNEXP_DATA and the cache
// folder.
typedef struct data_places {
    const char *catalogue;      // path of datasets.yaml
    const char *const *folders; // NULL-terminated
    const char *cache;          // where `data get` puts files
} data_places;

typedef struct split_tokens {
    const int32_t *tokens;
    size_t count;
    size_t characters, bytes, unknown; // of its text
} split_tokens;

typedef struct dataset {
    tokenizer *tokenizer;
    split_tokens splits[SPLIT_COUNT]; // count 0: no such split
    const char *description;          // one line: files, characters, vocabulary
    const char *sha256;               // of the concatenated text of all splits, hexadecimal
} dataset;

// Finds, reads, splits and encodes. With tokenizer not NULL (from a checkpoint) that one is used instead of
// building one. Missing data is ERR_DATA with the command that gets it in the hint. Memory from a.
status dataset_open(const dataset_settings *settings, const data_places *places, tokenizer *tokenizer,
                    arena *a, dataset **out, error *err);

#endif
