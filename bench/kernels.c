// Speed of the kernels that carry a training step, as a share of what the processor can do: the ceiling is
// measured in turn with them, because shared machines change speed from moment to moment. Takes the name of
// an instruction set.
#include "base/clock.h"
#include "base/machine.h"
#include "timing/ceilings.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 0.1 // for each line
static real *A, *B, *C, *D, *lse;
static void *workspace;

typedef struct job {
    const char *name;
    void (*run)(const struct job *j);
    double flops;
    bool transpose_a, transpose_b;
    int M, N, K;
    attention_shape shape;
    dropout_mask mask;
} job;

static void run_gemm(const job *j) {
    kernels->gemm(j->transpose_a, j->transpose_b, j->M, j->N, j->K, A, j->transpose_a ? j->M : j->K, B,
                  j->transpose_b ? j->K : j->N, C, j->N, NULL, workspace);
}

static void run_attention(const job *j) {
    kernels->attention_forward(&j->shape, &j->mask, A, C, lse, workspace);
}

static void run_attention_backward(const job *j) {
    kernels->attention_backward(&j->shape, &j->mask, A, C, lse, B, D, false, NULL, workspace);
}

static double seconds_of(const job *j) { // NULL: the ceiling
    const double begin = clock_seconds();
    j ? j->run(j) : (void)ceilings_run_multiply_adds();
    return clock_seconds() - begin;
}

// The fastest of many runs: what the machine does when nobody else disturbs.
static void measure(const job *j) {
    double best = 1e9, best_ceiling = 1e9;
    const double flops = ceilings_run_multiply_adds(), begin = clock_seconds();
    for (int run = 0; run < 5 || clock_seconds() - begin < SECONDS; run++) {
        const double seconds = seconds_of(j), ceiling = seconds_of(NULL);
        if (seconds < best) best = seconds;
        if (ceiling < best_ceiling) best_ceiling = ceiling;
    }
    const double rate = j->flops / best * 1e-9, ceiling = flops / best_ceiling * 1e-9;
    printf("  %-44s %8.1f us %8.1f GFLOP/s  %3.0f%% of %.0f\n", j->name, best * 1e6, rate,
           100 * rate / ceiling, ceiling);
}

static void measure_gemm(bool transpose_a, bool transpose_b, int M, int N, int K) {
    char name[64];
    snprintf(name, sizeof name, "gemm %d x %d x %d %c%c", M, N, K, transpose_a ? 'T' : 'N',
             transpose_b ? 'T' : 'N');
    job j = {.name = name, .run = run_gemm, .flops = 2.0 * M * N * K, .M = M, .N = N, .K = K};
    j.transpose_a = transpose_a, j.transpose_b = transpose_b;
    measure(&j);
}

static void measure_attention(int batch, int time, int heads, int head_size, double dropout) {
    char name[64];
    const double pairs = (double)batch * heads * time * (time + 1) / 2;
    job j = {.name = name,
             .shape = {batch, time, heads, heads, head_size, 0, (real)0.125, false},
             .mask = {(real)dropout, {1, RNG_DROPOUT, 0, 0, 0}}};
    snprintf(name, sizeof name, "attention %d x %d, %d heads of %d, dropout %.1f", batch, time, heads,
             head_size, dropout);
    j.run = run_attention, j.flops = 4 * pairs * head_size;
    measure(&j);
    snprintf(name, sizeof name, "  its backward pass");
    j.run = run_attention_backward, j.flops = 10 * pairs * head_size; // the scores are made again
    measure(&j);
}

int main(int argc, char **argv) {
    // Tokens, inputs and outputs of linear layers.
    static const int linear[][3] = {
        {768, 128, 384}, {768, 128, 512}, {768, 512, 128}, {768, 128, 65}, {2048, 384, 384}};
    const size_t reals = 8u << 20;
    real **const blocks[] = {&A, &B, &C, &D, &lse};
    error err;
    for (int i = 0; i < 5; i++) {
        *blocks[i] = aligned_alloc(64, reals * sizeof(real));
        for (size_t k = 0; k < reals; k++)
            (*blocks[i])[k] = (real)(k * 2654435761u % 1000) * (real)1e-3 - (real)0.5;
    }
    workspace = aligned_alloc(64, 256u << 20);
    memset(workspace, 0, 256u << 20);
    if (kernels_select(argc > 1 ? argv[1] : "auto", &err) != OK)
        return fprintf(stderr, "%s\n", err.message), 2;
    for (int threads = 1; threads <= machine_cores() && threads <= 2; threads++) {
        kernels_set_threads(threads);
        printf("%s, %d thread%s\n", kernels->name, threads, threads > 1 ? "s" : "");
        for (size_t i = 0; i < sizeof linear / sizeof *linear; i++) {
            const int tokens = linear[i][0], in = linear[i][1], out = linear[i][2];
            measure_gemm(false, true, tokens, out, in);  // y
            measure_gemm(false, false, tokens, in, out); // dx
            measure_gemm(true, false, out, in, tokens);  // dW
        }
        measure_attention(12, 64, 4, 32, 0);
        measure_attention(12, 64, 4, 32, 0.2);
        measure_attention(8, 256, 6, 64, 0);
        measure_attention(8, 256, 6, 64, 0.2);
        measure_attention(1, 8192, 4, 32, 0);
        measure_attention(1, 8192, 4, 32, 0.2);
    }
}
