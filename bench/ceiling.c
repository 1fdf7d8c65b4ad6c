// usage: ceiling KERNELS THREADS BYTES
//
// Prints the speed of fp32 multiply-adds on registers in GFLOP/s and of reading BYTES of memory over and
// over in GB/s: each the best of many short intervals, by all threads together.
#include "base/clock.h"
#include "base/pool.h"
#include "timing/ceilings.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1024 }; // reals: a thread's share of the block is a multiple of it
#define SECONDS 0.3    // for each of the two
#define INTERVAL 0.01

typedef struct block {
    real *data;
    size_t count;
} block;

static double multiply_adds(const block *unused) {
    (void)unused;
    return ceilings_run_multiply_adds();
}

static void read_shares(const void *context, pool_share s) {
    const block *b = context;
    const size_t share = b->count / (size_t)kernels_threads();
    for (int i = s.begin; i < s.end; i++) {
        volatile real sum = kernels->read_all(share, b->data + share * (size_t)i);
        (void)sum;
    }
}

static double read_once(const block *b) {
    pool_run(kernels_threads(), kernels_threads(), 1, read_shares, b);
    return (double)(b->count * sizeof(real));
}

// Work a second; run returns how much it did.
static double best_rate(double (*run)(const block *), const block *b) {
    double best = 0;
    for (const double begin = clock_seconds(); clock_seconds() - begin < SECONDS;) {
        const double started = clock_seconds();
        double done = 0;
        while (clock_seconds() - started < INTERVAL) done += run(b);
        const double rate = done / (clock_seconds() - started);
        if (rate > best) best = rate;
    }
    return best;
}

int main(int argc, char **argv) {
    error err;
    if (argc != 4) return fprintf(stderr, "usage: ceiling KERNELS THREADS BYTES\n"), 2;
    if (kernels_select(argv[1], &err) != OK) return fprintf(stderr, "%s\n", err.message), 2;
    const int threads = atoi(argv[2]);
    if (threads < 1) return fprintf(stderr, "THREADS must be at least 1\n"), 2;
    kernels_set_threads(threads);
    const size_t unit = PIECE * (size_t)threads;
    block b = {.count = (strtoull(argv[3], NULL, 10) / sizeof(real) / unit + 1) * unit};
    b.data = aligned_alloc(64, b.count * sizeof(real));
    if (!b.data) return fprintf(stderr, "no memory for %s bytes\n", argv[3]), 1;
    memset(b.data, 0, b.count * sizeof(real));
    printf("%.1f %.1f\n", 1e-9 * best_rate(multiply_adds, &b), 1e-9 * best_rate(read_once, &b));
    free(b.data);
}
