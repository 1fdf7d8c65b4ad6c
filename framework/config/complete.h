// Bringing settings to their final form, each when it is first needed.
#ifndef RUNEXP_CONFIG_COMPLETE_H
#define RUNEXP_CONFIG_COMPLETE_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// A scalar whose references are being replaced: found again, it refers to itself.
typedef struct expansion {
    const node *scalar;
    const char *name; // of the reference being followed
    const struct expansion *outer;
    int depth;
} expansion;

// The state of one resolution.
typedef struct resolver {
    arena *a;
    problems *p;
    const component *table; // of the root
    node *root;
    int file_rank; // of the experiment file itself: extended files have lower ranks
    string_list notes;
    int note_capacity;
    const expansion *expanding;
    long budget; // nodes and bytes that references may still produce
    node *used;  // list of the variables' value nodes that some reference used
} resolver;

// The value of an option in a map of settings, in its final form: its default put there when absent,
// references replaced, a component's NAME spelled out as {type: NAME}, the rest of a default component
// filled in, paths made absolute. Never NULL; a null scalar when there is neither value nor default.
node *complete_option(resolver *r, const option *o, node *settings);

// Turns an entry of a component list into its full form {NAME: {settings}} in place. Returns the settings'
// node (a map when all is well) and the entry's component; NULL, and nothing reported, when it is not of
// any of the forms that are allowed. *about may be NULL: no such name.
node *complete_item(resolver *r, node *item, const component *const *registry, const component **about);

// Replaces the references in a scalar, in place; a scalar that is one reference may become a list. Returns
// false when there was a problem, which has been reported; the node is then marked broken.
bool complete_scalar(resolver *r, node *scalar);

// The same for every scalar of a tree.
bool complete_below(resolver *r, node *n);

#endif
