#include "report/differences.h"

#include "base/text.h"
#include "config/duration.h"

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
    return strcmp(a, b) == 0 || (text_to_real(a, &x) && text_to_real(b, &y) && x == y) ||
           duration_same(a, b);
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

static bool is_number(const char *s) {
    return *s >= '0' && *s <= '9';
}

static bool of_layer(const differing_setting *s) {
    return strncmp(s->path, "model.layers.", strlen("model.layers.")) == 0;
}

// Whether not all runs have it, and it is the same in those that do.
static bool follows_layer(const differing_setting *s, const report_run *runs, int count) {
    const char *value = NULL;
    bool lacks = false;
    for (int i = 0; i < count; i++) {
        if (!runs[i].settings) continue;
        if (!s->values[i])
            lacks = true;
        else if (value && !same_value(value, s->values[i]))
            return false;
        else
            value = s->values[i];
    }
    return lacks;
}

// Whether the setting has the value of the other one in every run that has it.
static bool follows(const differing_setting *s, const differing_setting *other, int count) {
    for (int i = 0; i < count; i++)
        if (s->values[i] && !same_value(s->values[i], other->values[i])) return false;
    return true;
}

// Whether the setting of a layer is the layer itself, written as a name alone.
static bool is_layer(const differing_setting *s) {
    return is_number(strrchr(s->path, '.') + 1);
}

// Whether a setting cannot be inferred from the independent ones before it and the names of the layers.
static bool is_independent(const differing_setting *s, const differing_setting *before, int before_count,
                           const report_run *runs, int count) {
    if (!of_layer(s)) return true;
    for (int i = 0; i < before_count; i++)
        if (follows(s, &before[i], count)) return false;
    return !is_layer(s) && !follows_layer(s, runs, count);
}

enum { MOST_LAYERS = 32 };

typedef struct layer_names {
    const char *name[MOST_LAYERS];
    int count;
} layer_names;

static bool has_layer(const layer_names *names, const char *name) {
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0) return true;
    return false;
}

// The names of layers in a list of them, each once.
static void collect_layers(const node *layers, layer_names *names) {
    for (int i = 0; i < layers->count; i++) {
        const node *layer = layers->items[i], *inside = NULL;
        const char *name = layer->kind == NODE_SCALAR ? layer->scalar : NULL;
        if (layer->kind == NODE_MAP && layer->count == 1) {
            name = layer->entries[0].key;
            inside = layer->entries[0].value;
            if (inside->kind == NODE_MAP) inside = node_get(inside, "layers");
        }
        if (name && !has_layer(names, name) && names->count < MOST_LAYERS)
            names->name[names->count++] = name;
        if (inside && inside->kind == NODE_LIST) collect_layers(inside, names);
    }
}

// For each run the layers of its model that not every model has; false when all have the same.
static bool layers_that_differ(const report_run *runs, int count, arena *a, differing_setting *out) {
    layer_names *of = arena_alloc(a, (size_t)count * sizeof *of);
    bool any = false;
    for (int i = 0; i < count; i++) {
        const node *layers = runs[i].settings ? node_find((node *)runs[i].settings, "model.layers") : NULL;
        if (layers && layers->kind == NODE_LIST) collect_layers(layers, &of[i]);
    }
    *out = (differing_setting){"model.layers", "layers", arena_alloc(a, (size_t)count * sizeof(char *))};
    for (int i = 0; i < count; i++) {
        text own = {0};
        for (int k = 0; k < of[i].count; k++) {
            bool all = true;
            for (int j = 0; j < count; j++)
                all = all && (!runs[j].settings || has_layer(&of[j], of[i].name[k]));
            if (!all) text_add(&own, "%s%s", own.length ? " " : "", of[i].name[k]);
        }
        if (own.length) out->values[i] = arena_copy_text(a, own.bytes);
        any = any || own.length > 0;
        text_free(&own);
    }
    return any;
}

static bool ends_in(const char *path, const char *end) {
    size_t path_length = strlen(path), length = strlen(end);
    return path_length >= length && strcmp(path + path_length - length, end) == 0 &&
           (path_length == length || path[path_length - length - 1] == '.');
}

// The shortest end of a path that is no end of another one and means something: neither "type" alone nor
// one that begins with a list index.
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

int report_differences(const report_run *runs, int count, arena *a, differing_setting **out,
                       int *independent) {
    static const char *const left_out[] = {"name", "description", "vars", "sampling", NULL};
    collection all = {.memory = a, .runs = count};
    for (int run = 0; run < count; run++) {
        const node *root = runs[run].settings;
        for (int i = 0; root && i < root->count; i++) {
            const char *key = root->entries[i].key;
            int k = 0;
            while (left_out[k] && strcmp(left_out[k], key) != 0) k++;
            if (!left_out[k]) collect(&all, run, key, root->entries[i].value);
        }
    }
    differing_setting *kept = *out = arena_alloc(a, ((size_t)all.count + 1) * sizeof **out), layers;
    differing_setting *implied = arena_alloc(a, ((size_t)all.count + 1) * sizeof *implied);
    int implied_count = 0, n = 0;
    for (int i = 0; i < all.count; i++) {
        const differing_setting *s = &all.items[i];
        if (!differs(s, runs, count)) continue;
        if (is_independent(s, kept, n, runs, count))
            kept[n++] = *s;
        else
            implied[implied_count++] = *s;
    }
    if (layers_that_differ(runs, count, a, &layers)) kept[n++] = layers;
    *independent = n;
    memcpy(kept + n, implied, (size_t)implied_count * sizeof *implied);
    for (int i = 0; i < n; i++) kept[i].heading = heading_of(kept, n, i);
    free(all.items);
    return n + implied_count;
}
