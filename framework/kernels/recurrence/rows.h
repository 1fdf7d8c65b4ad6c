// The rows of a recurrence: a tensor batch x time x width holds one for each sequence b and token t, and
// the state before the first tokens is batch x width.
#ifndef RUNEXP_KERNELS_RECURRENCE_ROWS_H
#define RUNEXP_KERNELS_RECURRENCE_ROWS_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

// Where a row begins.
static inline size_t row_offset(int time, int width, int b, int t) {
    return ((size_t)b * (size_t)time + (size_t)t) * (size_t)width;
}

static inline real *row_at(real *of, int time, int width, int b, int t) {
    return of + row_offset(time, width, b, t);
}

// That of the token before, or of the state before the first.
static inline const real *row_before(const real *of, const real *first, int time, int width, int b, int t) {
    return t > 0 ? of + row_offset(time, width, b, t - 1) : first + (size_t)b * (size_t)width;
}

// Whether nothing comes before the token. begins: batch x time; NULL: there are no such tokens.
static inline bool row_begins(const bool *begins, int time, int b, int t) {
    return begins && begins[row_offset(time, 1, b, t)];
}

#endif
