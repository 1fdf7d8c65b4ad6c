#include "timing/ceilings.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"

#include <unistd.h>

enum {
    ROUNDS = 100000, // a fraction of a millisecond: waking the threads takes less than 1% of it
    PIECE = 1024     // reals; a thread's share of an array is a multiple of it
};

static void run_multiply_adds(const void *context, pool_share s) {
    double *flops = *(double *const *)context;
    real unused;
    for (int i = s.begin; i < s.end; i++) {
        const double count = 2 * kernels->peak_multiply_adds(ROUNDS, &unused);
        if (i == 0) *flops = count * kernels_threads();
    }
}

double ceilings_run_multiply_adds(void) {
    double flops, *const to = &flops;
    pool_run(kernels_threads(), kernels_threads(), 1, run_multiply_adds, &to);
    return flops;
}

// Three arrays, together four times the last-level cache, within limits.
static size_t length_of_arrays(void) {
    enum { ARRAYS = 3, LEAST = 192 << 20, MOST = 1 << 30 };
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t bytes = cache > 0 ? 4 * (size_t)cache : LEAST;
    if (bytes < LEAST) bytes = LEAST;
    if (bytes > MOST) bytes = MOST;
    const size_t pieces = (size_t)kernels_threads() * PIECE;
    return bytes / ARRAYS / sizeof(real) / pieces * pieces;
}

typedef struct run_over {
    size_t n;
    real *arrays;
    bool read_only;
} run_over;

static void run_over_shares(const void *context, pool_share s) {
    const run_over *r = context;
    const size_t n = r->n, share = n / (size_t)kernels_threads();
    for (int i = s.begin; i < s.end; i++) {
        real *a = r->arrays + share * (size_t)i, *b = a + n, *y = b + n;
        if (r->read_only) {
            volatile real unused = kernels->read_all(share, a) + kernels->read_all(share, b);
            (void)unused;
        } else {
            kernels->triad(share, (real)0.5, a, b, y);
        }
    }
}

// Every thread runs over its share of the arrays; returns the seconds.
static double run_over_memory(size_t n, real *arrays, bool read_only) {
    const double begin = clock_seconds();
    pool_run(kernels_threads(), kernels_threads(), 1, run_over_shares, &(run_over){n, arrays, read_only});
    return clock_seconds() - begin;
}

static void keep_larger(double *most, double value) {
    if (value > *most) *most = value;
}

status ceilings_measure(double seconds, ceilings *c, error *err) {
    const size_t n = length_of_arrays(), bytes = n * sizeof(real);
    real *arrays;
    TRY(memory_planned_alloc((void **)&arrays, 3 * bytes, "the measurement of memory bandwidth", err));
    run_over_memory(n, arrays,
                    false); // first touch: each page goes to the memory of the thread that uses it
    run_over_memory(n, arrays, true);
    const double begin = clock_seconds();
    do {
        keep_larger(&c->read, 2 * (double)bytes / run_over_memory(n, arrays, true));
        keep_larger(&c->triad, 3 * (double)bytes / run_over_memory(n, arrays, false));
    } while (clock_seconds() - begin < 0.5 * seconds);
    memory_planned_free(arrays, 3 * bytes);
    const double half = clock_seconds();
    do {
        const double started = clock_seconds(), flops = ceilings_run_multiply_adds();
        keep_larger(&c->flops, flops / (clock_seconds() - started));
    } while (clock_seconds() - half < 0.5 * seconds);
    return OK;
}
