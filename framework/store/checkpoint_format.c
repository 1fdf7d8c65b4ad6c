#include "store/checkpoint_format.h"

hid_t checkpoint_real_type(void) {
    return sizeof(real) == sizeof(float) ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

hid_t checkpoint_number_type(const checkpoint_number *n) {
    return n->integer ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE;
}

void *checkpoint_number_value(const checkpoint_number *n) {
    return n->integer ? (void *)n->integer : n->number;
}

void checkpoint_shape(const checkpoint_array *a, hsize_t *out) {
    for (int i = 0; i < a->rank; i++) out[i] = (hsize_t)a->shape[i];
}
