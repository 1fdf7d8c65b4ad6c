// Getting the files of a corpus, and knowing that they are the right ones.
#include "data/catalogue.h"

#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "data/download.h"
#include "data/sha256.h"

#include <string.h>

// --- checksums

static const char *recorded_path(const data_places *places, arena *a) {
    return path_join(a, places->cache, "checksums.txt");
}

// Lines "<64 digits>  <name>", as sha256sum writes and reads them.
static const char *recorded_checksum(const char *name, const data_places *places, arena *a) {
    const char *path = recorded_path(places, a);
    char *bytes;
    size_t length;
    error ignored; // without the record the checksum is simply not known
    if (!file_exists(path) || file_read(path, a, &bytes, &length, &ignored) != OK) return NULL;
    for (char *line = bytes, *next; *line; line = next) {
        size_t size = strcspn(line, "\n");
        next = line + size + (line[size] == '\n');
        line[size] = '\0';
        if (size > 66 && strspn(line, "0123456789abcdef") == 64 && strcmp(line + 66, name) == 0)
            return arena_copy_bytes(a, line, 64);
    }
    return NULL;
}

static status record_checksum(const char *name, const char *digest, const data_places *places, arena *a,
                              error *err) {
    const char *path = recorded_path(places, a);
    char *bytes = "";
    size_t length = 0;
    if (file_exists(path)) TRY(file_read(path, a, &bytes, &length, err));
    text all = {0};
    text_add_bytes(&all, bytes, length);
    if (length > 0 && bytes[length - 1] != '\n') text_add(&all, "\n");
    text_add(&all, "%s  %s\n", digest, name);
    status result = file_write(path, all.bytes, all.length, err);
    text_free(&all);
    if (result == OK)
        log_line("%s: the catalogue has no SHA-256 for it; recorded %s in %s", name, digest, path);
    return result;
}

const char *catalogue_checksum(const catalogue_file *file, const data_places *places, arena *a) {
    if (file->sha256) return file->sha256;
    return file->url ? recorded_checksum(file->name, places, a) : NULL;
}

status catalogue_verify(const char *path, const char *digest, const char *expected, error *err) {
    if (!expected || strcmp(digest, expected) == 0) return OK;
    fail(err, ERR_DATA, "%s is not the file of the catalogue: its SHA-256 is %s, it should be %s", path,
         digest, expected);
    return error_hint(err,
                      "move it away and get the right one with %s data get; to use it as it is, give its "
                      "path as the source",
                      program_name());
}

// --- getting

// Verifies a file that is there; records its checksum when it was not known.
static status verify_present(const catalogue_file *file, const char *path, const data_places *places,
                             arena *a, error *err) {
    char digest[SHA256_TEXT];
    const char *expected = catalogue_checksum(file, places, a);
    TRY(sha256_file(path, digest, err));
    TRY(catalogue_verify(path, digest, expected, err));
    log_line("%s: found %s%s", file->name, path, expected ? ", its SHA-256 is right" : "");
    return expected ? OK : record_checksum(file->name, digest, places, a, err);
}

static status get_file(const catalogue_file *file, const data_places *places, const volatile int *stop,
                       arena *a, error *err) {
    const char *path = path_join(a, places->cache, file->name);
    download d;
    if (download_begin(&d, file->url, path, stop, err) != OK) {
        if (err->code != ERR_DATA) return err->code;
        return error_hint(err, "try again later, or get it by other means and save it as %s", path);
    }
    const char *expected = catalogue_checksum(file, places, a);
    if (expected && strcmp(d.digest, expected) != 0) {
        download_discard(&d);
        fail(err, ERR_DATA,
             "what %s gave is not the file of the catalogue: its SHA-256 is %s, it should be %s", file->url,
             d.digest, expected);
        return error_hint(err,
                          "nothing was kept; the file has changed at its source or on the way: look at %s",
                          file->url);
    }
    TRY(download_keep(&d, err));
    char size[32];
    log_line("%s: downloaded %s to %s%s", file->name, text_bytes((double)d.bytes, size, sizeof size), path,
             expected ? ", its SHA-256 is right" : "");
    return expected ? OK : record_checksum(file->name, d.digest, places, a, err);
}

static status get_files(const catalogue_entry *corpus, const data_places *places, const volatile int *stop,
                        arena *a, error *err) {
    for (int i = 0; i < corpus->count; i++) {
        const catalogue_file *file = &corpus->files[i];
        const char *path = catalogue_locate(file, corpus, places, a);
        if (corpus->package) {
            if (!path) return catalogue_missing(file, corpus, places, err);
            continue;
        }
        TRY(folder_create(places->cache, err));
        TRY(path ? verify_present(file, path, places, a, err) : get_file(file, places, stop, a, err));
    }
    if (corpus->package)
        log_line("%s: all %d files of the package %s are there", corpus->name, corpus->count,
                 corpus->package);
    return OK;
}

status catalogue_get(const catalogue_entry *corpus, const data_places *places, const volatile int *stop,
                     error *err) {
    arena *a = arena_new();
    status result = get_files(corpus, places, stop, a, err);
    arena_free(a);
    return result;
}
