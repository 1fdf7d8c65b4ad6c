#include "config/problems.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Nobody reads more than this at once, and a broken file must not exhaust memory.
enum { MOST_PROBLEMS = 100 };

static void append(problems *p, error *what) {
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? 2 * p->capacity : 8;
        p->items = memory_resize(p->items, (size_t)p->capacity * sizeof *p->items);
    }
    p->items[p->count] = (problem){.what = *what, .order = p->count};
    p->count++;
}

void problem_add(problems *p, place where, const char *hint, const char *format, ...) {
    error what;
    if (p->count > MOST_PROBLEMS) return;
    if (p->count == MOST_PROBLEMS) {
        fail(&what, ERR_CONFIG, "there are more than %d problems; the others are not listed",
             MOST_PROBLEMS);
        append(p, &what);
        return;
    }
    char message[sizeof what.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    utf8_trim(message);
    fail_at(&what, ERR_CONFIG, where, "%s", message);
    if (hint) error_hint(&what, "%s", hint);
    append(p, &what);
}

place problem_place(const node *settings, const char *key) {
    if (!settings) return (place){0};
    const node *setting = key ? node_get(settings, key) : NULL;
    return setting && setting->from.rank > 0 ? setting->where : settings->where;
}

// By file, then line, then column, then in the order found; problems without a place come last.
static int by_place(const void *left, const void *right) {
    const problem *a = left, *b = right;
    if (!a->what.file[0] != !b->what.file[0]) return !a->what.file[0] - !b->what.file[0];
    int files = strcmp(a->what.file, b->what.file);
    if (files) return files;
    if (a->what.line != b->what.line) return a->what.line < b->what.line ? -1 : 1;
    if (a->what.line && a->what.column != b->what.column) return a->what.column < b->what.column ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static bool same(const error *a, const error *b) {
    return a->line == b->line && a->column == b->column && strcmp(a->file, b->file) == 0 &&
           strcmp(a->source, b->source) == 0 && strcmp(a->message, b->message) == 0;
}

void problems_sort(problems *p) {
    if (p->count == 0) return;
    qsort(p->items, (size_t)p->count, sizeof *p->items, by_place);
    int kept = 0;
    for (int i = 0; i < p->count; i++) {
        bool repeated = false;
        for (int j = kept - 1; j >= 0 && !repeated; j--)
            repeated = same(&p->items[j].what, &p->items[i].what);
        if (!repeated) p->items[kept++] = p->items[i];
    }
    p->count = kept;
    for (int i = 0; i < kept; i++) p->items[i].order = i;
}

void problems_free(problems *p) {
    free(p->items);
    *p = (problems){0};
}
