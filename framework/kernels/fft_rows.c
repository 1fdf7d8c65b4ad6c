#include "kernels/fft_rows.h"

enum { RADIX = 8, ROWS = RADIX / 2 }; // of the first level; so many of its points are rows

static ALWAYS_INLINE void put(const row_product *p, int t, int lanes, vec value) {
    if (!p->out) return;
    real *out = p->out + (ptrdiff_t)t * p->ld_out;
    if (p->factor) value *= vec_get(p->factor + (ptrdiff_t)t * p->ld_factor, lanes);
    if (p->adds) value += vec_get(out, lanes);
    vec_put(out, value, lanes);
}

static ALWAYS_INLINE vec take_row(const row_source *from, int t) {
    if (t >= from->count) return (vec){0};
    const vec value = vec_get(from->x + (ptrdiff_t)t * from->ld, from->lanes);
    put(&from->product, t, from->lanes, value);
    if (!from->gate) return value;
    return value * vec_get(from->gate + (ptrdiff_t)t * from->ld_gate, from->lanes);
}

void KERNEL(fft_from_rows)(const fft_plan *plan, const row_source *from, real *points) {
    const row_source source = *from; // the compiler then knows that no store changes it
    const int rest = plan->level[0].rest;
    const real *root = plan->level[0].twiddles;
    for (int q = 0; q < rest; q++, root += 2 * (RADIX - 1)) {
        real *at = points + (ptrdiff_t)2 * VEC * q;
        fft_point x[RADIX];
#pragma GCC unroll 4
        for (int j = 0; j < ROWS; j++) {
            const int t = 2 * (q + j * rest);
            x[j] = (fft_point){take_row(&source, t), take_row(&source, t + 1)};
        }
        fft_butterfly(RADIX, x, true);
        fft_store(at, x[0]);
#pragma GCC unroll 8
        for (int j = 1; j < RADIX; j++)
            fft_store(at + (ptrdiff_t)2 * VEC * rest * j, fft_turn(x[j], root + 2 * (j - 1)));
    }
}

void KERNEL(fft_to_rows)(const fft_plan *plan, const real *points, const row_sink *to) {
    const row_sink sink = *to;
    const int rest = plan->level[0].rest;
    const real *root = plan->level[0].twiddles;
    for (int q = 0; q < rest; q++, root += 2 * (RADIX - 1)) {
        const real *at = points + (ptrdiff_t)2 * VEC * q;
        fft_point x[RADIX];
        x[0] = fft_swap(fft_load(at));
#pragma GCC unroll 8
        for (int j = 1; j < RADIX; j++)
            x[j] = fft_turn(fft_swap(fft_load(at + (ptrdiff_t)2 * VEC * rest * j)), root + 2 * (j - 1));
        fft_butterfly(RADIX, x, false);
#pragma GCC unroll 4
        for (int j = 0; j < ROWS; j++) {
            const fft_point two = fft_swap(x[j]);
            const int t = 2 * (q + j * rest);
            for (int k = 0; k < 2; k++) {
                if (t < sink.count) put(&sink.product[k], t, sink.lanes, two.re);
                if (t + 1 < sink.count) put(&sink.product[k], t + 1, sink.lanes, two.im);
            }
        }
    }
}
