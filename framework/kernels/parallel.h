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

// Parts for a team (base/team.h): one for each thread, but no more than there are pieces, nor than the work
// is worth (`worth` parts).
static inline int team_parts(double worth, int pieces) {
    int parts = kernels_thread_count < pieces ? kernels_thread_count : pieces;
    if (worth < parts) parts = (int)worth;
    return parts < 1 ? 1 : parts;
}

#endif
