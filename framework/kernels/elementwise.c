#include "kernels/activation.h"
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/random_bits.h"

#include <string.h>

// Long arrays are cut into pieces of this many elements; a thread takes neighbouring pieces.
enum { PIECE = 4096 };

// Vector operations per vector, roughly, for the decision to start threads.
enum { COST_COPY = 2, COST_ACTIVATION = 30, COST_RANDOM = 24 };

static int piece_length(size_t start, size_t n) {
    return n - start < PIECE ? (int)(n - start) : PIECE;
}

static int threads_for_array(size_t n, int cost) {
    return threads_for((double)n / VEC * cost);
}

static NEVER_INLINE void activate_pieces(activation act, size_t n, const real *x, real *y) {
#pragma omp for schedule(static) nowait
    for (size_t start = 0; start < n; start += PIECE) {
        int count = piece_length(start, n);
        const real *from = x + start;
        real *to = y + start;
        for (int i = 0; i < count; i += VEC)
            vec_put(to + i, activation_value(act, vec_get(from + i, count - i)), count - i);
    }
}

void activation_forward(activation act, size_t n, const real *x, real *y) {
    WITH_THREADS(threads_for_array(n, COST_ACTIVATION), activate_pieces(act, n, x, y));
}

void activation_backward(activation act, size_t n, const real *pre, const real *dy, real *dx,
                         bool accumulate) {
#pragma omp parallel for schedule(static) num_threads(threads_for_array(n, COST_ACTIVATION))
    for (size_t start = 0; start < n; start += PIECE) {
        int count = piece_length(start, n);
        const real *from = pre + start, *upstream = dy + start;
        real *to = dx + start;
        for (int i = 0; i < count; i += VEC) {
            vec slope;
            activation_slope(act, vec_get(from + i, count - i), &slope);
            slope *= vec_get(upstream + i, count - i);
            if (accumulate) slope += vec_get(to + i, count - i);
            vec_put(to + i, slope, count - i);
        }
    }
}

static NEVER_INLINE void gate_rows(activation act, int rows, int F, const real *ab, real *y) {
#pragma omp for schedule(static) nowait
    for (int r = 0; r < rows; r++) {
        const real *a = ab + (size_t)r * 2 * F, *u = a + F;
        real *to = y + (size_t)r * F;
        for (int i = 0; i < F; i += VEC)
            vec_put(to + i, activation_value(act, vec_get(a + i, F - i)) * vec_get(u + i, F - i), F - i);
    }
}

void gated_forward(activation act, int rows, int F, const real *ab, real *y) {
    WITH_THREADS(threads_for_array((size_t)rows * F, COST_ACTIVATION), gate_rows(act, rows, F, ab, y));
}

void gated_backward(activation act, int rows, int F, const real *ab, const real *dy, real *dab) {
#pragma omp parallel for schedule(static) num_threads(threads_for_array((size_t)rows *F, COST_ACTIVATION))
    for (int r = 0; r < rows; r++) {
        const real *a = ab + (size_t)r * 2 * F, *u = a + F, *upstream = dy + (size_t)r * F;
        real *da = dab + (size_t)r * 2 * F, *du = da + F;
        for (int i = 0; i < F; i += VEC) {
            vec slope, value = activation_slope(act, vec_get(a + i, F - i), &slope);
            vec above = vec_get(upstream + i, F - i), gate = vec_get(u + i, F - i);
            vec_put(da + i, above * gate * slope, F - i);
            vec_put(du + i, above * value, F - i);
        }
    }
}

static NEVER_INLINE void add_pieces(size_t n, const real *a, const real *b, real *y) {
#pragma omp for schedule(static) nowait
    for (size_t start = 0; start < n; start += PIECE) {
        int count = piece_length(start, n);
        const real *left = a + start, *right = b + start;
        real *to = y + start;
        for (int i = 0; i < count; i += VEC)
            vec_put(to + i, vec_get(left + i, count - i) + vec_get(right + i, count - i), count - i);
    }
}

void add(size_t n, const real *a, const real *b, real *y) {
    WITH_THREADS(threads_for_array(n, COST_COPY), add_pieces(n, a, b, y));
}

static NEVER_INLINE void multiply_pieces(size_t n, const real *a, const real *b, real *y, bool accumulate) {
#pragma omp for schedule(static) nowait
    for (size_t start = 0; start < n; start += PIECE) {
        int count = piece_length(start, n);
        const real *left = a + start, *right = b + start;
        real *to = y + start;
        for (int i = 0; i < count; i += VEC) {
            vec v = vec_get(left + i, count - i) * vec_get(right + i, count - i);
            if (accumulate) v += vec_get(to + i, count - i);
            vec_put(to + i, v, count - i);
        }
    }
}

void multiply(size_t n, const real *a, const real *b, real *y, bool accumulate) {
    WITH_THREADS(threads_for_array(n, COST_COPY), multiply_pieces(n, a, b, y, accumulate));
}

static NEVER_INLINE void scale_pieces(size_t n, real factor, const real *x, real *y, bool accumulate) {
#pragma omp for schedule(static) nowait
    for (size_t start = 0; start < n; start += PIECE) {
        int count = piece_length(start, n);
        const real *from = x + start;
        real *to = y + start;
        for (int i = 0; i < count; i += VEC) {
            vec v = vec_get(from + i, count - i) * factor;
            if (accumulate) v += vec_get(to + i, count - i);
            vec_put(to + i, v, count - i);
        }
    }
}

void scale(size_t n, real factor, const real *x, real *y, bool accumulate) {
    WITH_THREADS(threads_for_array(n, COST_COPY), scale_pieces(n, factor, x, y, accumulate));
}

// y (+)= dropped x (+ residual), of elements that are the stream's from number `element` on.
static ALWAYS_INLINE void drop(const dropout_mask *mask, uint64_t element, size_t n, const real *x,
                               const real *residual, real *y, bool accumulate) {
    enum { GROUP = 512 };
    real buffer[GROUP + DROPOUT_SLACK] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    const real *factors = buffer;
    if (!(mask->p > 0))
        for (int i = 0; i < GROUP; i++) buffer[i] = 1;
    for (size_t first = 0; first < n; first += GROUP) {
        const int count = n - first < GROUP ? (int)(n - first) : GROUP;
        if (mask->p > 0) factors = dropout_factors(mask, element + first, count, buffer);
        for (int i = 0; i < count; i += VEC) {
            vec v = vec_get(x + first + i, count - i) * vec_load(factors + i);
            if (residual) v += vec_get(residual + first + i, count - i);
            if (accumulate) v += vec_get(y + first + i, count - i);
            vec_put(y + first + i, v, count - i);
        }
    }
}

void dropout(size_t n, const dropout_mask *mask, const real *x, const real *residual, real *y,
             bool accumulate) {
    const int cost = mask->p > 0 ? COST_RANDOM : COST_COPY;
#pragma omp parallel for schedule(static) num_threads(threads_for_array(n, cost))
    for (size_t start = 0; start < n; start += PIECE)
        drop(mask, start, (size_t)piece_length(start, n), x + start, residual ? residual + start : NULL,
             y + start, accumulate);
}

void dropout_columns(int rows, int width, const dropout_mask *mask, const real *x, int ldx, real *y,
                     int ldy, bool accumulate) {
    const size_t n = (size_t)rows * (size_t)width;
    const int cost = mask->p > 0 ? COST_RANDOM : COST_COPY;
#pragma omp parallel for schedule(static) num_threads(threads_for_array(n, cost))
    for (int r = 0; r < rows; r++)
        drop(mask, (uint64_t)r * (uint64_t)width, (size_t)width, x + (ptrdiff_t)r * ldx, NULL,
             y + (ptrdiff_t)r * ldy, accumulate);
}
