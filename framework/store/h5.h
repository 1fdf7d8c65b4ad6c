// What metrics and checkpoints share of HDF5: opening, reasons of failures, attributes and texts.
//
// HDF5 never prints here: the reason of the first failure since h5_begin is kept and h5_fail puts it into
// the error. Functions that return bool return false on failure and leave the reporting to their caller.
#ifndef RUNEXP_STORE_H5_H
#define RUNEXP_STORE_H5_H

#include "base/error.h"
#include "base/memory.h"
#include "store/metrics.h"

#include <hdf5.h>

typedef enum h5_format {
    // Stays readable and appendable when the writer is killed: superblock 2, which carries no "open for
    // writing" mark; object headers have checksums.
    H5_FORMAT_LIVE,
    // Written once, then only read: superblock 3, every structure and array with a checksum.
    H5_FORMAT_SEALED
} h5_format;

// Forgets earlier failures and takes over HDF5's reporting. Every public function of store/ starts with it.
void h5_begin(void);

// "cannot <what> <path>: <HDF5's innermost reason>". Operating system errors become ERR_IO with the hints
// of fail_errno; everything else gets the given code.
status h5_fail(error *err, status code, const char *what, const char *path);

// Creates (replaces) a file. HDF5's own file locking is off: others may read meanwhile.
status h5_create(const char *path, h5_format format, hid_t *file, error *err);

// Opens a file. ERR_IO when it is missing or unreadable, ERR_DATA when it is not HDF5 or damaged.
status h5_open(const char *path, bool write, hid_t *file, error *err);

// Scalar attributes; an existing one of that name is replaced.
bool h5_put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type,
                      const void *value);
bool h5_put_text_attribute(hid_t object, const char *name, const char *value); // NULL: does nothing

// Reads a scalar attribute; false when it is absent or cannot be converted.
bool h5_get_attribute(hid_t object, const char *name, hid_t memory_type, void *value);
const char *h5_get_text_attribute(hid_t object, const char *name, arena *a); // NULL when absent

// The attributes of run_facts, on the root.
bool h5_put_facts(hid_t file, const run_facts *facts);
void h5_get_facts(hid_t file, run_facts *facts, arena *a);

// A text as a scalar dataset of a fixed-length UTF-8 string (attributes end at 64 KiB).
bool h5_put_text(hid_t file, const char *name, const char *value, size_t length);
bool h5_get_text(hid_t file, const char *name, arena *a, const char **value, size_t *length);

#endif
