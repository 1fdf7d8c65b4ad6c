// For tests: settings read from YAML as an experiment's would be.
#ifndef RUNEXP_TESTS_SUPPORT_SETTINGS_H
#define RUNEXP_TESTS_SUPPORT_SETTINGS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

enum { STEPS_PER_EPOCH = 10 };

// Reads YAML with the options of root; its settings, in memory of the arena. Ends the program on any
// problem. An epoch has STEPS_PER_EPOCH.
static inline void *settings_read(const component *root, const char *yaml, arena *a) {
    config *loaded = arena_alloc(a, sizeof *loaded);
    problems found = {0};
    error err = {0};
    if (config_load_text(root, "test", yaml, strlen(yaml), NULL, 0, a, loaded, &found, &err) == OK &&
        durations_count_epochs(&loaded->in_epochs, STEPS_PER_EPOCH, &err) == OK) {
        problems_free(&found);
        return loaded->settings;
    }
    char message[4096];
    for (int i = 0; i < found.count; i++)
        fprintf(stderr, "%s\n", error_text(&found.items[i].what, message, sizeof message));
    fprintf(stderr, "cannot read settings: %s\n%s\n", error_text(&err, message, sizeof message), yaml);
    abort();
}

// A component out of a registry: "{type: adamw, lr: 0.1}".
static inline component_choice settings_choose(const component *const *registry, const char *yaml,
                                               arena *a) {
    option *rows = arena_alloc(a, 2 * sizeof *rows);
    rows[0] = (option){.key = "chosen",
                       .type = OPTION_COMPONENT,
                       .registry = registry,
                       .required = true,
                       .doc = "the component under test"};
    component *root = arena_alloc(a, sizeof *root);
    *root = (component){.name = "test",
                        .kind = "section",
                        .summary = "a component under test",
                        .options = rows,
                        .settings_size = sizeof(component_choice)};
    return *(component_choice *)settings_read(root, arena_format(a, "chosen: %s\n", yaml), a);
}

#endif
