// When a kernel starts threads. Work is cut by shape; the number of threads only decides who does which
// part.
#ifndef RUNEXP_KERNELS_PARALLEL_H
#define RUNEXP_KERNELS_PARALLEL_H

#include <stdbool.h>

// What kernels_set_threads and kernels_loop_alone set.
extern int kernels_thread_count;
extern bool kernels_loops_alone;

// Starting, meeting and joining threads costs one to two microseconds, a few thousand vector operations:
// measured, a second thread does not pay below this many.
enum { PARALLEL_OPERATIONS = 1 << 14 };

// Threads for a loop of so many vector operations: one or all. OpenMP ends the threads that a region does
// not ask for, and the next region that does would have to start them again.
static inline int threads_for(double operations) {
    return kernels_loops_alone || operations < PARALLEL_OPERATIONS ? 1 : kernels_thread_count;
}

// A call of a function whose loops are shared out by `omp for`, with so many threads. Entering a region of
// OpenMP costs a quarter of a microsecond even for one thread, which is more than many a loop over one row.
#define WITH_THREADS(threads, call)                                                                        \
    do {                                                                                                   \
        const int threads_ = (threads);                                                                    \
        if (threads_ == 1) {                                                                               \
            call;                                                                                          \
        } else {                                                                                           \
            _Pragma("omp parallel num_threads(threads_)") call;                                            \
        }                                                                                                  \
    } while (0)

// Parts for a team (base/team.h): one for each thread, but no more than there are pieces, nor than the work
// is worth (`worth` parts).
static inline int team_parts(double worth, int pieces) {
    int parts = kernels_thread_count < pieces ? kernels_thread_count : pieces;
    if (worth < parts) parts = (int)worth;
    return parts < 1 ? 1 : parts;
}

#endif
