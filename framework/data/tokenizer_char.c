// Unicode characters as tokens. The vocabulary is the set of code points of the training text in increasing
// order, so that ordinary text gets the ids that nanoGPT's prepare.py gives it.
//
// Ids: the unknown id when there is one (0), then the characters, then with `unknown: bytes` 256 byte
// tokens.
#include "config/settings.h"
#include "data/tokenizer_type.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_POINTS = 0x110000, PAGE = 256, REPLACEMENT = 0xFFFD };

typedef enum unknown_policy {
    UNKNOWN_AUTO, // only as a setting: a built tokenizer has UNKNOWN_ID or UNKNOWN_ERROR
    UNKNOWN_ERROR,
    UNKNOWN_ID,
    UNKNOWN_SKIP,
    UNKNOWN_BYTES
} unknown_policy;

typedef struct char_settings {
    int unknown; // unknown_policy
    int errors;  // 0 fail, 1 replace
} char_settings;

static const char *const unknown_choices[] = {"auto", "error", "unk", "skip", "bytes", NULL};
static const char *const errors_choices[] = {"fail", "replace", NULL};

typedef struct char_tokenizer {
    tokenizer base;
    unknown_policy unknown;
    bool replace;                       // invalid UTF-8 becomes U+FFFD
    int count;                          // of characters
    uint32_t *characters;               // in increasing order
    int32_t first;                      // id of characters[0]
    int32_t *pages[CODE_POINTS / PAGE]; // code point -> id, -1 outside the vocabulary; NULL: a page of -1
} char_tokenizer;

static int32_t id_of(const char_tokenizer *t, uint32_t c) {
    const int32_t *page = t->pages[c / PAGE];
    return page ? page[c % PAGE] : -1;
}

// Whether the text begins with the byte order mark of UTF-16.
static bool is_utf16(const text_part *part) {
    return part->end >= 2 &&
           (memcmp(part->bytes, "\xFF\xFE", 2) == 0 || memcmp(part->bytes, "\xFE\xFF", 2) == 0);
}

// Decodes the character at bytes[at]; returns its length. Invalid UTF-8 is one character U+FFFD a byte, or
// an error.
static int next_character(const text_part *part, size_t at, bool replace, uint32_t *c, error *err) {
    unsigned char byte = (unsigned char)part->bytes[at];
    if (byte < 0x80) {
        *c = byte;
        return 1;
    }
    int length = utf8_decode(part->bytes + at, part->end - at, c);
    if (length > 0) return length;
    if (replace) {
        *c = REPLACEMENT;
        return 1;
    }
    fail_at(err, ERR_DATA, text_part_place(part, at), "byte 0x%02X does not belong to valid UTF-8", byte);
    if (is_utf16(part))
        error_hint(err, "it is UTF-16: convert it with iconv -f UTF-16 -t UTF-8");
    else
        error_hint(err,
                   "convert the text to UTF-8 (iconv -f LATIN1 -t UTF-8), or set dataset.tokenizer.errors "
                   "to replace, or use the byte tokenizer");
    return 0;
}

// Numbers the characters and fills the table of pages; t->characters, count and unknown are given.
static void complete(char_tokenizer *t, arena *a) {
    t->base.unknown = t->unknown == UNKNOWN_ID ? 0 : -1;
    t->base.unknown_nats = t->unknown == UNKNOWN_ID ? log(CODE_POINTS - t->count) : 0;
    t->first = t->unknown == UNKNOWN_ID ? 1 : 0;
    t->base.vocabulary = t->first + t->count + (t->unknown == UNKNOWN_BYTES ? 256 : 0);
    for (int i = 0; i < t->count; i++) {
        int32_t **page = &t->pages[t->characters[i] / PAGE];
        if (!*page) {
            *page = arena_alloc(a, PAGE * sizeof **page);
            memset(*page, 0xFF, PAGE * sizeof **page);
        }
        (*page)[t->characters[i] % PAGE] = t->first + i;
    }
}

// --- building

typedef struct code_point_set {
    uint64_t words[CODE_POINTS / 64];
} code_point_set;

// Adds the characters of a part to set; with only_compare, adds nothing and returns whether one is missing.
static status collect(const text_part *part, bool replace, code_point_set *set, bool only_compare,
                      bool *missing, error *err) {
    for (size_t i = part->begin; i < part->end;) {
        uint32_t c;
        int length = next_character(part, i, replace, &c, err);
        if (length == 0) return err->code;
        i += (size_t)length;
        uint64_t *word = &set->words[c / 64], bit = (uint64_t)1 << c % 64;
        if (!only_compare)
            *word |= bit;
        else if (!(*word & bit))
            *missing = true;
    }
    return OK;
}

static status char_build(const void *settings, const text_part *training, int training_count,
                         const text_part *rest, int rest_count, arena *a, tokenizer **out, error *err) {
    const char_settings *s = settings;
    char_tokenizer *t = arena_alloc(a, sizeof *t);
    t->unknown = (unknown_policy)s->unknown;
    t->replace = s->errors == 1;

    code_point_set *set = memory_alloc(sizeof *set);
    bool missing = false;
    status result = OK;
    for (int i = 0; i < training_count && result == OK; i++)
        result = collect(&training[i], t->replace, set, false, NULL, err);
    for (int i = 0; i < rest_count && result == OK; i++)
        result = collect(&rest[i], t->replace, set, true, &missing, err);
    if (result == OK) {
        for (int i = 0; i < CODE_POINTS / 64; i++) t->count += __builtin_popcountll(set->words[i]);
        t->characters = arena_alloc(a, (size_t)t->count * sizeof *t->characters);
        int n = 0;
        for (uint32_t c = 0; c < CODE_POINTS; c++)
            if (set->words[c / 64] >> c % 64 & 1) t->characters[n++] = c;
        if (t->unknown == UNKNOWN_AUTO) t->unknown = missing ? UNKNOWN_ID : UNKNOWN_ERROR;
        complete(t, a);
        *out = &t->base;
    }
    free(set);
    return result;
}

// --- encoding, decoding

static status char_encode(const tokenizer *base, const text_part *part, encoding *out, error *err) {
    const char_tokenizer *t = (const char_tokenizer *)base;
    int32_t *ids = out->ids;
    size_t count = out->count, characters = 0, unknown = 0, unknown_bytes = 0;
    for (size_t i = part->begin; i < part->end;) {
        uint32_t c;
        int length = next_character(part, i, t->replace, &c, err);
        if (length == 0) return err->code;
        int32_t id = id_of(t, c);
        if (id >= 0) {
            ids[count++] = id;
        } else {
            unknown++;
            unknown_bytes += (size_t)utf8_length(c);
            if (t->unknown == UNKNOWN_ID) {
                ids[count++] = t->base.unknown;
            } else if (t->unknown == UNKNOWN_BYTES) {
                for (int k = 0; k < length; k++)
                    ids[count++] = t->first + t->count + (unsigned char)part->bytes[i + (size_t)k];
            } else if (t->unknown != UNKNOWN_SKIP) {
                char name[32];
                fail_at(err, ERR_DATA, text_part_place(part, i),
                        "the character %s is not in the vocabulary", character_name(c, name));
                return error_hint(err, "the training text does not have it: leave it out, or train with "
                                       "dataset.tokenizer.unknown set to unk, skip or bytes");
            }
        }
        i += (size_t)length;
        characters++;
    }
    out->count = count;
    out->characters += characters;
    out->bytes += part->end - part->begin;
    out->unknown += unknown;
    out->unknown_bytes += unknown_bytes;
    return OK;
}

typedef enum token_kind { TOKEN_UNKNOWN, TOKEN_CHARACTER, TOKEN_BYTE } token_kind;

// *value is the code point or the byte.
static token_kind look_up(const char_tokenizer *t, int32_t id, uint32_t *value) {
    if (id < t->first) return TOKEN_UNKNOWN;
    if (id < t->first + t->count) {
        *value = t->characters[id - t->first];
        return TOKEN_CHARACTER;
    }
    *value = (uint32_t)(id - t->first - t->count);
    return TOKEN_BYTE;
}

static void char_decode(const tokenizer *base, int32_t id, text *out) {
    uint32_t value = REPLACEMENT;
    char bytes[4];
    if (look_up((const char_tokenizer *)base, id, &value) == TOKEN_BYTE)
        text_add_bytes(out, &(char){(char)value}, 1);
    else
        text_add_bytes(out, bytes, (size_t)utf8_encode(value, bytes));
}

static int char_characters(const tokenizer *base, int32_t id) {
    uint32_t value = 0;
    switch (look_up((const char_tokenizer *)base, id, &value)) {
    case TOKEN_CHARACTER:
        return 1;
    case TOKEN_BYTE:
        return (value & 0xC0) != 0x80;
    default:
        return 1; // the unknown id: each stands for one character of the text
    }
}

static int char_bytes(const tokenizer *base, int32_t id) {
    uint32_t value = 0;
    switch (look_up((const char_tokenizer *)base, id, &value)) {
    case TOKEN_CHARACTER:
        return utf8_length(value);
    case TOKEN_BYTE:
        return 1;
    default:
        return 0;
    }
}

static bool char_knows(const tokenizer *base, uint32_t code_point) {
    return id_of((const char_tokenizer *)base, code_point) >= 0;
}

// --- the saved form

// unknown POLICY, errors WHAT, characters COUNT, then one code point a line, in hexadecimal.
static void char_save(const tokenizer *base, text *out) {
    const char_tokenizer *t = (const char_tokenizer *)base;
    text_add(out, "unknown %s\nerrors %s\ncharacters %d\n", unknown_choices[t->unknown],
             errors_choices[t->replace], t->count);
    for (int i = 0; i < t->count; i++) text_add(out, "%X\n", (unsigned)t->characters[i]);
}

// Reads a line "KEY WORD" and returns the word, or NULL.
static const char *read_word(line_reader *r, const char *key) {
    if (!line_read(r)) {
        r->number++;
        return NULL;
    }
    size_t length = strlen(key);
    return strncmp(r->line, key, length) == 0 && r->line[length] == ' ' ? r->line + length + 1 : NULL;
}

static int index_of(const char *const *choices, const char *word) {
    for (int i = 0; word && choices[i]; i++)
        if (strcmp(choices[i], word) == 0) return i;
    return -1;
}

static bool read_code_point(line_reader *r, uint32_t *c) {
    if (!line_read(r)) {
        r->number++;
        return false;
    }
    size_t length = strlen(r->line);
    if (length == 0 || length > 6 || strspn(r->line, "0123456789ABCDEF") != length) return false;
    *c = (uint32_t)strtoul(r->line, NULL, 16);
    return *c < CODE_POINTS && !(*c >= 0xD800 && *c <= 0xDFFF);
}

static status char_load(line_reader *saved, arena *a, tokenizer **out, error *err) {
    char_tokenizer *t = arena_alloc(a, sizeof *t);
    int policy = index_of(unknown_choices, read_word(saved, "unknown"));
    if (policy <= UNKNOWN_AUTO)
        return line_damaged(saved, "\"unknown\" and error, unk, skip or bytes", err);
    t->unknown = (unknown_policy)policy;

    int errors = index_of(errors_choices, read_word(saved, "errors"));
    if (errors < 0) return line_damaged(saved, "\"errors\" and fail or replace", err);
    t->replace = errors == 1;

    const char *word = read_word(saved, "characters");
    int64_t count;
    if (!word || !text_to_int(word, &count) || count < 1 || count > CODE_POINTS)
        return line_damaged(saved, "\"characters\" and their number", err);
    // Each takes a line of two bytes at least: a damaged number cannot lead to a larger allocation than
    // the text justifies.
    if (count > saved->end - saved->at) return line_damaged(saved, "a number that fits the length", err);

    t->characters = arena_alloc(a, (size_t)count * sizeof *t->characters);
    for (; t->count < count; t->count++) {
        uint32_t *c = &t->characters[t->count];
        if (!read_code_point(saved, c) || (t->count > 0 && *c <= c[-1]))
            return line_damaged(saved, "a code point in hexadecimal, greater than the one before", err);
    }
    complete(t, a);
    *out = &t->base;
    return OK;
}

// --- the declaration

#define SETTINGS char_settings
static const option options[] = {
    CHOICE(unknown, "auto", unknown_choices,
           "characters that the training text lacks: error, unk (one id), skip, bytes (a token per byte); "
           "auto: unk if other splits have such characters, else error"),
    CHOICE(errors, "fail", errors_choices,
           "bytes that are not valid UTF-8: fail, or replace them by U+FFFD"),
    {0},
};
#undef SETTINGS

const tokenizer_type tokenizer_char = {
    .about =
        {
            .name = "char",
            .kind = "tokenizer",
            .summary = "Unicode characters as tokens; the vocabulary is what the training text has",
            .details =
                "The text is read as UTF-8, strictly, and not changed: no normalisation, no conversion of\n"
                "line ends; accents that combine, joiners in emoji and a byte order mark are characters. The vocabulary is the set of code points of the training split, in increasing\n"
                "order. Only unknown: unk (and auto when needed) and unknown: bytes add ids: one in front\n"
                "of the characters, or 256 behind them. Validation and test never add characters.\n"
                "\n"
                "Evaluations say the bits per character and per byte of UTF-8. An unknown character counts\n"
                "there as one character, of as many bytes as the unknown ones of the text have on average.\n"
                "Bits per byte, which are for comparing tokenizers, also have the bits that it takes to say\n"
                "which of all other code points it was (20.1); loss, perplexity and bits per character do\n"
                "not. With unknown: skip they are those of the text without these characters, with\n"
                "errors: replace those of the text with U+FFFD in it.",
            .example = "dataset:\n  tokenizer: {type: char, unknown: bytes}",
            .options = options,
            .settings_size = sizeof(char_settings),
        },
    .version = 1,
    .build = char_build,
    .encode = char_encode,
    .decode = char_decode,
    .characters = char_characters,
    .bytes = char_bytes,
    .knows = char_knows,
    .save = char_save,
    .load = char_load,
};
