// The rows of a recurrence: a tensor batch x time x width holds one for each sequence b and token t, and
// the state before the first tokens is batch x width.
#ifndef RUNEXP_KERNELS_RECURRENCE_ROWS_H
#define RUNEXP_KERNELS_RECURRENCE_ROWS_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

static inline real *row_at(real *of, int time, int width, int b, int t) {
    return of + ((size_t)b * (size_t)time + (size_t)t) * (size_t)width;
}

// That of the token before, or of the state before the first.
static inline const real *row_before(real *of, const real *first, int time, int width, int b, int t) {
    return t > 0 ? row_at(of, time, width, b, t - 1) : first + (size_t)b * (size_t)width;
}

// Whether nothing comes before the token. begins: batch x time; NULL: there are no such tokens.
static inline bool row_begins(const bool *begins, int time, int b, int t) {
    return begins && begins[(size_t)b * (size_t)time + (size_t)t];
}

#endif
