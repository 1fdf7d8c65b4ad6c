// How kernels share their loops out. Work is cut into pieces by shape; the number of threads only decides
// who does which piece.
#ifndef RUNEXP_KERNELS_PARALLEL_H
#define RUNEXP_KERNELS_PARALLEL_H

#include "base/pool.h"

extern int kernels_thread_count; // what kernels_set_threads set

// Measured: below this many vector operations, two or three microseconds, a second thread does not pay,
// since what one thread has written the other must fetch from its cache.
enum { PARALLEL_OPERATIONS = 1 << 14 };

// A thread takes pieces worth at least this many vector operations at a time.
enum { CHUNK_OPERATIONS = 1 << 13 };

// Threads for a loop of `operations` vector operations: one or all.
static inline int threads_for(double operations) {
    return operations < PARALLEL_OPERATIONS ? 1 : kernels_thread_count;
}

// Runs work over pieces 0 .. pieces-1 of a loop that takes `operations` vector operations in all.
//
// `work` stays a function of its own, of which there is one copy: a second, inlined one could be compiled
// to other fused multiply-adds, and one thread would give other bits than two.
static inline void parallel_for(int pieces, double operations, pool_work *work, const void *context) {
    const double least = operations > 0 ? pieces * (CHUNK_OPERATIONS / operations) : pieces;
    pool_run(threads_for(operations), pieces, least < pieces ? (int)least + 1 : pieces, work, context);
}

// The same for a loop that decoding runs: microseconds of work on data that stay in each thread's cache.
// There, another thread is worth a tenth; and each takes its range of the pieces at once.
static inline void parallel_for_short(int pieces, double operations, pool_work *work, const void *context) {
    const double worth = operations / (PARALLEL_OPERATIONS / 16);
    pool_run(worth < kernels_thread_count ? (int)worth : kernels_thread_count, pieces, pieces, work,
             context);
}

#endif
