#include "store/metrics.h"

#include "base/file.h"
#include "base/log.h"
#include "store/h5.h"
#include "store/metrics_columns.h"
#include "store/metrics_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHUNK_ROWS = 512 };

// The datasets of one group and how many rows they hold.
typedef struct series {
    const metrics_column *table;
    hid_t columns[METRICS_MAX_COLUMNS];
    hsize_t rows;
} series;

struct metrics {
    char *path;
    hid_t file, one_row; // one_row: memory dataspace of a single value
    series train, eval[SPLIT_COUNT];
    metrics_text *twin;
    bool flush_failed;
};

// A column without rows; negative on failure.
static hid_t column_create(hid_t folder, const metrics_column *c) {
    const double no_number = NAN;
    const int64_t no_integer = -1;
    const hsize_t empty = 0, unlimited = H5S_UNLIMITED, chunk = CHUNK_ROWS;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), type = metrics_column_type(c);
    hid_t space = H5Screate_simple(1, &empty, &unlimited);
    H5Pset_chunk(creation, 1, &chunk);
    H5Pset_fill_value(creation, type, c->is_integer ? (const void *)&no_integer : &no_number);
    hid_t column = H5Dcreate2(folder, c->name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(creation);
    return column;
}

static bool series_create(series *s, hid_t file, const char *group, const metrics_column *table) {
    *s = (series){.table = table};
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t folder = H5Gcreate2(file, group, links, H5P_DEFAULT, H5P_DEFAULT);
    bool good = folder >= 0;
    for (int i = 0; good && table[i].name; i++)
        good = (s->columns[i] = column_create(folder, &table[i])) >= 0;
    if (folder >= 0) H5Gclose(folder);
    H5Pclose(links);
    return good;
}

static bool write_value(hid_t column, const metrics_column *c, hid_t one_row, hsize_t row,
                        const void *value) {
    const hsize_t one = 1;
    hid_t space = H5Dget_space(column);
    bool good = H5Sselect_hyperslab(space, H5S_SELECT_SET, &row, NULL, &one, NULL) >= 0 &&
                H5Dwrite(column, metrics_column_type(c), one_row, space, H5P_DEFAULT, value) >= 0;
    H5Sclose(space);
    return good;
}

// Adds a column that the file of an earlier version lacks, with NaN for the rows that there are: written,
// since what was never written does not count as a row.
static bool column_add(series *s, hid_t folder, int i, hid_t one_row) {
    const double no_number = NAN;
    bool good = (s->columns[i] = column_create(folder, &s->table[i])) >= 0 &&
                H5Dset_extent(s->columns[i], &s->rows) >= 0;
    for (hsize_t row = 0; good && row < s->rows; row++)
        good = write_value(s->columns[i], &s->table[i], one_row, row, &no_number);
    return good;
}

// Opens the datasets and cuts them after last_step.
static bool series_resume(series *s, hid_t file, const char *group, const metrics_column *table,
                          hid_t one_row, int64_t last_step) {
    *s = (series){.table = table};
    hid_t folder = H5Gopen2(file, group, H5P_DEFAULT);
    bool good = folder >= 0;
    for (int i = 0; good && table[i].name; i++)
        good = metrics_column_open(folder, &table[i], &s->columns[i]);
    size_t rows = 0;
    good = good && metrics_count_rows(table, s->columns, last_step, &rows);
    s->rows = rows;
    for (int i = 0; good && table[i].name; i++)
        good = s->columns[i] >= 0 ? H5Dset_extent(s->columns[i], &s->rows) >= 0
                                  : column_add(s, folder, i, one_row);
    if (folder >= 0) H5Gclose(folder);
    return good;
}

static bool series_add(series *s, hid_t one_row, const void *row) {
    const hsize_t rows = s->rows + 1;
    for (int i = 0; s->table[i].name; i++)
        if (H5Dset_extent(s->columns[i], &rows) < 0 ||
            !write_value(s->columns[i], &s->table[i], one_row, s->rows,
                         (const char *)row + s->table[i].offset))
            return false;
    s->rows = rows;
    return true;
}

static bool close_file(metrics *m) {
    if (m->one_row >= 0) H5Sclose(m->one_row);
    bool good = m->file < 0 || H5Fclose(m->file) >= 0;
    m->one_row = m->file = H5I_INVALID_HID;
    return good;
}

static void discard(metrics *m) {
    close_file(m);
    metrics_text_close(m->twin);
    free(m->path);
    free(m);
}

// An object that holds the lock and has no archive yet.
static status begin(const char *folder, metrics **out, error *err) {
    h5_begin();
    *out = NULL;
    metrics_text *twin;
    TRY(metrics_text_open(folder, &twin, err));
    metrics *m = memory_alloc(sizeof *m);
    arena *a = arena_new();
    m->path = memory_copy_text(path_join(a, folder, "metrics.h5"));
    arena_free(a);
    m->twin = twin;
    m->file = H5I_INVALID_HID;
    m->one_row = H5Screate(H5S_SCALAR);
    *out = m;
    return OK;
}

static status create_archive(metrics *m, const run_facts *facts, const char *config_text, error *err) {
    TRY(h5_create(m->path, H5_FORMAT_LIVE, &m->file, err));
    bool good = series_create(&m->train, m->file, metrics_train_group, metrics_train_columns);
    for (int part = 0; good && part < SPLIT_COUNT; part++)
        good = series_create(&m->eval[part], m->file, metrics_eval_groups[part], metrics_eval_columns);
    good = good && h5_put_text(m->file, "/config", config_text, strlen(config_text)) &&
           h5_put_facts(m->file, facts) && h5_put_text_attribute(m->file, "status", "running") &&
           H5Fflush(m->file, H5F_SCOPE_LOCAL) >= 0;
    return good ? OK : h5_fail(err, ERR_IO, "write", m->path);
}

status metrics_create(const char *folder, const run_facts *facts, const char *config_text, metrics **out,
                      error *err) {
    TRY(begin(folder, out, err));
    status result = metrics_text_reset((*out)->twin, err);
    if (result == OK) result = create_archive(*out, facts, config_text, err);
    if (result != OK) {
        discard(*out);
        *out = NULL;
    }
    return result;
}

enum { NO_STEP = -1 };

static status resume_archive(metrics *m, const run_facts *facts, int64_t step, error *err) {
    TRY(h5_open(m->path, true, &m->file, err));
    bool good =
        series_resume(&m->train, m->file, metrics_train_group, metrics_train_columns, m->one_row, step);
    for (int part = 0; good && part < SPLIT_COUNT; part++)
        good = series_resume(&m->eval[part], m->file, metrics_eval_groups[part], metrics_eval_columns,
                             m->one_row, part == SPLIT_TEST ? NO_STEP : step);
    run_facts now = *facts;
    if (good && H5Aexists(m->file, "started") > 0) now.started = NULL;
    if (good && H5Aexists(m->file, "finished") > 0) good = H5Adelete(m->file, "finished") >= 0;
    good = good && h5_put_facts(m->file, &now) && h5_put_text_attribute(m->file, "status", "running") &&
           H5Fflush(m->file, H5F_SCOPE_LOCAL) >= 0;
    return good ? OK : h5_fail(err, ERR_DATA, "read", m->path);
}

// A new archive from the (already cut) twin and the folder's config.yaml.
static status rebuild_archive(metrics *m, const char *folder, const run_facts *facts, error *err) {
    close_file(m);
    m->one_row = H5Screate(H5S_SCALAR);
    arena *a = arena_new();
    char *aside = arena_format(a, "%s.damaged", m->path), *config_text = NULL;
    metrics_data rows = {0};
    size_t config_length;
    status result = metrics_text_read(folder, a, &rows, err);
    if (result == OK && file_exists(m->path) && rename(m->path, aside) != 0)
        result = fail_errno(err, "set aside", m->path);
    error ignored;
    if (file_read(path_join(a, folder, "config.yaml"), a, &config_text, &config_length, &ignored) != OK)
        config_text = "";
    if (result == OK) result = create_archive(m, facts, config_text, err);
    if (result == OK) {
        bool good = true;
        for (size_t i = 0; good && i < rows.train_count; i++)
            good = series_add(&m->train, m->one_row, &rows.train[i]);
        for (int part = 0; part < SPLIT_COUNT; part++)
            for (size_t i = 0; good && i < rows.eval_count[part]; i++)
                good = series_add(&m->eval[part], m->one_row, &rows.eval[part][i]);
        good = good && H5Fflush(m->file, H5F_SCOPE_LOCAL) >= 0;
        if (!good) result = h5_fail(err, ERR_IO, "write", m->path);
    }
    arena_free(a);
    return result;
}

status metrics_resume(const char *folder, const run_facts *facts, int64_t step, metrics **out, error *err) {
    TRY(begin(folder, out, err));
    metrics *m = *out;
    status result = metrics_text_cut(m->twin, step, err);
    if (result == OK) result = resume_archive(m, facts, step, err);
    if (result == ERR_DATA) {
        log_warning("%s; building it again from metrics.tsv", err->message);
        h5_begin();
        result = rebuild_archive(m, folder, facts, err);
    }
    if (result != OK) {
        discard(m);
        *out = NULL;
    }
    return result;
}

// HDF5 1.10 may refuse the first flush after one that failed, whatever happened to the disk since: that one
// is not counted.
static bool flush(metrics *m) {
    if (m->flush_failed) H5Fflush(m->file, H5F_SCOPE_LOCAL);
    m->flush_failed = H5Fflush(m->file, H5F_SCOPE_LOCAL) < 0;
    return !m->flush_failed;
}

// The first failure of the two files is reported; the other one gets the row all the same.
static status add(metrics *m, series *s, const void *row, status twin, error *err) {
    h5_begin();
    bool good = series_add(s, m->one_row, row) && flush(m);
    if (twin != OK) return twin;
    return good ? OK : h5_fail(err, ERR_IO, "write", m->path);
}

status metrics_add_train(metrics *m, const train_row *row, error *err) {
    return add(m, &m->train, row, metrics_text_add_train(m->twin, row, err), err);
}

status metrics_add_eval(metrics *m, split part, const eval_row *row, error *err) {
    return add(m, &m->eval[part], row, metrics_text_add_eval(m->twin, part, row, err), err);
}

status metrics_close(metrics *m, const char *run_status, error *err) {
    if (!m) return OK;
    h5_begin();
    char now[40];
    time_t seconds = time(NULL);
    struct tm local;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&seconds, &local));
    bool good = h5_put_text_attribute(m->file, "status", run_status) &&
                h5_put_text_attribute(m->file, "finished", now);
    good = close_file(m) && good;
    status result = good ? OK : h5_fail(err, ERR_IO, "write", m->path);
    discard(m);
    return result;
}
