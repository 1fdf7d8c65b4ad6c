#include "data/catalogue.h"

#include "base/file.h"
#include "base/program.h"
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

// --- loading

static const char *const entry_keys[] = {"title", "licence", "home", "package", "folder", "files", NULL};
static const char *const file_keys[] = {"name", "url", "sha256", "part", NULL};

static bool is_map(const node *n, const char *what, problems *p) {
    if (n->kind != NODE_MAP) problem_add(p, n->where, NULL, "%s should be a mapping", what);
    return n->kind == NODE_MAP;
}

static void refuse_other_keys(const node *map, const char *const *keys, problems *p) {
    for (int i = 0; i < map->count; i++) {
        const char *key = map->entries[i].key;
        bool known = false;
        text list = {0};
        for (int k = 0; keys[k]; k++) {
            known |= strcmp(keys[k], key) == 0;
            text_add(&list, "%s%s", k ? ", " : "the keys are: ", keys[k]);
        }
        const char *near = nearest_name(key, keys);
        if (!known && near)
            problem_add(p, map->entries[i].key_place, list.bytes,
                        "unknown key \"%s\"; did you mean \"%s\"?", key, near);
        else if (!known)
            problem_add(p, map->entries[i].key_place, list.bytes, "unknown key \"%s\"", key);
        text_free(&list);
    }
}

// The text of a key, or NULL with a problem when it is no text or, being required, absent.
static const char *read_text(const node *map, const char *key, bool required, problems *p) {
    const node *value = node_get(map, key);
    if (!value) {
        if (required) problem_add(p, map->where, NULL, "\"%s\" is missing", key);
        return NULL;
    }
    if (value->kind == NODE_SCALAR && value->scalar[0]) return value->scalar;
    problem_add(p, value->where, NULL, "\"%s\" should be a text", key);
    return NULL;
}

// A name that is made into a path must stay in its folder.
static bool plain_name(const char *name) {
    return name[0] != '.' && name[0] != '\0' && !strchr(name, '/');
}

static void check_name(const char *name, const node *at, problems *p) {
    if (!plain_name(name))
        problem_add(p, at->where, NULL, "\"%s\" is no plain file name: it has a '/' or begins with a '.'",
                    name);
}

static void read_download(const node *n, catalogue_file *file, problems *p) {
    if (!is_map(n, "a file of the catalogue", p)) return;
    refuse_other_keys(n, file_keys, p);
    if ((file->name = read_text(n, "name", true, p))) check_name(file->name, node_get(n, "name"), p);
    if ((file->url = read_text(n, "url", true, p)) && strncmp(file->url, "https://", 8) != 0 &&
        strncmp(file->url, "http://", 7) != 0)
        problem_add(p, node_get(n, "url")->where, NULL, "an address begins with https:// or http://");
    if ((file->sha256 = read_text(n, "sha256", false, p)) &&
        (strlen(file->sha256) != 64 || strspn(file->sha256, "0123456789abcdef") != 64))
        problem_add(p, node_get(n, "sha256")->where, "sha256sum FILE prints it",
                    "a SHA-256 has 64 hexadecimal digits, in lower case");
    const char *part = read_text(n, "part", false, p);
    if (!part) return;
    for (int s = 0; split_names[s]; s++)
        if (strcmp(part, split_names[s]) == 0) file->part = (split)s;
    if (file->part == SPLIT_COUNT)
        problem_add(p, node_get(n, "part")->where, "without a part, the corpus is cut into splits",
                    "a part is train, val or test");
}

static void read_entry(const entry *from, arena *a, catalogue_entry *out, problems *p) {
    const node *n = from->value;
    *out = (catalogue_entry){.name = from->key};
    if (strpbrk(from->key, "/.*?[ ") || !from->key[0])
        problem_add(p, from->key_place, "a name without them tells a corpus from a path",
                    "the name of a corpus has none of the characters / . * ? [ and no blank");
    if (!is_map(n, "a corpus of the catalogue", p)) return;
    refuse_other_keys(n, entry_keys, p);
    out->title = read_text(n, "title", true, p);
    out->licence = read_text(n, "licence", true, p);
    out->home = read_text(n, "home", true, p);
    out->package = read_text(n, "package", false, p);
    out->folder = read_text(n, "folder", out->package != NULL, p);
    if (out->folder && !out->package)
        problem_add(p, node_get(n, "folder")->where, NULL, "a folder goes with a package");

    const node *files = node_get(n, "files");
    if (!files || files->kind != NODE_LIST || files->count == 0) {
        problem_add(p, files ? files->where : n->where, NULL,
                    "\"files\" should be a list of at least one file");
        return;
    }
    out->files = arena_alloc(a, (size_t)files->count * sizeof *out->files);
    out->count = files->count;
    for (int i = 0; i < files->count; i++) {
        const node *item = files->items[i];
        catalogue_file *file = &out->files[i];
        *file = (catalogue_file){.part = SPLIT_COUNT};
        if (!out->package) {
            read_download(item, file, p);
        } else if (item->kind == NODE_SCALAR) {
            file->name = item->scalar;
            check_name(file->name, item, p);
        } else {
            problem_add(p, item->where, NULL, "a file of a package is the name of a file in its folder");
        }
    }
    for (int i = 1; i < out->count; i++)
        if ((out->files[i].part == SPLIT_COUNT) != (out->files[0].part == SPLIT_COUNT))
            problem_add(p, files->items[i]->where, NULL,
                        "either all files of a corpus have a part, or none has");
}

static void read_catalogue(const node *root, arena *a, catalogue *out, problems *p) {
    if (!is_map(root, "the catalogue", p)) return;
    out->entries = arena_alloc(a, (size_t)root->count * sizeof *out->entries);
    out->count = root->count;
    for (int i = 0; i < root->count; i++) read_entry(&root->entries[i], a, &out->entries[i], p);
}

status catalogue_load(const char *path, arena *a, catalogue *out, error *err) {
    *out = (catalogue){.path = arena_copy_text(a, path)};
    char *bytes;
    size_t length;
    if (file_read(path, a, &bytes, &length, err) != OK)
        return error_context(err, "the catalogue of corpora");
    const yaml_input input = {
        .text = bytes, .length = length, .name = out->path, .folder = path_folder(a, path)};
    problems p = {0};
    const node *root = yaml_read(a, &input, &p);
    if (root) read_catalogue(root, a, out, &p);
    problems_sort(&p);
    status result = p.count ? ERR_CONFIG : OK;
    if (p.count) *err = p.items[0].what;
    problems_free(&p);
    return result;
}

// --- finding

static const catalogue_entry *find(const catalogue *c, const char *name) {
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->entries[i].name, name) == 0) return &c->entries[i];
    return NULL;
}

status catalogue_need(const catalogue *c, const char *name, const catalogue_entry **out, error *err) {
    *out = find(c, name);
    if (*out) return OK;
    const char **names = memory_alloc(((size_t)c->count + 1) * sizeof *names);
    text list = {0};
    for (int i = 0; i < c->count; i++) {
        names[i] = c->entries[i].name;
        text_add(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = nearest_name(name, names);
    fail(err, ERR_CONFIG, "no corpus is called \"%s\"%s%s%s", name, near ? "; did you mean \"" : "",
         near ? near : "", near ? "\"?" : "");
    error_hint(err, "the catalogue has: %s", list.bytes ? list.bytes : "nothing");
    text_free(&list);
    free(names);
    return err->code;
}

const char *catalogue_locate(const catalogue_file *file, const catalogue_entry *corpus,
                             const data_places *places, arena *a) {
    const char *name = corpus->package ? arena_format(a, "%s/%s", corpus->name, file->name) : file->name;
    for (int i = 0; places->folders && places->folders[i]; i++) {
        const char *path = path_join(a, places->folders[i], name);
        if (file_exists(path)) return path;
    }
    const char *path = path_join(a, corpus->package ? corpus->folder : places->cache, file->name);
    return file_exists(path) ? path : NULL;
}

status catalogue_missing(const catalogue_file *file, const catalogue_entry *corpus,
                         const data_places *places, error *err) {
    text looked = {0};
    for (int i = 0; places->folders && places->folders[i]; i++)
        text_add(&looked, "%s, ", places->folders[i]);
    text_add(&looked, "%s", corpus->package ? corpus->folder : places->cache);
    fail(err, ERR_DATA, "%s of the corpus %s is not on this machine", file->name, corpus->name);
    if (corpus->package)
        error_hint(err, "install it: sudo apt-get install %s (looked in %s)", corpus->package,
                   looked.bytes);
    else
        error_hint(err, "get it: %s data get %s (looked in %s)", program_name(), corpus->name,
                   looked.bytes);
    text_free(&looked);
    return err->code;
}
