#include "config/overrides.h"

#include "base/text.h"
#include "config/merge.h"
#include "config/option.h"
#include "config/forms.h"
#include "config/yaml.h"

#include <stdio.h>
#include <string.h>

typedef struct applying {
    arena *a;
    problems *p;
    const char *override; // the whole override, as a line that can be shown
    origin from;
} applying;

// How far the path has been followed.
typedef struct spot {
    node *value;
    const component *about; // value is a map of its settings; NULL: not known
    const option *list;     // value is a list of components (or of branches) of this option, or an entry
    bool entry;             // value is the {NAME: settings} entry of such a list
    bool branches;          // value is a list of lists
} spot;

static place place_in(const applying *x, size_t offset) {
    char before[1024];
    snprintf(before, sizeof before, "%.*s", (int)offset, x->override);
    return (place){.file = "command line", .column = utf8_width(before) + 1, .source = x->override};
}

static bool is_reference(const node *n) {
    return n->kind == NODE_SCALAR && strstr(n->scalar, "${");
}

// The value of a key in a settings map; if it is absent, its default is added first.
static spot child_of_settings(applying *x, const spot *s, const char *part, place where) {
    const option *o = s->about ? option_find(s->about, part) : NULL;
    node *child = node_get(s->value, part);
    bool nothing = child && child->kind == NODE_SCALAR && child->scalar[0] == '\0' && !child->quoted;
    if (!child || nothing) {
        child = o ? form_default(x->a, x->p, o, s->value->where) : NULL;
        if (!child || node_is_null(child)) child = node_map(x->a, where, x->from);
        node_put(x->a, s->value, part, where, child);
    }
    spot down = {.value = child};
    if (!o) return down;
    if (o->type == OPTION_COMPONENT) {
        if (child->kind == NODE_SCALAR && !node_is_null(child)) form_spell_type(x->a, child);
        down.about = form_type(o, child);
        if (child->kind == NODE_MAP && !node_get(child, "type") && o->fallback) {
            node *usual = form_default(x->a, x->p, o, child->where);
            if (usual->kind == NODE_SCALAR) form_spell_type(x->a, usual);
            down.about = form_type(o, usual);
        }
    }
    if (o->type == OPTION_SECTION) down.about = o->section;
    if (option_is_component_list(o)) {
        down.list = o;
        down.branches = o->type == OPTION_BRANCHES;
    }
    return down;
}

static spot item_of_list(applying *x, const spot *s, int index) {
    node *item = s->value->items[index];
    spot down = {.value = item, .list = s->list, .entry = s->list && !s->branches};
    if (down.entry && item->kind == NODE_SCALAR && !is_reference(item) && !node_is_null(item) &&
        !item->broken)
        form_spell_item(x->a, item);
    return down;
}

static spot settings_of_entry(const spot *s) {
    const entry *e = &s->value->entries[0];
    spot down = {.value = e->value, .about = registry_find(s->list->registry, e->key)};
    if (e->value->kind == NODE_SCALAR && e->value->scalar[0] == '\0' && !e->value->quoted) {
        e->value->kind = NODE_MAP;
        e->value->scalar = NULL;
    }
    const option *list = down.about ? option_of_list(down.about) : NULL;
    if (list && e->value->kind == NODE_LIST) {
        down.list = list;
        down.branches = list->type == OPTION_BRANCHES;
    }
    return down;
}

// Follows one part of the path. Returns false after a problem.
static bool step(applying *x, spot *s, const char *part, place where) {
    int index = node_index(part);
    const option *inner = s->about ? option_of_list(s->about) : NULL;
    if (s->value->kind == NODE_MAP && s->entry && s->value->count == 1) {
        const char *name = s->value->entries[0].key;
        if (strcmp(name, part) != 0) {
            problem_add(x->p, where, "write that name instead", "the entry here is %s, not \"%s\"", name,
                        part);
            return false;
        }
        *s = settings_of_entry(s);
        return true;
    }
    if (s->value->kind == NODE_MAP) {
        // The key of a container's only list may be left out.
        bool counts = index >= 0 && inner && !option_find(s->about, part);
        *s = child_of_settings(x, s, counts ? inner->key : part, where);
        return counts ? step(x, s, part, where) : true;
    }
    if (s->value->kind == NODE_LIST) {
        if (inner && strcmp(part, inner->key) == 0) {
            s->about = NULL;
            return true;
        }
        if (index < 0 || index >= s->value->count) {
            problem_add(x->p, where, "entries are numbered from 0",
                        "this list of length %d has no entry \"%s\"", s->value->count, part);
            return false;
        }
        *s = item_of_list(x, s, index);
        return true;
    }
    const int shown = (int)utf8_cut(s->value->scalar, strlen(s->value->scalar), 100);
    if (is_reference(s->value))
        problem_add(x->p, where, "override the setting that it refers to, or the whole value",
                    "the path goes on, but this value is the reference %.*s", shown, s->value->scalar);
    else
        problem_add(x->p, where, NULL, "there is no \"%s\" here: the value is \"%.*s\"", part, shown,
                    s->value->scalar);
    return false;
}

// Assigns the value to what the last part names.
static void assign(applying *x, spot *s, const char *part, place where, node *value) {
    int index = node_index(part);
    const option *inner = s->about ? option_of_list(s->about) : NULL;
    if (s->value->kind == NODE_MAP && !s->entry && !(index >= 0 && inner && !option_find(s->about, part))) {
        merge_entry(x->a, s->about, s->value, &(entry){part, where, value});
        return;
    }
    if (s->value->kind == NODE_LIST && !(inner && strcmp(part, inner->key) == 0)) {
        if (index >= 0 && index < s->value->count)
            s->value->items[index] = value;
        else
            step(x, s, part, where); // for its message
        return;
    }
    if (!step(x, s, part, where)) return;
    // The settings of an entry, or the list of a container, are replaced in place.
    if (s->value->kind == NODE_MAP && value->kind == NODE_MAP)
        merge(x->a, s->about, s->value, value);
    else
        *s->value = *value;
}

void override_apply(arena *a, const component *table, node *root, const char *override, int rank,
                    problems *p) {
    // Problems show the override as a line without control characters.
    char *line = arena_copy_text(a, override);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
    applying x = {.a = a, .p = p, .override = line};
    x.from = (origin){arena_format(a, "override %s", line), rank};
    const char *equals = strchr(override, '=');
    if (!equals) {
        problem_add(p, place_in(&x, 0), "write key.path=value", "this is not an override: it has no =");
        return;
    }
    size_t path_length = (size_t)(equals - override);
    yaml_input input = {.text = equals + 1,
                        .length = strlen(equals + 1),
                        .name = "command line",
                        .folder = "",
                        .origin = x.from.text,
                        .rank = rank,
                        .line = line,
                        .skipped = place_in(&x, path_length + 1).column - 1};
    node *value = yaml_read(a, &input, p);
    if (!value) return;

    spot s = {.value = root, .about = table};
    for (size_t start = 0;;) {
        size_t length = strcspn(override + start, ".=");
        char *part = arena_copy_bytes(a, override + start, length);
        place where = place_in(&x, start);
        if (length == 0) {
            problem_add(p, where, "write key.path=value", "the path of this override has an empty part");
            return;
        }
        if (start + length == path_length) {
            assign(&x, &s, part, where, value);
            return;
        }
        if (!step(&x, &s, part, where)) return;
        start += length + 1;
    }
}
