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
    string_list source;                  // catalogue names, files, folders, globs: joined in order
    string_list val_source, test_source; // separate files for these splits; else parts of source by `split`
    component_choice tokenizer;
    component_choice batches;       // out of batches_registry (data/batches.h)
    const char *document_separator; // a document begins after it; NULL: the text is one
    int64_t block_size;
    real_list split; // fractions of train, val, test
} dataset_settings;

extern const component dataset_section;

struct problems; // config/problems.h

// What option tables cannot check: that the fractions make sense. section is the mapping of the dataset
// section.
void dataset_check(const dataset_settings *settings, const struct node *section, struct problems *p);

// Where corpora are looked for, in this order. The command line fills it in from RUNEXP_DATA, the cache
// folder and HOME.
typedef struct data_places {
    const char *catalogue;      // path of datasets.yaml
    const char *const *folders; // NULL-terminated
    const char *cache;          // where `data get` puts files
    const char *home;           // the folder that ~/ stands for; NULL: not known
} data_places;

// SHA-256, in hexadecimal, of the text of each split; NULL: it has none.
typedef struct text_digests {
    const char *of[SPLIT_COUNT];
} text_digests;

typedef struct split_tokens {
    const int32_t *tokens;
    size_t count;
    size_t characters, bytes, unknown, unknown_bytes; // of its text, see encoding
    const encoding *separator;                        // of documents; NULL: the text is one
} split_tokens;

static inline split_tokens split_tokens_of(const encoding *e, const encoding *separator) {
    return (split_tokens){e->ids,     e->count,         e->characters, e->bytes,
                          e->unknown, e->unknown_bytes, separator};
}

typedef struct dataset {
    tokenizer *tokenizer;
    split_tokens splits[SPLIT_COUNT]; // count 0: no such split
    const char *description;          // one line: files, characters, vocabulary
    text_digests digests;
} dataset;

// Whether a document begins with token `at` of a split: the separator stands right before it.
bool split_begins_document(const split_tokens *s, size_t at);

// Encodes document_separator for split_tokens.separator; NULL where it is not set, or has no effect because
// no state is carried. ERR_CONFIG when it has characters that the vocabulary lacks. Memory from a.
status dataset_separator(const dataset_settings *settings, const tokenizer *t, arena *a,
                         const encoding **out, error *err);

// Looks for the files of every source and reads none. The error has the place of the source at fault:
// section is the mapping of the dataset section. ERR_CONFIG for a path or pattern without a file, or an
// unknown name; ERR_DATA for a corpus of the catalogue that is not on this machine.
status dataset_locate(const dataset_settings *settings, const struct node *section,
                      const data_places *places, error *err);

// Finds, reads, splits and encodes. Memory from a.
//
// Splits are cut by characters whatever the tokenizer, so that models over different tokenizers train and
// are tested on the same text: of n characters, train ends at floor(n * split[0]), val at
// floor(n * (split[0] + split[1])), test at floor(n * (sum of all three)), which is n when they add up
// to 1. A split with a source of its own takes nothing of `source`; its fraction goes to train. A corpus
// that comes in parts (wikitext2) keeps them; `split` does not apply to it.
//
// With tokenizer not NULL (from a checkpoint) that one is used instead of building one, and the train split
// may then be short or empty. ERR_CONFIG for a name that is neither in the catalogue nor a path; ERR_DATA
// for data that is missing (the hint has the command that gets it), differs from its checksum in the
// catalogue, is not valid text, or is too short.
status dataset_open(const dataset_settings *settings, const data_places *places, tokenizer *tokenizer,
                    arena *a, dataset **out, error *err);

// A text by itself, all of it: an item like those of `source`. Of a corpus that comes in parts it is part
// `which`. *name is the item as messages name it. It has no separator. Errors of dataset_open; memory from
// a.
status dataset_open_text(const char *item, split which, const data_places *places,
                         const tokenizer *tokenizer, arena *a, split_tokens *out, const char **name,
                         error *err);

// The digests alone, without building a tokenizer or encoding anything. Errors of dataset_open.
status dataset_digests(const dataset_settings *settings, const data_places *places, arena *a,
                       text_digests *out, error *err);

#endif
