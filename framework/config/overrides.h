// Overrides: "key.path=value" from the command line, laid over the experiment.
#ifndef RUNEXP_CONFIG_OVERRIDES_H
#define RUNEXP_CONFIG_OVERRIDES_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// Applies one override to the merged tree, not yet resolved. The value is YAML; a mapping merges, anything
// else replaces. The path may count in lists; for layers it may name the layer or leave the key of a
// container's list out, as files may. Keys that no table knows become part of the tree, where resolving
// finds them. A problem's place is "command line" with the override as the line.
void override_apply(arena *a, const component *table, node *root, const char *override, int rank,
                    problems *p);

#endif
