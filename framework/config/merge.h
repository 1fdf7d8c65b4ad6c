// Laying one experiment over another: mappings merge, everything else replaces.
#ifndef RUNEXP_CONFIG_MERGE_H
#define RUNEXP_CONFIG_MERGE_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"

// Returns `under` with everything in `over` put over it; both may be changed and become part of the result.
// Where table (NULL: nothing known) says that a value is a component, NAME counts as {type: NAME}.
node *merge(arena *a, const component *table, node *under, node *over);

// Puts one value over what a mapping has under that key, by the same rules.
void merge_entry(arena *a, const component *table, node *under, const entry *over);

#endif
