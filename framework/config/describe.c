#include "config/config.h"
#include "config/option.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDEST_PAGE = 100,
    COLUMNS = 4, // setting, type, default, meaning
    GAP = 2,
    INDENT = 2,            // as `shallow`
    GOOD_MEANING = 36,     // columns for which the others shrink
    NARROWEST_MEANING = 20 // with less, the meaning goes below
};

static const char shallow[] = "  ", deep[] = "      ";

// Keys are never cut, since readers look for them. The next columns shrink to leave room for the meaning.
static const int widest[COLUMNS] = {INT_MAX, 28, 18, INT_MAX};
static const int narrowest[COLUMNS] = {INT_MAX, 18, 10, 0};

// The cells of one row of the table of settings.
typedef struct row {
    text cells[COLUMNS];
} row;

typedef struct table {
    row *rows;
    int count, capacity;
} table;

static row *add_row(table *t) {
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 16;
        t->rows = memory_resize(t->rows, (size_t)t->capacity * sizeof *t->rows);
    }
    t->rows[t->count] = (row){0};
    return &t->rows[t->count++];
}

static void free_table(table *t) {
    for (int i = 0; i < t->count; i++)
        for (int k = 0; k < COLUMNS; k++) text_free(&t->rows[i].cells[k]);
    free(t->rows);
}

// --- wrapping

// --- the table of settings

static void add_options(table *t, const component *c) {
    for (const option *o = c->options; o && o->key; o++) {
        if (o->type == OPTION_SECTION) continue;
        row *r = add_row(t);
        text_add(&r->cells[0], "%s", o->key);
        if (o->type != OPTION_CHOICE && o->type != OPTION_COMPONENT) option_type_name(o, &r->cells[1]);
        bool is_number = o->type == OPTION_INT || o->type == OPTION_REAL;
        text limits = {0};
        option_limits(o, &limits);
        if (limits.length)
            text_add(&r->cells[1], "%s%s", !r->cells[1].length ? "" : is_number ? " " : ", ", limits.bytes);
        text_free(&limits);
        if (o->unit) text_add(&r->cells[1], " (%s)", o->unit);
        if (o->required)
            text_add(&r->cells[2], "required");
        else if (o->fallback)
            for (const char *s = o->fallback[0] ? o->fallback : "\"\""; *s; s++)
                text_add(&r->cells[2], *s == '\n' ? "\\n" : "%c", *s);
        else if (option_may_be_absent(o))
            text_add(&r->cells[2], "not set");
        text_add(&r->cells[3], "%s", o->doc ? o->doc : "");
    }
}

static void add_line_of_cells(const char *rest[COLUMNS], const int width[COLUMNS], text *out) {
    text line = {0};
    text_add(&line, "%*s", INDENT, "");
    int column = 0;
    for (int k = 0; k < COLUMNS; k++) {
        const char *next;
        size_t length = text_line_that_fits(rest[k], width[k], &next);
        text_add_bytes(&line, rest[k], length);
        column += width[k] + GAP;
        rest[k] = next;
        int missing = INDENT + column - utf8_columns(line.bytes);
        text_add(&line, "%*s", missing, "");
    }
    while (line.length && line.bytes[line.length - 1] == ' ') line.bytes[--line.length] = '\0';
    text_add(out, "%s\n", line.bytes);
    text_free(&line);
}

// For narrow pages: each setting on a line, with type and default, and its meaning below.
static void add_stacked(const table *t, int page, text *out) {
    for (int i = 0; i < t->count; i++) {
        const text *cells = t->rows[i].cells;
        text head = {0};
        text_add(&head, "%s  %s", cells[0].bytes, cells[1].length ? cells[1].bytes : "");
        if (cells[2].length) text_add(&head, "  [%s]", cells[2].bytes);
        text_add_wrapped(out, head.bytes, shallow, page);
        if (cells[3].length) text_add_wrapped(out, cells[3].bytes, deep, page);
        text_free(&head);
    }
}

static void add_table(const table *t, int page, text *out) {
    static const char *const titles[COLUMNS] = {"setting", "type", "default", "meaning"};
    int width[COLUMNS], used = INDENT;
    for (int k = 0; k < COLUMNS - 1; k++) {
        width[k] = (int)strlen(titles[k]);
        for (int i = 0; i < t->count; i++) {
            int cell = t->rows[i].cells[k].bytes ? utf8_columns(t->rows[i].cells[k].bytes) : 0;
            if (cell > width[k]) width[k] = cell;
        }
        if (width[k] > widest[k]) width[k] = widest[k];
        used += width[k] + GAP;
    }
    for (int k = 1; k < COLUMNS - 1; k++)
        while (page - used < GOOD_MEANING && width[k] > narrowest[k]) width[k]--, used--;
    if (page - used < NARROWEST_MEANING) {
        add_stacked(t, page, out);
        return;
    }
    width[COLUMNS - 1] = page - used;
    const char *rest[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) rest[k] = titles[k];
    add_line_of_cells(rest, width, out);
    for (int i = 0; i < t->count; i++) {
        for (int k = 0; k < COLUMNS; k++)
            rest[k] = t->rows[i].cells[k].bytes ? t->rows[i].cells[k].bytes : "";
        while (*rest[0] || *rest[1] || *rest[2] || *rest[3]) add_line_of_cells(rest, width, out);
    }
}

// The settings of a component, then those of each of its sections under a title of their own.
static void add_settings(const component *c, const char *title, const char *prefix, int page, text *out) {
    table t = {0};
    add_options(&t, c);
    if (t.count) {
        text_add(out, "\n");
        text_add_wrapped(out, title, "", page);
        add_table(&t, page, out);
    }
    free_table(&t);
    for (const option *o = c->options; o && o->key; o++) {
        if (o->type != OPTION_SECTION) continue;
        text section_title = {0}, section_prefix = {0};
        const char *about = o->doc ? o->doc : o->section->summary;
        text_add(&section_title, "%s%s%s%s", prefix, o->key, about ? ": " : "", about ? about : "");
        text_add(&section_prefix, "%s%s.", prefix, o->key);
        add_settings(o->section, section_title.bytes, section_prefix.bytes, page, out);
        text_free(&section_title);
        text_free(&section_prefix);
    }
}

// --- the page

static void add_indented(const char *s, int indent, text *out) {
    while (*s) {
        size_t length = strcspn(s, "\n");
        if (length) text_add(out, "%*s%.*s", indent, "", (int)length, s);
        text_add(out, "\n");
        s += length + (s[length] == '\n');
    }
}

void component_describe(const component *c, int columns, text *out) {
    const int page = columns > 0 && columns < WIDEST_PAGE ? columns : WIDEST_PAGE;
    text_add(out, "%s (%s)\n", c->name, c->kind);
    text head = {0};
    if (c->summary) text_add(&head, "%s", c->summary);
    if (c->paper) text_add(&head, "%s[%s]", head.length ? "  " : "", c->paper);
    if (head.length) text_add_wrapped(out, head.bytes, shallow, page);
    text_free(&head);
    if (c->details) {
        text_add(out, "\n");
        text_add_wrapped(out, c->details, shallow, page);
    }
    if (c->options && c->options->key)
        add_settings(c, "Settings", "", page, out);
    else
        text_add(out, "\nIt has no settings.\n");
    const option *list = option_of_list(c);
    if (list && strcmp(c->kind, "section") != 0) {
        text note = {0};
        text_add(&note, "Shorthand: {%s: [...]} means {%s: {%s: [...]}}.", c->name, c->name, list->key);
        text_add(out, "\n");
        text_add_wrapped(out, note.bytes, shallow, page);
        text_free(&note);
    }
    if (c->example) {
        text_add(out, "\nExample\n");
        add_indented(c->example, INDENT, out);
    }
}
