#include "store/metrics_columns.h"

#include <stdlib.h>

const metrics_column metrics_train_columns[] = {
    {"step", offsetof(train_row, step), true, false},
    {"tokens", offsetof(train_row, tokens), true, false},
    {"seconds", offsetof(train_row, seconds), false, false},
    {"loss", offsetof(train_row, loss), false, false},
    {"lr", offsetof(train_row, lr), false, false},
    {"grad_norm", offsetof(train_row, grad_norm), false, false},
    {"tokens_per_second", offsetof(train_row, tokens_per_second), false, false},
    {NULL, 0, false, false},
};

const metrics_column metrics_eval_columns[] = {
    {"step", offsetof(eval_row, step), true, false},
    {"tokens", offsetof(eval_row, tokens), true, false},
    {"seconds", offsetof(eval_row, seconds), false, false},
    {"loss", offsetof(eval_row, loss), false, false},
    {"perplexity", offsetof(eval_row, perplexity), false, false},
    {"bits_per_char", offsetof(eval_row, bits_per_char), false, false},
    {"bits_per_byte", offsetof(eval_row, bits_per_byte), false, true},
    {NULL, 0, false, false},
};

const char *const metrics_train_group = "/train";
const char *const metrics_eval_groups[SPLIT_COUNT] = {
    [SPLIT_TRAIN] = "/eval/train", [SPLIT_VAL] = "/eval/val", [SPLIT_TEST] = "/eval/test"};

hid_t metrics_column_type(const metrics_column *c) {
    return c->is_integer ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE;
}

bool metrics_column_open(hid_t group, const metrics_column *c, hid_t *column) {
    *column = H5I_INVALID_HID;
    if (c->may_lack && H5Lexists(group, c->name, H5P_DEFAULT) == 0) return true;
    return (*column = H5Dopen2(group, c->name, H5P_DEFAULT)) >= 0;
}

// The length of a 1-d dataset, at most what its storage can hold: a damaged length must not decide how much
// memory is allocated.
static bool column_length(hid_t set, size_t *length) {
    hid_t space = H5Dget_space(set);
    hsize_t size = 0;
    bool good =
        H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &size, NULL) == 1;
    H5Sclose(space);
    hsize_t stored = H5Dget_storage_size(set) / sizeof(double);
    *length = (size_t)(size < stored ? size : stored);
    return good;
}

static bool read_steps(hid_t set, size_t count, int64_t *steps) {
    hsize_t start = 0, size = count;
    hid_t file_space = H5Dget_space(set), memory_space = H5Screate_simple(1, &size, NULL);
    bool good = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &start, NULL, &size, NULL) >= 0 &&
                H5Dread(set, H5T_NATIVE_INT64, memory_space, file_space, H5P_DEFAULT, steps) >= 0;
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return good;
}

bool metrics_count_rows(const metrics_column *table, const hid_t *columns, int64_t last_step,
                        size_t *rows) {
    *rows = 0;
    size_t shortest = 0;
    for (int i = 0; table[i].name; i++) {
        size_t length;
        if (columns[i] < 0) continue;
        if (!column_length(columns[i], &length)) return false;
        if (i == 0 || length < shortest) shortest = length;
    }
    if (shortest == 0) return true;
    int64_t *steps = memory_alloc(shortest * sizeof *steps);
    bool good = read_steps(columns[0], shortest, steps);
    size_t whole = 0;
    while (good && whole < shortest && steps[whole] >= 0 && steps[whole] <= last_step) whole++;
    free(steps);
    *rows = whole;
    return good;
}
