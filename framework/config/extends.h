// An experiment file with everything it extends.
#ifndef RUNEXP_CONFIG_EXTENDS_H
#define RUNEXP_CONFIG_EXTENDS_H

#include "base/error.h"
#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// Reads yaml (the content of the file `name`, in `folder`) and the files it extends, merged, with `extends`
// itself removed. Ranks count up from 1 in the order of merging; *rank is that of the file itself. Returns
// NULL when one of the files could not be read or is no mapping: what is wrong has been added to p, and
// nothing more can be said about the rest.
node *extends_read(arena *a, const component *table, const char *name, const char *folder, const char *yaml,
                   size_t length, int *rank, problems *p);

#endif
