// YAML text -> node tree, with the place of every key and value.
//
// This is the part of YAML that experiments need: one document of mappings, lists and scalars. Anchors,
// aliases and tags are refused (references ${a.b} replace them), as are duplicate keys.
#ifndef RUNEXP_CONFIG_YAML_H
#define RUNEXP_CONFIG_YAML_H

#include "base/memory.h"
#include "config/node.h"
#include "config/problems.h"

#include <stddef.h>

typedef struct yaml_input {
    const char *text;
    size_t length;
    const char *name;   // place.file of every node
    const char *folder; // node.folder of every node
    const char *origin; // origin of every node; NULL: "name:line"
    int rank;
    // For text that is part of another line (an override): that line, which problems then show, and the
    // number of its characters before the text. Places then have no line number.
    const char *line;
    int skipped;
} yaml_input;

// Returns the tree, in memory of a; an empty text gives an empty scalar. Problems are added to p; after one
// that prevents reading on, such as a syntax error, returns NULL. Everything is copied: the text may be
// freed.
node *yaml_read(arena *a, const yaml_input *input, problems *p);

#endif
