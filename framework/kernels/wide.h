// Vectors of double in every build, for what single precision cannot do: conversions from and to `real`,
// sine and cosine.
#ifndef RUNEXP_KERNELS_WIDE_H
#define RUNEXP_KERNELS_WIDE_H

#include "kernels/isa.h"

#include <math.h>

enum { WIDE = KERNEL_VECTOR_BYTES / 8 };

typedef double wide __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
typedef int64_t wide_int __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
typedef double wide_anywhere
    __attribute__((vector_size(KERNEL_VECTOR_BYTES), aligned(sizeof(double)), may_alias));
// As many reals.
typedef real narrow __attribute__((vector_size(WIDE * sizeof(real))));
typedef real narrow_anywhere
    __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real)), may_alias));

static ALWAYS_INLINE wide wide_load(const double *p) {
    return *(const wide_anywhere *)p;
}

static ALWAYS_INLINE void wide_store(double *p, wide v) {
    *(wide_anywhere *)p = v;
}

static ALWAYS_INLINE wide wide_set(double x) {
    return x - (wide){0};
}

// The same for `left` reals, which may be more than a vector: 0 in lanes beyond them.
static ALWAYS_INLINE wide wide_get_reals(const real *p, int left) {
    if (left >= WIDE) return __builtin_convertvector(*(const narrow_anywhere *)p, wide);
    wide v = {0};
    for (int i = 0; i < left; i++) v[i] = (double)p[i];
    return v;
}

static ALWAYS_INLINE void wide_put_reals(real *p, wide v, int left) {
    if (left >= WIDE)
        *(narrow_anywhere *)p = __builtin_convertvector(v, narrow);
    else
        for (int i = 0; i < left; i++) p[i] = (real)v[i];
}

static ALWAYS_INLINE wide wide_select(wide_int mask, wide a, wide b) {
    return (wide)(((wide_int)a & mask) | ((wide_int)b & ~mask));
}

static ALWAYS_INLINE wide wide_abs(wide x) {
    return (wide)((wide_int)x & INT64_MAX);
}

static ALWAYS_INLINE wide wide_max(wide a, wide b) {
    return wide_select(a > b, a, b);
}

// Beyond this wide_sincos is wrong.
static const double WIDE_SINCOS_MOST = 1e6;

// Sine and cosine of |x| <= WIDE_SINCOS_MOST, to a unit in the last place. x less a multiple of pi/2, which
// is taken in three parts, the first two with so few bits that their multiples are exact; polynomials by
// Remez exchange, for a relative error of the functions below 4e-18.
static ALWAYS_INLINE wide wide_sincos(wide x, wide *cosine) {
    const double round_to_int = 0x1.8p52; // adding it leaves the integer in the low bits
    const wide shifted = x * 0x1.45f306dc9c883p-1 + round_to_int;
    const wide n = shifted - round_to_int;
    const wide_int quadrant = (wide_int)shifted;
    const wide r = x - n * 0x1.921fb544p+0 - n * 0x1.0b4611a6p-34 - n * 0x1.3198a2e037073p-69;
    const wide s = r * r;
    wide p = s * 1.5896149029145828e-10 - 2.5050746403513098e-08;
    p = p * s + 2.7557313612973563e-06;
    p = p * s - 0.0001984126982956611;
    p = p * s + 0.00833333333332209;
    p = p * s - 0.1666666666666663;
    wide q = s * -1.1358480097289609e-11 + 2.0875699777153375e-09;
    q = q * s - 2.7557314171653417e-07;
    q = q * s + 2.4801587288825934e-05;
    q = q * s - 0.0013888888888873017;
    q = q * s + 0.041666666666666595;
    const wide half = s * 0.5, head = 1 - half;
    const wide sine_r = r + r * (s * p), cosine_r = head + (1 - head - half + s * s * q);
    const wide_int odd = -(quadrant & 1);
    const wide_int sign = (quadrant & 2) << 62, cosine_sign = ((quadrant + 1) & 2) << 62;
    *cosine = (wide)((wide_int)wide_select(odd, sine_r, cosine_r) ^ cosine_sign);
    return (wide)((wide_int)wide_select(odd, cosine_r, sine_r) ^ sign);
}

#endif
