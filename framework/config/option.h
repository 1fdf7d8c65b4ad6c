// Look-ups in option tables, and options in words: for messages, `show`, `describe` and the schema.
#ifndef RUNEXP_CONFIG_OPTION_H
#define RUNEXP_CONFIG_OPTION_H

#include "base/text.h"
#include "config/component.h"

// The row for a key, or NULL.
const option *option_find(const component *c, const char *key);

// The component of that name, or NULL.
const component *registry_find(const component *const *registry, const char *name);

// The list of a container: the only OPTION_COMPONENTS or OPTION_BRANCHES row of a component, which the
// shorthand {NAME: [...]} fills. NULL if there is none or more than one.
const option *option_of_list(const component *c);

bool option_is_component_list(const option *o); // OPTION_COMPONENTS or OPTION_BRANCHES
bool option_may_be_absent(const option *o);     // neither required nor with a default

// The ends of an option's range; false if there is no such end. *excluded: the end itself is not allowed.
bool option_lower(const option *o, double *end, bool *excluded);
bool option_upper(const option *o, double *end, bool *excluded);

// "layer" for a registry of layers; "component" if it is empty.
const char *registry_kind(const component *const *registry);

// "int", "real", "list of 2 reals", "list of layers", ...
void option_type_name(const option *o, text *out);

// "> 0", "0 to 1", "one of gelu, relu", "at least 1"; nothing if there is no limit.
void option_limits(const option *o, text *out);

// What a value must be: "a number > 0", "one of gelu, relu", "a list of 2 numbers".
void option_expected(const option *o, text *out);

// The key of the table nearest to a misspelt one, or NULL.
const char *option_nearest(const component *c, const char *key);
const char *registry_nearest(const component *const *registry, const char *name);

// The names, separated by ", ".
void option_names(const component *c, text *out);
void registry_names(const component *const *registry, text *out);

#endif
