// Components and their settings: the declaration from which parsing, checks, messages, defaults, `show`,
// `describe` and the JSON Schema are derived.
//
// A component (a layer, an optimizer, a schedule, a tokenizer, a section of the experiment file, ...) is
// one static struct whose first member is a `component`. Its settings are a plain C struct. Each row of its
// option table declares one member: key, type, default, range, documentation. config/settings.h has the
// macros that rows are written with.
#ifndef RUNEXP_CONFIG_COMPONENT_H
#define RUNEXP_CONFIG_COMPONENT_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a setting may be, and the C type of the member that it fills (config/settings.h checks it).
typedef enum option_type {
    OPTION_BOOL,       // bool                true | false
    OPTION_INT,        // int64_t             within the range
    OPTION_REAL,       // double              within the range
    OPTION_STRING,     // const char *        NULL when absent
    OPTION_CHOICE,     // int                 index into choices
    OPTION_REALS,      // real_list           min_count..max_count numbers, each within the range
    OPTION_DURATION,   // duration            steps within the range, or "N epochs" (config/duration.h)
    OPTION_DURATIONS,  // duration_list       min_count..max_count of them
    OPTION_STRINGS,    // string_list         a string, or a list of min_count..max_count strings
    OPTION_SECTION,    // its settings        a mapping with a table of its own
    OPTION_COMPONENT,  // component_choice    {type: NAME, its settings} or NAME, from a registry
    OPTION_COMPONENTS, // component_list      a list of NAME or {NAME: {its settings}}, from a registry
    OPTION_BRANCHES,   // component_branches  a list of such lists
    OPTION_VARIABLES,  // nothing             variables for ${...}, all of which must be used; root only
} option_type;

typedef struct component component;

typedef struct option {
    const char *key;
    option_type type;
    size_t offset;        // offsetof(settings struct, member)
    const char *fallback; // the default as a user would write it; NULL: required or optional
    bool required;
    double min, max; // the range of numbers; infinite: no such end
    bool min_excluded, max_excluded;
    // Strings: one with / . * ? or [ in it is a path, made absolute unless it begins with ~/.
    bool may_be_path;
    const char *const *choices;       // OPTION_CHOICE: NULL-terminated
    const component *const *registry; // OPTION_COMPONENT(S), OPTION_BRANCHES: NULL-terminated
    const component *section;         // OPTION_SECTION
    int min_count, max_count;         // lists; max_count 0: any number
    const char *unit;                 // "steps", "tokens", ...; may be NULL
    const char *doc;                  // one line, no final full stop
} option;

struct component {
    const char *name;
    const char *kind;      // "layer", "optimizer", "schedule", "tokenizer", "section", ...
    const char *summary;   // one line, no final full stop
    const char *paper;     // where it comes from ("arXiv 1706.03762"); may be NULL
    const char *details;   // a paragraph or two for `describe`; may be NULL
    const char *example;   // a YAML fragment for `describe`; may be NULL
    const option *options; // ends with a row whose key is NULL
    size_t settings_size;
};

typedef struct real_list {
    double *values;
    int count;
} real_list;

// A number of steps of training; given in epochs, it has its steps once the text is there
// (config/duration.h).
typedef struct duration {
    int64_t steps;
    double epochs; // 0: given in steps
} duration;

typedef struct duration_list {
    duration *values;
    int count;
} duration_list;

typedef struct string_list {
    const char **values;
    int count;
} string_list;

// Adds a string, which is not copied, to a list that was empty before this function began to fill it.
void string_list_add(string_list *list, const char *string, arena *a);

// A chosen component: its declaration, its settings (about->settings_size bytes) and its place in the file.
// node is the mapping it was read from, for problem_place (config/problems.h).
typedef struct component_choice {
    const component *about;
    void *settings;
    place where;
    const struct node *node;
} component_choice;

typedef struct component_list {
    component_choice *items;
    int count;
} component_list;

typedef struct component_branches {
    component_list *lists;
    int count;
} component_branches;

#endif
