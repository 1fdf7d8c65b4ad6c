// What a kind of tokenizer provides, and what they share. Included by the tokenizers only; everybody else
// uses tokenizer.h. A new tokenizer is one file with one static tokenizer_type, and a line in the registry
// of tokenizer.c.
#ifndef RUNEXP_DATA_TOKENIZER_TYPE_H
#define RUNEXP_DATA_TOKENIZER_TYPE_H

#include "data/tokenizer.h"

// Reads saved text line by line; the first line has number 1.
typedef struct line_reader {
    const char *at, *end;
    int number;   // of the line last read
    char *line;   // the line last read, without its newline
    arena *lines; // where lines are copied to
} line_reader;

typedef struct tokenizer_type {
    component about;
    int version; // of the saved form

    // settings: the struct of about's option table. Leaves base.type to tokenizer_build.
    status (*build)(const void *settings, const text_part *training, int training_count,
                    const text_part *rest, int rest_count, arena *a, tokenizer **out, error *err);
    // Appends ids to out->ids, which has room for one id a byte, and adds to out's counts.
    status (*encode)(const tokenizer *t, const text_part *part, encoding *out, error *err);
    void (*decode)(const tokenizer *t, int32_t id, text *out);
    int (*characters)(const tokenizer *t, int32_t id);
    int (*bytes)(const tokenizer *t, int32_t id);
    // Whether the vocabulary has this character as a token; NULL: there are no unknown characters.
    bool (*knows)(const tokenizer *t, uint32_t code_point);
    void (*save)(const tokenizer *t, text *out);                               // after the first line
    status (*load)(line_reader *saved, arena *a, tokenizer **out, error *err); // after the first line
} tokenizer_type;

// The first member of every tokenizer.
struct tokenizer {
    const tokenizer_type *type;
    int vocabulary;
    int32_t unknown;     // -1: none
    double unknown_nats; // see tokenizer_unknown_nats
};

extern const tokenizer_type tokenizer_char, tokenizer_byte;

// The place of part->bytes[offset]; columns count characters.
place text_part_place(const text_part *part, size_t offset);

// A character as messages name it: "é" (U+00E9), or U+0007 alone when it cannot be seen. Returns buffer.
char *character_name(uint32_t code_point, char buffer[32]);

// The next line into r->line; false at the end of the text.
bool line_read(line_reader *r);

// ERR_DATA: line r->number of a saved tokenizer is not what it should be.
status line_damaged(const line_reader *r, const char *expected, error *err);

#endif
