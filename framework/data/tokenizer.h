// Tokenizers: text to ids and back. A tokenizer is chosen by an experiment, built from the training text,
// and stored whole in every checkpoint, so that a model never meets a vocabulary it was not trained with.
#ifndef RUNEXP_DATA_TOKENIZER_H
#define RUNEXP_DATA_TOKENIZER_H

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/component.h"

#include <stdint.h>

typedef struct tokenizer tokenizer;

// What encoding met on the way.
typedef struct encoding {
    int32_t *ids; // in the arena given
    size_t count;
    size_t characters, bytes; // of the text that was encoded
    size_t unknown;           // tokens that stand for something outside the vocabulary
} encoding;

// Builds the chosen tokenizer (an OPTION_COMPONENT out of tokenizer_registry) for the given training text.
// Text that is not valid UTF-8 is an error naming `name` and line and column, unless the tokenizer says
// otherwise. Memory from a.
status tokenizer_build(const component_choice *choice, const char *name, const char *text, size_t length,
                       arena *a, tokenizer **out, error *err);

// Encodes text; name stands for it in messages.
status tokenizer_encode(const tokenizer *t, const char *name, const char *text, size_t length, arena *a,
                        encoding *out, error *err);

// Appends the bytes of one token to out. Byte-like tokens may give incomplete UTF-8: see utf8_stream in
// text display.
void tokenizer_decode(const tokenizer *t, int32_t id, text *out);

int tokenizer_vocabulary(const tokenizer *t); // number of ids
const char *tokenizer_name(const tokenizer *t);
// Characters and bytes that a token stands for (0 for one that stands for something unknown).
int tokenizer_characters(const tokenizer *t, int32_t id);
int tokenizer_bytes(const tokenizer *t, int32_t id);
// The id of unknown text, or -1 when the vocabulary has none.
int32_t tokenizer_unknown(const tokenizer *t);

// The tokenizer as text, and back: what a checkpoint stores. ERR_DATA when the text is damaged.
void tokenizer_save(const tokenizer *t, text *out);
status tokenizer_load(const char *saved, size_t length, arena *a, tokenizer **out, error *err);

extern const component *const tokenizer_registry[];

#endif
