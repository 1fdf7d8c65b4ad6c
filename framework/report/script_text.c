// Strings and legends of gnuplot scripts.
#include "report/script.h"

#include <limits.h>
#include <string.h>

// Characters that every font has: Latin, Greek letters, Russian and its neighbours, dashes and quotes.
static bool is_common(uint32_t c) {
    return c < 0x250 || (c >= 0x3B1 && c <= 0x3C9) || (c >= 0x400 && c <= 0x45F) ||
           (c >= 0x2010 && c <= 0x2027);
}

// Joiners and selectors within an emoji, which fonts need not have.
static bool is_invisible(uint32_t c) {
    return (c >= 0x200B && c <= 0x200F) || (c >= 0xFE00 && c <= 0xFE0F);
}

static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

// In double quotes gnuplot turns \0ooo into any byte. What it could take for a quote, an escape, a macro, a
// command, a comment or a block is written so; single quotes have no escapes, and `'''x'` ends too early
// there.
static void add_character(text *s, uint32_t code_point, const char *bytes, int length) {
    if (is_control(code_point))
        text_add(s, " ");
    else if (code_point < 0x80 && strchr("\"'\\`@#{}$", (int)code_point))
        text_add(s, "\\0%03o", (unsigned)code_point);
    else
        text_add_bytes(s, bytes, (size_t)length);
}

// Neighbouring characters that not every font has.
typedef struct rare_characters {
    text bytes, codes, boxes;
} rare_characters;

static void add_rare(rare_characters *rare, uint32_t code_point, const char *bytes, int length) {
    text_add_bytes(&rare->bytes, bytes, (size_t)length);
    if (is_invisible(code_point)) return;
    text_add(&rare->codes, "%s%x", rare->codes.length ? " " : "", (unsigned)code_point);
    text_add(&rare->boxes, "□");
}

// Ends the quotes for the function `characters` of script_begin, and opens them again.
static void end_rare(text *s, rare_characters *rare) {
    if (rare->codes.length)
        text_add(s, "\" . characters(\"%s\", \"%s\", \"%s\") . \"", rare->bytes.bytes, rare->codes.bytes,
                 rare->boxes.bytes);
    text_clear(&rare->bytes);
    text_clear(&rare->codes);
    text_clear(&rare->boxes);
}

// Pixels of lower-case Latin letters and of all others, which are wider: estimates.
enum { LOWER_CASE = 8, OTHER = 10 };

static int pixels_of(const char *s) {
    int pixels = 0;
    for (const char *c = s; *c; c++)
        pixels -= (*c & 0x80) || (*c >= 'A' && *c <= 'Z') ? 0 : OTHER - LOWER_CASE;
    return pixels + OTHER * utf8_columns(s);
}

int script_columns(const char *s) {
    return (pixels_of(s) + LOWER_CASE - 1) / LOWER_CASE;
}

void script_add_quoted(text *s, const char *value, int max_columns) {
    text shown = {0};
    rare_characters rare = {0};
    const int drawn = script_columns(value);
    const bool fits = max_columns == 0 || drawn <= max_columns;
    text_add_shortened(&shown, value, fits ? INT_MAX : max_columns * utf8_columns(value) / drawn);
    text_add(s, "\"");
    for (size_t at = 0; at < shown.length;) {
        const char *bytes = shown.bytes + at;
        uint32_t code_point;
        int length = utf8_decode(bytes, shown.length - at, &code_point);
        if (length == 0) {
            code_point = '?';
            bytes = "?";
            length = 1;
        }
        at += (size_t)length;
        if (is_common(code_point) || is_control(code_point)) {
            end_rare(s, &rare);
            add_character(s, code_point, bytes, length);
        } else {
            add_rare(&rare, code_point, bytes, length);
        }
    }
    end_rare(s, &rare);
    text_add(s, "\"");
    text_free(&shown);
    text_free(&rare.bytes);
    text_free(&rare.codes);
    text_free(&rare.boxes);
}

// The legend, in pixels.
enum { LEFT = 105, ROOM = 860, PICTURE = 1000, SAMPLE = 40, GAP = 10, BETWEEN = 26, LINE = 17, HEAD = 70 };
enum { MOST_COLUMNS = 4 };

typedef struct layout {
    int columns, lines, column_width;
} layout;

static layout layout_of(const legend_entry *entries, int count) {
    int widest = 0;
    for (int i = 0; i < count; i++)
        if (pixels_of(entries[i].text) > widest) widest = pixels_of(entries[i].text);
    layout l = {.columns = count < MOST_COLUMNS ? count : MOST_COLUMNS,
                .column_width = SAMPLE + GAP + widest + BETWEEN};
    while (l.columns > 1 && l.columns * l.column_width - BETWEEN > ROOM) l.columns--;
    l.lines = l.columns > 0 ? (count + l.columns - 1) / l.columns : 0;
    return l;
}

int script_legend_height(const legend_entry *entries, int count) {
    return LINE * layout_of(entries, count).lines;
}

void script_legend(text *s, int height, const legend_entry *entries, int count, int axis_above) {
    const layout l = layout_of(entries, count);
    for (int i = 0; i < count; i++) {
        const int column = i / l.lines, line = i % l.lines;
        const double left = LEFT + GAP + l.column_width * column, middle = HEAD + 2 + LINE * line;
        const double x = left / PICTURE, end = (left + SAMPLE) / PICTURE, y = 1 - middle / height;
        text_add(s, "set arrow from screen %.4f, screen %.4f to screen %.4f, screen %.4f nohead %s\n", x, y,
                 end, y, entries[i].look);
        if (entries[i].has_points)
            text_add(s, "set label \"\" at screen %.4f, screen %.4f point pointtype 7 pointsize 0.6 %s\n",
                     (x + end) / 2, y, entries[i].look);
        text_add(s, "set label ");
        script_add_quoted(s, entries[i].text, (ROOM - SAMPLE - 2 * GAP) / LOWER_CASE);
        text_add(s, " at screen %.4f, screen %.4f left\n", end + (double)GAP / PICTURE, y);
    }
    text_add(s, "set tmargin at screen %.4f\n", 1 - (HEAD + LINE * l.lines + axis_above) / (double)height);
}

void script_plot_add(script_plot *p, const char *what, const char *style, const char *look,
                     const char *title) {
    text_add(&p->command, "%s%s %s %s", p->command.length ? ", \\\n     " : "plot ", what, style, look);
    if (title && p->count < SCRIPT_CURVES)
        p->legend[p->count++] = (legend_entry){look, title, strcmp(style, STYLE_POINTS) == 0};
}

void script_plot_end(script_plot *p, text *s, int height) {
    script_legend(s, height, p->legend, p->count, p->axis_above);
    text_add(s, "%s\n", p->command.bytes);
    text_free(&p->command);
}
