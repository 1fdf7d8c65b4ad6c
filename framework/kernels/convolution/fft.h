// Fourier transforms of complex sequences with channels innermost: a point is two vectors, the real and the
// imaginary parts of VEC channels, which all go through the same arithmetic.
//
// Forward transforms decimate in frequency, backward ones in time, in place and without reordering: what
// lies at a place of the spectrum is fft_bin's business. (Cooley and Tukey, Math. Comp. 19 (1965);
// Gentleman and Sande, AFIPS 29 (1966).)
#ifndef RUNEXP_KERNELS_CONVOLUTION_FFT_H
#define RUNEXP_KERNELS_CONVOLUTION_FFT_H

#include "kernels/declarations.h"

#include <stdbool.h>

enum { FFT_MOST_LEVELS = 24 };

// A level cuts blocks of radix * rest points into `radix` blocks of `rest`. twiddles: rest x (radix - 1) x
// 2, cosine and sine of -2 pi j q / (radix rest) for q from 0 and j from 1.
typedef struct fft_level {
    int radix, rest;
    const real *twiddles;
} fft_level;

typedef struct fft_plan {
    int points, levels;
    fft_level level[FFT_MOST_LEVELS];
} fft_plan;

// A point.
typedef struct fft_point {
    vec re, im;
} fft_point;

// The least number of points, `least` or more, that is a multiple of 16 and has only small factors.
int fft_points(int least) ISA_SYMBOL(fft_points);
// How many reals the twiddles of all levels take, and the plan with its twiddles there.
size_t fft_twiddles(int points) ISA_SYMBOL(fft_twiddles);
fft_plan fft_plan_on(int points, const real *twiddles) ISA_SYMBOL(fft_plan_on);
// Computes the twiddles, in double precision. SERIAL.
void fft_tabulate(int points, real *twiddles) ISA_SYMBOL(fft_tabulate);
// Which bin of the spectrum a place holds.
int fft_bin(const fft_plan *plan, int spot) ISA_SYMBOL(fft_bin);

// One level of a transform, forward or backward (without the factor 1 / points), of `blocks` blocks.
void fft_down(const fft_level *level, int blocks, real *points) ISA_SYMBOL(fft_down);
void fft_up(const fft_level *level, int blocks, real *points) ISA_SYMBOL(fft_up);
// The first level of points of which the second half is zero, whatever lies there, and on the way back,
// where the second half is not wanted. The radix is 8.
void fft_down_half(const fft_level *level, real *points) ISA_SYMBOL(fft_down_half);
void fft_up_half(const fft_level *level, real *points) ISA_SYMBOL(fft_up_half);

static ALWAYS_INLINE fft_point fft_load(const real *at) {
    return (fft_point){vec_load(at), vec_load(at + VEC)};
}

static ALWAYS_INLINE void fft_store(real *at, fft_point p) {
    vec_store(at, p.re);
    vec_store(at + VEC, p.im);
}

// A backward transform is a forward one of points whose parts have changed places.
static ALWAYS_INLINE fft_point fft_swap(fft_point p) {
    return (fft_point){p.im, p.re};
}

static ALWAYS_INLINE fft_point fft_add(fft_point a, fft_point b) {
    return (fft_point){a.re + b.re, a.im + b.im};
}

static ALWAYS_INLINE fft_point fft_subtract(fft_point a, fft_point b) {
    return (fft_point){a.re - b.re, a.im - b.im};
}

// a - i b and a + i b
static ALWAYS_INLINE fft_point fft_minus_i(fft_point a, fft_point b) {
    return (fft_point){a.re + b.im, a.im - b.re};
}

static ALWAYS_INLINE fft_point fft_plus_i(fft_point a, fft_point b) {
    return (fft_point){a.re - b.im, a.im + b.re};
}

// a + factor b
static ALWAYS_INLINE fft_point fft_add_scaled(fft_point a, real factor, fft_point b) {
    return (fft_point){a.re + factor * b.re, a.im + factor * b.im};
}

// p times the root of unity (cosine, sine).
static ALWAYS_INLINE fft_point fft_turn(fft_point p, const real *root) {
    const vec c = vec_set(root[0]), s = vec_set(root[1]);
    return (fft_point){p.re * c - p.im * s, p.re * s + p.im * c};
}

// half: x[2] and x[3] are zero.
static ALWAYS_INLINE void fft_four(fft_point *x0, fft_point *x1, fft_point *x2, fft_point *x3, bool half) {
    const fft_point a = half ? *x0 : fft_add(*x0, *x2), b = half ? *x0 : fft_subtract(*x0, *x2);
    const fft_point c = half ? *x1 : fft_add(*x1, *x3), d = half ? *x1 : fft_subtract(*x1, *x3);
    *x0 = fft_add(a, c);
    *x1 = fft_minus_i(b, d);
    *x2 = fft_subtract(a, c);
    *x3 = fft_plus_i(b, d);
}

// half: x[4] to x[7] are zero.
static ALWAYS_INLINE void fft_eight(fft_point *x, bool half) {
    const real root = (real)0.70710678118654752440;
    fft_four(&x[0], &x[2], &x[4], &x[6], half);
    fft_four(&x[1], &x[3], &x[5], &x[7], half);
    const fft_point e0 = x[0], e1 = x[2], e2 = x[4], e3 = x[6];
    const fft_point o0 = x[1], o1 = x[3], o2 = x[5], o3 = x[7];
    const fft_point turned1 = {o1.re + o1.im, o1.im - o1.re}, turned3 = {o3.im - o3.re, -o3.re - o3.im};
    x[0] = fft_add(e0, o0);
    x[4] = fft_subtract(e0, o0);
    x[1] = fft_add_scaled(e1, root, turned1);
    x[5] = fft_add_scaled(e1, -root, turned1);
    x[2] = fft_minus_i(e2, o2);
    x[6] = fft_plus_i(e2, o2);
    x[3] = fft_add_scaled(e3, root, turned3);
    x[7] = fft_add_scaled(e3, -root, turned3);
}

static ALWAYS_INLINE void fft_three(fft_point *x) {
    const real sine = (real)0.86602540378443864676;
    const fft_point sum = fft_add(x[1], x[2]), difference = fft_subtract(x[1], x[2]);
    const fft_point middle = fft_add_scaled(x[0], (real)-0.5, sum);
    const fft_point side = {sine * difference.re, sine * difference.im};
    x[0] = fft_add(x[0], sum);
    x[1] = fft_minus_i(middle, side);
    x[2] = fft_plus_i(middle, side);
}

static ALWAYS_INLINE void fft_five(fft_point *x) {
    const real c1 = (real)0.30901699437494742410, c2 = (real)-0.80901699437494742410;
    const real s1 = (real)0.95105651629515357212, s2 = (real)0.58778525229247312917;
    const fft_point a = fft_add(x[1], x[4]), b = fft_add(x[2], x[3]);
    const fft_point c = fft_subtract(x[1], x[4]), d = fft_subtract(x[2], x[3]);
    const fft_point m1 = fft_add_scaled(fft_add_scaled(x[0], c1, a), c2, b);
    const fft_point m2 = fft_add_scaled(fft_add_scaled(x[0], c2, a), c1, b);
    const fft_point n1 = {s1 * c.re + s2 * d.re, s1 * c.im + s2 * d.im};
    const fft_point n2 = {s2 * c.re - s1 * d.re, s2 * c.im - s1 * d.im};
    x[0] = fft_add(x[0], fft_add(a, b));
    x[1] = fft_minus_i(m1, n1);
    x[2] = fft_minus_i(m2, n2);
    x[3] = fft_plus_i(m2, n2);
    x[4] = fft_plus_i(m1, n1);
}

// The transform of `radix` points. half: the second half of them is zero (radix 4 and 8).
static ALWAYS_INLINE void fft_butterfly(const int radix, fft_point *x, const bool half) {
    if (radix == 8) {
        fft_eight(x, half);
    } else if (radix == 5) {
        fft_five(x);
    } else if (radix == 4) {
        fft_four(&x[0], &x[1], &x[2], &x[3], half);
    } else if (radix == 3) {
        fft_three(x);
    } else {
        const fft_point a = x[0], b = x[1];
        x[0] = fft_add(a, b);
        x[1] = fft_subtract(a, b);
    }
}

#endif
