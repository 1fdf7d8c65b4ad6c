// exp, log, tanh, sigmoid and the normal distribution on whole vectors.
//
// In single precision: range reduction and polynomials fitted by Remez exchange to the relative error of
// the function; a few units in the last place (tests/unit/test_kernels_math.c holds the bounds). In double
// precision, the build in which gradients are checked, they call the C library lane by lane.
#ifndef RUNEXP_KERNELS_VECTOR_MATH_H
#define RUNEXP_KERNELS_VECTOR_MATH_H

#include "kernels/isa.h"

#include <math.h>

#ifdef RUNEXP_FP64

static inline vec vec_exp(vec x) {
    for (int i = 0; i < VEC; i++) x[i] = exp(x[i]);
    return x;
}

static inline vec vec_log(vec x) {
    for (int i = 0; i < VEC; i++) x[i] = log(x[i]);
    return x;
}

static inline vec vec_tanh(vec x) {
    for (int i = 0; i < VEC; i++) x[i] = tanh(x[i]);
    return x;
}

static inline vec vec_normal_cdf(vec x, vec *gaussian) {
    for (int i = 0; i < VEC; i++) {
        (*gaussian)[i] = exp(-0.5 * x[i] * x[i]);
        x[i] = 0.5 * erfc(-x[i] * 0.70710678118654752440);
    }
    return x;
}

#else

// exp(x + low), where low is a small correction that x could not hold. Results below 1.7e-38 are 0.
static ALWAYS_INLINE vec vec_exp_corrected(vec x, vec low) {
    const real round_to_int = 12582912; // 1.5 * 2^23: adding it leaves the integer in the low bits
    vec shifted = x * 1.44269504f + round_to_int;
    vec n = shifted - round_to_int;
    // ln 2 in two parts, the first with few enough bits that n * it is exact.
    vec r = x - n * 0.693145752f - n * 1.42860677e-6f + low;
    vec p = r * 0.00138131424f + 0.00836941879f;
    p = p * r + 0.041668456f;
    p = p * r + 0.166665152f;
    p = p * r + 0.49999994f;
    p = p * (r * r) + r + 1;
    // 2^n as 2 * 2^(n-1), because n reaches 128. Beyond the range of single precision this is anything.
    ivec exponent = (ivec)shifted - (0x4B400000 - 126);
    vec y = (p + p) * (vec)(exponent << 23);
    y = vec_select(x > 88.8f, vec_set(INFINITY), y);
    return (vec)((ivec)y & ~(x < -86.98f));
}

static ALWAYS_INLINE vec vec_exp(vec x) {
    return vec_exp_corrected(x, (vec){0});
}

// Natural logarithm of normal positive numbers; NaN below 0, -inf at 0 and below 1.2e-38.
static ALWAYS_INLINE vec vec_log(vec x) {
    // x = 2^n m with m in [sqrt(1/2), sqrt(2)); without the sign, which would make the difference overflow
    ivec bits = (ivec)x & LANE_INT_MAX, n = (bits - 0x3F3504F3) >> 23;
    vec m = (vec)(bits - n * (1 << 23)) - 1;
    vec p = m * 0.0674659833f - 0.116756141f;
    p = p * m + 0.118881606f;
    p = p * m - 0.124055952f;
    p = p * m + 0.142195538f;
    p = p * m - 0.166679949f;
    p = p * m + 0.200021192f;
    p = p * m - 0.250000089f;
    p = p * m + 0.333333135f;
    vec e = __builtin_convertvector(n, vec), square = m * m;
    vec y = p * (m * square) + e * 1.42860677e-6f - 0.5f * square + m + e * 0.693145752f;
    y = vec_select(x < 1.17549435e-38f, vec_set(-INFINITY), y);
    y = vec_select(x < 0, vec_set(NAN), y);
    y = vec_select(x == INFINITY, x, y);
    return vec_select(x != x, x, y);
}

static ALWAYS_INLINE vec vec_tanh(vec x) {
    vec a = vec_abs(x), s = x * x;
    vec p = s * -0.00560391555f + 0.0205517206f;
    p = p * s - 0.0537141077f;
    p = p * s + 0.133311525f;
    p = p * s - 0.333332717f;
    vec small = x + x * s * p;
    vec large = 1 - 2 / (vec_exp(a + a) + 1);
    ivec sign = (ivec)x ^ (ivec)a;
    return vec_select(a < 0.64f, small, (vec)((ivec)large | sign));
}

// Phi(x), the distribution function of the standard normal, and *gaussian = exp(-x^2/2). With z = -|x| the
// tail is gaussian * R(z), where R varies slowly: a rational function. Results below 3e-40 are 0.
static ALWAYS_INLINE vec vec_normal_cdf(vec x, vec *gaussian) {
    const real round_to_int = 12582912 + 127;                         // with the bias of exponents
    vec z = vec_max(vec_set(-13.27f), (vec)((ivec)x | LANE_INT_MIN)); // there n is -127; NaN stays NaN
    // 2^n exp(-r/2), as in vec_exp_corrected. -127 as an exponent makes 0.
    const vec shifted = z * z * -0.721347520f + round_to_int, n = shifted - round_to_int;
    const vec r = vec_add_square(n * 1.38629150f, z) + n * 2.85720254e-6f;
    vec p = r * 2.15852473e-5f - 0.000261523289f;
    p = p * r + 0.00260427440f;
    p = p * r - 0.0208331505f;
    p = p * r + 0.124999984f;
    p = p * r - 0.5f;
    p = p * r + 1;
    *gaussian = p * (vec)((ivec)shifted << 23);
    vec above = z * 0.00399084046f - 0.0397992939f;
    above = above * z + 0.180777272f;
    above = above * z - 0.435001176f;
    above = above * z + 0.5f;
    vec below = z * -0.0100034071f + 0.0997695626f;
    below = below * z - 0.46297677f;
    below = below * z + 1.19233257f;
    below = below * z - 1.66788715f;
    below = below * z + 1;
    const vec tail = *gaussian * above / below;
    return vec_select(x > 0, 1 - tail, tail);
}

#endif

static ALWAYS_INLINE vec vec_sigmoid(vec x) {
    return 1 / (1 + vec_exp(-x));
}

// log(1 + exp(x)). What 1 + e loses of a small e is made up for by the factor (Goldberg, "What every
// computer scientist should know about floating-point arithmetic", theorem 4).
static ALWAYS_INLINE vec vec_softplus(vec x) {
    const vec e = vec_exp(-vec_abs(x)), sum = 1 + e, held = sum - 1;
    const vec log1p = vec_select(held == 0, e, vec_log(sum) * (e / held));
    return vec_max(x, (vec){0}) + log1p;
}

#endif
