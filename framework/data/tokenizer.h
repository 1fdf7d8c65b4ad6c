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

// A part of a text: bytes [begin, end) of what `name` holds. Messages count lines and columns from
// bytes[0], so that a part out of the middle of a file is reported where it stands in that file.
typedef struct text_part {
    const char *name, *bytes;
    size_t begin, end;
} text_part;

// The result of encoding.
typedef struct encoding {
    int32_t *ids; // in the arena given
    size_t count;
    size_t characters, bytes; // of the text that was encoded
    // Characters outside the vocabulary, whether they became the unknown id, bytes or nothing, and the
    // bytes of their UTF-8.
    size_t unknown, unknown_bytes;
} encoding;

// Builds the chosen tokenizer (an OPTION_COMPONENT out of tokenizer_registry) for the given training text.
// `rest` is the other text of the dataset (validation, test): nothing is learned from it, it only decides
// whether an id for unknown characters is needed. Text that is not valid UTF-8 is ERR_DATA naming the part,
// line and column, unless the tokenizer says otherwise. Memory from a.
status tokenizer_build(const component_choice *choice, const text_part *training, int training_count,
                       const text_part *rest, int rest_count, arena *a, tokenizer **out, error *err);

// Encodes text; name stands for it in messages.
status tokenizer_encode(const tokenizer *t, const char *name, const char *bytes, size_t length, arena *a,
                        encoding *out, error *err);

// Encodes several parts, one after the other, into one sequence.
status tokenizer_encode_parts(const tokenizer *t, const text_part *parts, int count, arena *a,
                              encoding *out, error *err);

// Appends the bytes of one token to out. Byte-like tokens may give incomplete UTF-8.
void tokenizer_decode(const tokenizer *t, int32_t id, text *out);

int tokenizer_vocabulary(const tokenizer *t); // number of ids
const char *tokenizer_name(const tokenizer *t);
// Characters of a text that a token stands for, known or not. Of the bytes of a character that is spelled
// in byte tokens, the first counts as the character.
int tokenizer_characters(const tokenizer *t, int32_t id);
// Bytes of the UTF-8 that a token stands for; 0 for the unknown id, which stands for characters of any
// length.
int tokenizer_bytes(const tokenizer *t, int32_t id);
// The id of unknown text, or -1 when the vocabulary has none.
int32_t tokenizer_unknown(const tokenizer *t);
// Nats that it takes to say which character an unknown id stands for, when all code points outside the
// vocabulary are equally likely: with them, the bits of a text with unknown characters are those of a code
// that loses nothing, and compare with other tokenizers'. 0 without an unknown id.
double tokenizer_unknown_nats(const tokenizer *t);

// Appends to out the characters of a text that the vocabulary lacks, each once with its first place:
// "é" (U+00E9) at character 5, "ł" (U+0142) at character 9. Returns how many characters of the text are
// such (repetitions included); with 0 nothing is appended.
size_t tokenizer_unknown_characters(const tokenizer *t, const char *bytes, size_t length, text *out);

// The tokenizer as text, and back: what a checkpoint stores. ERR_DATA when the text is damaged. The text is
// a line "tokenizer NAME VERSION" and what that tokenizer needs, readable and comparable line by line.
void tokenizer_save(const tokenizer *t, text *out);
status tokenizer_load(const char *saved, size_t length, arena *a, tokenizer **out, error *err);

extern const component *const tokenizer_registry[];

#endif
