#include "kernels/declarations.h"
#include "kernels/parallel.h"

enum { CHUNK = 1 << 12 }; // elements

static ALWAYS_INLINE vec shrink(vec threshold, vec x) {
    const vec left = vec_max(vec_abs(x) - threshold, (vec){0});
    return vec_select(x < 0, -left, left);
}

typedef struct shrinkage {
    size_t n;
    real threshold;
    const real *x, *dy;
    real *to;
    bool accumulate;
} shrinkage;

static void for_chunks(pool_work *work, const shrinkage *s) {
    parallel_for((int)((s->n + CHUNK - 1) / CHUNK), (double)s->n / VEC, work, s);
}

static size_t end_of(const shrinkage *f, pool_share s) {
    const size_t end = (size_t)s.end * CHUNK;
    return end < f->n ? end : f->n;
}

static ALWAYS_INLINE int lanes_left(size_t i, size_t end) {
    return end - i < VEC ? (int)(end - i) : VEC;
}

static void forward(const void *context, pool_share s) {
    const shrinkage *f = context;
    const vec by = vec_set(f->threshold);
    const size_t end = end_of(f, s);
    for (size_t i = (size_t)s.begin * CHUNK; i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec_put(f->to + i, shrink(by, vec_get(f->x + i, left)), left);
    }
}

void shrink_forward(size_t n, real threshold, const real *x, real *y) {
    for_chunks(forward, &(shrinkage){.n = n, .threshold = threshold, .x = x, .to = y});
}

static void backward(const void *context, pool_share s) {
    const shrinkage *f = context;
    const vec limit = vec_set(f->threshold);
    const size_t end = end_of(f, s);
    for (size_t i = (size_t)s.begin * CHUNK; i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec d = vec_select(vec_abs(vec_get(f->x + i, left)) > limit, vec_get(f->dy + i, left), (vec){0});
        if (f->accumulate) d += vec_get(f->to + i, left);
        vec_put(f->to + i, d, left);
    }
}

void shrink_backward(size_t n, real threshold, const real *x, const real *dy, real *dx, bool accumulate) {
    for_chunks(backward, &(shrinkage){n, threshold, x, dy, dx, accumulate});
}
