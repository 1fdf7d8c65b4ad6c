// Loading experiments from text in tests, and looking at what came out.
#ifndef RUNEXP_TESTS_SUPPORT_CONFIG_LOAD_H
#define RUNEXP_TESTS_SUPPORT_CONFIG_LOAD_H

// The names of error.h before the macros of cmocka.
#include "config/config.h"
#include "support/config_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_OVERRIDES = 8 };

typedef struct loaded {
    arena *memory;
    config c;
    problems p;
    error err;
    status result;
    experiment_settings *s;
} loaded;

// What every experiment of these tables must say.
#define HEAD "name: x\ndataset: {source: a}\n"

// Loads text with overrides (NULL-terminated).
static inline loaded load_with(const char *yaml, const char *const *overrides) {
    loaded l = {.memory = arena_new()};
    int count = 0;
    while (overrides[count]) count++;
    l.result = config_load_text(&test_root, "x.yaml", yaml, strlen(yaml), overrides, count, l.memory, &l.c,
                                &l.p, &l.err);
    l.s = l.c.settings;
    return l;
}

#define load(yaml, ...) load_with(yaml, (const char *const[MOST_OVERRIDES + 1]){__VA_ARGS__})

static inline void done(loaded *l) {
    problems_free(&l->p);
    arena_free(l->memory);
}

static inline void print_all(const loaded *l) {
    char buffer[4096];
    for (int i = 0; i < l->p.count; i++)
        print_error("%s", error_text(&l->p.items[i].what, buffer, sizeof buffer));
}

static inline void assert_fine(const loaded *l) {
    if (l->result != OK) print_all(l);
    assert_int_equal(l->result, OK);
    assert_int_equal(l->p.count, 0);
}

// That there is exactly one problem, and what the user reads.
static inline void assert_one_problem(loaded *l, const char *expected) {
    char buffer[4096];
    if (l->p.count != 1) print_all(l);
    assert_int_equal(l->result, ERR_CONFIG);
    assert_int_equal(l->p.count, 1);
    assert_string_equal(error_text(&l->p.items[0].what, buffer, sizeof buffer), expected);
    done(l);
}

// That some problem's text contains a fragment.
static inline void assert_some_problem(const loaded *l, const char *fragment) {
    char buffer[4096];
    for (int i = 0; i < l->p.count; i++)
        if (strstr(error_text(&l->p.items[i].what, buffer, sizeof buffer), fragment)) return;
    print_error("not found: %s\n", fragment);
    print_all(l);
    fail_msg("a problem is missing");
}

#endif
