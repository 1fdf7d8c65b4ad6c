#include "config/config.h"

#include "base/file.h"
#include "config/extends.h"
#include "config/overrides.h"
#include "config/resolve.h"

enum { REFERENCE_BUDGET = 1 << 21 }; // bytes that references may expand to; a node counts 64

// Loads an experiment whose own text has been read; folder is where relative paths in it start.
static status load(const component *root, const char *name, const char *folder, const char *library,
                   const char *yaml, size_t length, const char *const *overrides, int override_count,
                   arena *a, config *out, problems *p, error *err) {
    int before = p->count, rank = 0;
    *out = (config){.path = arena_copy_text(a, name)};
    out->overrides.values = arena_alloc(a, (size_t)override_count * sizeof *out->overrides.values);
    out->overrides.count = override_count;
    out->settings = arena_alloc(a, root->settings_size);
    for (int i = 0; i < override_count; i++) out->overrides.values[i] = arena_copy_text(a, overrides[i]);

    node *tree = extends_read(a, root, out->path, folder, library, yaml, length, &rank, p);
    if (tree) {
        overrides_apply(a, root, tree, &out->overrides, rank + 1, p);
        resolver r = {
            .a = a, .p = p, .table = root, .root = tree, .file_rank = rank, .budget = REFERENCE_BUDGET};
        r.used = node_list(a, (place){0}, (origin){0});
        resolve(&r, out->settings);
        out->root = tree;
        out->notes = r.notes;
        out->in_epochs = r.in_epochs;
    }
    int found = p->count - before;
    problems_sort(p);
    if (found == 0) return OK;
    return fail(err, ERR_CONFIG, "%d problem%s in %s", found, found == 1 ? "" : "s", name);
}

status config_load(const component *root, const char *path, const char *library,
                   const char *const *overrides, int override_count, arena *a, config *out, problems *p,
                   error *err) {
    char *yaml;
    size_t length;
    *out = (config){0};
    TRY(file_read(path, a, &yaml, &length, err));
    return load(root, path, path_folder(a, path), library, yaml, length, overrides, override_count, a, out,
                p, err);
}

status config_load_text(const component *root, const char *name, const char *yaml, size_t length,
                        const char *const *overrides, int override_count, arena *a, config *out,
                        problems *p, error *err) {
    return load(root, name, "", NULL, yaml, length, overrides, override_count, a, out, p, err);
}
