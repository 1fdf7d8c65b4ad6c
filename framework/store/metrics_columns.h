// The columns of metrics.h5: which dataset holds which member of a row.
#ifndef RUNEXP_STORE_METRICS_COLUMNS_H
#define RUNEXP_STORE_METRICS_COLUMNS_H

#include "store/metrics.h"

#include <hdf5.h>

typedef struct metrics_column {
    const char *name; // of the dataset; NULL ends a table
    size_t offset;    // of the member in train_row or eval_row
    bool is_integer;  // int64_t, else double
    bool may_lack;    // files of earlier versions do not have it: it reads as NaN there
} metrics_column;

enum { METRICS_MAX_COLUMNS = 8 };

extern const metrics_column metrics_train_columns[], metrics_eval_columns[];

// The groups: "/train", and "/eval/<split>" by split.
extern const char *const metrics_train_group;
extern const char *const metrics_eval_groups[SPLIT_COUNT];

// In memory and in the file. A place of a dataset that was never written reads as -1 or NaN.
hid_t metrics_column_type(const metrics_column *c);

// Opens the dataset of a column; H5I_INVALID_HID where an earlier version's file lacks it. false when it
// cannot be read.
bool metrics_column_open(hid_t group, const metrics_column *c, hid_t *column);

// The number of whole rows: the length of the shortest column, no more than was stored, up to the first
// step that is negative (never written) or above last_step. columns: open datasets, in the table's order;
// those that are not there do not count.
bool metrics_count_rows(const metrics_column *table, const hid_t *columns, int64_t last_step, size_t *rows);

#endif
