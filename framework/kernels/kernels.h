// Kernels: the inner loops over plain arrays. They know no graph and allocate nothing.
//
// Each kernel source is compiled once per instruction set (see kernels/isa.h); `kernels` is the table of
// the chosen one. What each kernel does is said in list.h, with its row; the structs that they take are in
// arguments.h.
#ifndef RUNEXP_KERNELS_KERNELS_H
#define RUNEXP_KERNELS_KERNELS_H

#include "base/error.h"
#include "kernels/arguments.h"

typedef struct kernel_table {
    const char *name; // "avx512", "avx2", "sse4", "plain"
    int vector_bytes;
#define KERNEL(result, name, parameters) result(*name) parameters;
#include "kernels/list.h"
} kernel_table;

// The chosen table: the best that this processor runs, until kernels_select asks for another.
extern const kernel_table *kernels;

// Chooses by name ("auto", "avx512", "avx2", "sse4", "plain"). ERR_USAGE when unknown or not runnable here;
// the choice is then unchanged.
status kernels_select(const char *name, error *err);

// The names that this processor runs, best first, NULL-terminated.
const char *const *kernels_available(void);

// Threads used by parallel kernels from now on (>= 1), and the number in force.
void kernels_set_threads(int threads);
int kernels_threads(void);

#endif
