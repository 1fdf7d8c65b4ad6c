// Overrides: "key.path=value" from the command line, applied to the experiment.
#ifndef RUNEXP_CONFIG_OVERRIDES_H
#define RUNEXP_CONFIG_OVERRIDES_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// Applies one override to the merged tree, before it is resolved. The value is YAML; a mapping merges,
// anything else replaces. Parts of the path may be indices into lists; after the index of a layer its name
// may follow, and the key of a container's list may be left out, as in files. Unknown keys are added to the
// tree, where resolving finds them. Problems have the place "command line", with the override as the line.
void override_apply(arena *a, const component *table, node *root, const char *override, int rank,
                    problems *p);

#endif
