#include "config/option.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const option *option_find(const component *c, const char *key) {
    for (const option *o = c->options; o && o->key; o++)
        if (strcmp(o->key, key) == 0) return o;
    return NULL;
}

const component *registry_find(const component *const *registry, const char *name) {
    for (; registry && *registry; registry++)
        if (strcmp((*registry)->name, name) == 0) return *registry;
    return NULL;
}

// A limit as text: integers in full, others short.
static const char *number(double value, char buffer[32]) {
    snprintf(buffer, 32, value == floor(value) && fabs(value) < 1e16 ? "%.0f" : "%.15g", value);
    return buffer;
}

bool option_is_component_list(const option *o) {
    return o->type == OPTION_COMPONENTS || o->type == OPTION_BRANCHES;
}

const option *option_of_list(const component *c) {
    const option *found = NULL;
    for (const option *o = c->options; o && o->key; o++) {
        if (!option_is_component_list(o)) continue;
        if (found) return NULL;
        found = o;
    }
    return found;
}

bool option_may_be_absent(const option *o) {
    return !o->fallback && !o->required && o->type != OPTION_SECTION && o->type != OPTION_VARIABLES;
}

static bool has_range(const option *o) {
    return o->type == OPTION_INT || o->type == OPTION_REAL || o->type == OPTION_REALS ||
           o->type == OPTION_DURATION || o->type == OPTION_DURATIONS;
}

bool option_lower(const option *o, double *end, bool *excluded) {
    *end = o->min;
    *excluded = o->min_excluded;
    return has_range(o) && isfinite(o->min);
}

bool option_upper(const option *o, double *end, bool *excluded) {
    *end = o->max;
    *excluded = o->max_excluded;
    return has_range(o) && isfinite(o->max);
}

const char *registry_kind(const component *const *registry) {
    return registry && *registry ? (*registry)->kind : "component";
}

void option_type_name(const option *o, text *out) {
    static const char *const names[] = {
        [OPTION_BOOL] = "bool",
        [OPTION_INT] = "int",
        [OPTION_REAL] = "real",
        [OPTION_DURATION] = "steps or epochs",
        [OPTION_DURATIONS] = "list of steps or epochs",
        [OPTION_STRING] = "string",
        [OPTION_CHOICE] = "choice",
        [OPTION_REALS] = "list of reals",
        [OPTION_STRINGS] = "string or list of strings",
        [OPTION_SECTION] = "section",
        [OPTION_VARIABLES] = "free names",
    };
    switch (o->type) {
    case OPTION_REALS:
        if (o->min_count && o->min_count == o->max_count)
            text_add(out, "list of %d reals", o->min_count);
        else
            text_add(out, "list of reals");
        break;
    case OPTION_COMPONENT:
        text_add(out, "%s", registry_kind(o->registry));
        break;
    case OPTION_COMPONENTS:
        text_add(out, "list of %ss", registry_kind(o->registry));
        break;
    case OPTION_BRANCHES:
        text_add(out, "list of lists of %ss", registry_kind(o->registry));
        break;
    default:
        text_add(out, "%s", names[o->type]);
    }
}

static void add_choices(const option *o, text *out) {
    text_add(out, "one of ");
    for (const char *const *choice = o->choices; *choice; choice++)
        text_add(out, "%s%s", choice == o->choices ? "" : ", ", *choice);
}

void option_limits(const option *o, text *out) {
    char from[32], to[32];
    double min = 0, max = 0;
    bool above = false, below = false;
    bool lower = option_lower(o, &min, &above), upper = option_upper(o, &max, &below);
    if (o->type == OPTION_CHOICE) {
        add_choices(o, out);
        return;
    }
    if (o->type == OPTION_COMPONENT) {
        text_add(out, "one of ");
        registry_names(o->registry, out);
        return;
    }
    if (lower && upper && !above && !below)
        text_add(out, "%s to %s", number(min, from), number(max, to));
    else {
        if (lower) text_add(out, "%s %s", above ? ">" : ">=", number(min, from));
        if (upper) text_add(out, "%s%s %s", lower ? ", " : "", below ? "<" : "<=", number(max, to));
    }
    const char *separator = lower || upper ? ", " : "";
    bool in_type = o->type == OPTION_REALS && o->min_count == o->max_count;
    if (o->min_count && o->max_count && !in_type)
        text_add(out, "%s%d to %d of them", separator, o->min_count, o->max_count);
    else if (o->min_count && !o->max_count && o->type != OPTION_STRINGS)
        text_add(out, "%sat least %d", separator, o->min_count);
    else if (o->max_count && !o->min_count)
        text_add(out, "%sat most %d", separator, o->max_count);
}

// " from 0 to 1", " > 0", " >= 1 and < 5".
static void add_range(const option *o, text *out) {
    char from[32], to[32];
    double min = 0, max = 0;
    bool above = false, below = false;
    bool lower = option_lower(o, &min, &above), upper = option_upper(o, &max, &below);
    if (lower && upper && !above && !below) {
        text_add(out, " from %s to %s", number(min, from), number(max, to));
        return;
    }
    if (lower) text_add(out, "%s %s", above ? " >" : " >=", number(min, from));
    if (upper) text_add(out, "%s %s %s", lower ? " and" : "", below ? "<" : "<=", number(max, to));
}

// "2 ", "1 to 3 ", "at least 1 ", "at most 4 " or nothing, to stand before the name of the items.
static void add_count(const option *o, text *out) {
    if (o->min_count && o->min_count == o->max_count)
        text_add(out, "%d ", o->min_count);
    else if (o->min_count && o->max_count)
        text_add(out, "%d to %d ", o->min_count, o->max_count);
    else if (o->min_count)
        text_add(out, "at least %d ", o->min_count);
    else if (o->max_count)
        text_add(out, "at most %d ", o->max_count);
}

void option_expected(const option *o, text *out) {
    const char *kind = registry_kind(o->registry),
               *plural = (o->max_count ? o->max_count : o->min_count) == 1 ? "" : "s";
    switch (o->type) {
    case OPTION_BOOL:
        text_add(out, "true or false");
        break;
    case OPTION_INT:
        text_add(out, "an integer");
        add_range(o, out);
        break;
    case OPTION_REAL:
        text_add(out, "a number");
        add_range(o, out);
        break;
    case OPTION_DURATION:
        text_add(out, "an integer");
        add_range(o, out);
        text_add(out, " (steps), or a number of epochs %s 0, as in \"2 epochs\"", o->min > 0 ? ">" : ">=");
        break;
    case OPTION_DURATIONS:
        text_add(out, "a list of ");
        add_count(o, out);
        text_add(out, "steps or epochs, as in [1000, \"2 epochs\"]");
        break;
    case OPTION_STRING:
        text_add(out, "a string");
        break;
    case OPTION_CHOICE:
        add_choices(o, out);
        break;
    case OPTION_REALS:
        text_add(out, "a list of ");
        add_count(o, out);
        text_add(out, "number%s", plural);
        add_range(o, out);
        break;
    case OPTION_STRINGS:
        text_add(out, "a string or a list of ");
        if (o->max_count || o->min_count > 1) add_count(o, out);
        text_add(out, "strings");
        break;
    case OPTION_SECTION:
        text_add(out, "a mapping of settings");
        break;
    case OPTION_VARIABLES:
        text_add(out, "a mapping of names to values");
        break;
    case OPTION_COMPONENT:
        text_add(out, "one of ");
        registry_names(o->registry, out);
        text_add(out, ", or {type: NAME, its settings}");
        break;
    case OPTION_COMPONENTS:
        text_add(out, "a list of ");
        add_count(o, out);
        text_add(out, "%s%s", kind, plural);
        break;
    case OPTION_BRANCHES:
        text_add(out, "a list of ");
        add_count(o, out);
        text_add(out, "lists of %ss", kind);
        break;
    }
    if (o->unit) text_add(out, " (%s)", o->unit);
}

enum { MOST_NAMES = 128 };

const char *option_nearest(const component *c, const char *key) {
    const char *names[MOST_NAMES + 1];
    int count = 0;
    for (const option *o = c->options; o && o->key && count < MOST_NAMES; o++) names[count++] = o->key;
    names[count] = NULL;
    return nearest_name(key, names);
}

const char *registry_nearest(const component *const *registry, const char *name) {
    const char *names[MOST_NAMES + 1];
    int count = 0;
    for (; registry && *registry && count < MOST_NAMES; registry++) names[count++] = (*registry)->name;
    names[count] = NULL;
    return nearest_name(name, names);
}

void option_names(const component *c, text *out) {
    for (const option *o = c->options; o && o->key; o++)
        text_add(out, "%s%s", o == c->options ? "" : ", ", o->key);
}

void registry_names(const component *const *registry, text *out) {
    for (const component *const *c = registry; c && *c; c++)
        text_add(out, "%s%s", c == registry ? "" : ", ", (*c)->name);
}
