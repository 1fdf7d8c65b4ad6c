// The catalogue of corpora (experiments/datasets.yaml): name, files with address and SHA-256, licence.
#ifndef RUNEXP_DATA_CATALOGUE_H
#define RUNEXP_DATA_CATALOGUE_H

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"

typedef struct catalogue_file {
    const char *name;   // local file name ("tinyshakespeare.txt", "wikitext2-valid.txt"), or a glob in a
                        // package's folder
    const char *url;    // NULL: comes with a Debian package
    const char *sha256; // hexadecimal; NULL: not known yet, recorded at the first download
    split part;         // which split it is; SPLIT_COUNT: the whole corpus, to be cut
} catalogue_file;

typedef struct catalogue_entry {
    const char *name, *title, *licence, *home;
    const char *package, *folder; // of a Debian package; else NULL
    catalogue_file *files;
    int count;
} catalogue_entry;

typedef struct catalogue {
    catalogue_entry *entries;
    int count;
    const char *path;
} catalogue;

status catalogue_load(const char *path, arena *a, catalogue *out, error *err);
const catalogue_entry *catalogue_find(const catalogue *c, const char *name);

// The path of a file of an entry in the first place that has it, or NULL. Does not read it.
const char *catalogue_locate(const catalogue_file *file, const catalogue_entry *entry,
                             const data_places *places, arena *a);

// Downloads what is missing of an entry into places->cache, verifies every SHA-256 (also of files already
// there), reports progress to the log. A download goes to a temporary file, is verified, then renamed: a
// wrong checksum, a cut connection or a full disk leaves nothing under the final name. Files whose checksum
// is not known are recorded in <cache>/checksums.txt, which is checked from then on.
status catalogue_get(const catalogue_entry *entry, const data_places *places, error *err);

#endif
