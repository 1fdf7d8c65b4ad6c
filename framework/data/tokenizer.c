#include "data/tokenizer_type.h"

#include <stdio.h>
#include <string.h>

const component *const tokenizer_registry[] = {
    &tokenizer_char.about,
    &tokenizer_byte.about,
    NULL,
};

// about is the first member of every tokenizer_type.
static const tokenizer_type *type_of(const component *about) {
    return (const tokenizer_type *)about;
}

status tokenizer_build(const component_choice *choice, const text_part *training, int training_count,
                       const text_part *rest, int rest_count, arena *a, tokenizer **out, error *err) {
    const tokenizer_type *type = type_of(choice->about);
    TRY(type->build(choice->settings, training, training_count, rest, rest_count, a, out, err));
    (*out)->type = type;
    return OK;
}

status tokenizer_encode_parts(const tokenizer *t, const text_part *parts, int count, arena *a,
                              encoding *out, error *err) {
    size_t room = 0;
    for (int i = 0; i < count; i++) room += parts[i].end - parts[i].begin;
    *out = (encoding){.ids = arena_alloc(a, room * sizeof *out->ids)};
    for (int i = 0; i < count; i++) TRY(t->type->encode(t, &parts[i], out, err));
    return OK;
}

status tokenizer_encode(const tokenizer *t, const char *name, const char *bytes, size_t length, arena *a,
                        encoding *out, error *err) {
    const text_part whole = {name, bytes, 0, length};
    return tokenizer_encode_parts(t, &whole, 1, a, out, err);
}

void tokenizer_decode(const tokenizer *t, int32_t id, text *out) {
    t->type->decode(t, id, out);
}

int tokenizer_vocabulary(const tokenizer *t) {
    return t->vocabulary;
}

const char *tokenizer_name(const tokenizer *t) {
    return t->type->about.name;
}

int tokenizer_characters(const tokenizer *t, int32_t id) {
    return t->type->characters(t, id);
}

int tokenizer_bytes(const tokenizer *t, int32_t id) {
    return t->type->bytes(t, id);
}

int32_t tokenizer_unknown(const tokenizer *t) {
    return t->unknown;
}

double tokenizer_unknown_nats(const tokenizer *t) {
    return t->unknown_nats;
}

size_t tokenizer_unknown_characters(const tokenizer *t, const char *bytes, size_t length, text *out) {
    enum { LISTED = 10 };
    uint32_t listed[LISTED];
    size_t unknown = 0, position = 0;
    int distinct = 0;
    bool more = false;
    if (!t->type->knows) return 0;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        int size = utf8_decode(bytes + i, length - i, &c);
        if (size == 0) c = 0xFFFD, size = 1;
        i += (size_t)size;
        position++;
        if (t->type->knows(t, c)) continue;
        unknown++;
        bool repeated = false;
        for (int k = 0; k < distinct; k++) repeated |= listed[k] == c;
        if (repeated) continue;
        if (distinct == LISTED) {
            if (!more) text_add(out, ", and others");
            more = true;
            continue;
        }
        char name[32];
        text_add(out, "%s%s at character %zu", distinct ? ", " : "", character_name(c, name), position);
        listed[distinct++] = c;
    }
    return unknown;
}

void tokenizer_save(const tokenizer *t, text *out) {
    text_add(out, "tokenizer %s %d\n", t->type->about.name, t->type->version);
    t->type->save(t, out);
}

status tokenizer_load(const char *saved, size_t length, arena *a, tokenizer **out, error *err) {
    line_reader reader = {.at = saved, .end = saved + length, .lines = arena_new()};
    const tokenizer_type *type = NULL;
    char name[32];
    int version = 0, used = 0;
    status result = OK;
    if (!line_read(&reader) || sscanf(reader.line, "tokenizer %31s %9d%n", name, &version, &used) != 2 ||
        reader.line[used] != '\0') {
        reader.number = 1;
        result = line_damaged(&reader, "\"tokenizer\", a name and a version", err);
    } else {
        for (int i = 0; tokenizer_registry[i]; i++)
            if (strcmp(tokenizer_registry[i]->name, name) == 0) type = type_of(tokenizer_registry[i]);
        if (!type || version != type->version) {
            fail(err, ERR_DATA,
                 "the stored tokenizer is a \"%s\" of version %d, which this program cannot read", name,
                 version);
            result = error_hint(err, "use the version of runexp that wrote it");
        } else {
            result = type->load(&reader, a, out, err);
            if (result == OK && line_read(&reader)) result = line_damaged(&reader, "the end", err);
        }
    }
    arena_free(reader.lines);
    if (result == OK) (*out)->type = type;
    return result;
}

place text_part_place(const text_part *part, size_t offset) {
    place where = {.file = part->name, .line = 1, .column = 1};
    for (size_t i = 0; i < offset; i++) {
        if (part->bytes[i] == '\n') {
            where.line++;
            where.column = 1;
        } else {
            where.column += ((unsigned char)part->bytes[i] & 0xC0) != 0x80;
        }
    }
    return where;
}

char *character_name(uint32_t code_point, char buffer[32]) {
    bool visible = code_point > 0x20 && code_point != 0x7F && !(code_point >= 0x80 && code_point <= 0xA0);
    if (!visible) {
        snprintf(buffer, 32, "U+%04X", (unsigned)code_point);
        return buffer;
    }
    char bytes[5] = {0};
    utf8_encode(code_point, bytes);
    snprintf(buffer, 32, "\"%s\" (U+%04X)", bytes, (unsigned)code_point);
    return buffer;
}

bool line_read(line_reader *r) {
    if (r->at == r->end) return false;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *stop = newline ? newline : r->end;
    r->line = arena_copy_bytes(r->lines, r->at, (size_t)(stop - r->at));
    r->at = newline ? newline + 1 : r->end;
    r->number++;
    return true;
}

status line_damaged(const line_reader *r, const char *expected, error *err) {
    return fail(err, ERR_DATA, "the stored tokenizer is damaged: line %d should be %s", r->number,
                expected);
}
