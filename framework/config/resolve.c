#include "config/resolver.h"

#include "base/text.h"
#include "config/option.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// The way from the root to what is being read, for messages: a chain on the stack, written out when needed.
typedef struct path {
    const struct path *up;
    const char *key; // NULL: index
    int index;
} path;

static void add_path(const path *at, text *out) {
    if (!at) return;
    add_path(at->up, out);
    const char *dot = at->up ? "." : "";
    if (at->key)
        text_add(out, "%s%s", dot, at->key);
    else
        text_add(out, "%s%d", dot, at->index);
}

void resolver_note(resolver *r, const char *format, ...) {
    char note[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note, sizeof note, format, arguments);
    va_end(arguments);
    if (r->notes.count == r->note_capacity) {
        r->note_capacity = r->note_capacity ? 2 * r->note_capacity : 8;
        const char **larger = arena_alloc(r->a, (size_t)r->note_capacity * sizeof *larger);
        if (r->notes.count) memcpy(larger, r->notes.values, (size_t)r->notes.count * sizeof *larger);
        r->notes.values = larger;
    }
    r->notes.values[r->notes.count++] = arena_copy_text(r->a, note);
}

// --- messages

// What a value is, to follow "not": "abc" in quotes, a list, a mapping, nothing.
static void add_value(const node *n, text *out) {
    if (n->kind == NODE_LIST && n->count)
        text_add(out, "a list of %d", n->count);
    else if (n->kind == NODE_LIST)
        text_add(out, "an empty list");
    else if (n->kind == NODE_MAP)
        text_add(out, "a mapping");
    else if (node_is_null(n))
        text_add(out, n->scalar[0] ? "%s" : "nothing", n->scalar);
    else
        value_quote(n->scalar, out);
    if (n->from.rank > 0 && strncmp(n->from.text, "${", 2) == 0)
        text_add(out, " (from %.*s)", (int)strcspn(n->from.text, "}") + 1, n->from.text);
}

// "optimizer.lr must be a number above 0, not "1e-4x"", with the setting's meaning and default as the hint.
static void report_value(resolver *r, const option *o, node *n, const path *at, const char *must_be) {
    if (n->broken) return;
    references_expand_below(r, n); // what is not read still uses its variables
    n->broken = true;
    text message = {0}, hint = {0};
    add_path(at, &message);
    text_add(&message, " must be ");
    if (must_be)
        text_add(&message, "%s", must_be);
    else
        option_expected(o, &message);
    text_add(&message, ", not ");
    add_value(n, &message);
    bool is_text = o->type == OPTION_TEXT || o->type == OPTION_TEXTS;
    const char *nearest = NULL;
    if (n->kind == NODE_SCALAR && !node_is_null(n)) nearest = value_nearest(o, n->scalar);
    if (nearest)
        text_add(&hint, "did you mean \"%s\"?", nearest);
    else if (is_text && n->kind != NODE_SCALAR)
        text_add(&hint, "put a text that contains \": \" or begins with [ or { in quotes");
    else if (is_text && node_is_null(n))
        text_add(&hint, "write \"\" for an empty text");
    else if (o->type == OPTION_SECTION && n->kind == NODE_SCALAR && strchr(n->scalar, ':'))
        text_add(&hint, "write a blank after the colon");
    else if (node_is_null(n) && o->fallback)
        text_add(&hint, "leave %s out for its default, %s", o->key, o->fallback);
    else if (o->doc && !must_be) {
        text_add(&hint, "%s: %s", o->key, o->doc);
        if (o->fallback) text_add(&hint, " (default %s)", o->fallback);
    }
    problem_add(r->p, n->where, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
}

// Where a misplaced key belongs: the paths of the sections and components that have it, if any, the latter
// as in "optimizer.momentum (type rmsprop, sgd)".
static void add_homes(const component *root, const char *key, text *out) {
    for (const option *o = root->options; o && o->key; o++) {
        if (o->type == OPTION_SECTION && option_find(o->section, key))
            text_add(out, "%s%s.%s", out->length ? " or " : "", o->key, key);
        if (o->type != OPTION_COMPONENT) continue;
        int types = 0;
        for (const component *const *c = o->registry; *c; c++) {
            if (!option_find(*c, key)) continue;
            if (types++ == 0) text_add(out, "%s%s.%s (type ", out->length ? " or " : "", o->key, key);
            text_add(out, types > 1 ? ", %s" : "%s", (*c)->name);
        }
        if (types) text_add(out, ")");
    }
}

static void report_unknown(resolver *r, const component *about, const entry *e, const path *at) {
    text message = {0}, hint = {0}, home = {0};
    text_add(&message, "unknown key \"%.100s\"", e->key);
    if (at) {
        text_add(&message, " in ");
        add_path(at, &message);
    }
    const char *nearest = option_nearest(about, e->key);
    add_homes(r->table, e->key, &home);
    if (nearest)
        text_add(&hint, "did you mean %s?", nearest);
    else if (home.length)
        text_add(&hint, "it belongs elsewhere: %s", home.bytes);
    else if (about->options && about->options->key) {
        text_add(&hint, "keys of %s: ", about->name);
        option_names(about, &hint);
    } else
        text_add(&hint, "%s has no settings", about->name);
    problem_add(r->p, e->key_place, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
    text_free(&home);
}

static void report_unknown_component(resolver *r, const component *const *registry, const char *name,
                                     place where, const path *at) {
    text message = {0}, hint = {0};
    add_path(at, &message);
    text_add(&message, ": there is no %s \"%.100s\"", registry_kind(registry), name);
    const char *nearest = registry_nearest(registry, name);
    if (nearest)
        text_add(&hint, "did you mean %s?", nearest);
    else {
        text_add(&hint, "there are: ");
        registry_names(registry, &hint);
    }
    problem_add(r->p, where, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
}

static bool is_text(const node *n) {
    return n->kind == NODE_SCALAR && !node_is_null(n);
}

static bool right_count(const option *o, int count) {
    return count >= o->min_count && (o->max_count == 0 || count <= o->max_count);
}

// --- lists

static void read_reals(resolver *r, const option *o, node *n, real_list *out, const path *at) {
    if (n->kind != NODE_LIST || !right_count(o, n->count)) {
        report_value(r, o, n, at, NULL);
        return;
    }
    out->values = arena_alloc(r->a, (size_t)n->count * sizeof *out->values);
    out->count = n->count;
    option one = *o;
    one.type = OPTION_REAL;
    for (int i = 0; i < n->count; i++) {
        path here = {.up = at, .index = i};
        if (!n->items[i]->broken &&
            !(is_text(n->items[i]) && value_read(&one, n->items[i]->scalar, &out->values[i])))
            report_value(r, &one, n->items[i], &here, NULL);
    }
}

static void read_strings(resolver *r, const option *o, node *n, string_list *out, const path *at) {
    bool single = is_text(n);
    int count = single ? 1 : n->count;
    if ((!single && n->kind != NODE_LIST) || !right_count(o, count)) {
        report_value(r, o, n, at, NULL);
        return;
    }
    out->values = arena_alloc(r->a, (size_t)count * sizeof *out->values);
    out->count = count;
    option one = *o;
    one.type = OPTION_TEXT;
    for (int i = 0; i < count; i++) {
        node *item = single ? n : n->items[i];
        path here = {.up = at, .index = i};
        if (!item->broken && !is_text(item)) report_value(r, &one, item, &here, NULL);
        out->values[i] = item->kind == NODE_SCALAR ? item->scalar : "";
    }
}

// --- components

static void read_settings(resolver *r, const component *about, const option *choice, node *map,
                          void *settings, const path *at);

static void fill_choice(resolver *r, component_choice *out, const component *about, const option *choice,
                        node *map, place where, const path *at) {
    out->about = about;
    out->where = where;
    out->node = map;
    out->settings = arena_alloc(r->a, about->settings_size);
    read_settings(r, about, choice, map, out->settings, at);
}

static void read_component(resolver *r, const option *o, node *n, component_choice *out, const path *at) {
    if (n->kind != NODE_MAP) {
        report_value(r, o, n, at, NULL);
        return;
    }
    path type_path = {.up = at, .key = "type"};
    node *type = node_get(n, "type");
    if (!type) {
        text hint = {0}, message = {0};
        text_add(&hint, "one of ");
        registry_names(o->registry, &hint);
        add_path(&type_path, &message);
        problem_add(r->p, n->where, hint.bytes, "%s is missing", message.bytes);
        text_free(&hint);
        text_free(&message);
        return;
    }
    if (!is_text(type)) {
        text must_be = {0};
        text_add(&must_be, "the name of a kind of %s", registry_kind(o->registry));
        report_value(r, o, type, &type_path, must_be.bytes);
        text_free(&must_be);
        return;
    }
    const component *about = shape_type(o, n);
    if (about)
        fill_choice(r, out, about, o, n, n->where, at);
    else {
        if (!type->broken) report_unknown_component(r, o->registry, type->scalar, type->where, &type_path);
        references_expand_below(r, n);
    }
}

static void report_entry(resolver *r, const option *o, node *item, const path *at) {
    if (item->broken) return;
    references_expand_below(r, item);
    item->broken = true;
    text message = {0}, hint = {0};
    add_path(at, &message);
    const char *kind = registry_kind(o->registry);
    text_add(&message, ": a %s is NAME, or one key NAME: over its settings, not ", kind);
    if (item->kind == NODE_MAP && item->count > 1) {
        text_add(&message, "%d keys", item->count);
        if (strcmp(item->entries[0].key, "type") == 0)
            text_add(&hint, "write {%s: {its settings}}",
                     item->entries[0].value->kind == NODE_SCALAR ? item->entries[0].value->scalar : "NAME");
        else
            text_add(&hint,
                     "indent the settings deeper than \"%.60s\", or begin \"%.60s\" with a dash of its own",
                     item->entries[0].key, item->entries[1].key);
    } else {
        add_value(item, &message);
        text_add(&hint, "there are: ");
        registry_names(o->registry, &hint);
    }
    problem_add(r->p, item->where, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
}

static void read_components(resolver *r, const option *o, node *n, component_list *out, const path *at) {
    if (n->kind != NODE_LIST || !right_count(o, n->count)) {
        report_value(r, o, n, at, NULL);
        return;
    }
    out->items = arena_alloc(r->a, (size_t)n->count * sizeof *out->items);
    for (int i = 0; i < n->count; i++) {
        node *item = n->items[i];
        path index = {.up = at, .index = i};
        const component *about;
        node *map = shape_item(r, item, o->registry, &about);
        if (!map) {
            report_entry(r, o, item, &index);
            continue;
        }
        const entry *e = &item->entries[0];
        if (!about) {
            report_unknown_component(r, o->registry, e->key, e->key_place, &index);
            references_expand_below(r, map);
            continue;
        }
        path name = {.up = &index, .key = e->key};
        if (map->kind != NODE_MAP) {
            report_value(r, o, map, &name,
                         option_of_list(about) ? "a mapping of settings or a list"
                                               : "a mapping of settings");
            continue;
        }
        fill_choice(r, &out->items[out->count++], about, NULL, map, e->key_place, &name);
    }
}

static void read_branches(resolver *r, const option *o, node *n, component_branches *out, const path *at) {
    out->lists = arena_alloc(r->a, (size_t)n->count * sizeof *out->lists);
    out->count = n->count;
    option one = *o;
    one.type = OPTION_COMPONENTS;
    one.min_count = one.max_count = 0;
    for (int i = 0; i < n->count; i++) {
        path index = {.up = at, .index = i};
        if (references_expand(r, n->items[i]))
            read_components(r, &one, n->items[i], &out->lists[i], &index);
    }
}

// --- settings

static void read_option(resolver *r, const option *o, node *map, char *settings, const path *up) {
    path at = {.up = up, .key = o->key};
    node *n = shape_option(r, o, map);
    void *member = settings + o->offset;
    if (n->broken || o->type == OPTION_VARIABLES) return;
    if (node_is_null(n) && option_may_be_absent(o)) return;
    if (node_is_null(n) && n->from.rank == 0 && o->required) {
        n->broken = true;
        text message = {0}, hint = {0};
        add_path(&at, &message);
        text_add(&hint, "%s: ", o->key);
        option_expected(o, &hint);
        if (o->doc) text_add(&hint, "; %s", o->doc);
        problem_add(r->p, map->where, hint.bytes, "%s is missing", message.bytes);
        text_free(&message);
        text_free(&hint);
        return;
    }
    bool fine = true;
    switch (o->type) {
    case OPTION_BOOL:
    case OPTION_INT:
    case OPTION_REAL:
    case OPTION_CHOICE:
    case OPTION_TEXT:
        fine = is_text(n) && value_read(o, n->scalar, member);
        break;
    case OPTION_REALS:
        read_reals(r, o, n, member, &at);
        break;
    case OPTION_TEXTS:
        read_strings(r, o, n, member, &at);
        break;
    case OPTION_SECTION:
        fine = n->kind == NODE_MAP;
        if (fine) read_settings(r, o->section, NULL, n, member, &at);
        break;
    case OPTION_COMPONENT:
        read_component(r, o, n, member, &at);
        break;
    case OPTION_COMPONENTS:
        fine = n->kind == NODE_LIST && right_count(o, n->count);
        if (fine) read_components(r, o, n, member, &at);
        break;
    case OPTION_BRANCHES:
        fine = n->kind == NODE_LIST && right_count(o, n->count);
        if (fine) read_branches(r, o, n, member, &at);
        break;
    case OPTION_VARIABLES:
        break;
    }
    if (!fine) report_value(r, o, n, &at, NULL);
}

// Whether a key that the component does not have is a setting of another of its kind, left behind when a
// file or override of higher rank chose this type.
static bool left_behind(const component *about, const option *choice, const entry *e, const node *type) {
    if (!choice || !type || e->value->from.rank >= type->from.rank) return false;
    for (const component *const *c = choice->registry; *c; c++)
        if (*c != about && option_find(*c, e->key)) return true;
    return false;
}

// choice: the option whose value map is, when it is a {type: NAME, ...} mapping.
static void read_settings(resolver *r, const component *about, const option *choice, node *map,
                          void *settings, const path *at) {
    const node *type = choice ? node_get(map, "type") : NULL;
    for (int i = 0; i < map->count; i++) {
        const entry *e = &map->entries[i];
        if (option_find(about, e->key) || (type && strcmp(e->key, "type") == 0)) continue;
        references_expand_below(r, e->value); // what is not read still uses its variables
        if (!left_behind(about, choice, e, type)) {
            report_unknown(r, about, e, at);
            continue;
        }
        text name = {0};
        add_path(at, &name);
        if (type && e->value->from.rank > 0)
            resolver_note(r, "%s.%s (%s) is dropped: %s, chosen later (%s), has no such setting",
                          name.bytes, e->key, e->value->from.text, about->name, type->from.text);
        text_free(&name);
    }
    for (const option *o = about->options; o && o->key; o++) read_option(r, o, map, settings, at);

    // From here on the mapping holds the type and every option, in the order of the table.
    node ordered = {.kind = NODE_MAP};
    if (type) node_put(r->a, &ordered, "type", map->where, node_get(map, "type"));
    for (const option *o = about->options; o && o->key; o++)
        if (o->type != OPTION_VARIABLES)
            node_put(r->a, &ordered, o->key, map->where, node_get(map, o->key));
    map->entries = ordered.entries;
    map->count = ordered.count;
    map->capacity = ordered.capacity;
}

// --- variables

static void check_variables(resolver *r, const option *o, const node *variables) {
    if (variables->kind != NODE_MAP) {
        node copy = *variables;
        path at = {.key = o->key};
        report_value(r, o, &copy, &at, NULL);
        return;
    }
    for (int i = 0; i < variables->count; i++) {
        const entry *e = &variables->entries[i];
        bool used = false;
        for (int j = 0; j < r->used->count && !used; j++) used = r->used->items[j] == e->value;
        if (e->value->kind == NODE_MAP)
            problem_add(r->p, e->value->where, NULL,
                        "%s.%s must be a single value or a list, not a mapping", o->key, e->key);
        else if (!used && e->value->from.rank < r->file_rank)
            resolver_note(r, "%s.%s (%s) is not used", o->key, e->key, e->value->from.text);
        else if (!used)
            problem_add(r->p, e->key_place, "use it, or remove it",
                        "%s.%s is not used: there is no ${%s.%s}", o->key, e->key, o->key, e->key);
    }
}

void resolve(resolver *r, void *settings) {
    node *variables[8];
    const option *rows[8];
    int count = 0;
    for (const option *o = r->table->options; o && o->key && count < 8; o++)
        if (o->type == OPTION_VARIABLES) {
            rows[count] = o;
            variables[count++] = shape_option(r, o, r->root);
        }
    read_settings(r, r->table, NULL, r->root, settings, NULL);
    for (int i = 0; i < count; i++) check_variables(r, rows[i], variables[i]);
}
