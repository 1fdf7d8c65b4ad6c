// Completing settings on demand: defaults, shorthands, references, paths.
#ifndef RUNEXP_CONFIG_COMPLETE_H
#define RUNEXP_CONFIG_COMPLETE_H

#include "base/memory.h"
#include "config/component.h"
#include "config/duration.h"
#include "config/node.h"
#include "config/problems.h"

// A scalar whose references are being replaced: if it is met again, it refers to itself.
typedef struct expansion {
    const node *scalar;
    const char *name; // of the reference being followed
    const struct expansion *outer;
    int depth;
} expansion;

// The state of resolving one experiment.
typedef struct resolver {
    arena *a;
    problems *p;
    const component *table; // of the root
    node *root;
    int file_rank; // of the experiment file itself: extended files have lower ranks
    string_list notes;
    epochs_settings in_epochs;
    const expansion *expanding;
    long budget; // nodes and bytes that references may still expand to
    node *used;  // a list: the values of the variables that were referred to
} resolver;

// The value of an option in a map of settings, in its final form: its default put there when absent,
// references replaced, a component's NAME spelled out as {type: NAME}, the rest of a default component
// filled in, paths made absolute. Never NULL; a null scalar if there is neither value nor default.
node *complete_option(resolver *r, const option *o, node *settings);

// Turns an entry of a component list into its full form {NAME: {settings}}, in place. Returns the node of
// the settings (a map unless the file is wrong), and in *about the component, or NULL if there is none of
// that name. Returns NULL, without reporting a problem, if the entry has none of the allowed forms.
node *complete_item(resolver *r, node *item, const component *const *registry, const component **about);

// Replaces the references in a scalar, in place; a scalar that is nothing but a reference may become a
// list. On a problem reports it, marks the node as broken and returns false.
bool complete_scalar(resolver *r, node *scalar);

// The same for all scalars of a tree.
bool complete_below(resolver *r, node *n);

#endif
