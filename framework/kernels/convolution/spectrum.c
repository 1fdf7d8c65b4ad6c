#include "kernels/convolution/spectrum.h"

#include <math.h>

// Blocks of this size go through all their levels at once, in L1.
enum { L1_BYTES = 1 << 14 };

static ALWAYS_INLINE fft_point product(fft_point a, fft_point b) {
    return (fft_point){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// conj(a) b
static ALWAYS_INLINE fft_point product_conjugate(fft_point a, fft_point b) {
    return (fft_point){a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}

static ALWAYS_INLINE fft_point conjugate(fft_point a) {
    return (fft_point){a.re, -a.im};
}

static ALWAYS_INLINE fft_point scaled(real factor, fft_point a) {
    return (fft_point){factor * a.re, factor * a.im};
}

// i a
static ALWAYS_INLINE fft_point turned(fft_point a) {
    return (fft_point){-a.im, a.re};
}

static ALWAYS_INLINE void make(const spectrum_walk *w, vec beta, const real *root, const real *a,
                               const real *b, real *record) {
    const real scale = 1 / (real)w->plan->points;
    const fft_point z = fft_load(a), m = conjugate(fft_load(b));
    fft_point even = scaled((real)0.5, fft_add(z, m));
    const fft_point odd = scaled(scale / 4, fft_subtract(z, m)); // i/2 O
    even.re += beta;
    even = scaled(scale, even);
    const fft_point shifted = fft_turn(odd, root);
    const fft_point p = fft_subtract(odd, shifted);
    fft_store(record, fft_add(even, p));
    fft_store(record + 2 * VEC, conjugate(fft_subtract(even, p)));
    fft_store(record + 4 * VEC, fft_add(odd, shifted));
}

static ALWAYS_INLINE void apply(real *a, real *b, const real *record) {
    fft_point y = {{0}, {0}}, y_minus = y;
    spectrum_apply(record, fft_load(a), fft_load(b), &y, &y_minus);
    fft_store(a, y);
    fft_store(b, y_minus);
}

static ALWAYS_INLINE void follow(real *a, real *b, const real *record, const real *sum, real *kept) {
    const fft_point z = fft_load(a), z_minus = fft_load(b);
    fft_point y = fft_load(sum), y_minus = fft_load(sum + 2 * VEC);
    spectrum_apply(record, z, z_minus, &y, &y_minus);
    if (kept) {
        fft_store(kept, z);
        fft_store(kept + 2 * VEC, z_minus);
    }
    fft_store(a, y);
    fft_store(b, y_minus);
}

// The gradient of the taps from a pair of Z and G.
static ALWAYS_INLINE void adjoint_taps(const spectrum_walk *w, const real *root, fft_point z,
                                       fft_point z_minus, fft_point g, fft_point g_minus, real *a,
                                       real *b) {
    const real scale = 1 / (real)w->plan->points;
    const fft_point p = product_conjugate(z, g),
                    p_minus = product_conjugate(g_minus, z_minus); // conj(p_-k)
    const fft_point q = fft_subtract(product(z_minus, g), conjugate(product(z, g_minus)));
    const fft_point difference = fft_subtract(p, p_minus), even = scaled(scale / 2, fft_add(p, p_minus));
    // i o, without conj(S) and with
    const fft_point still = fft_add(difference, q);
    const real back[] = {root[0], -root[1]};
    const fft_point shifted = fft_turn(fft_subtract(q, difference), back);
    const fft_point odd = scaled(scale / 4, fft_add(still, shifted));
    fft_point up = fft_add(even, odd), down = conjugate(fft_subtract(even, odd));
    if (w->adds) {
        up = fft_add(up, fft_load(a));
        down = fft_add(down, fft_load(b));
    }
    fft_store(a, up);
    fft_store(b, down);
}

static ALWAYS_INLINE void adjoint(const spectrum_walk *w, const real *root, const real *za, const real *zb,
                                  real *a, real *b, const real *record, real *taps_a, real *taps_b) {
    const fft_point z = fft_load(za), z_minus = fft_load(zb), g = fft_load(a), g_minus = fft_load(b);
    adjoint_taps(w, root, z, z_minus, g, g_minus, taps_a, taps_b);
    const fft_point p = fft_load(record), p_minus = fft_load(record + 2 * VEC);
    const fft_point q = fft_load(record + 4 * VEC);
    // Q_-k conj(G_-k) = -conj(Q_k G_-k)
    fft_store(a, fft_subtract(product_conjugate(p, g), conjugate(product(q, g_minus))));
    fft_store(b, fft_add(product_conjugate(p_minus, g_minus), product_conjugate(g, q)));
}

static void write_roots(const fft_plan *plan, int spot, int count, real *root) {
    for (; count > 0; count--, spot++, root += 2) {
        const double angle = -2 * M_PI * fft_bin(plan, spot) / plan->points;
        root[0] = (real)cos(angle);
        root[1] = (real)sin(angle);
    }
}

// Bins a, a+1, ... are those opposite to b, b-1, ...
static NEVER_INLINE void pairs(spectrum_walk *w, int a, int b, int count) {
    const size_t pair = (size_t)w->pair, apart = w->apart;
    real *root = w->roots + 2 * pair;
    w->pair += count;
    if (w->task == SPECTRUM_ROOTS) {
        write_roots(w->plan, a, count, root);
        return;
    }
    real *up = w->points + (ptrdiff_t)2 * VEC * a, *down = w->points + (ptrdiff_t)2 * VEC * b;
    if (w->task == SPECTRUM_APPLY) {
        const real *record = w->records + pair * apart;
        for (; count > 0; count--, up += 2 * VEC, down -= 2 * VEC, record += apart) apply(up, down, record);
    } else if (w->task == SPECTRUM_ADJOINT) {
        const real *z_up = w->others + (ptrdiff_t)2 * VEC * a;
        const real *z_down = w->others + (ptrdiff_t)2 * VEC * b;
        real *taps_up = w->taps + (ptrdiff_t)2 * VEC * a, *taps_down = w->taps + (ptrdiff_t)2 * VEC * b;
        const real *record = w->records + pair * apart;
        for (; count > 0; count--, record += apart, root += 2) {
            adjoint(w, root, z_up, z_down, up, down, record, taps_up, taps_down);
            up += 2 * VEC, down -= 2 * VEC, z_up += 2 * VEC, z_down -= 2 * VEC;
            taps_up += 2 * VEC, taps_down -= 2 * VEC;
        }
    } else if (w->task == SPECTRUM_FOLLOW) {
        const real *record = w->records + pair * apart, *sum = w->sums + pair * SPECTRUM_POINTS;
        real *kept = w->kept ? w->kept + pair * w->kept_apart : NULL;
        for (; count > 0; count--, up += 2 * VEC, down -= 2 * VEC) {
            follow(up, down, record, sum, kept);
            record += apart, sum += SPECTRUM_POINTS;
            if (kept) kept += w->kept_apart;
        }
    } else {
        real *record = w->records + pair * apart;
        const vec beta = w->beta ? vec_get(w->beta, w->channels) : (vec){0};
        for (; count > 0; count--, up += 2 * VEC, down -= 2 * VEC, record += apart, root += 2)
            make(w, beta, root, up, down, record);
    }
}

// How the blocks of a walk lie to each other. Bin k of the points of level l is bin j + radix q of those
// above, j the number of the block. So block j and block radix - j hold opposite bins, one in the order
// opposite to the other's (-k = radix - j + radix (rest - 1 - q)), down to their smallest parts; block 0
// again is a spectrum like the whole.
typedef struct block {
    int level, size, a, b; // a and b: where it and its opposite begin; the same one for a block of its own
    bool whole;            // block 0 of the whole, or block 0 of that, ...
} block;

static void pairs_of_whole(spectrum_walk *w, int level, int at) {
    for (; level < w->plan->levels; level++) {
        const int radix = w->plan->level[level].radix, rest = w->plan->level[level].rest;
        for (int j = 1; 2 * j < radix; j++) pairs(w, at + j * rest, at + (radix - j + 1) * rest - 1, rest);
        if (radix % 2 == 0)
            pairs(w, at + radix / 2 * rest, at + (radix / 2 + 1) * rest - 1, (rest + 1) / 2);
    }
    pairs(w, at, at, 1);
}

static void pairs_of(spectrum_walk *w, const block *of) {
    if (of->whole)
        pairs_of_whole(w, of->level, of->a);
    else if (of->a == of->b)
        pairs(w, of->a, of->a + of->size - 1, (of->size + 1) / 2);
    else
        pairs(w, of->a, of->b + of->size - 1, of->size);
}

typedef void level_pass(const fft_level *level, int blocks, real *points);

// One level of a block and its opposite.
static void pass(level_pass *direction, const spectrum_walk *w, real *points, int level, const block *of) {
    const fft_level *l = &w->plan->level[level];
    const int blocks = of->size / (l->radix * l->rest);
    direction(l, blocks, points + (ptrdiff_t)2 * VEC * of->a);
    if (of->a != of->b) direction(l, blocks, points + (ptrdiff_t)2 * VEC * of->b);
}

static void down(const spectrum_walk *w, int level, const block *of) {
    if (w->task == SPECTRUM_ROOTS) return;
    pass(fft_down, w, w->points, level, of);
    if (w->others) pass(fft_down, w, w->others, level, of);
}

static void up(const spectrum_walk *w, int level, const block *of) {
    if (w->task != SPECTRUM_MAKE && w->task != SPECTRUM_ROOTS) pass(fft_up, w, w->points, level, of);
    if (w->taps && w->last) pass(fft_up, w, w->taps, level, of);
}

static void walk(spectrum_walk *w, const block *of);

static void walk_parts(spectrum_walk *w, const block *of) {
    const int radix = w->plan->level[of->level].radix, rest = w->plan->level[of->level].rest;
    const int opposite = of->whole ? radix : radix - 1; // numbers of opposite parts add up to this
    const bool alone = of->a == of->b;
    for (int j = of->whole; j < radix; j++) {
        if (alone && 2 * j > opposite) break;
        walk(w, &(block){of->level + 1, rest, of->a + j * rest, of->b + (opposite - j) * rest, false});
    }
    if (of->whole) walk(w, &(block){of->level + 1, rest, of->a, of->a, true});
}

static void walk(spectrum_walk *w, const block *of) {
    const int last = w->plan->levels - 1;
    if ((size_t)of->size * 2 * VEC * sizeof(real) <= L1_BYTES || of->level >= last) {
        for (int l = of->level; l <= last; l++) down(w, l, of);
        pairs_of(w, of);
        for (int l = last; l >= of->level; l--) up(w, l, of);
        return;
    }
    down(w, of->level, of);
    walk_parts(w, of);
    up(w, of->level, of);
}

void spectrum_traverse(spectrum_walk *w) {
    walk_parts(w, &(block){0, w->plan->points, 0, 0, true});
}

void spectrum_tabulate(const fft_plan *plan, real *roots) {
    spectrum_traverse(&(spectrum_walk){.plan = plan, .roots = roots, .task = SPECTRUM_ROOTS});
}
