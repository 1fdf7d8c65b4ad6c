#include "base/file.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

status file_read(const char *path, arena *a, char **bytes, size_t *length, error *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return fail_errno(err, "read", path);
    struct stat info;
    if (fstat(fileno(f), &info) != 0) {
        fail_errno(err, "read", path);
        fclose(f);
        return err->code;
    }
    if (S_ISDIR(info.st_mode)) {
        fclose(f);
        errno = EISDIR;
        return fail_errno(err, "read", path);
    }
    // Pipes and /proc files have no size: read until the end whatever the size says.
    size_t capacity = (size_t)info.st_size + 1, used = 0;
    char *buffer = memory_alloc(capacity + 1);
    while (!feof(f) && !ferror(f)) {
        used += fread(buffer + used, 1, capacity - used, f);
        if (used == capacity) buffer = memory_resize(buffer, (capacity *= 2) + 1);
    }
    bool failed = ferror(f);
    fclose(f);
    if (failed) {
        free(buffer);
        return fail_errno(err, "read", path);
    }
    *bytes = arena_copy_bytes(a, buffer, used);
    *length = used;
    free(buffer);
    return OK;
}

static void sync_folder_of(const char *path) {
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == folder)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    else
        strcpy(folder, ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd); // best effort: some file systems refuse it for folders
    close(fd);
}

status file_commit(const char *temporary_path, const char *path, error *err) {
    int fd = open(temporary_path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (!good) fail_errno(err, "write", path);
    if (fd >= 0) close(fd);
    if (good && rename(temporary_path, path) != 0) {
        fail_errno(err, "replace", path);
        good = false;
    }
    if (!good) {
        unlink(temporary_path);
        return err->code;
    }
    sync_folder_of(path);
    return OK;
}

status file_write(const char *path, const char *bytes, size_t length, error *err) {
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid()) >=
        sizeof temporary)
        return fail(err, ERR_IO, "cannot write %s: the path is too long", path);
    FILE *f = fopen(temporary, "wb");
    if (!f) return fail_errno(err, "write", path);
    bool good = fwrite(bytes, 1, length, f) == length;
    if (!good) fail_errno(err, "write", path);
    if (fclose(f) != 0 && good) {
        fail_errno(err, "write", path);
        good = false;
    }
    if (!good) {
        unlink(temporary);
        return err->code;
    }
    return file_commit(temporary, path, err);
}

bool file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool file_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_is_plain(const char *path) {
    return file_exists(path) && !file_is_folder(path);
}

bool file_is_same(const char *path, const char *other) {
    struct stat one, two;
    return stat(path, &one) == 0 && stat(other, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

status folder_create(const char *path, error *err) {
    char partial[PATH_MAX];
    if ((size_t)snprintf(partial, sizeof partial, "%s", path) >= sizeof partial)
        return fail(err, ERR_IO, "cannot create %s: the path is too long", path);
    for (char *c = partial + 1; *c; c++) {
        if (*c != '/') continue;
        *c = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST) return fail_errno(err, "create folder", partial);
        *c = '/';
    }
    if (mkdir(partial, 0777) != 0 && errno != EEXIST) return fail_errno(err, "create folder", partial);
    if (!file_is_folder(partial)) {
        errno = ENOTDIR;
        return fail_errno(err, "create folder", partial);
    }
    return OK;
}

char *path_join(arena *a, const char *folder, const char *name) {
    if (name[0] == '/' || folder[0] == '\0' || strcmp(folder, ".") == 0) return arena_copy_text(a, name);
    size_t length = strlen(folder);
    return arena_format(a, folder[length - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

char *path_find(arena *a, const char *name, const char *folder, const char *library) {
    char *path = path_join(a, folder, name);
    if (!library || name[0] == '.' || name[0] == '/' || file_exists(path)) return path;
    char *other = path_join(a, library, name);
    return file_exists(other) ? other : path;
}

char *path_folder(arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return arena_copy_text(a, ".");
    if (slash == path) return arena_copy_text(a, "/");
    return arena_copy_bytes(a, path, (size_t)(slash - path));
}

char *path_absolute(arena *a, const char *path) {
    char current[PATH_MAX];
    char *full = path[0] == '/' || !getcwd(current, sizeof current) ? arena_copy_text(a, path)
                                                                    : path_join(a, current, path);
    // Fold "." and ".." parts by text.
    char *out = arena_alloc(a, strlen(full) + 2);
    size_t used = 0;
    for (char *part = full; *part;) {
        while (*part == '/') part++;
        size_t length = strcspn(part, "/");
        if (length == 0) break;
        if (length == 2 && part[0] == '.' && part[1] == '.') {
            const char *slash = memrchr(out, '/', used);
            used = slash ? (size_t)(slash - out) : 0;
        } else if (!(length == 1 && part[0] == '.')) {
            out[used++] = '/';
            memcpy(out + used, part, length);
            used += length;
        }
        part += length;
    }
    if (used == 0) out[used++] = '/';
    out[used] = '\0';
    return out;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

const char *folder_nearest(arena *a, const char *folder, const char *name) {
    struct dirent **entries;
    const int count = scandir(folder, &entries, is_visible, alphasort);
    if (count < 0) return NULL;
    const char **names = arena_alloc(a, ((size_t)count + 1) * sizeof *names);
    for (int i = 0; i < count; i++) {
        names[i] = arena_copy_text(a, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return nearest_name(name, names);
}

status path_expand_home(const char **path, const char *home, arena *a, error *err) {
    if (strncmp(*path, "~/", 2) != 0) return OK;
    if (!home) {
        fail(err, ERR_IO, "%s is in the home folder, which is not known: HOME is not set", *path);
        return error_hint(err, "set HOME, or write the path in full; a folder that is called ~ is ./~");
    }
    *path = path_absolute(a, path_join(a, home, *path + 2));
    return OK;
}
