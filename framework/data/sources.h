// From the items of `dataset.source` to the files they mean.
#ifndef RUNEXP_DATA_SOURCES_H
#define RUNEXP_DATA_SOURCES_H

#include "data/catalogue.h"

typedef struct source_file {
    const char *path;
    const char *sha256; // expected; NULL: any
    split part;         // which split it is; SPLIT_COUNT: to be cut
} source_file;

typedef struct source_files {
    source_file *items;
    int count;
} source_files;

// Whether an item is a path or glob rather than a name of the catalogue.
bool source_is_path(const char *item);

// The files of the items, in order; those of a glob or folder sorted by name. *c is loaded from
// places->catalogue when an item is a name and c->entries is still NULL. Errors as dataset_open. Memory
// from a.
status sources_resolve(const string_list *items, const data_places *places, catalogue *c, arena *a,
                       source_files *out, error *err);

#endif
