#include "config/resolver.h"

#include "base/file.h"
#include "config/option.h"
#include "config/yaml.h"

#include <string.h>

static bool is_plain_empty(const node *n) {
    return n->kind == NODE_SCALAR && !n->quoted && n->scalar[0] == '\0' && !n->broken;
}

static void become_empty_map(node *n) {
    n->kind = NODE_MAP;
    n->scalar = NULL;
}

static void set_place(node *n, place where) {
    n->where = where;
    for (int i = 0; i < n->count; i++) {
        if (n->kind == NODE_MAP) n->entries[i].key_place = where;
        set_place(n->kind == NODE_LIST ? n->items[i] : n->entries[i].value, where);
    }
}

node *shape_default(arena *a, problems *p, const option *o, place where) {
    static const origin from = {"default", 0};
    if (o->type == OPTION_SECTION || o->type == OPTION_VARIABLES) return node_map(a, where, from);
    const char *written = o->fallback ? o->fallback : "";
    // Most defaults are a word or a number: no need for a YAML parser. Texts are taken as they stand,
    // unless they are in quotes.
    bool is_text = o->type == OPTION_TEXT;
    bool word = is_text ? !strchr("'\"", written[0]) || written[0] == '\0'
                        : !strpbrk(written, "[]{}:#&*!|>'\"%@`,\n");
    if (word || (strncmp(written, "${", 2) == 0 && strchr(written, '}') == written + strlen(written) - 1)) {
        node *n = node_scalar(a, written, where, from);
        n->quoted = o->fallback != NULL;
        return n;
    }
    yaml_input input = {.text = written,
                        .length = strlen(written),
                        .name = arena_format(a, "default of %s", o->key),
                        .folder = "",
                        .origin = from.text};
    node *n = yaml_read(a, &input, p);
    if (!n) {
        n = node_scalar(a, "", where, from);
        n->broken = true;
    }
    set_place(n, where);
    return n;
}

// The node that value is now moves into a map under key; value becomes that map.
static void wrap(arena *a, node *value, const char *key) {
    node *inner = arena_alloc(a, sizeof *inner);
    *inner = *value;
    *value = (node){.kind = NODE_MAP,
                    .where = inner->where,
                    .from = inner->from,
                    .folder = inner->folder,
                    .option = inner->option};
    inner->option = NULL;
    node_put(a, value, key, inner->where, inner);
}

void shape_spell_type(arena *a, node *scalar) {
    wrap(a, scalar, "type");
}

void shape_spell_item(arena *a, node *scalar) {
    const char *name = scalar->scalar;
    become_empty_map(scalar);
    node *settings = node_map(a, scalar->where, scalar->from);
    settings->folder = scalar->folder;
    node_put(a, scalar, name, scalar->where, settings);
}

const component *shape_type(const option *o, const node *value) {
    const node *type = node_get(value, "type");
    return type && type->kind == NODE_SCALAR && !type->broken ? registry_find(o->registry, type->scalar)
                                                              : NULL;
}

// A default component gives its type to a mapping without one, and its settings to one of the same type.
static void fill_from_default(resolver *r, const option *o, node *map) {
    if (!o->fallback) return;
    node *whole = shape_default(r->a, r->p, o, map->where);
    if (whole->kind == NODE_SCALAR) shape_spell_type(r->a, whole);
    node *default_type = node_get(whole, "type");
    if (!default_type) return;
    node *type = node_get(map, "type");
    if (!type) node_put(r->a, map, "type", map->where, type = default_type);
    if (!references_expand(r, type) || type->kind != NODE_SCALAR || !references_expand(r, default_type) ||
        strcmp(type->scalar, default_type->scalar) != 0)
        return;
    for (int i = 0; i < whole->count; i++)
        if (!node_get(map, whole->entries[i].key))
            node_put(r->a, map, whole->entries[i].key, map->where, whole->entries[i].value);
}

static void shape_component(resolver *r, const option *o, node *n) {
    if (is_plain_empty(n) && o->fallback) become_empty_map(n);
    if (n->kind == NODE_SCALAR && !node_is_null(n) && references_expand(r, n) && n->kind == NODE_SCALAR)
        shape_spell_type(r->a, n);
    if (n->kind != NODE_MAP) return;
    fill_from_default(r, o, n);
    node *type = node_get(n, "type");
    if (type) references_expand(r, type);
}

static void make_absolute(resolver *r, node *n) {
    if (n->kind != NODE_SCALAR || n->broken || node_is_null(n) || n->scalar[0] == '\0') return;
    if (!strpbrk(n->scalar, "/.*?[")) return;
    n->scalar = path_absolute(r->a, path_join(r->a, n->folder, n->scalar));
}

node *shape_option(resolver *r, const option *o, node *settings) {
    node *n = node_get(settings, o->key);
    if (!n) {
        n = shape_default(r->a, r->p, o, settings->where);
        node_put(r->a, settings, o->key, settings->where, n);
    }
    if (n->option == o) return n;
    n->option = o;
    switch (o->type) {
    case OPTION_SECTION:
    case OPTION_VARIABLES:
        if (is_plain_empty(n)) become_empty_map(n);
        break;
    case OPTION_COMPONENT:
        shape_component(r, o, n);
        break;
    default:
        references_expand(r, n);
        if (o->type == OPTION_REALS || o->type == OPTION_TEXTS)
            for (int i = 0; n->kind == NODE_LIST && i < n->count; i++) references_expand(r, n->items[i]);
        if (o->may_be_path) {
            make_absolute(r, n);
            for (int i = 0; n->kind == NODE_LIST && i < n->count; i++) make_absolute(r, n->items[i]);
        }
    }
    return n;
}

node *shape_item(resolver *r, node *item, const component *const *registry, const component **about) {
    *about = NULL;
    if (!references_expand(r, item)) return NULL;
    if (item->kind == NODE_SCALAR && !node_is_null(item)) shape_spell_item(r->a, item);
    if (item->kind != NODE_MAP || item->count != 1) return NULL;
    *about = registry_find(registry, item->entries[0].key);
    node *settings = item->entries[0].value;
    if (*about) {
        const option *list = option_of_list(*about);
        if (is_plain_empty(settings))
            become_empty_map(settings);
        else if (!references_expand(r, settings))
            return settings;
        if (settings->kind == NODE_LIST && list) wrap(r->a, settings, list->key);
    }
    return settings;
}
