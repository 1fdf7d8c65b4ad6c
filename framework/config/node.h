// The tree of an experiment file: mappings, lists and scalars, each with its place and origin.
//
// Scalars keep the text that was written; what type they have is decided by option tables, never by YAML.
// The tree is made by config/yaml.h (from text), changed by config/merge.h (extends, overrides), completed
// and read by config/resolve.c.
#ifndef RUNEXP_CONFIG_NODE_H
#define RUNEXP_CONFIG_NODE_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

typedef enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP } node_kind;

// Where a value came from. Later layers win: defaults < extended files < the file < overrides.
typedef struct origin {
    const char
        *text; // "default", "base/char_lm.yaml:12", "override training.lr=3", "${model.depth} at x.yaml:9"
    int rank;  // 0 default, then 1, 2, ... in the order in which layers were merged
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
    const struct option
        *option;   // the table row whose value this is; NULL before resolving and inside lists
    bool expanded; // NODE_SCALAR: its references have been replaced
    bool broken;   // a problem with it has been reported: nothing more is said about it
};

node *node_scalar(arena *a, const char *text, place where, origin from);
node *node_map(arena *a, place where, origin from);
node *node_list(arena *a, place where, origin from);
void node_append(arena *a, node *list, node *item); // NODE_LIST
void node_put(arena *a, node *map, const char *key, place key_place,
              node *value);                       // NODE_MAP: adds or replaces
node *node_get(const node *map, const char *key); // NULL when absent or not a map
node *node_copy(arena *a, const node *n);         // the whole tree below n, not yet resolved

// Whether a scalar means "nothing": empty, ~ or null without quotes.
bool node_is_null(const node *n);

// Sets the rank of a node and of all below it.
void node_set_rank(node *n, int rank);

// The node at a dotted path ("training.batch_size", "model.layers.1.residual.0"), or NULL. A number that
// meets a mapping with a single entry, a list, counts in that list: containers may be written either way.
node *node_find(node *root, const char *dotted_path);

// Reads a path part that is a list index: digits only, at most 6 of them. Returns -1 when it is not one.
int node_index(const char *part);

#endif
