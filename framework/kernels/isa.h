// One kernel source, several instruction sets: every kernel source is compiled once per set with KERNEL_ISA
// defined (avx512, avx2, sse4, plain), and `vec` is the widest vector of `real`.
#ifndef RUNEXP_KERNELS_ISA_H
#define RUNEXP_KERNELS_ISA_H

#include "base/real.h"

#include <stdint.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#define ISA_TEXT_(isa) #isa
#define ISA_TEXT(isa) ISA_TEXT_(isa)
#define ISA_NAME ISA_TEXT(KERNEL_ISA)
// Ends the declaration of what is not static: sources write `gemm`, the linker sees gemm_avx512 and the
// like.
#define ISA_SYMBOL(name) __asm__(#name "_" ISA_NAME)

// For small functions that only make sense once their arguments are constants of the caller.
#define ALWAYS_INLINE inline __attribute__((always_inline))
// For functions called from several places that must give the same bits everywhere.
#define NEVER_INLINE __attribute__((noinline))

#if defined(__AVX512F__)
#define KERNEL_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define KERNEL_VECTOR_BYTES 32
#else
#define KERNEL_VECTOR_BYTES 16
#endif

#ifdef RUNEXP_FP64
#define KERNEL_LANES (KERNEL_VECTOR_BYTES / 8)
typedef int64_t lane_int; // as wide as real
#define LANE_INT_MAX INT64_MAX
#define LANE_INT_MIN INT64_MIN
#else
#define KERNEL_LANES (KERNEL_VECTOR_BYTES / 4)
typedef int32_t lane_int;
#define LANE_INT_MAX INT32_MAX
#define LANE_INT_MIN INT32_MIN
#endif

enum { VEC = KERNEL_LANES };

typedef real vec __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
typedef lane_int ivec __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
// The same without the promise of alignment: for loads and stores anywhere.
typedef real vec_anywhere
    __attribute__((vector_size(KERNEL_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

// 0, 1, 2, ...: as a constant, so that shuffles by functions of it are constants too.
static const ivec vec_lanes = {
    0, 1,
#if KERNEL_LANES > 2
    2, 3,
#endif
#if KERNEL_LANES > 4
    4, 5, 6,  7,
#endif
#if KERNEL_LANES > 8
    8, 9, 10, 11, 12, 13, 14, 15,
#endif
};

static ALWAYS_INLINE vec vec_load(const real *p) {
    return *(const vec_anywhere *)p;
}

static ALWAYS_INLINE void vec_store(real *p, vec v) {
    *(vec_anywhere *)p = v;
}

static ALWAYS_INLINE vec vec_set(real x) {
    return x - (vec){0};
}

// vec_load_some and vec_store_some: the first `count` lanes (0 <= count <= VEC), zero in the others;
// nothing else is read or written. With masked moves where there are any, which compilers do not make
// reliably.
#if defined(__AVX512F__)
#ifdef RUNEXP_FP64
#define MASKED(operation, ...) _mm512_##operation##_pd(__VA_ARGS__)
#else
#define MASKED(operation, ...) _mm512_##operation##_ps(__VA_ARGS__)
#endif
static ALWAYS_INLINE vec vec_load_some(const real *p, int count) {
    return (vec)MASKED(maskz_loadu, (__mmask16)((1u << count) - 1), p);
}

static ALWAYS_INLINE void vec_store_some(real *p, vec v, int count) {
    MASKED(mask_storeu, p, (__mmask16)((1u << count) - 1), v);
}
#elif defined(__AVX2__)
#ifdef RUNEXP_FP64
#define MASKED(operation, ...) _mm256_##operation##_pd(__VA_ARGS__)
#else
#define MASKED(operation, ...) _mm256_##operation##_ps(__VA_ARGS__)
#endif
static ALWAYS_INLINE vec vec_load_some(const real *p, int count) {
    return (vec)MASKED(maskload, p, (__m256i)(vec_lanes < count));
}

static ALWAYS_INLINE void vec_store_some(real *p, vec v, int count) {
    MASKED(maskstore, p, (__m256i)(vec_lanes < count), v);
}
#else
static ALWAYS_INLINE vec vec_load_some(const real *p, int count) {
    vec v = {0};
    for (int i = 0; i < VEC; i++)
        if (i < count) v[i] = p[i];
    return v;
}

static ALWAYS_INLINE void vec_store_some(real *p, vec v, int count) {
    for (int i = 0; i < VEC; i++)
        if (i < count) p[i] = v[i];
}
#endif

// For loops over any number of values: `left` counts those from p on, and may be more than a vector.
static ALWAYS_INLINE vec vec_get(const real *p, int left) {
    return left >= VEC ? vec_load(p) : vec_load_some(p, left);
}

static ALWAYS_INLINE void vec_put(real *p, vec v, int left) {
    if (left >= VEC)
        vec_store(p, v);
    else
        vec_store_some(p, v, left);
}

static ALWAYS_INLINE void vec_add_to(real *p, vec v, int left) {
    vec_put(p, vec_get(p, left) + v, left);
}

// For loops over arrays larger than the caches: prefetches far enough ahead, which the hardware does not.
static ALWAYS_INLINE void prefetch_ahead(const real *p) {
    __builtin_prefetch((const char *)p + 8192);
}

// mask ? a : b in every lane, where mask is the result of a comparison.
static ALWAYS_INLINE vec vec_select(ivec mask, vec a, vec b) {
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

// a where a > b, else b: b where either is NaN. x86 has an instruction for just this, which compilers do
// not make of the comparison.
static ALWAYS_INLINE vec vec_max(vec a, vec b) {
#if defined(__AVX2__)
    return (vec)MASKED(max, a, b);
#elif defined(__SSE2__) && defined(RUNEXP_FP64)
    return (vec)_mm_max_pd((__m128d)a, (__m128d)b);
#elif defined(__SSE2__)
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vec_select(a > b, a, b);
#endif
}

static ALWAYS_INLINE vec vec_abs(vec a) {
    return (vec)((ivec)a & LANE_INT_MAX); // all but the sign
}

#ifndef RUNEXP_FP64
// a + b^2, where the square keeps its low bits: a can cancel its high ones.
static ALWAYS_INLINE vec vec_add_square(vec a, vec b) {
#if defined(__AVX2__)
    return (vec)MASKED(fmadd, b, b, a);
#else
    const vec head = (vec)((ivec)b & (int32_t)0xFFFFF000); // its square is exact
    return a + head * head + (b - head) * (b + head);
#endif
}
#endif

static ALWAYS_INLINE vec vec_sqrt(vec a) {
    for (int i = 0; i < VEC; i++) a[i] = sizeof(real) == 8 ? __builtin_sqrt(a[i]) : __builtin_sqrtf(a[i]);
    return a;
}

// Sum and maximum of all lanes, always in the same order.
static ALWAYS_INLINE real vec_sum(vec v) {
#pragma GCC unroll 4
    for (int half = VEC / 2; half > 0; half /= 2) v += __builtin_shuffle(v, vec_lanes ^ half);
    return v[0];
}

static ALWAYS_INLINE real vec_maximum(vec v) {
#pragma GCC unroll 4
    for (int half = VEC / 2; half > 0; half /= 2) v = vec_max(v, __builtin_shuffle(v, vec_lanes ^ half));
    return v[0];
}

// Transposes VEC x VEC: lane j of rows[i] and lane i of rows[j] change places.
static ALWAYS_INLINE void vec_transpose(vec rows[VEC]) {
#pragma GCC unroll 4
    for (int step = 1; step < VEC; step *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < VEC; i++)
            if (!(i & step)) {
                const ivec odd = (vec_lanes & step) != 0; // -1 in lanes that come from the second vector
                const vec first = rows[i], second = rows[i + step];
                rows[i] = __builtin_shuffle(first, second, vec_lanes + (odd & (VEC - step)));
                rows[i + step] = __builtin_shuffle(first, second, vec_lanes + step + (odd & (VEC - step)));
            }
}

#endif
