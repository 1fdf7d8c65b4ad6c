// The machine's ceilings, measured: what the current kernels can reach at most on the current threads.
#ifndef RUNEXP_TIMING_CEILINGS_H
#define RUNEXP_TIMING_CEILINGS_H

#include "base/error.h"

typedef struct ceilings {
    double flops; // a second: multiply-adds on registers, each counted as 2
    double read;  // bytes a second out of memory: sums of an array
    double triad; // bytes a second: y = a + factor b, each array counted once
} ceilings;

// Runs the three for `seconds` in all, on arrays several times larger than the caches, and raises *c to the
// fastest of the runs: start with {0}, and measure again at another time when the machine is shared.
// ERR_MEMORY when the arrays do not fit.
status ceilings_measure(double seconds, ceilings *c, error *err);

// One run of multiply-adds on every thread, a fraction of a millisecond: for measurements that
// alternate with something else. Returns the number of floating-point operations.
double ceilings_run_multiply_adds(void);

#endif
