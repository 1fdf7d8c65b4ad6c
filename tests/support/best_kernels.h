// Group setup of tests that compute: the best kernels that this processor runs.
#ifndef RUNEXP_TESTS_BEST_KERNELS_H
#define RUNEXP_TESTS_BEST_KERNELS_H

#include "kernels/kernels.h"

static inline int best_kernels(void **state) {
    error err;
    (void)state;
    return kernels_select("auto", &err) == OK ? 0 : -1;
}

#endif
