#include "config/config.h"
#include "config/option.h"
#include "config/scalar.h"

#include <string.h>

enum {
    WIDEST_LIST = 80,    // columns of a list that is kept on one line
    WIDEST_ALIGNED = 56, // lines longer than this do not push all comments to the right
    LONGEST_DEFAULT = 40,
    LONGEST_ORIGIN = 72
};

// Lines and their comments are collected separately and joined when all widths are known.
typedef struct writer {
    text lines, comments;
    bool annotate;
} writer;

static void end_line(writer *w) {
    text_add(&w->lines, "\n");
    text_add(&w->comments, "\n");
}

static void indent_to(writer *w, int indent) {
    text_add(&w->lines, "%*s", indent, "");
}

// --- comments

// Adds a string on one line, cut if it is long.
static void add_short(text *out, const char *s, size_t longest) {
    size_t used = 0;
    for (; *s && (used < longest || ((unsigned char)*s & 0xC0) == 0x80); s++, used++) {
        if (*s == '\n')
            text_add(out, "\\n");
        else
            text_add(out, "%c", (unsigned char)*s < 0x20 ? ' ' : *s);
    }
    if (*s) text_add(out, "...");
}

// An origin ends in what tells most, the number of the line: a long one is shortened in its middle.
static void add_origin(text *out, const char *s) {
    text whole = {0};
    add_short(&whole, s, strlen(s));
    text_add_shortened(out, whole.bytes ? whole.bytes : "", LONGEST_ORIGIN);
    text_free(&whole);
}

// The highest-ranking origin of a value and its items.
static origin latest(const node *n) {
    origin from = n->from;
    for (int i = 0; n->kind == NODE_LIST && i < n->count; i++)
        if (n->items[i]->kind == NODE_SCALAR && n->items[i]->from.rank > from.rank)
            from = n->items[i]->from;
    return from;
}

static void comment(writer *w, const option *o, const node *n) {
    if (!w->annotate || !o) return;
    origin from = latest(n);
    option_type_name(o, &w->comments);
    if (o->unit) text_add(&w->comments, " (%s)", o->unit);
    if (from.rank == 0) {
        text_add(&w->comments, ", ");
        add_origin(&w->comments, option_may_be_absent(o) ? "not set" : from.text);
        return;
    }
    if (o->required)
        text_add(&w->comments, ", required");
    else if (o->fallback) {
        text_add(&w->comments, ", default ");
        if (o->fallback[0])
            add_short(&w->comments, o->fallback, LONGEST_DEFAULT);
        else
            text_add(&w->comments, "\"\"");
    }
    text_add(&w->comments, ", from ");
    add_origin(&w->comments, from.text);
}

// --- values

static void write_map(writer *w, const node *map, int indent);
static void write_components(writer *w, const node *list, int indent);

static bool is_text_option(const option *o) {
    return o && (o->type == OPTION_STRING || o->type == OPTION_STRINGS);
}

// A list of scalars, on one line unless that is too long.
static void write_values(writer *w, const option *o, const node *list, int indent) {
    text line = {0};
    for (int i = 0; i < list->count; i++) {
        text_add(&line, i ? ", " : "[");
        scalar_write(list->items[i], true, is_text_option(o), &line);
    }
    text_add(&line, list->count ? "]" : "[]");
    bool fits = utf8_columns(line.bytes) <= WIDEST_LIST;
    if (fits) text_add(&w->lines, " %s", line.bytes);
    text_free(&line);
    comment(w, o, list);
    end_line(w);
    for (int i = 0; !fits && i < list->count; i++) {
        indent_to(w, indent + 2);
        text_add(&w->lines, "- ");
        scalar_write(list->items[i], false, is_text_option(o), &w->lines);
        end_line(w);
    }
}

static void write_branches(writer *w, const node *list, int indent) {
    for (int i = 0; i < list->count; i++) {
        indent_to(w, indent);
        text_add(&w->lines, list->items[i]->count ? "-" : "- []");
        end_line(w);
        write_components(w, list->items[i], indent + 2);
    }
}

static bool is_component_list(const node *n) {
    return n->kind == NODE_LIST && n->option && option_is_component_list(n->option);
}

static void write_component_list(writer *w, const node *list, int indent) {
    if (list->option->type == OPTION_BRANCHES)
        write_branches(w, list, indent);
    else
        write_components(w, list, indent);
}

static void write_components(writer *w, const node *list, int indent) {
    for (int i = 0; i < list->count; i++) {
        const entry *e = &list->items[i]->entries[0];
        const node *settings = e->value;
        indent_to(w, indent);
        text_add(&w->lines, settings->count ? "- %s:" : "- %s", e->key);
        // The list of a container that has only a list is written directly below the name.
        bool only_list = settings->count == 1 && is_component_list(settings->entries[0].value);
        if (only_list && settings->entries[0].value->count == 0) text_add(&w->lines, " []");
        end_line(w);
        if (only_list)
            write_component_list(w, settings->entries[0].value, indent + 4);
        else
            write_map(w, settings, indent + 4);
    }
}

static void write_entry(writer *w, const entry *e, const option *choice, int indent) {
    const node *n = e->value;
    indent_to(w, indent);
    text_add(&w->lines, "%s:", e->key);
    if (n->kind == NODE_SCALAR) {
        text_add(&w->lines, " ");
        scalar_write(n, false, is_text_option(n->option), &w->lines);
        comment(w, choice && strcmp(e->key, "type") == 0 ? choice : n->option, n);
        end_line(w);
    } else if (is_component_list(n)) {
        if (n->count == 0) text_add(&w->lines, " []");
        comment(w, n->option, n);
        end_line(w);
        write_component_list(w, n, indent + 2);
    } else if (n->kind == NODE_LIST)
        write_values(w, n->option, n, indent);
    else {
        if (n->count == 0) text_add(&w->lines, " {}");
        end_line(w);
        write_map(w, n, indent + 2);
    }
}

static void write_map(writer *w, const node *map, int indent) {
    const option *choice = map->option && map->option->type == OPTION_COMPONENT ? map->option : NULL;
    bool after_block = false;
    for (int i = 0; i < map->count; i++) {
        const entry *e = &map->entries[i];
        bool block = e->value->kind == NODE_MAP || is_component_list(e->value);
        if (indent == 0 && i > 0 && (block || after_block)) end_line(w); // sections of the file stand apart
        after_block = block;
        write_entry(w, e, choice, indent);
    }
}

// --- joining

static size_t line_length(const char *s) {
    return strcspn(s, "\n");
}

static int line_width(const char *s, size_t length) {
    return utf8_columns_of(s, utf8_count(s, length));
}

// The comments stand beside their lines, from the same column on where the lines are short enough for it.
// In `columns` columns (0: as many as it takes) they are wrapped, and stand below lines that leave no room.
static void join_with_comment(const char *line, const char *note, int column, int columns, text *out) {
    enum { NARROWEST = 20, SPACE = 4 }; // "  # "
    const size_t length = line_length(line), note_length = line_length(note);
    const int width = line_width(line, length), start = width < column ? column : width;
    text_add_bytes(out, line, length);
    if (!columns) {
        text_add(out, "%*s  # %.*s\n", start - width, "", (int)note_length, note);
        return;
    }
    const bool beside = columns - start - SPACE >= NARROWEST;
    text indent = {0}, comment = {0}, wrapped = {0};
    text_add(&indent, "%*s# ", beside ? start + 2 : (int)strspn(line, " -") + 2, "");
    text_add_bytes(&comment, note, note_length);
    text_add_wrapped(&wrapped, comment.bytes, indent.bytes, columns);
    text_add(out, "%s%s", beside ? "" : "\n", wrapped.bytes + (beside ? width : 0));
    text_free(&indent);
    text_free(&comment);
    text_free(&wrapped);
}

static void join(const writer *w, int columns, text *out) {
    int column = 0;
    const char *line = w->lines.bytes, *note = w->comments.bytes;
    for (; *line; line += line_length(line) + 1, note += line_length(note) + 1) {
        int width = line_width(line, line_length(line));
        if (line_length(note) && width > column && width <= WIDEST_ALIGNED) column = width;
    }
    line = w->lines.bytes, note = w->comments.bytes;
    for (; *line; line += line_length(line) + 1, note += line_length(note) + 1) {
        if (line_length(note))
            join_with_comment(line, note, column, columns, out);
        else
            text_add(out, "%.*s\n", (int)line_length(line), line);
    }
}

void config_write(const config *c, bool annotate, int columns, text *out) {
    writer w = {.annotate = annotate};
    text_add(&w.lines, "%s", "");
    text_add(&w.comments, "%s", "");
    write_map(&w, c->root, 0);
    join(&w, columns, out);
    text_free(&w.lines);
    text_free(&w.comments);
}
