#include "config/merge.h"

#include "config/option.h"
#include "config/forms.h"

#include <string.h>

// Turns a scalar that is short for a mapping into one: an empty section, or the NAME of a component.
static void spell_out(arena *a, const option *o, node *n) {
    if (n->kind != NODE_SCALAR || n->broken) return;
    bool nothing = n->scalar[0] == '\0' && !n->quoted;
    if (nothing && (o->type == OPTION_SECTION || o->type == OPTION_VARIABLES || o->fallback)) {
        n->kind = NODE_MAP;
        n->scalar = NULL;
    } else if (o->type == OPTION_COMPONENT && !node_is_null(n))
        form_spell_type(a, n);
}

// The component whose settings a value of option o holds, or NULL if that is not known.
static const component *table_inside(const option *o, const node *under, const node *over) {
    if (o->type == OPTION_SECTION) return o->section;
    if (o->type != OPTION_COMPONENT) return NULL;
    const component *about = form_type(o, over);
    return about ? about : form_type(o, under);
}

void merge_entry(arena *a, const component *table, node *under, const entry *over) {
    node *old = node_get(under, over->key), *new = over->value;
    const option *o = table ? option_find(table, over->key) : NULL;
    bool settings =
        o && (o->type == OPTION_SECTION || o->type == OPTION_VARIABLES || o->type == OPTION_COMPONENT);
    if (settings && old) {
        spell_out(a, o, old);
        spell_out(a, o, new);
    }
    if (old && old->kind == NODE_MAP && new->kind == NODE_MAP)
        new = merge(a, settings ? table_inside(o, old, new) : NULL, old, new);
    node_put(a, under, over->key, over->key_place, new);
}

node *merge(arena *a, const component *table, node *under, node *over) {
    if (under->kind != NODE_MAP || over->kind != NODE_MAP) return over;
    for (int i = 0; i < over->count; i++) merge_entry(a, table, under, &over->entries[i]);
    under->where = over->where;
    under->from = over->from;
    under->folder = over->folder;
    return under;
}
