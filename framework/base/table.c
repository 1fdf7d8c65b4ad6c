#include "base/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_COLUMNS = 256,
    GAP = 2,
    SHORT = 16,  // columns that a text keeps before others are left out
    SHORTEST = 8 // and after that
};

typedef struct row {
    struct row *next;
    int used;
    const char *cells[MAX_COLUMNS];
} row;

struct table {
    arena *memory;
    int columns;
    bool to_the_right[MAX_COLUMNS], shortens[MAX_COLUMNS];
    int gives_way[MAX_COLUMNS]; // 0: it stays
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

void table_shortens(table *t) {
    t->shortens[t->columns - 1] = true;
}

void table_gives_way(table *t, int rank) {
    t->gives_way[t->columns - 1] = rank;
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

// A cell of one line, for people: what could move the cursor is made visible.
static const char *shown_cell(const table *t, const row *r, int column) {
    const char *cell = cell_of(r, column);
    if (!text_has_control(cell)) return cell;
    text visible = {0};
    text_add_visible(&visible, cell, strlen(cell));
    for (size_t i = 0; i < visible.length; i++)
        if (strchr("\n\t", visible.bytes[i])) visible.bytes[i] = ' ';
    const char *copy = arena_copy_text(t->memory, visible.bytes);
    text_free(&visible);
    return copy;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

// The width of the table when what shortens has at most `most` columns.
static int total_width(const table *t, const int widths[MAX_COLUMNS], int most) {
    int total = -GAP;
    for (int c = 0; c < t->columns; c++)
        if (widths[c] >= 0) total += GAP + (t->shortens[c] ? smaller(widths[c], most) : widths[c]);
    return total;
}

// Leaves out columns (of width -1 then) with a rank of this sign until those that remain fit, with texts of
// at most `most` columns; returns how many.
static int leave_out(const table *t, int columns, int sign, int most, int widths[MAX_COLUMNS]) {
    int left_out = 0;
    for (; total_width(t, widths, most) > columns; left_out++) {
        int first = -1, highest = 0;
        for (int c = 0; c < t->columns; c++) {
            if (widths[c] < 0 || sign * t->gives_way[c] <= highest) continue;
            first = c;
            highest = sign * t->gives_way[c];
        }
        if (first < 0) break;
        widths[first] = -1;
    }
    return left_out;
}

// Longer texts first.
static void shorten(const table *t, int columns, int widths[MAX_COLUMNS]) {
    int most = SHORTEST;
    while (total_width(t, widths, most + 1) <= columns && most < columns) most++;
    for (int c = 0; c < t->columns; c++)
        if (t->shortens[c]) widths[c] = smaller(widths[c], most);
}

static void add_line(const table *t, const row *r, const int widths[MAX_COLUMNS], text *out) {
    int blanks = 0; // owed before the next text, so that no line ends in blanks
    for (int c = 0; c < t->columns; c++) {
        if (widths[c] < 0) continue;
        text cell = {0};
        text_add_shortened(&cell, shown_cell(t, r, c), widths[c]);
        const int room = widths[c] - (cell.length ? utf8_columns(cell.bytes) : 0);
        if (t->to_the_right[c]) blanks += room;
        if (cell.length) {
            text_add(out, "%*s%s", blanks, "", cell.bytes);
            blanks = 0;
        }
        blanks += GAP + (t->to_the_right[c] ? 0 : room);
        text_free(&cell);
    }
    text_add(out, "\n");
}

void table_text(const table *t, int columns, text *out) {
    int widths[MAX_COLUMNS] = {0}, left_out = 0;
    for (int c = 0; c < t->columns; c++)
        for (const row *r = &t->headings; r; r = r->next) {
            const int width = utf8_columns(shown_cell(t, r, c));
            if (width > widths[c]) widths[c] = width;
        }
    if (columns > 0) {
        left_out = leave_out(t, columns, 1, SHORT, widths);
        left_out += leave_out(t, columns, -1, SHORTEST, widths);
        shorten(t, columns, widths);
    }
    for (const row *r = &t->headings; r; r = r->next) add_line(t, r, widths, out);
    if (!left_out) return;
    text note = {0};
    text_add(&note, "%d more column%s in a wider terminal", left_out, left_out == 1 ? "" : "s");
    text_add_wrapped(out, note.bytes, "", columns);
    text_free(&note);
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
