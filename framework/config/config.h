// From experiment file and overrides to checked settings: the whole of config/ behind four functions.
#ifndef RUNEXP_CONFIG_CONFIG_H
#define RUNEXP_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/component.h"
#include "config/node.h"
#include "config/problems.h"

// A loaded and checked experiment. All memory belongs to the arena given to config_load.
typedef struct config {
    node *root;     // resolved: every option of every section present, no ${...} left, extends gone
    void *settings; // of root component's settings_size, filled by its option tables
    const char *path;
    string_list overrides; // as given, in order
    string_list notes;     // what was adjusted and why (settings of a replaced `type` that were dropped)
} config;

// Reads an experiment: YAML text with `extends` (a path or a list of paths, each merged under the file),
// overrides
// ("key.path=value", value in YAML notation, also into lists by index), references ${a.b}, defaults, types,
// ranges, unknown and duplicate keys, unused variables. Every problem found is added to p; returns
// ERR_CONFIG when there was at least one (err then summarises), ERR_IO when the file itself cannot be read.
// `root` describes the top level of the file.
status config_load(const component *root, const char *path, const char *const *overrides,
                   int override_count, arena *a, config *out, problems *p, error *err);

// The same from text in memory (a checkpoint's stored configuration). name stands for the path in messages.
status config_load_text(const component *root, const char *name, const char *yaml, size_t length,
                        const char *const *overrides, int override_count, arena *a, config *out,
                        problems *p, error *err);

// Writes the resolved experiment as YAML that loads to the same settings. With annotate each value is
// followed by a comment: type, default, origin.
void config_write(const config *c, const component *root, bool annotate, text *out);

// One line per setting in which two resolved experiments differ: "key.path: a -> b". Keys named in ignore
// (NULL-terminated, dotted) are passed over. Returns the number of differences.
int config_difference(const config *a, const config *b, const char *const *ignore, text *out);

// JSON Schema (draft 2020-12) of experiment files, with extends, references and shorthands allowed where
// config_load allows them.
void config_schema(const component *root, text *out);

// The reference page of a component: summary, paper, details, settings with type, default, range and doc,
// example.
void component_describe(const component *c, text *out);

#endif
