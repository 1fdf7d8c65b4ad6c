// For tests: a character tokenizer of 26 letters, space and line end, and one more id for the unknown.
#ifndef RUNEXP_TESTS_SUPPORT_ALPHABET_H
#define RUNEXP_TESTS_SUPPORT_ALPHABET_H

#include "support/settings.h"

#include "data/tokenizer.h"

static inline tokenizer *test_alphabet(arena *a) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz \n";
    error err = {0};
    tokenizer *t;
    const component_choice choice = settings_choose(tokenizer_registry, "{type: char, unknown: unk}", a);
    const text_part all = {.name = "letters", .bytes = letters, .end = sizeof letters - 1};
    if (tokenizer_build(&choice, &all, 1, NULL, 0, a, &t, &err) == OK) return t;
    fprintf(stderr, "%s\n", err.message);
    abort();
}

#endif
