#include "config/config.h"
#include "config/duration.h"
#include "config/option.h"
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>

typedef struct comparison {
    const char *const *ignore;
    text *out;
    text path;
    int found;
} comparison;

static bool ignored(const comparison *c) {
    for (const char *const *name = c->ignore; name && *name; name++) {
        size_t length = strlen(*name);
        if (strncmp(c->path.bytes, *name, length) == 0 &&
            (c->path.bytes[length] == '\0' || c->path.bytes[length] == '.'))
            return true;
    }
    return false;
}

// A value on one line; components by name only.
static void add_value(const node *n, text *out) {
    if (!n)
        text_add(out, "(absent)");
    else if (n->kind == NODE_SCALAR)
        scalar_write(n, false, false, out);
    else if (n->kind == NODE_LIST) {
        text_add(out, "[");
        for (int i = 0; i < n->count; i++) {
            if (i) text_add(out, ", ");
            add_value(n->items[i], out);
        }
        text_add(out, "]");
    } else {
        const node *type = node_get(n, "type");
        text_add(out, "%s",
                 type && type->kind == NODE_SCALAR ? type->scalar
                 : n->count                        ? n->entries[0].key
                                                   : "{}");
    }
}

static void report(comparison *c, const node *a, const node *b) {
    if (ignored(c)) return;
    c->found++;
    text_add(c->out, "%s: ", c->path.bytes);
    add_value(a, c->out);
    text_add(c->out, " -> ");
    add_value(b, c->out);
    text_add(c->out, "\n");
}

static bool is_number(const option *o) {
    return o && (o->type == OPTION_INT || o->type == OPTION_REAL || o->type == OPTION_REALS);
}

static bool is_duration(const option *o) {
    return o && (o->type == OPTION_DURATION || o->type == OPTION_DURATIONS);
}

static bool same_scalar(const option *o, const node *a, const node *b) {
    if (node_is_null(a) || node_is_null(b)) return node_is_null(a) && node_is_null(b);
    if (strcmp(a->scalar, b->scalar) == 0) return true;
    double x, y;
    int64_t i, j;
    if (is_number(o) && text_to_int(a->scalar, &i) && text_to_int(b->scalar, &j)) return i == j;
    if (is_duration(o)) return duration_same(a->scalar, b->scalar);
    return is_number(o) && text_to_real(a->scalar, &x) && text_to_real(b->scalar, &y) && x == y;
}

static bool same_values(const option *o, const node *a, const node *b) {
    // A string equals the list of that string.
    if (o && o->type == OPTION_STRINGS) {
        if (a->kind == NODE_SCALAR && b->kind == NODE_LIST && b->count == 1) b = b->items[0];
        if (b->kind == NODE_SCALAR && a->kind == NODE_LIST && a->count == 1) a = a->items[0];
    }
    if (a->kind != b->kind) return false;
    if (a->kind == NODE_SCALAR) return same_scalar(o, a, b);
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (a->items[i]->kind != NODE_SCALAR || b->items[i]->kind != NODE_SCALAR ||
            !same_scalar(o, a->items[i], b->items[i]))
            return false;
    return true;
}

static void compare(comparison *c, const node *a, const node *b);

static void compare_below(comparison *c, const char *key, const node *a, const node *b) {
    size_t length = c->path.length;
    text_add(&c->path, "%s%s", length ? "." : "", key);
    if (!a || !b)
        report(c, a, b);
    else
        compare(c, a, b);
    c->path.length = length;
    c->path.bytes[length] = '\0';
}

static bool is_component_list(const node *n) {
    return n->kind == NODE_LIST && n->option && option_is_component_list(n->option);
}

static void compare_items(comparison *c, const node *a, const node *b) {
    int count = a->count > b->count ? a->count : b->count;
    for (int i = 0; i < count; i++) {
        char index[16];
        snprintf(index, sizeof index, "%d", i);
        compare_below(c, index, i < a->count ? a->items[i] : NULL, i < b->count ? b->items[i] : NULL);
    }
}

static void compare(comparison *c, const node *a, const node *b) {
    bool lists = a->kind == NODE_LIST && b->kind == NODE_LIST,
         maps = a->kind == NODE_MAP && b->kind == NODE_MAP;
    if (lists && (is_component_list(a) || (a->count && b->count && a->items[0]->kind == NODE_MAP))) {
        compare_items(c, a, b);
        return;
    }
    if (!maps) {
        if (!same_values(a->option, a, b)) report(c, a, b);
        return;
    }
    // Entries of a list of components: different components differ as a whole.
    bool entries = !a->option && a->count == 1 && b->count == 1;
    if (entries && strcmp(a->entries[0].key, b->entries[0].key) != 0) {
        report(c, a, b);
        return;
    }
    // In a container that has only a list, indices count in that list, as users write paths.
    if (entries && is_component_list(a->entries[0].value) && is_component_list(b->entries[0].value)) {
        compare_items(c, a->entries[0].value, b->entries[0].value);
        return;
    }
    for (int i = 0; i < a->count; i++)
        compare_below(c, a->entries[i].key, a->entries[i].value, node_get(b, a->entries[i].key));
    for (int i = 0; i < b->count; i++)
        if (!node_get(a, b->entries[i].key)) compare_below(c, b->entries[i].key, NULL, b->entries[i].value);
}

int config_difference(const config *a, const config *b, const char *const *ignore, text *out) {
    comparison c = {.ignore = ignore, .out = out};
    text_add(&c.path, "%s", "");
    compare(&c, a->root, b->root);
    text_free(&c.path);
    return c.found;
}
