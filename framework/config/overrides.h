// Overrides: "key.path=value" from the command line, applied to the experiment.
#ifndef RUNEXP_CONFIG_OVERRIDES_H
#define RUNEXP_CONFIG_OVERRIDES_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// Applies overrides to the merged tree, before it is resolved; the first has the given rank, the next ones
// higher ones. A value that begins with [ or {, or is in quotes, is YAML; any other, and every value of a
// string setting that is not in quotes, is taken whole ("Act #2"). A mapping merges, anything else
// replaces; what two overrides give is a problem. Parts of the path may be indices into lists; after the
// index of a layer its name may follow, and the key of a container's list may be left out, as in files.
// Unknown keys are added to the tree, where resolving finds them. Problems have the place "command line",
// with the override as the line.
void overrides_apply(arena *a, const component *table, node *root, const string_list *overrides, int rank,
                     problems *p);

// Whether one of them gives a value at just this path ("sampling.prompt").
bool overrides_give(const string_list *overrides, const char *path);

#endif
