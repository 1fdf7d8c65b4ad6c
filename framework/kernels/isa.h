// One kernel source, several instruction sets: every kernel source file is compiled once per set with
// KERNEL_ISA defined (avx512, avx2, sse4, plain). KERNEL(name) gives a function its suffix, and `vec` is
// the widest vector of `real`.
#ifndef RUNEXP_KERNELS_ISA_H
#define RUNEXP_KERNELS_ISA_H

#include "base/real.h"

#define KERNEL_JOIN_(name, isa) name##_##isa
#define KERNEL_JOIN(name, isa) KERNEL_JOIN_(name, isa)
#define KERNEL(name) KERNEL_JOIN(name, KERNEL_ISA)

#if defined(__AVX512F__)
#define KERNEL_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define KERNEL_VECTOR_BYTES 32
#else
#define KERNEL_VECTOR_BYTES 16
#endif

enum { VEC = KERNEL_VECTOR_BYTES / sizeof(real) };

typedef real vec __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
// The same without the promise of alignment: for loads and stores anywhere.
typedef real vec_anywhere
    __attribute__((vector_size(KERNEL_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

static inline vec vec_load(const real *p) {
    return *(const vec_anywhere *)p;
}

static inline void vec_store(real *p, vec v) {
    *(vec_anywhere *)p = v;
}

static inline vec vec_set(real x) {
    return x - (vec){0};
}

#endif
