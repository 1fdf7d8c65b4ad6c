// YAML text -> node tree, with the place of every key and value.
//
// What is read is the part of YAML that experiments need: one document of mappings, lists and scalars.
// Anchors, aliases and tags are refused (references ${a.b} do their work, visibly), as are duplicate keys.
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
    // A text that is part of a line of something else (an override): that line, shown in problems instead
    // of the text's own, and how many characters of it stand before the text. Places then have no line
    // number.
    const char *line;
    int skipped;
} yaml_input;

// Returns the tree, in memory of a; an empty text gives an empty scalar. On a problem adds it to p; returns
// NULL when the text could not be read to its end (a syntax error, or something that is no YAML at all).
// All of the text's places, keys and scalars are copied: the text may be freed.
node *yaml_read(arena *a, const yaml_input *input, problems *p);

#endif
