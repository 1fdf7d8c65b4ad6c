// The catalogue of corpora (experiments/datasets.yaml): name, files with address and SHA-256, licence.
#ifndef RUNEXP_DATA_CATALOGUE_H
#define RUNEXP_DATA_CATALOGUE_H

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/dataset.h"

typedef struct catalogue_file {
    // Local file name: "tinyshakespeare.txt", "wikitext2-valid.txt"; of a package: "computers".
    const char *name;
    const char *url;    // NULL: comes with a Debian package
    const char *sha256; // lower-case hexadecimal; NULL: not known yet, recorded at the first download
    split part;         // which split it is; SPLIT_COUNT: the corpus is to be cut
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

// Reads a catalogue. The first thing wrong with it is ERR_CONFIG with file, line and column. Memory from a.
status catalogue_load(const char *path, arena *a, catalogue *out, error *err);

// The entry of a name; ERR_CONFIG, with the nearest name and all of them, when there is none.
status catalogue_need(const catalogue *c, const char *name, const catalogue_entry **out, error *err);

// The path of a file of an entry in the first place that has it, or NULL. Does not read it. Places: the
// folders, then the cache; for a file of a package <folder>/<entry name>/<file>, then the package's folder.
const char *catalogue_locate(const catalogue_file *file, const catalogue_entry *entry,
                             const data_places *places, arena *a);

// The checksum that a file must have: the catalogue's, else the one recorded in <cache>/checksums.txt, else
// NULL.
const char *catalogue_checksum(const catalogue_file *file, const data_places *places, arena *a);

// ERR_DATA when the digest of the file at path is not the expected one (NULL: any will do).
status catalogue_verify(const char *path, const char *digest, const char *expected, error *err);

// The error for a file that no place has: ERR_DATA, with the command that gets it.
status catalogue_missing(const catalogue_file *file, const catalogue_entry *entry,
                         const data_places *places, error *err);

// Downloads what is missing of an entry into places->cache, verifies every SHA-256 (also of files already
// there), reports to the log. A download goes to a temporary file, is verified, then renamed: a wrong
// checksum, a cut connection or a full disk leaves nothing under the final name, and a file that is there
// with the wrong checksum is never touched. Files whose checksum is not known are recorded in
// <cache>/checksums.txt (the format of sha256sum), which is checked from then on. When *stop becomes true a
// download ends with ERR_INTERRUPTED; stop may be NULL.
status catalogue_get(const catalogue_entry *entry, const data_places *places, const volatile int *stop,
                     error *err);

// Appends the table of the catalogue: of each corpus title, licence, and each file's size and place, or
// what to do when it is missing. In lines of at most `columns` columns; 0: there is no limit.
void catalogue_list(const catalogue *c, const data_places *places, int columns, text *out);

#endif
