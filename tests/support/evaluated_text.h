// For tests of evaluation: a model over an alphabet, and random text for it.
#ifndef RUNEXP_TESTS_SUPPORT_EVALUATED_TEXT_H
#define RUNEXP_TESTS_SUPPORT_EVALUATED_TEXT_H

#include "support/alphabet.h"
#include "support/model.h"

#include <stdlib.h>

typedef struct evaluated_text {
    arena *memory;
    tokenizer *letters;
    test_model t;
    int32_t *tokens;
} evaluated_text;

// As a fixture of cmocka: *state becomes the text of `length` tokens. Free with evaluated_text_close.
static inline int evaluated_text_open(void **state, const char *yaml, int vocabulary, int block_size,
                                      int length) {
    evaluated_text *f = calloc(1, sizeof *f);
    f->memory = arena_new();
    f->letters = test_alphabet(f->memory);
    f->t = test_model_new(yaml, vocabulary, block_size, 0.1);
    f->tokens = arena_alloc(f->memory, (size_t)length * sizeof *f->tokens);
    test_tokens(1, length, vocabulary, f->tokens);
    *state = f;
    return 0;
}

static inline int evaluated_text_close(void **state) {
    evaluated_text *f = *state;
    test_model_free(&f->t);
    arena_free(f->memory);
    free(f);
    return 0;
}

#endif
