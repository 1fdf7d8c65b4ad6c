#include "base/file.h"
#include "base/program.h"
#include "store/h5.h"
#include "store/metrics.h"
#include "store/metrics_columns.h"
#include "store/metrics_text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

static bool read_column(hid_t set, const metrics_column *column, size_t rows, void *values) {
    hsize_t start = 0, count = rows;
    hid_t file_space = H5Dget_space(set), memory_space = H5Screate_simple(1, &count, NULL);
    bool good =
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
        H5Dread(set, metrics_column_type(column), memory_space, file_space, H5P_DEFAULT, values) >= 0;
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return good;
}

// Of a column that is not there.
static bool fill_column(size_t rows, void *values) {
    for (size_t r = 0; r < rows; r++) ((double *)values)[r] = NAN;
    return true;
}

// Reads the columns of a group into an array of rows of row_size bytes, from a.
static bool read_series(hid_t file, const char *group, const metrics_column *table, size_t row_size,
                        arena *a, void **rows, size_t *count) {
    hid_t folder = H5Gopen2(file, group, H5P_DEFAULT);
    if (folder < 0) return false;
    hid_t columns[METRICS_MAX_COLUMNS];
    int opened = 0;
    bool good = true;
    while (good && table[opened].name) {
        good = metrics_column_open(folder, &table[opened], &columns[opened]);
        opened += good;
    }
    good = good && metrics_count_rows(table, columns, INT64_MAX, count);
    if (good && *count > 0) {
        char *out = arena_alloc(a, *count * row_size), *column = arena_alloc(a, *count * sizeof(double));
        for (int i = 0; good && i < opened; i++) {
            good = columns[i] >= 0 ? read_column(columns[i], &table[i], *count, column)
                                   : fill_column(*count, column);
            for (size_t r = 0; r < *count; r++)
                memcpy(out + r * row_size + table[i].offset, column + r * sizeof(double), sizeof(double));
        }
        *rows = out;
    }
    for (int i = 0; i < opened; i++)
        if (columns[i] >= 0) H5Dclose(columns[i]);
    H5Gclose(folder);
    return good;
}

static status read_archive(const char *path, arena *a, metrics_data *out, error *err) {
    *out = (metrics_data){0};
    hid_t file;
    TRY(h5_open(path, false, &file, err));
    void *rows = NULL;
    bool good = read_series(file, metrics_train_group, metrics_train_columns, sizeof(train_row), a, &rows,
                            &out->train_count);
    out->train = rows;
    for (int part = 0; good && part < SPLIT_COUNT; part++) {
        rows = NULL;
        good = read_series(file, metrics_eval_groups[part], metrics_eval_columns, sizeof(eval_row), a,
                           &rows, &out->eval_count[part]);
        out->eval[part] = rows;
    }
    if (good) {
        size_t length;
        h5_get_facts(file, &out->facts, a);
        h5_get_text(file, "/config", a, &out->config_text, &length);
        out->status = h5_get_text_attribute(file, "status", a);
        out->finished = h5_get_text_attribute(file, "finished", a);
    }
    status result = good ? OK : h5_fail(err, ERR_DATA, "read", path);
    H5Fclose(file);
    return result;
}

status metrics_read(const char *folder, arena *a, metrics_data *out, error *err) {
    // The writer may be in the middle of a flush; a moment later the file is consistent again.
    enum { ATTEMPTS = 4 };
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    char *path = path_join(a, folder, "metrics.h5");
    h5_begin();
    bool running = metrics_running(folder);
    status result = read_archive(path, a, out, err);
    for (int i = 1; i < ATTEMPTS && running && result == ERR_DATA; i++) {
        nanosleep(&moment, NULL);
        h5_begin();
        result = read_archive(path, a, out, err);
    }
    if (result != OK) {
        *out = (metrics_data){0};
        error twin;
        if (metrics_text_read(folder, a, out, &twin) != OK) {
            *out = (metrics_data){0};
            return error_hint(err, "is %s the folder of a run? %s list shows the runs there are", folder,
                              program_name());
        }
    }
    if (running)
        out->status = "running";
    else if (!out->status || strcmp(out->status, "running") == 0)
        out->status = "killed";
    return OK;
}
