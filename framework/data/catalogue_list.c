// The table of the catalogue that `runexp data` prints.
#include "data/catalogue.h"

#include "base/file.h"
#include "base/program.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// "1.1 MiB", or "?" for a file that has gone in the meantime.
static const char *size_of(const char *path, double *total, char buffer[32]) {
    struct stat info;
    if (stat(path, &info) != 0) return "?";
    *total += (double)info.st_size;
    return text_bytes((double)info.st_size, buffer, 32);
}

// The files of a package come and go together: one line for all of them.
static void list_package(const catalogue_entry *corpus, const data_places *places, arena *a, text *out) {
    int present = 0;
    double bytes = 0;
    char buffer[32];
    const char *folder = corpus->folder;
    for (int i = 0; i < corpus->count; i++) {
        const char *path = catalogue_locate(&corpus->files[i], corpus, places, a);
        if (!path) continue;
        present++;
        size_of(path, &bytes, buffer);
        folder = path_folder(a, path);
    }
    if (present == corpus->count)
        text_add(out, "    %d files  %s  %s\n", present, text_bytes(bytes, buffer, sizeof buffer), folder);
    else
        text_add(out, "    %d of %d files missing: sudo apt-get install %s\n", corpus->count - present,
                 corpus->count, corpus->package);
}

static void list_files(const catalogue_entry *corpus, const data_places *places, arena *a, text *out) {
    for (int i = 0; i < corpus->count; i++) {
        const catalogue_file *file = &corpus->files[i];
        const char *path = catalogue_locate(file, corpus, places, a);
        double bytes = 0;
        char buffer[32];
        text_add(out, "    %s  ", file->name);
        if (file->part != SPLIT_COUNT) text_add(out, "(%s)  ", split_names[file->part]);
        if (path)
            text_add(out, "%s  %s\n", size_of(path, &bytes, buffer), path);
        else
            text_add(out, "missing: %s data get %s\n", program_name(), corpus->name);
    }
}

void catalogue_list(const catalogue *c, const data_places *places, text *out) {
    arena *a = arena_new();
    for (int i = 0; i < c->count; i++) {
        const catalogue_entry *corpus = &c->entries[i];
        text_add(out, "%s%s: %s\n", i ? "\n" : "", corpus->name, corpus->title);
        if (corpus->package)
            list_package(corpus, places, a, out);
        else
            list_files(corpus, places, a, out);
        text_add(out, "    licence: %s\n    home: %s\n", corpus->licence, corpus->home);
    }
    arena_free(a);
}
