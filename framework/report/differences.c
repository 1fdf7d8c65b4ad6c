#include "report/differences.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

typedef struct collection {
    arena *memory;
    differing_setting *items;
    int count, capacity, runs;
} collection;

static differing_setting *setting_at(collection *all, const char *path) {
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->items[i].path, path) == 0) return &all->items[i];
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? 2 * all->capacity : 64;
        all->items = memory_resize(all->items, (size_t)all->capacity * sizeof *all->items);
    }
    all->items[all->count] =
        (differing_setting){.path = path,
                            .heading = path,
                            .values = arena_alloc(all->memory, (size_t)all->runs * sizeof(char *))};
    return &all->items[all->count++];
}

// Adds every scalar below n. An empty list or mapping counts as a value: it may be one where another run
// has members.
static void collect(collection *all, int run, const char *path, const node *n) {
    if (n->kind == NODE_SCALAR || n->count == 0) {
        const char *value = n->kind == NODE_SCALAR ? n->scalar : n->kind == NODE_LIST ? "[]" : "{}";
        setting_at(all, path)->values[run] = value;
        return;
    }
    for (int i = 0; i < n->count; i++) {
        if (n->kind == NODE_LIST)
            collect(all, run, arena_format(all->memory, "%s.%d", path, i), n->items[i]);
        else
            collect(all, run, arena_format(all->memory, "%s.%s", path, n->entries[i].key),
                    n->entries[i].value);
    }
}

static bool same_value(const char *a, const char *b) {
    double x, y;
    if (!a || !b) return a == b;
    return strcmp(a, b) == 0 || (text_to_real(a, &x) && text_to_real(b, &y) && x == y);
}

static bool differs(const differing_setting *s, const report_run *runs, int count) {
    const char *first = NULL;
    bool any = false;
    for (int i = 0; i < count; i++) {
        if (!runs[i].settings) continue;
        if (any && !same_value(first, s->values[i])) return true;
        first = s->values[i];
        any = true;
    }
    return false;
}

static bool ends_in(const char *path, const char *end) {
    size_t path_length = strlen(path), length = strlen(end);
    return path_length >= length && strcmp(path + path_length - length, end) == 0 &&
           (path_length == length || path[path_length - length - 1] == '.');
}

static bool is_number(const char *s) {
    return *s >= '0' && *s <= '9';
}

// The shortest end of a path that is no end of another and says something: neither "type" alone nor one
// that begins with a list index.
static const char *heading_of(const differing_setting *settings, int count, int at) {
    const char *path = settings[at].path;
    for (const char *end = path + strlen(path); end > path; end--) {
        if (end[-1] != '.' || is_number(end) || strcmp(end, "type") == 0) continue;
        bool unique = true;
        for (int i = 0; i < count && unique; i++) unique = i == at || !ends_in(settings[i].path, end);
        if (unique) return end;
    }
    return path;
}

int report_differences(const report_run *runs, int count, arena *a, differing_setting **out) {
    static const char *const passed_over[] = {"name", "description", "vars", "sampling", NULL};
    collection all = {.memory = a, .runs = count};
    for (int run = 0; run < count; run++) {
        const node *root = runs[run].settings;
        for (int i = 0; root && i < root->count; i++) {
            const char *key = root->entries[i].key;
            int k = 0;
            while (passed_over[k] && strcmp(passed_over[k], key) != 0) k++;
            if (!passed_over[k]) collect(&all, run, key, root->entries[i].value);
        }
    }
    int kept = 0;
    *out = arena_alloc(a, ((size_t)all.count + 1) * sizeof **out);
    for (int i = 0; i < all.count; i++)
        if (differs(&all.items[i], runs, count)) (*out)[kept++] = all.items[i];
    for (int i = 0; i < kept; i++) (*out)[i].heading = heading_of(*out, kept, i);
    free(all.items);
    return kept;
}
