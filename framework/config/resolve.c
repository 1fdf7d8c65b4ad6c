#include "config/resolve.h"

#include "base/text.h"
#include "config/forms.h"
#include "config/option.h"
#include "config/refusals.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void note(resolver *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(resolver *r, const char *format, ...) {
    char words[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    utf8_trim(words);
    string_list_add(&r->notes, arena_copy_text(r->a, words), r->a);
}

static bool is_text(const node *n) {
    return n->kind == NODE_SCALAR && !node_is_null(n);
}

static bool right_count(const option *o, int count) {
    return count >= o->min_count && (o->max_count == 0 || count <= o->max_count);
}

// A duration in epochs is kept for whoever knows how many steps an epoch has.
static void keep_epochs(resolver *r, place where, duration *value, const path *at) {
    epochs_settings *all = &r->in_epochs;
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? 2 * all->capacity : 8;
        epochs_setting *larger = arena_alloc(r->a, (size_t)all->capacity * sizeof *larger);
        if (all->count) memcpy(larger, all->items, (size_t)all->count * sizeof *larger);
        all->items = larger;
    }
    text name = {0};
    path_add(at, &name);
    all->items[all->count++] = (epochs_setting){arena_copy_text(r->a, name.bytes), where, value};
    text_free(&name);
}

static bool read_scalar(resolver *r, const option *o, const node *n, void *member, const path *at) {
    if (!is_text(n) || !value_read(o, n->scalar, member)) return false;
    duration *value = o->type == OPTION_DURATION ? member : NULL;
    if (value && value->epochs > 0) keep_epochs(r, n->where, value, at);
    return true;
}

// --- lists

// A list of values of the type `each`, of `size` bytes, into the array that *count counts.
static void *read_values(resolver *r, const option *o, node *n, option_type each, size_t size, int *count,
                         const path *at) {
    if (n->kind != NODE_LIST || !right_count(o, n->count)) {
        report_value(r, o, n, at, NULL);
        return NULL;
    }
    char *values = arena_alloc(r->a, (size_t)n->count * size);
    *count = n->count;
    option one = *o;
    one.type = each;
    for (int i = 0; i < n->count; i++) {
        path here = {.up = at, .index = i};
        if (!n->items[i]->broken && !read_scalar(r, &one, n->items[i], values + (size_t)i * size, &here))
            report_value(r, &one, n->items[i], &here, NULL);
    }
    return values;
}

static void read_reals(resolver *r, const option *o, node *n, real_list *out, const path *at) {
    out->values = read_values(r, o, n, OPTION_REAL, sizeof *out->values, &out->count, at);
}

static void read_durations(resolver *r, const option *o, node *n, duration_list *out, const path *at) {
    out->values = read_values(r, o, n, OPTION_DURATION, sizeof *out->values, &out->count, at);
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
    one.type = OPTION_STRING;
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
        report_missing_type(r, o, n, at);
        return;
    }
    if (!is_text(type)) {
        text must_be = {0};
        text_add(&must_be, "one of ");
        registry_names(o->registry, &must_be);
        report_value(r, o, type, &type_path, must_be.bytes);
        text_free(&must_be);
        return;
    }
    const component *about = form_type(o, n);
    if (about)
        fill_choice(r, out, about, o, n, n->where, at);
    else {
        if (!type->broken) report_unknown_component(r, o->registry, type->scalar, type->where, &type_path);
        complete_below(r, n);
    }
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
        node *map = complete_item(r, item, o->registry, &about);
        if (!map) {
            report_entry(r, o, item, &index);
            continue;
        }
        const entry *e = &item->entries[0];
        if (!about) {
            report_unknown_component(r, o->registry, e->key, e->key_place, &index);
            complete_below(r, map);
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
        if (complete_scalar(r, n->items[i])) read_components(r, &one, n->items[i], &out->lists[i], &index);
    }
}

// --- settings

static void read_option(resolver *r, const option *o, node *map, char *settings, const path *up) {
    path at = {.up = up, .key = o->key};
    node *n = complete_option(r, o, map);
    void *member = settings + o->offset;
    if (n->broken || o->type == OPTION_VARIABLES) return;
    if (node_is_null(n) && option_may_be_absent(o)) return;
    if (node_is_null(n) && n->from.rank == 0 && o->required) {
        n->broken = true;
        report_missing(r, o, map, &at);
        return;
    }
    bool fine = true;
    switch (o->type) {
    case OPTION_BOOL:
    case OPTION_INT:
    case OPTION_REAL:
    case OPTION_DURATION:
    case OPTION_CHOICE:
    case OPTION_STRING:
        fine = read_scalar(r, o, n, member, &at);
        break;
    case OPTION_REALS:
        read_reals(r, o, n, member, &at);
        break;
    case OPTION_DURATIONS:
        read_durations(r, o, n, member, &at);
        break;
    case OPTION_STRINGS:
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

// Whether an unknown key is a setting of another component of the same kind, which a file or override of
// higher rank has replaced by this one.
static bool left_behind(const component *about, const option *choice, const entry *e, const node *type) {
    if (!choice || !type || e->value->from.rank >= type->from.rank) return false;
    for (const component *const *c = choice->registry; *c; c++)
        if (*c != about && option_find(*c, e->key)) return true;
    return false;
}

// choice: the option whose value is map, if that is a {type: NAME, ...} mapping; else NULL.
static void read_settings(resolver *r, const component *about, const option *choice, node *map,
                          void *settings, const path *at) {
    const node *type = choice ? node_get(map, "type") : NULL;
    for (int i = 0; i < map->count; i++) {
        const entry *e = &map->entries[i];
        if (option_find(about, e->key) || (type && strcmp(e->key, "type") == 0)) continue;
        complete_below(r, e->value); // variables count as used even if the value is not
        if (!left_behind(about, choice, e, type)) {
            report_unknown(r, about, e, at);
            continue;
        }
        text name = {0};
        path_add(at, &name);
        if (type && e->value->from.rank > 0)
            note(r, "%s.%s (%s) is ignored: %s, chosen later (%s), has no such setting", name.bytes, e->key,
                 e->value->from.text, about->name, type->from.text);
        text_free(&name);
    }
    for (const option *o = about->options; o && o->key; o++) read_option(r, o, map, settings, at);

    // Let the mapping hold the type and every option, in the order of the table.
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
            note(r, "%s.%s (%s) is not used", o->key, e->key, e->value->from.text);
        else if (!used)
            problem_add(r->p, e->key_place, "use it or remove it",
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
            variables[count++] = complete_option(r, o, r->root);
        }
    read_settings(r, r->table, NULL, r->root, settings, NULL);
    for (int i = 0; i < count; i++) check_variables(r, rows[i], variables[i]);
}
