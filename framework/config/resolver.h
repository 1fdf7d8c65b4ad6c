// The state of one resolution, and the steps that need each other: bringing what was written to its full
// form (shape.c), replacing references (references.c), reading typed settings (resolve.c).
//
// Nothing happens in an order that tables or files prescribe: a setting is brought to its final form when
// it is first needed, by the reader or by a reference to it.
#ifndef RUNEXP_CONFIG_RESOLVER_H
#define RUNEXP_CONFIG_RESOLVER_H

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

// ---- shape.c

// The value of an option in a map of settings, in its final form: its default put there when absent,
// references replaced, a component's NAME spelled out as {type: NAME}, the rest of a default component
// filled in, paths made absolute. Never NULL; a null scalar when there is neither value nor default.
node *shape_option(resolver *r, const option *o, node *settings);

// Turns an entry of a component list into its full form {NAME: {settings}} in place. Returns the settings'
// node (a map when all is well) and the entry's component; NULL, and nothing reported, when it is not of
// any of the forms that are allowed. *about may be NULL: no such name.
node *shape_item(resolver *r, node *item, const component *const *registry, const component **about);

// The component that a {type: NAME, ...} map in its final form names, or NULL.
const component *shape_type(const option *o, const node *value);

// The default of an option as a node with rank 0.
node *shape_default(arena *a, problems *p, const option *o, place where);

// NAME -> {type: NAME}, in place.
void shape_spell_type(arena *a, node *scalar);

// NAME -> {NAME: {}}, in place.
void shape_spell_item(arena *a, node *scalar);

// ---- references.c

// Replaces the references in a scalar, in place; a scalar that is one reference may become a list. Returns
// false when there was a problem, which has been reported; the node is then marked broken.
bool references_expand(resolver *r, node *scalar);

// The same for every scalar of a tree.
bool references_expand_below(resolver *r, node *n);

// ---- resolve.c

// Completes the tree from the tables and fills settings (of r->table->settings_size). Problems go to r->p.
void resolve(resolver *r, void *settings);

void resolver_note(resolver *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
