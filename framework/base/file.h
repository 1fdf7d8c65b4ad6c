// Files: whole reads, atomic writes, paths. All paths are UTF-8; nothing here changes the working
// directory.
#ifndef RUNEXP_BASE_FILE_H
#define RUNEXP_BASE_FILE_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>

// Reads a whole file into memory owned by a; adds a final '\0' not counted in *length.
status file_read(const char *path, arena *a, char **bytes, size_t *length, error *err);

// Replaces path by the given bytes: written beside it, synced, renamed over it. On failure the old file is
// intact and the temporary one removed.
status file_write(const char *path, const char *bytes, size_t length, error *err);

// Syncs temporary_path, renames it over path and syncs the folder: the second half of an atomic write whose
// first half something else (HDF5) did. On failure the old file is intact and the temporary one removed.
status file_commit(const char *temporary_path, const char *path, error *err);

bool file_exists(const char *path); // a file or folder
bool file_is_folder(const char *path);
bool file_is_plain(const char *path);                   // not a folder
bool file_is_same(const char *path, const char *other); // both exist, under whatever names

// Creates a folder and its missing parents; existing ones are fine.
status folder_create(const char *path, error *err);

// folder + "/" + name, or name alone when it is absolute or folder is empty or ".".
char *path_join(arena *a, const char *folder, const char *name);

// The path of a file given by name: that in `folder`; where there is none, that in `library` (NULL: no such
// folder), but only for a name that does not begin with "." or "/". The path in `folder` when neither
// exists.
char *path_find(arena *a, const char *name, const char *folder, const char *library);

// The folder of a path ("." when it has none), and the path made absolute without touching the file
// system's links.
char *path_folder(arena *a, const char *path);
char *path_absolute(arena *a, const char *path);

// Replaces ~/ at the beginning of a path by the home folder. ERR_IO when that is not known (NULL). Memory
// from a.
status path_expand_home(const char **path, const char *home, arena *a, error *err);

// The name in a folder that is nearest to `name` (nearest_name, base/text.h), or NULL. Hidden files do not
// count.
const char *folder_nearest(arena *a, const char *folder, const char *name);

#endif
