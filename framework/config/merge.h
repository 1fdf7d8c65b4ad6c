// Merging one experiment over another: mappings merge, everything else replaces.
#ifndef RUNEXP_CONFIG_MERGE_H
#define RUNEXP_CONFIG_MERGE_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"

// Merges `over` over `under` and returns the result, which both become part of. Where table (may be NULL)
// says that a value is a component, NAME is the same as {type: NAME}.
node *merge(arena *a, const component *table, node *under, node *over);

// The same for a single entry.
void merge_entry(arena *a, const component *table, node *under, const entry *over);

#endif
