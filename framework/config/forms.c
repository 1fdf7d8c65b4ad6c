#include "config/forms.h"

#include "config/option.h"
#include "config/yaml.h"

#include <string.h>

bool form_is_empty(const node *n) {
    return n->kind == NODE_SCALAR && !n->quoted && n->scalar[0] == '\0' && !n->broken;
}

void form_become_map(node *n) {
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

node *form_default(arena *a, problems *p, const option *o, place where) {
    static const origin from = {"default", 0};
    if (o->type == OPTION_SECTION || o->type == OPTION_VARIABLES) return node_map(a, where, from);
    const char *written = o->fallback ? o->fallback : "";
    // Most defaults are a word or a number and need no YAML parser. Strings are taken literally unless they
    // are quoted.
    bool is_text = o->type == OPTION_STRING;
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

void form_wrap(arena *a, node *value, const char *key) {
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

void form_spell_type(arena *a, node *scalar) {
    form_wrap(a, scalar, "type");
}

void form_spell_item(arena *a, node *scalar) {
    const char *name = scalar->scalar;
    form_become_map(scalar);
    node *settings = node_map(a, scalar->where, scalar->from);
    settings->folder = scalar->folder;
    node_put(a, scalar, name, scalar->where, settings);
}

const component *form_type(const option *o, const node *value) {
    const node *type = node_get(value, "type");
    return type && type->kind == NODE_SCALAR && !type->broken ? registry_find(o->registry, type->scalar)
                                                              : NULL;
}
