// What the writer and the reader of checkpoints must agree on.
#ifndef RUNEXP_STORE_CHECKPOINT_FORMAT_H
#define RUNEXP_STORE_CHECKPOINT_FORMAT_H

#include "store/checkpoint.h"

#include <hdf5.h>

enum { CHECKPOINT_VERSION = 2 };

hid_t checkpoint_real_type(void);                               // real in memory
hid_t checkpoint_number_type(const checkpoint_number *n);       // in memory and in the file
void *checkpoint_number_value(const checkpoint_number *n);      // where it is
void checkpoint_shape(const checkpoint_array *a, hsize_t *out); // rank values

#endif
