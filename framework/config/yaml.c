#include "config/yaml.h"

#include "base/text.h"
#include "config/yaml_message.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    DEEPEST = 64,         // nesting
    LARGEST = 1 << 20,    // bytes of a text
    MOST_ENTRIES = 10000, // of one mapping or list
    LONGEST_SOURCE = 200, // bytes of a line shown with a problem
    BYTE_ORDER_MARK = 0xFEFF
};

typedef struct line {
    size_t start, end;  // of the text, without the line break
    const char *source; // made on first use
    const char *origin;
} line;

typedef struct reader {
    arena *a;
    const yaml_input *input;
    problems *p;
    yaml_parser_t parser;
    line *lines;
    int line_count, line_capacity;
} reader;

// --- lines and places

static void add_line(reader *r, size_t start, size_t end) {
    if (r->line_count == r->line_capacity) {
        r->line_capacity = r->line_capacity ? 2 * r->line_capacity : 128;
        r->lines = memory_resize(r->lines, (size_t)r->line_capacity * sizeof *r->lines);
    }
    r->lines[r->line_count++] = (line){.start = start, .end = end};
}

// A line as problems show it: tabs as single spaces, since the caret counts characters; unprintable
// characters as question marks; cut if it is long.
static const char *printable(arena *a, const char *bytes, size_t length) {
    char *shown = arena_alloc(a, (length < LONGEST_SOURCE ? length : LONGEST_SOURCE) + 4);
    size_t used = 0, i = 0;
    while (i < length) {
        uint32_t c;
        int size = utf8_decode(bytes + i, length - i, &c);
        if (used + (size_t)(size ? size : 1) > LONGEST_SOURCE) break;
        bool control = size == 0 || c < 0x20 || (c >= 0x7F && c < 0xA0);
        if (control)
            shown[used++] = size && c == '\t' ? ' ' : '?';
        else {
            memcpy(shown + used, bytes + i, (size_t)size);
            used += (size_t)size;
        }
        i += size ? (size_t)size : 1;
    }
    if (i < length) memcpy(shown + used, "...", 3);
    return shown;
}

// The place of a character; line and column count from 0 here.
static place place_at(reader *r, size_t line_index, size_t column) {
    const yaml_input *in = r->input;
    place where = {.file = in->name};
    if (in->line) {
        where.column = line_index == 0 ? in->skipped + (int)column + 1 : utf8_width(in->line) + 1;
        where.source = in->line;
    } else {
        where.line = (int)line_index + 1;
        where.column = (int)column + 1;
        if (line_index < (size_t)r->line_count) {
            line *l = &r->lines[line_index];
            if (!l->source) l->source = printable(r->a, in->text + l->start, l->end - l->start);
            where.source = l->source;
        }
    }
    // Beyond the part that is shown, a caret would point at nothing.
    if (where.source && where.column > utf8_width(where.source) + 1) where.source = NULL;
    return where;
}

static place place_of(reader *r, yaml_mark_t mark) {
    return place_at(r, mark.line, mark.column);
}

static origin origin_at(reader *r, yaml_mark_t mark) {
    const yaml_input *in = r->input;
    if (in->origin) return (origin){in->origin, in->rank};
    line *l = mark.line < (size_t)r->line_count ? &r->lines[mark.line] : NULL;
    if (!l) return (origin){in->name, in->rank};
    if (!l->origin) l->origin = arena_format(r->a, "%s:%d", in->name, (int)mark.line + 1);
    return (origin){l->origin, in->rank};
}

// --- the text before it is parsed

// The length in bytes of the line break at s, 0 if there is none. These are the breaks that libyaml counts.
static size_t line_break(const char *s, size_t left) {
    const unsigned char *b = (const unsigned char *)s;
    if (b[0] == '\r') return left > 1 && b[1] == '\n' ? 2 : 1;
    if (b[0] == '\n') return 1;
    if (left >= 2 && b[0] == 0xC2 && b[1] == 0x85) return 2;
    if (left >= 3 && b[0] == 0xE2 && b[1] == 0x80 && (b[2] == 0xA8 || b[2] == 0xA9)) return 3;
    return 0;
}

static bool allowed(uint32_t c) {
    if (c < 0x20) return c == '\t';
    return !(c >= 0x7F && c < 0xA0) && c != 0xFFFE && c != 0xFFFF;
}

// Finds the lines; reports the first character that is not allowed.
static bool scan_lines(reader *r) {
    const char *s = r->input->text;
    size_t length = r->input->length, start = 0, column = 0;
    for (size_t i = 0; i < length;) {
        unsigned char byte = (unsigned char)s[i];
        if (byte >= 0x20 && byte < 0x7F) {
            i++, column++;
            continue;
        }
        size_t size = line_break(s + i, length - i);
        if (size) {
            add_line(r, start, i);
            start = i += size;
            column = 0;
            continue;
        }
        uint32_t c = 0;
        size = (size_t)utf8_decode(s + i, length - i, &c);
        if (size == 0 || !allowed(c)) {
            size_t end = i;
            while (end < length && !line_break(s + end, length - end)) end++;
            add_line(r, start, end);
            place where = place_at(r, (size_t)r->line_count - 1, column);
            if (size == 0)
                problem_add(r->p, where, "save the file as UTF-8", "byte 0x%02X is not UTF-8 text", byte);
            else
                problem_add(r->p, where, "is this a text file?", "control character U+%04X", (unsigned)c);
            return false;
        }
        i += size;
        if (!(c == BYTE_ORDER_MARK && i == size))
            column++;
        else
            start = i;
    }
    add_line(r, start, length);
    return true;
}

// Between brackets, YAML would take the braces of ${a.b} for a mapping. Before parsing they
// are replaced by two characters that nobody types, afterwards put back; columns stay the same.
static const char OPENING[] = "\xF4\x8F\xBF\xBC", CLOSING[] = "\xF4\x8F\xBF\xBD";

static bool name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static void hide_braces(const char *s, size_t length, text *out) {
    size_t copied = 0;
    for (size_t i = 0; i + 2 < length; i++) {
        if (s[i] != '$' || s[i + 1] != '{') continue;
        size_t end = i + 2;
        while (end < length && name_character(s[end])) end++;
        if (end == length || s[end] != '}') continue;
        text_add_bytes(out, s + copied, i + 1 - copied);
        text_add_bytes(out, OPENING, 4);
        text_add_bytes(out, s + i + 2, end - (i + 2));
        text_add_bytes(out, CLOSING, 4);
        copied = end + 1;
        i = end;
    }
    text_add_bytes(out, s + copied, length - copied);
}

static char *copy_scalar(arena *a, const char *s, size_t length) {
    char *copy = arena_copy_bytes(a, s, length), *to = copy;
    if (!memchr(copy, 0xF4, length)) return copy;
    for (const char *from = copy; *from;) {
        bool opening = strncmp(from, OPENING, 4) == 0;
        if (opening || strncmp(from, CLOSING, 4) == 0) {
            *to++ = opening ? '{' : '}';
            from += 4;
        } else
            *to++ = *from++;
    }
    *to = '\0';
    return copy;
}

// --- events to nodes

static bool stands_after_bracket(const reader *r, yaml_mark_t mark) {
    if (mark.line >= (size_t)r->line_count || mark.column == 0) return false;
    const line *l = &r->lines[mark.line];
    return l->start + mark.column < l->end && r->input->text[l->start + mark.column - 1] == ']';
}

// The context that libyaml gives for a problem; "after ]" where a list is followed by more of a word, as in
// [a-z]*.txt: it is a string.
static const char *context_of(const reader *r, char at) {
    const yaml_parser_t *parser = &r->parser;
    const char *context = parser->context;
    if (!context || !parser->problem) return context;
    const bool is_alias = strstr(context, "alias") && stands_after_bracket(r, parser->context_mark);
    const bool is_word = strstr(parser->problem, "expected key") && !strchr("]},:", at) &&
                         stands_after_bracket(r, parser->problem_mark);
    return is_alias || is_word ? "after ]" : context;
}

static bool next_event(reader *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->parser, event)) return true;
    const yaml_parser_t *parser = &r->parser;
    if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_READER_ERROR) {
        problem_add(r->p, (place){.file = r->input->name}, NULL, "the text cannot be read: %s",
                    parser->problem ? parser->problem : "out of memory");
        return false;
    }
    size_t at_line = parser->problem_mark.line, at_column = parser->problem_mark.column;
    char at = '\0';
    if (at_line < (size_t)r->line_count) {
        const line *l = &r->lines[at_line];
        // Columns count characters, this counts bytes: after other than ASCII text the character is not
        // found, which only makes the message more general.
        if (l->start + at_column < l->end)
            at = r->input->text[l->start + at_column];
        else if ((int)at_line + 1 < r->line_count)
            at = '\n';
    }
    yaml_message message = yaml_message_of(context_of(r, at), parser->problem, at);
    yaml_mark_t mark = message.at_opening && parser->context ? parser->context_mark : parser->problem_mark;
    // What is missing at the end of the text is shown at the end of its last line that is not empty.
    if (!r->input->line)
        while (mark.line > 0 && mark.line < (size_t)r->line_count && mark.column == 0 &&
               r->lines[mark.line].start == r->lines[mark.line].end) {
            mark.line--;
            const line *l = &r->lines[mark.line];
            mark.column = (size_t)utf8_width(printable(r->a, r->input->text + l->start, l->end - l->start));
        }
    problem_add(r->p, place_of(r, mark), message.hint, "%s", message.words);
    return false;
}

// Refuses anchors and tags. The node itself is read all the same.
static void refuse_properties(reader *r, const yaml_char_t *anchor, const yaml_char_t *tag,
                              yaml_mark_t mark) {
    if (anchor)
        problem_add(
            r->p, place_of(r, mark),
            "to use a value twice, refer to it by ${section.name}; quote a string that begins with &",
            "anchors (&%s) are not supported", (const char *)anchor);
    if (tag)
        problem_add(r->p, place_of(r, mark),
                    "remove it: every setting has a type already; quote a string that begins with !",
                    "tags (%s) are not supported", (const char *)tag);
}

static node *read_node(reader *r, yaml_event_t *event, int depth);

static node *read_scalar(reader *r, const yaml_event_t *event) {
    refuse_properties(r, event->data.scalar.anchor, event->data.scalar.tag, event->start_mark);
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    node *n = node_scalar(r->a, "", place_of(r, event->start_mark), origin_at(r, event->start_mark));
    n->folder = r->input->folder;
    n->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (strlen(value) != length) {
        problem_add(r->p, n->where, NULL, "a string cannot contain the character \\0");
        n->broken = true;
    } else
        n->scalar = copy_scalar(r->a, value, length);
    return n;
}

static bool too_many(reader *r, const node *n) {
    if (n->count < MOST_ENTRIES) return false;
    problem_add(r->p, n->where, NULL, "this %s has more than %d entries",
                n->kind == NODE_LIST ? "list" : "mapping", MOST_ENTRIES);
    return true;
}

static node *read_list(reader *r, const yaml_event_t *start, int depth) {
    refuse_properties(r, start->data.sequence_start.anchor, start->data.sequence_start.tag,
                      start->start_mark);
    node *list = node_list(r->a, place_of(r, start->start_mark), origin_at(r, start->start_mark));
    list->folder = r->input->folder;
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event)) return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return list;
        }
        node *item = read_node(r, &event, depth + 1);
        if (!item || too_many(r, list)) return NULL;
        node_append(r->a, list, item);
    }
}

static const entry *entry_of(const node *map, const char *key) {
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].key, key) == 0) return &map->entries[i];
    return NULL;
}

static node *read_map(reader *r, const yaml_event_t *start, int depth) {
    refuse_properties(r, start->data.mapping_start.anchor, start->data.mapping_start.tag,
                      start->start_mark);
    node *map = node_map(r->a, place_of(r, start->start_mark), origin_at(r, start->start_mark));
    map->folder = r->input->folder;
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event)) return NULL;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return map;
        }
        node *key = read_node(r, &event, depth + 1);
        if (!key || !next_event(r, &event)) return NULL;
        node *value = read_node(r, &event, depth + 1);
        if (!value || too_many(r, map)) return NULL;
        if (key->broken) continue;
        if (key->kind != NODE_SCALAR) {
            problem_add(r->p, key->where, "write `key: value`; quote a string that begins with { or [",
                        "a key must be a plain word, not a %s",
                        key->kind == NODE_LIST ? "list" : "mapping");
            continue;
        }
        if (key->scalar[0] == '\0') {
            problem_add(r->p, key->where, "write `key: value`", "a key is missing before the colon");
            continue;
        }
        if (!key->quoted && strcmp(key->scalar, "<<") == 0) {
            problem_add(
                r->p, key->where,
                "write extends: FILE at the top of the file, or refer to settings by ${section.name}",
                "merge keys (<<) are not supported");
            continue;
        }
        const entry *first = entry_of(map, key->scalar);
        if (first && first->key_place.line)
            problem_add(r->p, key->where, "remove one of the two",
                        "duplicate key \"%s\", already set in line %d", key->scalar, first->key_place.line);
        else if (first)
            problem_add(r->p, key->where, "remove one of the two", "duplicate key \"%s\"", key->scalar);
        else
            node_put(r->a, map, key->scalar, key->where, value);
    }
}

// Reads the node that event begins; deletes the event. Returns NULL if the text cannot be read further.
static node *read_node(reader *r, yaml_event_t *event, int depth) {
    node *n = NULL;
    if (depth > DEEPEST)
        problem_add(r->p, place_of(r, event->start_mark), NULL, "nested deeper than %d levels", DEEPEST);
    else
        switch (event->type) {
        case YAML_SCALAR_EVENT:
            n = read_scalar(r, event);
            break;
        case YAML_SEQUENCE_START_EVENT:
            n = read_list(r, event, depth);
            break;
        case YAML_MAPPING_START_EVENT:
            n = read_map(r, event, depth);
            break;
        case YAML_ALIAS_EVENT:
            problem_add(r->p, place_of(r, event->start_mark),
                        "write \"*...\"; to use a value twice, refer to it by ${section.name}",
                        "a string that begins with * needs quotes");
            n = node_scalar(r->a, "", place_of(r, event->start_mark), origin_at(r, event->start_mark));
            n->broken = true;
            break;
        default:
            problem_add(r->p, place_of(r, event->start_mark), NULL, "this is not correct YAML");
        }
    yaml_event_delete(event);
    return n;
}

// Takes the next event, which the grammar of YAML says is of this type.
static bool skip(reader *r, yaml_event_type_t type) {
    yaml_event_t event;
    if (!next_event(r, &event)) return false;
    bool as_expected = event.type == type;
    yaml_event_delete(&event);
    return as_expected;
}

static node *read_document(reader *r) {
    yaml_event_t event;
    if (!skip(r, YAML_STREAM_START_EVENT) || !next_event(r, &event)) return NULL;
    if (event.type == YAML_STREAM_END_EVENT) {
        node *empty = node_scalar(r->a, "", place_at(r, 0, 0), origin_at(r, event.start_mark));
        empty->folder = r->input->folder;
        yaml_event_delete(&event);
        return empty;
    }
    yaml_event_delete(&event);
    if (!next_event(r, &event)) return NULL;
    node *root = read_node(r, &event, 0);
    if (!root || !skip(r, YAML_DOCUMENT_END_EVENT) || !next_event(r, &event)) return NULL;
    bool more = event.type == YAML_DOCUMENT_START_EVENT;
    place where = place_of(r, event.start_mark);
    yaml_event_delete(&event);
    if (!more) return root;
    problem_add(r->p, where, "a file holds one experiment; split this one",
                "a second document begins here");
    return NULL;
}

node *yaml_read(arena *a, const yaml_input *input, problems *p) {
    if (input->length > LARGEST) {
        char size[32];
        problem_add(p, (place){.file = input->name},
                    "is it an experiment? A text to train on is named in one, as dataset.source",
                    "the file has %s; an experiment has at most %d MiB",
                    text_bytes((double)input->length, size, sizeof size), LARGEST >> 20);
        return NULL;
    }
    reader r = {.a = a, .input = input, .p = p};
    node *root = NULL;
    if (scan_lines(&r)) {
        text hidden = {0};
        const char *bytes = input->text;
        size_t length = input->length;
        if (length && memmem(bytes, length, "${", 2)) {
            hide_braces(bytes, length, &hidden);
            bytes = hidden.bytes;
            length = hidden.length;
        }
        if (yaml_parser_initialize(&r.parser)) {
            yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, length);
            root = read_document(&r);
            yaml_parser_delete(&r.parser);
        } else
            problem_add(p, (place){.file = input->name}, NULL,
                        "there is not enough memory to read the file");
        text_free(&hidden);
    }
    free(r.lines);
    return root;
}
