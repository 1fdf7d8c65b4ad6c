// The tree of an experiment file: mappings, lists and scalars, each with its place and origin.
//
// Scalars keep the text that was written: option tables determine their types, never YAML. config/yaml.h
// makes the tree, extends and overrides change it (config/merge.h), config/resolve.h completes and reads
// it.
#ifndef RUNEXP_CONFIG_NODE_H
#define RUNEXP_CONFIG_NODE_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

typedef enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP } node_kind;

// Where a value came from. Higher ranks win: defaults < extended files < the file < overrides.
typedef struct origin {
    // "default", "base/char_lm.yaml:12", "override training.lr=3", "${model.depth} at x.yaml:9"
    const char *text;
    int rank; // 0 default, then 1, 2, ... in the order of merging
} origin;

typedef struct node node;

typedef struct entry {
    const char *key;
    place key_place;
    node *value;
} entry;

struct node {
    node_kind kind;
    place where; // of the value's first character
    origin from;
    const char *folder; // of the file it was written in: paths are relative to it
    const char *scalar; // NODE_SCALAR: the text
    bool quoted;        // NODE_SCALAR: written in quotes (then "${" is still expanded, "null" is text)
    node **items;       // NODE_LIST
    entry *entries;     // NODE_MAP, in the order written
    int count;          // of items or entries
    int capacity;       // of the array behind them
    const struct option *option; // whose value this is; NULL before resolving and inside lists
    bool expanded;               // NODE_SCALAR: its references have been replaced
    bool broken;                 // a problem with it has been reported; further ones are not
};

node *node_scalar(arena *a, const char *text, place where, origin from);
node *node_map(arena *a, place where, origin from);
node *node_list(arena *a, place where, origin from);
void node_append(arena *a, node *list, node *item);

// Adds or replaces an entry of a map.
void node_put(arena *a, node *map, const char *key, place key_place, node *value);

// The value of a key; NULL if it is absent or this is not a map.
node *node_get(const node *map, const char *key);

// A copy of the whole tree below n, not yet resolved.
node *node_copy(arena *a, const node *n);

// Whether a scalar means "nothing": empty, ~ or null without quotes.
bool node_is_null(const node *n);

// How the origin of a value from the command line begins; whether one does. NULL: no.
#define OVERRIDE_ORIGIN "override "
bool node_is_override(const node *n);

// Sets the rank of a node and of all below it.
void node_set_rank(node *n, int rank);

// The node at a dotted path ("training.batch_size", "model.layers.1.residual.0"), or NULL. If an index
// meets a mapping whose only entry is a list, it counts in that list: containers may be written either way.
node *node_find(node *root, const char *dotted_path);

// The list index (up to 6 digits) that a part of a path is, or -1.
int node_index(const char *part);

#endif
