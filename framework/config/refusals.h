// The problems that reading settings finds (resolve.c), in words. Each function adds one to r->p.
// report_value and report_entry also mark the node as broken, so that it is reported once, and follow its
// references, so that the variables in it count as used.
#ifndef RUNEXP_CONFIG_REFUSALS_H
#define RUNEXP_CONFIG_REFUSALS_H

#include "base/text.h"
#include "config/complete.h"

// The path from the root to what is being read: a list on the stack, written out for messages.
typedef struct path {
    const struct path *up;
    const char *key; // NULL: index
    int index;
} path;

void path_add(const path *at, text *out); // "model.layers.0"

// optimizer.lr must be a number > 0, not "1e-4x". must_be: replaces what the option expects; may be NULL.
void report_value(resolver *r, const option *o, node *n, const path *at, const char *must_be);

// A key that the component does not have; the hint says which others have it.
void report_unknown(resolver *r, const component *about, const entry *e, const path *at);

void report_unknown_component(resolver *r, const component *const *registry, const char *name, place where,
                              const path *at);

// An entry of a list of components that is neither NAME nor {NAME: settings}.
void report_entry(resolver *r, const option *o, node *item, const path *at);

// A {type: NAME} mapping n without a type; a required setting that is absent.
void report_missing_type(resolver *r, const option *o, const node *n, const path *at);
void report_missing(resolver *r, const option *o, const node *settings, const path *at);

#endif
