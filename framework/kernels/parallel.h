// When a kernel starts threads. Work is cut by shape; the number of threads only decides who does which
// part.
#ifndef RUNEXP_KERNELS_PARALLEL_H
#define RUNEXP_KERNELS_PARALLEL_H

// What kernels_set_threads set.
extern int kernels_thread_count;

// Starting, meeting and joining threads costs one to two microseconds, a few thousand vector operations:
// measured, a second thread does not pay below this many.
enum { PARALLEL_OPERATIONS = 1 << 14 };

// Threads for a loop of so many vector operations.
static inline int threads_for(double operations) {
    return operations < PARALLEL_OPERATIONS ? 1 : kernels_thread_count;
}

#endif
