// The options of every command that computes: threads and instruction set.
#ifndef RUNEXP_CLI_COMPUTE_H
#define RUNEXP_CLI_COMPUTE_H

#include "base/machine.h"
#include "base/pool.h"
#include "config/settings.h"
#include "kernels/kernels.h"

// A member named `compute` of the command's settings struct.
typedef struct compute_options {
    int64_t threads;
    const char *kernels;
} compute_options;

// The sets that the program was built for, the best last.
static const char kernels_doc[] = "instruction set: auto"
#define SET(name, runs) ", " #name
#include "kernels/isa_list.h"
    ;

// Their rows in the command's option table.
#define COMPUTE_OPTIONS                                                                                    \
    SETTING(                                                                                               \
        OPTION_INT, int64_t, "threads", compute.threads, .fallback = "0", .min = 0, .max = POOL_THREADS,   \
        .doc = "number of threads; 0: OMP_NUM_THREADS, or the physical cores that this process may use"),  \
        SETTING(OPTION_STRING, const char *, "kernels", compute.kernels, .fallback = "auto",               \
                .doc = kernels_doc)

// Applies them, for the graphs that are built from now on. A note says when there are more threads than
// processors for them.
status compute_begin(const compute_options *o, error *err);

#endif
