// What is wrong with a setting, in words: the problems that resolve.c finds. Each function adds one problem to
// r->p. Those given a node leave it marked as broken, so that nothing else is said about it, with its
// references followed, so that the variables in it count as used.
#ifndef RUNEXP_CONFIG_REFUSALS_H
#define RUNEXP_CONFIG_REFUSALS_H

#include "base/text.h"
#include "config/complete.h"

// The way from the root to what is being read, for messages: a chain on the stack, written out when needed.
typedef struct path {
    const struct path *up;
    const char *key; // NULL: index
    int index;
} path;

void path_add(const path *at, text *out); // "model.layers.0"

// "optimizer.lr must be a number above 0, not "1e-4x"". must_be replaces what the option expects; may be
// NULL.
void report_value(resolver *r, const option *o, node *n, const path *at, const char *must_be);

// A key that the component does not have; where it belongs, if some other section has it.
void report_unknown(resolver *r, const component *about, const entry *e, const path *at);

void report_unknown_component(resolver *r, const component *const *registry, const char *name, place where,
                              const path *at);

// An entry of a list of components that is neither NAME nor {NAME: settings}.
void report_entry(resolver *r, const option *o, node *item, const path *at);

// A {type: NAME} mapping n without a type; a required setting that is absent.
void report_missing_type(resolver *r, const option *o, const node *n, const path *at);
void report_missing(resolver *r, const option *o, const node *settings, const path *at);

#endif
