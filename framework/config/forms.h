// Shorthands of settings and their full forms; defaults as nodes. References are not followed here.
#ifndef RUNEXP_CONFIG_FORMS_H
#define RUNEXP_CONFIG_FORMS_H

#include "base/memory.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// Whether nothing is written after the key.
bool form_is_empty(const node *n);

// Turns such a scalar into an empty mapping.
void form_become_map(node *n);

// The default of an option as a node of rank 0.
node *form_default(arena *a, problems *p, const option *o, place where);

// VALUE -> {key: VALUE}, in place.
void form_wrap(arena *a, node *value, const char *key);

// NAME -> {type: NAME}, in place.
void form_spell_type(arena *a, node *scalar);

// NAME -> {NAME: {}}, in place.
void form_spell_item(arena *a, node *scalar);

// The component that a {type: NAME, ...} map names, or NULL.
const component *form_type(const option *o, const node *value);

#endif
