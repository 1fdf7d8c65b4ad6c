// From experiment file and overrides to checked settings: what other folders use of config/.
#ifndef RUNEXP_CONFIG_CONFIG_H
#define RUNEXP_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/component.h"
#include "config/duration.h"
#include "config/node.h"
#include "config/problems.h"

// A loaded and checked experiment. All memory belongs to the arena given to config_load.
typedef struct config {
    node *root;     // resolved: every setting present, references replaced, extends removed
    void *settings; // the settings struct of the root component
    const char *path;
    string_list overrides;     // as given, in order
    string_list notes;         // what was ignored and why, such as settings of a type that was replaced
    epochs_settings in_epochs; // settings that are given in epochs
} config;

// Loads an experiment: reads the file and the files it extends, applies overrides ("key.path=value", the
// value in YAML; a number in the path is an index into a list), replaces references ${a.b}, fills in
// defaults, and checks types, ranges, unknown and duplicate keys and unused variables. `root` describes the
// top level of the file. What a file extends is found relative to that file, then in the folder `library`,
// which may be NULL. All problems are added to p. Returns ERR_CONFIG if there was any (err then gives
// their number), ERR_IO if the file itself cannot be read.
status config_load(const component *root, const char *path, const char *library,
                   const char *const *overrides, int override_count, arena *a, config *out, problems *p,
                   error *err);

// The same from text in memory (a checkpoint's stored configuration), without a library. name is shown in
// place of its path.
status config_load_text(const component *root, const char *name, const char *yaml, size_t length,
                        const char *const *overrides, int override_count, arena *a, config *out,
                        problems *p, error *err);

// Writes the resolved experiment as YAML that loads to the same settings. With annotate each value is
// followed by a comment: type, default, origin. Comments are wrapped to fit `columns` columns (0: there is
// no limit); values are whole always.
void config_write(const config *c, bool annotate, int columns, text *out);

// One line per setting in which two resolved experiments differ: "key.path: a -> b". Keys named in ignore
// (NULL-terminated, dotted) are skipped. Returns the number of differences.
int config_difference(const config *a, const config *b, const char *const *ignore, text *out);

// JSON Schema (draft 2020-12) of experiment files. It allows extends, references and shorthands wherever
// config_load does.
void config_schema(const component *root, text *out);

// The reference page of a component: summary, paper, details, settings with type, default, range and doc,
// example. In at most `columns` columns, of which 100 are used; 0: 100.
void component_describe(const component *c, int columns, text *out);

#endif
