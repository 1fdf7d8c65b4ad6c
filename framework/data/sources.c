#include "data/sources.h"

#include "base/file.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

// Whether an item is a path or glob rather than a name of the catalogue.
static bool is_path(const char *item) {
    return strpbrk(item, "/.*?[") != NULL;
}

static void append(source_files *files, arena *a, source_file file) {
    if ((files->count & (files->count - 1)) == 0) { // full at every power of two
        source_file *more = arena_alloc(a, (size_t)(files->count ? 2 * files->count : 1) * sizeof *more);
        if (files->count) memcpy(more, files->items, (size_t)files->count * sizeof *more);
        files->items = more;
    }
    files->items[files->count++] = file;
}

static status add_path(const char *path, arena *a, source_files *out, error *err) {
    if (file_is_folder(path)) {
        fail(err, ERR_DATA, "cannot read %s: it is a folder", path);
        return error_hint(err, "name its files with a glob: %s/*.txt", path);
    }
    append(out, a, (source_file){.path = path, .part = SPLIT_COUNT});
    return OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static status add_glob(const char *pattern, arena *a, source_files *out, error *err) {
    glob_t found;
    int code = glob(pattern, GLOB_NOSORT | GLOB_ERR, NULL, &found);
    if (code == GLOB_NOSPACE) return fail(err, ERR_MEMORY, "not enough memory to look for %s", pattern);
    if (code == GLOB_ABORTED) {
        int number = errno;
        globfree(&found);
        errno = number;
        return fail_errno(err, "look for", pattern);
    }
    if (code == GLOB_NOMATCH) {
        globfree(&found);
        fail(err, ERR_DATA, "no file matches %s", pattern);
        return error_hint(err,
                          "check the pattern; a relative one starts at the folder of the experiment file");
    }
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_name); // by bytes, whatever the locale
    status result = OK;
    for (size_t i = 0; i < found.gl_pathc && result == OK; i++)
        result = add_path(arena_copy_text(a, found.gl_pathv[i]), a, out, err);
    globfree(&found);
    return result;
}

static status add_entry(const char *name, const data_places *places, catalogue *c, arena *a,
                        source_files *out, error *err) {
    if (!c->entries) TRY(catalogue_load(places->catalogue, a, c, err));
    const catalogue_entry *corpus;
    TRY(catalogue_need(c, name, &corpus, err));
    for (int i = 0; i < corpus->count; i++) {
        const catalogue_file *file = &corpus->files[i];
        const char *path = catalogue_locate(file, corpus, places, a);
        if (!path) return catalogue_missing(file, corpus, places, err);
        append(out, a, (source_file){path, catalogue_checksum(file, places, a), file->part});
    }
    return OK;
}

status sources_resolve(const string_list *items, const data_places *places, catalogue *c, arena *a,
                       source_files *out, error *err) {
    *out = (source_files){0};
    for (int i = 0; i < items->count; i++) {
        const char *item = items->values[i];
        if (!is_path(item))
            TRY(add_entry(item, places, c, a, out, err));
        else if (!strpbrk(item, "*?[") || file_exists(item))
            TRY(add_path(item, a, out, err));
        else
            TRY(add_glob(item, a, out, err));
    }
    return OK;
}
