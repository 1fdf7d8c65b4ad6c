#include "data/sources.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool source_is_path(const char *item) {
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

// By bytes, whatever the locale.
static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const source_file *)a)->path, ((const source_file *)b)->path);
}

// Whether an entry of a folder is one of its texts; what cannot be looked at is, so that reading it fails.
static bool is_text(const char *name, const char *path) {
    struct stat info;
    return name[0] != '.' && (stat(path, &info) != 0 || S_ISREG(info.st_mode));
}

static void add_files_of(DIR *opened, const char *folder, arena *a, source_files *out) {
    const int before = out->count;
    for (struct dirent *e; (e = readdir(opened));) {
        const char *path = path_join(a, folder, e->d_name);
        if (is_text(e->d_name, path)) append(out, a, (source_file){.path = path, .part = SPLIT_COUNT});
    }
    if (out->count > before)
        qsort(out->items + before, (size_t)(out->count - before), sizeof *out->items, by_path);
}

static status add_folder(const char *folder, arena *a, source_files *out, error *err) {
    const int before = out->count;
    DIR *opened = opendir(folder);
    if (!opened) return fail_errno(err, "read", folder);
    add_files_of(opened, folder, a, out);
    closedir(opened);
    if (out->count > before) return OK;
    fail(err, ERR_DATA, "there is no file in the folder %s", folder);
    return error_hint(
        err, "hidden files and those of folders in it do not count; name them with a glob: %s/*/*", folder);
}

static status missing(const char *path, arena *a, error *err) {
    const char *folder = path_folder(a, path), *slash = strrchr(path, '/');
    fail(err, ERR_DATA, "there is no file %s", path);
    if (!file_is_folder(folder)) return error_hint(err, "there is no folder %s", folder);
    const char *near = folder_nearest(a, folder, slash ? slash + 1 : path);
    if (near) return error_hint(err, "did you mean %s?", path_join(a, folder, near));
    return error_hint(err, "check the spelling of the path");
}

static status add_path(const char *path, arena *a, source_files *out, error *err) {
    if (!file_exists(path) && (errno == ENOENT || errno == ENOTDIR)) return missing(path, a, err);
    if (file_is_folder(path)) return add_folder(path, a, out, err);
    append(out, a, (source_file){.path = path, .part = SPLIT_COUNT});
    return OK;
}

static status add_glob(const char *pattern, arena *a, source_files *out, error *err) {
    glob_t found;
    int code = glob(pattern, GLOB_NOSORT | GLOB_ERR, NULL, &found);
    if (code == GLOB_NOSPACE) return fail(err, ERR_MEMORY, "not enough memory to look for %s", pattern);
    const bool is_no_folder = code == GLOB_ABORTED && (errno == ENOENT || errno == ENOTDIR);
    if (code == GLOB_ABORTED && !is_no_folder) {
        int number = errno;
        globfree(&found);
        errno = number;
        return fail_errno(err, "look for", pattern);
    }
    if (code == GLOB_NOMATCH || is_no_folder) {
        globfree(&found);
        fail(err, ERR_DATA, "no file matches %s", pattern);
        return error_hint(err, "check the pattern");
    }
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_name);
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
    if (catalogue_need(c, name, &corpus, err) != OK) {
        const error refused = *err;
        return error_hint(err, "%s; anything else needs a '/' or a '.' to be taken for a path",
                          refused.hint);
    }
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
        TRY(path_expand_home(&item, places->home, a, err));
        if (!source_is_path(item))
            TRY(add_entry(item, places, c, a, out, err));
        else if (!strpbrk(item, "*?[") || file_exists(item))
            TRY(add_path(item, a, out, err));
        else
            TRY(add_glob(item, a, out, err));
    }
    return OK;
}
