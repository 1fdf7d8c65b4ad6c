#include "report/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_COLUMNS = 256 };

typedef struct row {
    struct row *next;
    int used;
    const char *cells[MAX_COLUMNS];
} row;

struct table {
    arena *memory;
    int columns;
    bool to_the_right[MAX_COLUMNS];
    row headings, *last;
};

table *table_new(arena *a) {
    table *t = arena_alloc(a, sizeof *t);
    t->memory = a;
    t->last = &t->headings;
    return t;
}

void table_column(table *t, const char *heading, bool to_the_right) {
    if (t->columns == MAX_COLUMNS) return;
    t->to_the_right[t->columns++] = to_the_right;
    t->headings.cells[t->headings.used++] = arena_copy_text(t->memory, heading);
}

void table_row(table *t) {
    t->last = t->last->next = arena_alloc(t->memory, sizeof(row));
}

void table_cell(table *t, const char *format, ...) {
    if (t->last->used == t->columns) return;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *cell = arena_alloc(t->memory, (size_t)length + 1);
    vsnprintf(cell, (size_t)length + 1, format, again);
    va_end(again);
    t->last->cells[t->last->used++] = cell;
}

static const char *cell_of(const row *r, int column) {
    return column < r->used ? r->cells[column] : "";
}

void table_text(const table *t, text *out) {
    int widths[MAX_COLUMNS] = {0};
    for (const row *r = &t->headings; r; r = r->next)
        for (int c = 0; c < t->columns; c++) {
            int width = utf8_width(cell_of(r, c));
            if (width > widths[c]) widths[c] = width;
        }
    for (const row *r = &t->headings; r; r = r->next) {
        int blanks = 0; // owed before the next text, so that no line ends in blanks
        for (int c = 0; c < t->columns; c++) {
            const char *cell = cell_of(r, c);
            int room = widths[c] - utf8_width(cell);
            if (t->to_the_right[c]) blanks += room;
            if (*cell) {
                text_add(out, "%*s%s", blanks, "", cell);
                blanks = 0;
            }
            blanks += 2 + (t->to_the_right[c] ? 0 : room);
        }
        text_add(out, "\n");
    }
}

void table_csv(const table *t, text *out) {
    for (const row *r = &t->headings; r; r = r->next) {
        for (int c = 0; c < t->columns; c++) {
            const char *cell = cell_of(r, c);
            if (c > 0) text_add(out, ",");
            if (!strpbrk(cell, ",\"\r\n")) {
                text_add(out, "%s", cell);
                continue;
            }
            text_add(out, "\"");
            for (; *cell; cell++) text_add(out, *cell == '"' ? "\"\"" : "%c", *cell);
            text_add(out, "\"");
        }
        text_add(out, "\n");
    }
}
