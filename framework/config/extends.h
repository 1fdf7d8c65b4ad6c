// An experiment file with everything it extends.
#ifndef RUNEXP_CONFIG_EXTENDS_H
#define RUNEXP_CONFIG_EXTENDS_H

#include "base/error.h"
#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// Merges yaml (the content of the file `name` in `folder`) over the files that it extends and removes
// `extends`. These are found relative to the file that names them, then in `library` (or NULL). Files are
// ranked from 1 in the order of merging; *rank is that of the file itself. Returns NULL if a file cannot be
// read or is not a mapping; the problem has been added to p, and checking the rest would be pointless.
node *extends_read(arena *a, const component *table, const char *name, const char *folder,
                   const char *library, const char *yaml, size_t length, int *rank, problems *p);

#endif
