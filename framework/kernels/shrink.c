#include "kernels/declarations.h"
#include "kernels/parallel.h"

enum { STRETCH = 1 << 12 }; // elements

static ALWAYS_INLINE vec shrink(vec threshold, vec x) {
    const vec left = vec_max(vec_abs(x) - threshold, (vec){0});
    return vec_select(x < 0, -left, left);
}

static void forward(ptrdiff_t n, real threshold, const real *x, real *y) {
    const vec by = vec_set(threshold);
#pragma omp for schedule(static) nowait
    for (ptrdiff_t begin = 0; begin < n; begin += STRETCH)
        for (ptrdiff_t i = begin; i < n && i < begin + STRETCH; i += VEC)
            vec_put(y + i, shrink(by, vec_get(x + i, n - i < VEC ? (int)(n - i) : VEC)),
                    n - i < VEC ? (int)(n - i) : VEC);
}

void shrink_forward(size_t n, real threshold, const real *x, real *y) {
    WITH_THREADS(threads_for((double)n / VEC), forward((ptrdiff_t)n, threshold, x, y));
}

static void backward(ptrdiff_t n, real threshold, const real *x, const real *dy, real *dx,
                     bool accumulate) {
    const vec limit = vec_set(threshold);
#pragma omp for schedule(static) nowait
    for (ptrdiff_t begin = 0; begin < n; begin += STRETCH)
        for (ptrdiff_t i = begin; i < n && i < begin + STRETCH; i += VEC) {
            const int left = n - i < VEC ? (int)(n - i) : VEC;
            vec d = vec_select(vec_abs(vec_get(x + i, left)) > limit, vec_get(dy + i, left), (vec){0});
            if (accumulate) d += vec_get(dx + i, left);
            vec_put(dx + i, d, left);
        }
}

void shrink_backward(size_t n, real threshold, const real *x, const real *dy, real *dx, bool accumulate) {
    WITH_THREADS(threads_for((double)n / VEC), backward((ptrdiff_t)n, threshold, x, dy, dx, accumulate));
}
