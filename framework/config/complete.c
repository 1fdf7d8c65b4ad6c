// Completing settings: ${a.b} becomes the value of that setting, alone or inside a string ($${ is a literal
// ${), NAME becomes {type: NAME}, absent settings get their defaults.
//
// A setting is completed when it is first needed, by the reader or by a reference to it, so that neither
// the order of tables nor that of files matters. Therefore completing a setting and following a reference
// are mutually recursive.
#include "config/complete.h"

#include "base/file.h"
#include "base/text.h"
#include "config/forms.h"
#include "config/option.h"

#include <stdio.h>
#include <string.h>

enum { DEEPEST = 64, LONGEST_NAME = 200 };

// --- finding the target of a reference

// A step on the way from the root to a setting.
typedef struct spot {
    enum { SETTINGS, COMPONENTS, BRANCHES, ENTRY, VARIABLES, VALUE } kind;
    node *value;
    const option *option;   // of the value, or of the list that contains it
    const component *about; // SETTINGS: whose settings; ENTRY: of the component
} spot;

static spot spot_of_option(const option *o, node *value) {
    spot s = {.kind = VALUE, .value = value, .option = o};
    if (o->type == OPTION_SECTION && value->kind == NODE_MAP) {
        s.kind = SETTINGS;
        s.about = o->section;
    }
    if (o->type == OPTION_COMPONENT && value->kind == NODE_MAP) {
        s.about = form_type(o, value);
        if (s.about) s.kind = SETTINGS;
    }
    if (o->type == OPTION_COMPONENTS) s.kind = COMPONENTS;
    if (o->type == OPTION_BRANCHES) s.kind = BRANCHES;
    if (o->type == OPTION_VARIABLES) s.kind = VARIABLES;
    return s;
}

static void mark_used(resolver *r, node *variable) {
    for (int i = 0; i < r->used->count; i++)
        if (r->used->items[i] == variable) return;
    node_append(r->a, r->used, variable);
}

// Follows one part of a path. Returns false and leaves *s alone if there is nothing of that name.
static bool step(resolver *r, spot *s, const char *part) {
    int index = node_index(part);
    node *child = NULL;
    switch (s->kind) {
    case SETTINGS: {
        const option *o = option_find(s->about, part);
        if (!o && index >= 0 && (o = option_of_list(s->about)) != NULL) {
            spot list = spot_of_option(o, complete_option(r, o, s->value));
            if (!step(r, &list, part)) return false;
            *s = list;
            return true;
        }
        if (o) {
            *s = spot_of_option(o, complete_option(r, o, s->value));
            return true;
        }
        if (s->option && s->option->type == OPTION_COMPONENT && strcmp(part, "type") == 0)
            child = node_get(s->value, "type");
        break;
    }
    case COMPONENTS: {
        if (s->value->kind != NODE_LIST || index < 0 || index >= s->value->count) return false;
        const component *about;
        node *settings = complete_item(r, s->value->items[index], s->option->registry, &about);
        if (!settings || settings->kind != NODE_MAP || !about) return false;
        *s = (spot){.kind = ENTRY, .value = settings, .about = about};
        return true;
    }
    case BRANCHES:
        if (s->value->kind != NODE_LIST || index < 0 || index >= s->value->count) return false;
        child = s->value->items[index];
        complete_scalar(r, child);
        *s = (spot){.kind = COMPONENTS, .value = child, .option = s->option};
        return true;
    case ENTRY:
        if (strcmp(part, s->about->name) != 0) return false;
        s->kind = SETTINGS;
        return true;
    case VARIABLES:
        child = node_get(s->value, part);
        if (child) mark_used(r, child);
        break;
    case VALUE:
        complete_scalar(r, s->value);
        if (s->value->kind == NODE_LIST && index >= 0 && index < s->value->count)
            child = s->value->items[index];
        break;
    }
    if (!child) return false;
    *s = (spot){.kind = VALUE, .value = child};
    return true;
}

static const char *nearest_in(const spot *s, const char *part) {
    if (s->kind == SETTINGS) return option_nearest(s->about, part);
    if (s->kind == ENTRY) return s->about->name;
    if (s->kind != VARIABLES || s->value->kind != NODE_MAP) return NULL;
    const char *names[65];
    int count = 0;
    for (; count < s->value->count && count < 64; count++) names[count] = s->value->entries[count].key;
    names[count] = NULL;
    return nearest_name(part, names);
}

// The node that a dotted path leads to, or NULL after a problem.
static node *locate(resolver *r, const char *name, place where) {
    spot s = {.kind = SETTINGS, .value = r->root, .about = r->table};
    char part[LONGEST_NAME + 1], hint[512] = "";
    const char *start = name;
    for (;;) {
        size_t length = strcspn(start, ".");
        memcpy(part, start, length);
        part[length] = '\0';
        if (!step(r, &s, part)) break;
        if (start[length] == '\0') return s.value;
        start += length + 1;
    }
    if (s.value->broken) return NULL;
    int parents = start > name ? (int)(start - name) - 1 : 0;
    const char *nearest = nearest_in(&s, part);
    if (nearest)
        snprintf(hint, sizeof hint, "did you mean ${%.*s%s%s}?", (int)(start - name), name, nearest,
                 start + strlen(part));
    problem_add(r->p, where,
                nearest ? hint : "write the full path of a setting, as in ${model.width} or ${vars.name}",
                "${%s} refers to nothing: there is no `%s`%s%.*s", name, part, parents ? " in " : "",
                parents, name);
    return NULL;
}

// --- replacing references

// The place of a reference inside a scalar, or of the scalar if the reference cannot be found in the line.
static place place_of_reference(const node *n, const char *reference, size_t length) {
    place where = n->where;
    if (!where.source || where.column < 1) return where;
    int column = 1;
    for (const char *s = where.source; *s; s++) {
        if (column >= where.column && strncmp(s, reference, length) == 0) {
            where.column = column;
            return where;
        }
        if (((unsigned char)s[1] & 0xC0) != 0x80) column++;
    }
    return where;
}

static bool take(resolver *r, long amount, const node *n) {
    if (r->budget < 0) return false;
    r->budget -= amount;
    if (r->budget >= 0) return true;
    problem_add(r->p, n->where, "a list of references to lists of references grows fast",
                "the references in this value expand to too much text");
    return false;
}

static long size_of(const node *n) {
    long size = 64;
    for (int i = 0; i < n->count; i++)
        size += size_of(n->kind == NODE_LIST ? n->items[i] : n->entries[i].value);
    return size;
}

bool complete_below(resolver *r, node *n) {
    if (n->kind == NODE_SCALAR) return complete_scalar(r, n);
    bool fine = !n->broken;
    for (int i = 0; i < n->count; i++)
        if (!complete_below(r, n->kind == NODE_LIST ? n->items[i] : n->entries[i].value)) fine = false;
    return fine;
}

static void report_cycle(resolver *r, const node *n) {
    text chain = {0};
    const expansion *first = r->expanding;
    while (first->scalar != n) first = first->outer;
    // Expansions are linked from the innermost outwards; the message starts with the outermost.
    for (int depth = first->depth; depth <= r->expanding->depth; depth++) {
        const expansion *e = r->expanding;
        while (e->depth != depth) e = e->outer;
        if (chain.length < 600) text_add(&chain, "%s${%s}", depth == first->depth ? "" : " -> ", e->name);
    }
    problem_add(r->p, n->where, NULL, "this value refers to itself: %s", chain.bytes);
    text_free(&chain);
}

// The target of the reference `name` in scalar n, its own references replaced; NULL after a problem.
static node *target_of(resolver *r, node *n, const char *name, place where) {
    expansion now = {.scalar = n,
                     .name = name,
                     .outer = r->expanding,
                     .depth = r->expanding ? r->expanding->depth + 1 : 1};
    if (now.depth > DEEPEST) {
        problem_add(r->p, where, NULL, "references to references are more than %d deep", DEEPEST);
        return NULL;
    }
    r->expanding = &now;
    node *target = locate(r, name, where);
    if (target && target->kind == NODE_MAP) {
        problem_add(r->p, where, "refer to a single value or a list", "${%s} is a mapping", name);
        target = NULL;
    }
    if (target && !complete_below(r, target)) target = NULL;
    r->expanding = now.outer;
    return target;
}

static void set_origin(resolver *r, node *n, const char *reference, size_t length, int target_rank) {
    if (n->from.rank == 0)
        n->from.text = arena_format(r->a, "default (%.*s)", (int)length, reference);
    else {
        n->from.text = arena_format(r->a, "%.*s at %s", (int)length, reference, n->from.text);
        if (target_rank > n->from.rank) n->from.rank = target_rank;
    }
}

// Reads the reference that begins at s ("${"); returns its length, 0 after a problem.
static size_t reference_name(resolver *r, const node *n, const char *s, char *name) {
    const char *end = strchr(s, '}');
    size_t length = end ? (size_t)(end - (s + 2)) : 0;
    if (!end) {
        problem_add(r->p, place_of_reference(n, s, strlen(s)), "write ${name}, or $${ for a literal ${",
                    "a } is missing: this reference is not closed");
        return 0;
    }
    if (length == 0 || length > LONGEST_NAME || s[2] == '.' || end[-1] == '.' ||
        memmem(s, length + 2, "..", 2)) {
        problem_add(r->p, place_of_reference(n, s, length + 3),
                    "write ${section.name}, or $${ for a literal ${", "this is not the name of a setting");
        return 0;
    }
    memcpy(name, s + 2, length);
    name[length] = '\0';
    return length + 3;
}

// The next reference from s on, skipping "$${"; NULL: none.
static const char *next_reference(const char *s) {
    for (; *s; s++) {
        if (strncmp(s, "$${", 3) == 0)
            s += 2;
        else if (strncmp(s, "${", 2) == 0)
            return s;
    }
    return NULL;
}

// Replaces a scalar that is nothing but a reference by a copy of its target.
static bool become_target(resolver *r, node *n, const char *name, size_t length) {
    const char *reference = n->scalar;
    node *target = target_of(r, n, name, place_of_reference(n, reference, length));
    if (!target || !take(r, size_of(target), n)) return false;
    place where = n->where;
    origin from = n->from;
    const option *o = n->option;
    *n = *node_copy(r->a, target);
    n->where = where;
    n->from = from;
    n->option = o;
    set_origin(r, n, reference, length, target->from.rank);
    return true;
}

static bool replace_inside(resolver *r, node *n) {
    text out = {0};
    bool fine = true, first = true;
    const char *written = n->scalar;
    for (const char *s = written; *s;) {
        char name[LONGEST_NAME + 1];
        const char *next = next_reference(s);
        const char *end = next ? next : s + strlen(s);
        for (; s < end; s++) {
            if (strncmp(s, "$${", 3) == 0) s++;
            text_add_bytes(&out, s, 1);
        }
        if (!next) break;
        size_t length = reference_name(r, n, next, name);
        if (length == 0) {
            fine = false;
            break;
        }
        place where = place_of_reference(n, next, length);
        node *target = target_of(r, n, name, where);
        if (!target)
            fine = false;
        else if (target->kind != NODE_SCALAR || node_is_null(target)) {
            problem_add(r->p, where, "inside a string, refer to a single value", "${%s} %s", name,
                        target->kind == NODE_SCALAR ? "has no value" : "is a list");
            fine = false;
        } else if (take(r, (long)strlen(target->scalar) + 1, n)) {
            text_add(&out, "%s", target->scalar);
            if (first) set_origin(r, n, next, length, target->from.rank);
            first = false;
        } else
            fine = false;
        s = next + length;
    }
    if (fine) {
        n->scalar = arena_copy_bytes(r->a, out.bytes ? out.bytes : "", out.length);
        n->quoted = true; // the result is a string, even when it reads "null"
    }
    text_free(&out);
    return fine;
}

bool complete_scalar(resolver *r, node *n) {
    if (n->kind != NODE_SCALAR || n->expanded || n->broken) return !n->broken;
    if (!strstr(n->scalar, "${")) return n->expanded = true;
    for (const expansion *e = r->expanding; e; e = e->outer)
        if (e->scalar == n) {
            report_cycle(r, n);
            n->broken = true;
            return false;
        }
    const char *reference = next_reference(n->scalar);
    bool fine;
    char name[LONGEST_NAME + 1];
    if (reference == n->scalar && strchr(reference, '}') && strchr(reference, '}')[1] == '\0') {
        size_t length = reference_name(r, n, reference, name);
        fine = length > 0 && become_target(r, n, name, length);
    } else
        fine = replace_inside(r, n);
    n->expanded = true;
    n->broken = !fine;
    return fine;
}

// --- settings

// A default component gives its type to a mapping without one, and its settings to one of the same type.
static void fill_from_default(resolver *r, const option *o, node *map) {
    if (!o->fallback) return;
    node *whole = form_default(r->a, r->p, o, map->where);
    if (whole->kind == NODE_SCALAR) form_spell_type(r->a, whole);
    node *default_type = node_get(whole, "type");
    if (!default_type) return;
    node *type = node_get(map, "type");
    if (!type) node_put(r->a, map, "type", map->where, type = default_type);
    if (!complete_scalar(r, type) || type->kind != NODE_SCALAR || !complete_scalar(r, default_type) ||
        strcmp(type->scalar, default_type->scalar) != 0)
        return;
    for (int i = 0; i < whole->count; i++)
        if (!node_get(map, whole->entries[i].key))
            node_put(r->a, map, whole->entries[i].key, map->where, whole->entries[i].value);
}

static void complete_component(resolver *r, const option *o, node *n) {
    if (form_is_empty(n) && o->fallback) form_become_map(n);
    if (n->kind == NODE_SCALAR && !node_is_null(n) && complete_scalar(r, n) && n->kind == NODE_SCALAR)
        form_spell_type(r->a, n);
    if (n->kind != NODE_MAP) return;
    fill_from_default(r, o, n);
    node *type = node_get(n, "type");
    if (type) complete_scalar(r, type);
}

static void make_absolute(resolver *r, node *n) {
    if (n->kind != NODE_SCALAR || n->broken || node_is_null(n) || n->scalar[0] == '\0') return;
    if (!strpbrk(n->scalar, "/.*?[") || strncmp(n->scalar, "~/", 2) == 0) return;
    n->scalar = path_absolute(r->a, path_join(r->a, n->folder, n->scalar));
}

node *complete_option(resolver *r, const option *o, node *settings) {
    node *n = node_get(settings, o->key);
    if (!n) {
        n = form_default(r->a, r->p, o, settings->where);
        node_put(r->a, settings, o->key, settings->where, n);
    }
    if (n->option == o) return n;
    n->option = o;
    switch (o->type) {
    case OPTION_SECTION:
    case OPTION_VARIABLES:
        if (form_is_empty(n)) form_become_map(n);
        break;
    case OPTION_COMPONENT:
        complete_component(r, o, n);
        break;
    default:
        complete_scalar(r, n);
        if (o->type == OPTION_REALS || o->type == OPTION_DURATIONS || o->type == OPTION_STRINGS)
            for (int i = 0; n->kind == NODE_LIST && i < n->count; i++) complete_scalar(r, n->items[i]);
        if (o->may_be_path) {
            make_absolute(r, n);
            for (int i = 0; n->kind == NODE_LIST && i < n->count; i++) make_absolute(r, n->items[i]);
        }
    }
    return n;
}

node *complete_item(resolver *r, node *item, const component *const *registry, const component **about) {
    *about = NULL;
    if (!complete_scalar(r, item)) return NULL;
    if (item->kind == NODE_SCALAR && !node_is_null(item)) form_spell_item(r->a, item);
    if (item->kind != NODE_MAP || item->count != 1) return NULL;
    *about = registry_find(registry, item->entries[0].key);
    node *settings = item->entries[0].value;
    if (*about) {
        const option *list = option_of_list(*about);
        if (form_is_empty(settings))
            form_become_map(settings);
        else if (!complete_scalar(r, settings))
            return settings;
        if (settings->kind == NODE_LIST && list) form_wrap(r->a, settings, list->key);
    }
    return settings;
}
