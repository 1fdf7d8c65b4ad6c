// What tests of data/ share: a folder of their own, files in it, chosen components.
#ifndef RUNEXP_TESTS_SUPPORT_DATA_FIXTURE_H
#define RUNEXP_TESTS_SUPPORT_DATA_FIXTURE_H

#include "base/file.h"
#include "config/component.h"
#include "support/temporary_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> // last: it has a macro `fail`

typedef struct fixture {
    arena *a;
    char folder[64];
} fixture;

static int fixture_setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->a = arena_new();
    strcpy(f->folder, "/tmp/runexp-test-XXXXXX");
    if (!mkdtemp(f->folder)) return -1;
    *state = f;
    return 0;
}

static int fixture_teardown(void **state) {
    fixture *f = *state;
    temporary_folder_remove(f->folder);
    arena_free(f->a);
    free(f);
    return 0;
}

// The path of a name in the fixture's folder.
static inline char *fixture_path(fixture *f, const char *name) {
    return path_join(f->a, f->folder, name);
}

// Writes a file (with its folders) and returns its path.
static inline char *fixture_file(fixture *f, const char *name, const char *content) {
    error err;
    char *path = fixture_path(f, name);
    assert_int_equal(folder_create(path_folder(f->a, path), &err), OK);
    assert_int_equal(file_write(path, content, strlen(content), &err), OK);
    return path;
}

// Sets an OPTION_CHOICE or OPTION_BOOL of a component's settings by key and word.
static inline void fixture_set(component_choice *choice, const char *key, const char *word) {
    for (const option *o = choice->about->options; o->key; o++) {
        if (strcmp(o->key, key) != 0) continue;
        char *at = (char *)choice->settings + o->offset;
        if (o->type == OPTION_BOOL) {
            *(bool *)at = strcmp(word, "true") == 0;
            return;
        }
        for (int i = 0; o->choices[i]; i++)
            if (strcmp(o->choices[i], word) == 0) {
                *(int *)at = i;
                return;
            }
    }
    fail_msg("no setting %s: %s", key, word);
}

// A component of a registry with its default settings.
static inline component_choice fixture_choice(fixture *f, const component *const *registry,
                                              const char *name) {
    for (; *registry; registry++) {
        if (strcmp((*registry)->name, name) != 0) continue;
        component_choice choice = {.about = *registry,
                                   .settings = arena_alloc(f->a, (*registry)->settings_size)};
        for (const option *o = choice.about->options; o->key; o++)
            fixture_set(&choice, o->key, o->fallback);
        return choice;
    }
    fail_msg("no component %s", name);
    return (component_choice){0};
}

#define assert_mentions(text, words)                                                                       \
    do {                                                                                                   \
        if (!strstr((text), (words))) fail_msg("\"%s\" does not mention \"%s\"", (text), (words));         \
    } while (0)

#endif
