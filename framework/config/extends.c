#include "config/extends.h"

#include "base/file.h"
#include "config/merge.h"
#include "config/yaml.h"

#include <stdio.h>
#include <string.h>

enum { DEEPEST = 16, MOST_FILES = 64 };

typedef struct reading {
    arena *a;
    const component *table;
    const char *library; // or NULL
    problems *p;
    const char *chain[DEEPEST]; // absolute paths of the files being read, outermost first
    int depth, files, rank;
    bool failed;
} reading;

static node *read_layer(reading *r, const char *name, const char *folder, const char *yaml, size_t length);

// What to write instead of a path to no file: one that is there.
static const char *missing_hint(const reading *r, const node *at) {
    const char *slash = strrchr(at->scalar, '/'), *name = slash ? slash + 1 : at->scalar;
    const char *folder = arena_copy_bytes(r->a, at->scalar, (size_t)(name - at->scalar));
    const char *near = folder_nearest(r->a, path_join(r->a, at->folder, slash ? folder : "."), name);
    if (!near && r->library && folder[0] != '/')
        near = folder_nearest(r->a, path_join(r->a, r->library, folder), name);
    if (near) return arena_format(r->a, "did you mean %s%s?", folder, near);
    return arena_format(r->a, "paths in extends are relative to the file that contains them%s%s",
                        r->library ? ", or to " : "", r->library ? r->library : "");
}

// The path of an extended file. A file that extends its own name means that of the library.
static const char *find_extended(const reading *r, const node *at) {
    const char *path = path_find(r->a, at->scalar, at->folder, r->library);
    const bool is_itself = strcmp(path_absolute(r->a, path), r->chain[r->depth - 1]) == 0;
    if (!is_itself || !r->library || strchr("./", at->scalar[0])) return path;
    const char *other = path_join(r->a, r->library, at->scalar);
    return file_exists(other) ? other : path;
}

// Reads one extended file; at: the node with its path. Returns NULL after a problem.
static node *read_extended(reading *r, const node *at) {
    if (at->kind != NODE_SCALAR || node_is_null(at) || at->scalar[0] == '\0') {
        problem_add(r->p, at->where, "write extends: base/file.yaml, or a list of such paths",
                    "extends must be a path or a list of paths");
        return NULL;
    }
    if (strstr(at->scalar, "${")) {
        problem_add(r->p, at->where, "write the path in full", "extends cannot contain references");
        return NULL;
    }
    const char *path = find_extended(r, at), *absolute = path_absolute(r->a, path);
    for (int i = 0; i < r->depth; i++)
        if (strcmp(r->chain[i], absolute) == 0) {
            problem_add(r->p, at->where, "leave this file out of extends", "%s extends itself%s", path,
                        i + 1 < r->depth ? " through the files that it extends" : "");
            return NULL;
        }
    if (r->depth == DEEPEST || r->files == MOST_FILES) {
        problem_add(r->p, at->where, "merge some of these files into one", "extends %s",
                    r->depth == DEEPEST ? "is more than 16 files deep" : "reads more than 64 files");
        return NULL;
    }
    char *bytes;
    size_t length;
    error err;
    if (file_read(path, r->a, &bytes, &length, &err) != OK) {
        problem_add(r->p, at->where,
                    file_exists(path) ? "extends takes experiment files" : missing_hint(r, at), "%s",
                    err.message);
        return NULL;
    }
    r->files++;
    r->chain[r->depth++] = absolute;
    node *n = read_layer(r, path, path_folder(r->a, path), bytes, length);
    r->depth--;
    return n;
}

// Removes `extends` from a mapping; returns its value or NULL.
static node *take_extends(node *map) {
    for (int i = 0; i < map->count; i++) {
        if (strcmp(map->entries[i].key, "extends") != 0) continue;
        node *value = map->entries[i].value;
        memmove(map->entries + i, map->entries + i + 1,
                (size_t)(map->count - i - 1) * sizeof *map->entries);
        map->count--;
        return value;
    }
    return NULL;
}

static node *read_layer(reading *r, const char *name, const char *folder, const char *yaml, size_t length) {
    yaml_input input = {.text = yaml, .length = length, .name = name, .folder = folder};
    node *layer = yaml_read(r->a, &input, r->p);
    if (layer && layer->kind == NODE_SCALAR && layer->scalar[0] == '\0' && !layer->quoted && !layer->broken)
        layer = node_map(r->a, layer->where, layer->from);
    if (layer && layer->kind != NODE_MAP) {
        if (!layer->broken)
            problem_add(
                r->p, layer->where,
                "an experiment is a mapping, `key: value` lines; a text to train on is named in one, as dataset.source",
                "%s is not an experiment but a %s", name, layer->kind == NODE_LIST ? "list" : "string");
        layer = NULL;
    }
    if (!layer) {
        r->failed = true;
        return NULL;
    }
    node *merged = NULL, *extends = take_extends(layer);
    bool is_list = extends && extends->kind == NODE_LIST;
    for (int i = 0; extends && i < (is_list ? extends->count : 1); i++) {
        node *under = read_extended(r, is_list ? extends->items[i] : extends);
        if (!under)
            r->failed = true;
        else
            merged = merged ? merge(r->a, r->table, merged, under) : under;
    }
    node_set_rank(layer, ++r->rank);
    return merged ? merge(r->a, r->table, merged, layer) : layer;
}

node *extends_read(arena *a, const component *table, const char *name, const char *folder,
                   const char *library, const char *yaml, size_t length, int *rank, problems *p) {
    reading r = {.a = a, .table = table, .library = library, .p = p};
    r.chain[r.depth++] = path_absolute(a, name);
    node *root = read_layer(&r, name, folder, yaml, length);
    *rank = r.rank;
    return r.failed ? NULL : root;
}
