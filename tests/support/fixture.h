// Reads the files that tests/parity/make_fixtures.py wrote. Anything missing ends the program: fixtures are
// part of the tree.
#ifndef RUNEXP_TESTS_SUPPORT_FIXTURE_H
#define RUNEXP_TESTS_SUPPORT_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hdf5.h>

#include "base/memory.h"

typedef struct fixture {
    hid_t file;
    arena *memory; // everything that is read lives here
} fixture;

static inline void fixture_missing(const char *what) {
    fprintf(stderr, "fixture: cannot read %s (run the tests in the folder of the Makefile)\n", what);
    abort();
}

static inline fixture fixture_open(const char *name) {
    fixture f = {.memory = arena_new()};
    const char *path = arena_format(f.memory, "tests/parity/fixtures/%s", name);
    f.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f.file < 0) fixture_missing(path);
    return f;
}

static inline void fixture_close(fixture *f) {
    H5Fclose(f->file);
    arena_free(f->memory);
}

// The numbers of a dataset at a printf-formatted path, as doubles; *count may be NULL.
static inline double *fixture_numbers(const fixture *f, size_t *count, const char *folder,
                                      const char *name) {
    const char *path = arena_format(f->memory, "%s/%s", folder, name);
    hid_t set = H5Dopen2(f->file, path, H5P_DEFAULT);
    if (set < 0) fixture_missing(path);
    hid_t space = H5Dget_space(set);
    const size_t n = (size_t)H5Sget_simple_extent_npoints(space);
    double *values = arena_alloc(f->memory, n * sizeof *values);
    if (H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) fixture_missing(path);
    H5Sclose(space);
    H5Dclose(set);
    if (count) *count = n;
    return values;
}

// A text, stored as bytes.
static inline char *fixture_text(const fixture *f, const char *folder, const char *name) {
    size_t length;
    const double *bytes = fixture_numbers(f, &length, folder, name);
    char *text = arena_alloc(f->memory, length + 1);
    for (size_t i = 0; i < length; i++) text[i] = (char)bytes[i];
    return text;
}

static inline int32_t *fixture_integers(const fixture *f, size_t *count, const char *folder,
                                        const char *name) {
    size_t n;
    const double *numbers = fixture_numbers(f, &n, folder, name);
    int32_t *values = arena_alloc(f->memory, n * sizeof *values);
    for (size_t i = 0; i < n; i++) values[i] = (int32_t)numbers[i];
    if (count) *count = n;
    return values;
}

// The names in a group, in order; *count of them.
static inline char **fixture_names(const fixture *f, const char *group, int *count) {
    H5G_info_t info;
    if (H5Gget_info_by_name(f->file, group, &info, H5P_DEFAULT) < 0) fixture_missing(group);
    char **names = arena_alloc(f->memory, info.nlinks * sizeof *names);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[128];
        H5Lget_name_by_idx(f->file, group, H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        names[i] = arena_copy_text(f->memory, name);
    }
    *count = (int)info.nlinks;
    return names;
}

static inline double largest_magnitude(size_t count, const double *x) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
    return most;
}

#endif
