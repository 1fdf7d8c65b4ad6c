// For tests: removing a folder made by mkdtemp, with all that is in it.
#ifndef RUNEXP_TESTS_SUPPORT_TEMPORARY_FOLDER_H
#define RUNEXP_TESTS_SUPPORT_TEMPORARY_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static int temporary_entry_remove(const char *path, const struct stat *info, int kind, struct FTW *depth) {
    (void)info, (void)kind, (void)depth;
    return remove(path);
}

// 0, or not when something could not be removed.
static int temporary_folder_remove(const char *folder) {
    return nftw(folder, temporary_entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
