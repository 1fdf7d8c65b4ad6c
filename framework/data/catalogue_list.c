// The table of the catalogue that `runexp data` prints.
#include "data/catalogue.h"

#include "base/file.h"
#include "base/program.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { INDENT = 4 };

// "1.1 MiB", or "?" for a file that has gone in the meantime.
static const char *size_of(const char *path, double *total, char buffer[32]) {
    struct stat info;
    if (stat(path, &info) != 0) return "?";
    *total += (double)info.st_size;
    return text_bytes((double)info.st_size, buffer, 32);
}

// A line that goes on deeper where the terminal is too narrow (columns 0: it never is).
__attribute__((format(printf, 4, 5))) static void add_line(text *out, int columns, int indent,
                                                           const char *format, ...) {
    enum { DEEPER = 4 };
    text line = {0};
    va_list arguments;
    va_start(arguments, format);
    text_add_list(&line, format, arguments);
    va_end(arguments);
    for (const char *s = line.bytes, *next; *s; s = next) {
        const int room = columns ? columns - indent : INT_MAX;
        const size_t fits = text_line_that_fits(s, room > 1 ? room : 1, &next);
        text_add(out, "%*s%.*s\n", indent, "", (int)fits, s);
        if (s == line.bytes) indent += DEEPER;
    }
    text_free(&line);
}

// The files of a package come and go together: one line for all of them.
static void list_package(const catalogue_entry *corpus, const data_places *places, arena *a, int columns,
                         text *out) {
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
        add_line(out, columns, INDENT, "%d files  %s  %s", present,
                 text_bytes(bytes, buffer, sizeof buffer), folder);
    else
        add_line(out, columns, INDENT, "%d of %d files missing: sudo apt-get install %s",
                 corpus->count - present, corpus->count, corpus->package);
}

static void list_files(const catalogue_entry *corpus, const data_places *places, arena *a, int columns,
                       text *out) {
    for (int i = 0; i < corpus->count; i++) {
        const catalogue_file *file = &corpus->files[i];
        const char *path = catalogue_locate(file, corpus, places, a);
        double bytes = 0;
        char buffer[32];
        const char *part =
            file->part == SPLIT_COUNT ? "" : arena_format(a, "(%s)  ", split_names[file->part]);
        if (path)
            add_line(out, columns, INDENT, "%s  %s%s  %s", file->name, part, size_of(path, &bytes, buffer),
                     path);
        else
            add_line(out, columns, INDENT, "%s  %smissing: %s data get %s", file->name, part,
                     program_name(), corpus->name);
    }
}

void catalogue_list(const catalogue *c, const data_places *places, int columns, text *out) {
    arena *a = arena_new();
    for (int i = 0; i < c->count; i++) {
        const catalogue_entry *corpus = &c->entries[i];
        if (i) text_add(out, "\n");
        add_line(out, columns, 0, "%s: %s", corpus->name, corpus->title);
        if (corpus->package)
            list_package(corpus, places, a, columns, out);
        else
            list_files(corpus, places, a, columns, out);
        add_line(out, columns, INDENT, "licence: %s", corpus->licence);
        add_line(out, columns, INDENT, "home: %s", corpus->home);
    }
    arena_free(a);
}
