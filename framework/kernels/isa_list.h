// Every instruction set, listed once: SET(name, whether this processor runs it), the best last. Define SET,
// then include this (select.c).
//
// A set's kernels are those that table_init_<name> fills in: for the sets of the Makefile's ISAS table.c,
// compiled for each; for others, a file with a few kernels, which takes the rest from one of those
// (products/micro_kernel.h).
#ifndef SET
#error "define SET(name, runs) before including kernels/isa_list.h"
#endif

SET(plain, true)
#ifdef __x86_64__
// What the compiler may use at x86-64-v2, v3 and v4. The features that cannot be asked for by name (movbe,
// f16c, lzcnt) come with the others on every processor made.
SET(sse4, HAS("sse4.2") && HAS("ssse3") && HAS("popcnt"))
SET(avx2, HAS("avx2") && HAS("fma") && HAS("bmi") && HAS("bmi2"))
SET(avx512, runs_avx2() && HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq") &&
                HAS("avx512vl"))
#endif

#undef SET
