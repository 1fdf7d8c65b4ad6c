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
    int first_rank; // of the first override
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
                        "there is no entry \"%s\" in this list of %d", part, s->value->count);
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
        problem_add(x->p, where, "end the path before it",
                    "the path goes on with \"%s\", but this value is \"%.*s\"", part, shown,
                    s->value->scalar);
    return false;
}

// --- values

// Whether a text is one string in quotes.
static bool is_quoted(const char *s) {
    const char quote = s[0];
    if (quote != '"' && quote != '\'') return false;
    for (s++; *s; s++) {
        if (quote == '"' && *s == '\\' && s[1])
            s++;
        else if (*s == quote && quote == '\'' && s[1] == quote)
            s++;
        else if (*s == quote)
            return s[1] == '\0';
    }
    return false;
}

// The offset of a "#" that YAML would take for the beginning of a comment; the length when there is none.
static size_t find_comment(const char *s) {
    char quote = '\0', before = ' ';
    size_t i = 0;
    for (; s[i]; before = s[i++]) {
        if (quote) {
            if (quote == '"' && s[i] == '\\' && s[i + 1])
                i++;
            else if (s[i] == quote)
                quote = '\0';
        } else if ((s[i] == '"' || s[i] == '\'') && strchr(" [{,:", before)) {
            quote = s[i];
        } else if (s[i] == '#' && (before == ' ' || before == '\t' || before == '\n')) {
            return i;
        }
    }
    return i;
}

// A list, a mapping or a string in quotes: read as YAML.
static node *read_yaml(applying *x, const char *value, size_t offset) {
    const yaml_input input = {.text = value,
                              .length = strlen(value),
                              .name = "command line",
                              .folder = "",
                              .origin = x->from.text,
                              .rank = x->from.rank,
                              .line = x->override,
                              .skipped = place_in(x, offset).column - 1};
    const size_t comment = find_comment(value);
    if (value[comment]) {
        problem_add(x->p, place_in(x, offset + comment), "put what contains the # in quotes",
                    "YAML takes this for a comment, which would be ignored");
        return NULL;
    }
    return yaml_read(x->a, &input, x->p);
}

// Everything else is a scalar as it stands, whatever YAML would make of it.
static node *read_whole(applying *x, const char *value, bool is_text, size_t offset) {
    size_t length = strlen(value);
    while (!is_text && length && (value[0] == ' ' || value[0] == '\t')) value++, length--, offset++;
    while (!is_text && length && (value[length - 1] == ' ' || value[length - 1] == '\t')) length--;
    uint32_t c;
    for (size_t i = 0, size; i < length; i += size) {
        size = (size_t)utf8_decode(value + i, length - i, &c);
        if (size) continue;
        problem_add(x->p, place_in(x, offset), "type it in UTF-8", "byte 0x%02X is not UTF-8 text",
                    (unsigned char)value[i]);
        return NULL;
    }
    node *n = node_scalar(x->a, arena_copy_bytes(x->a, value, length), place_in(x, offset), x->from);
    n->folder = "";
    n->quoted = is_text && length == 0; // an empty text, not none
    return n;
}

// The value of the override, which begins at `offset`, for option o (NULL: not known).
static node *read_value(applying *x, const char *value, size_t offset, const option *o) {
    const bool is_text = o && o->type == OPTION_STRING;
    const char first = value[strspn(value, " \t")];
    if (is_quoted(value) || (!is_text && (first == '[' || first == '{')))
        return read_yaml(x, value, offset);
    return read_whole(x, value, is_text, offset);
}

// A value below n that an earlier override gave, or NULL.
static const node *given_before(const applying *x, const node *n) {
    const node *found = NULL;
    if (n->kind == NODE_SCALAR || n->count == 0) return n->from.rank >= x->first_rank ? n : NULL;
    for (int i = 0; i < n->count && !found; i++)
        found = given_before(x, n->kind == NODE_MAP ? n->entries[i].value : n->items[i]);
    return found;
}

// A value that an earlier override gave and that `new` would replace, or NULL. A scalar in place of a
// mapping names its type, and the other way round.
static const node *replaced_value(const applying *x, const node *old, const node *new) {
    const node *found = NULL;
    if (old->kind == NODE_MAP && new->kind == NODE_SCALAR && node_get(old, "type"))
        return given_before(x, node_get(old, "type"));
    if (old->kind == NODE_SCALAR && new->kind == NODE_MAP)
        return node_get(new, "type") ? given_before(x, old) : NULL;
    if (old->kind != NODE_MAP || new->kind != NODE_MAP) return given_before(x, old);
    for (int i = 0; i < new->count && !found; i++) {
        const node *below = node_get(old, new->entries[i].key);
        if (below) found = replaced_value(x, below, new->entries[i].value);
    }
    return found;
}

// What an earlier override gave is not replaced in silence: false after that problem.
static bool is_first(applying *x, const node *old, const node *new) {
    const node *before = old ? replaced_value(x, old, new) : NULL;
    if (before)
        problem_add(x->p, new->where, "leave one of the two out", "given twice: `%s` and `%s`",
                    before->from.text + strlen(OVERRIDE_ORIGIN), x->override);
    return !before;
}

// --- applying

// Assigns the value to what the last part names.
static void assign(applying *x, spot *s, const char *part, place where, node *value) {
    int index = node_index(part);
    const option *inner = s->about ? option_of_list(s->about) : NULL;
    if (s->value->kind == NODE_MAP && !s->entry && !(index >= 0 && inner && !option_find(s->about, part))) {
        if (is_first(x, node_get(s->value, part), value))
            merge_entry(x->a, s->about, s->value, &(entry){part, where, value});
        return;
    }
    if (s->value->kind == NODE_LIST && !(inner && strcmp(part, inner->key) == 0)) {
        if (index < 0 || index >= s->value->count)
            step(x, s, part, where); // for its message
        else if (is_first(x, s->value->items[index], value))
            s->value->items[index] = value;
        return;
    }
    if (!step(x, s, part, where) || !is_first(x, s->value, value)) return;
    // The settings of an entry, or the list of a container, are replaced in place.
    if (s->value->kind == NODE_MAP && value->kind == NODE_MAP)
        merge(x->a, s->about, s->value, value);
    else
        *s->value = *value;
}

static void apply(applying *x, node *root, const component *table, const char *override) {
    const char *equals = strchr(override, '=');
    if (!equals) {
        problem_add(x->p, place_in(x, 0), "write key.path=value", "this is not an override: it has no =");
        return;
    }
    const size_t path_length = (size_t)(equals - override);
    spot s = {.value = root, .about = table};
    for (size_t start = 0;;) {
        size_t length = strcspn(override + start, ".=");
        char *part = arena_copy_bytes(x->a, override + start, length);
        place where = place_in(x, start);
        if (length == 0) {
            problem_add(x->p, where, "write key.path=value", "the path of this override has an empty part");
            return;
        }
        if (start + length == path_length) {
            const option *o = s.about && !s.entry ? option_find(s.about, part) : NULL;
            node *value = read_value(x, equals + 1, path_length + 1, o);
            if (value) assign(x, &s, part, where, value);
            return;
        }
        if (!step(x, &s, part, where)) return;
        start += length + 1;
    }
}

void overrides_apply(arena *a, const component *table, node *root, const string_list *overrides, int rank,
                     problems *p) {
    for (int i = 0; i < overrides->count; i++) {
        // Problems show the override as a line without control characters.
        char *line = arena_copy_text(a, overrides->values[i]);
        for (char *c = line; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
        applying x = {.a = a, .p = p, .override = line, .first_rank = rank};
        x.from = (origin){arena_format(a, OVERRIDE_ORIGIN "%s", line), rank + i};
        apply(&x, root, table, overrides->values[i]);
    }
}

bool overrides_give(const string_list *overrides, const char *path) {
    const size_t length = strlen(path);
    for (int i = 0; i < overrides->count; i++)
        if (strncmp(overrides->values[i], path, length) == 0 && overrides->values[i][length] == '=')
            return true;
    return false;
}
