// Our matrix product beside those of oneDNN and OpenBLAS: the shapes of the shipped experiments, all three
// sides in turn.
#include "base/clock.h"
#include "kernels/kernels.h"
#include "base/memory.h"

#include <cblas-openblas.h>
#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 3, REPETITIONS = 15 };
#define SECONDS 0.003 // of one side's turn

typedef struct product {
    bool transpose_a, transpose_b;
    int M, N, K;
} product;

static real *A, *B, *C;
static void *workspace;

static void run(int side, const product *p) {
    const int lda = p->transpose_a ? p->M : p->K, ldb = p->transpose_b ? p->K : p->N;
    if (side == 0)
        kernels->gemm(p->transpose_a, p->transpose_b, p->M, p->N, p->K, A, lda, B, ldb, C, p->N, NULL,
                      workspace);
    else if (side == 1)
        dnnl_sgemm(p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', p->M, p->N, p->K, 1, A, lda, B,
                   ldb, 0, C, p->N);
    else
        cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
                    p->transpose_b ? CblasTrans : CblasNoTrans, p->M, p->N, p->K, 1, A, lda, B, ldb, 0, C,
                    p->N);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

static void measure(const product *p) {
    double rates[SIDES][REPETITIONS];
    const double flops = 2.0 * p->M * p->N * p->K;
    for (int repetition = 0; repetition < REPETITIONS; repetition++)
        for (int side = 0; side < SIDES; side++) {
            run(side, p); // its own data and code come back to the caches
            int runs = 0;
            const double begin = clock_seconds();
            double seconds;
            do run(side, p), runs++;
            while ((seconds = clock_seconds() - begin) < SECONDS);
            rates[side][repetition] = flops * runs / seconds * 1e-9;
        }
    double rate[SIDES];
    for (int side = 0; side < SIDES; side++) rate[side] = median(rates[side], REPETITIONS);
    printf("%4d %c%c %8d %7d %7d  %7.1f %7.1f  %7.1f  %7.2f  %7.2f\n", kernels_threads(),
           p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', p->M, p->N, p->K, rate[0], rate[1],
           rate[2], rate[0] / rate[1], rate[0] / rate[2]);
    fflush(stdout);
}

// As trained with: in large pages where there are any.
static real *new_block(size_t reals) {
    error err;
    void *block;
    if (memory_planned_alloc(&block, reals * sizeof(real), "a matrix", &err) != OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    for (size_t i = 0; i < reals; i++)
        ((real *)block)[i] = (real)(i * 2654435761u % 1000) * (real)1e-3 - (real)0.5;
    return block;
}

int main(void) {
    // Tokens, inputs and outputs of the linear layers of gpt_nano, smallm, gpt_baby and slm.
    static const int linear[][3] = {
        {768, 128, 384},   {768, 128, 128},   {768, 128, 512},   {768, 512, 128},  {768, 128, 65},
        {1024, 128, 256},  {1024, 256, 128},  {1024, 384, 1152}, {1024, 384, 384}, {1024, 384, 1536},
        {1024, 1536, 384}, {1024, 768, 2304}, {1024, 768, 768},
    };
    const size_t reals = 4u << 20;
    A = new_block(reals), B = new_block(reals), C = new_block(reals);
    workspace = new_block(4 * reals);
    const dnnl_version_t *onednn = dnnl_version();
    printf("GFLOP/s of C = op(A) op(B), medians of %d turns; N as it lies, T transposed\n", REPETITIONS);
    printf("oneDNN %d.%d.%d; %s\n", onednn->major, onednn->minor, onednn->patch, openblas_get_config());
    printf("                                                         runexp divided by\n");
    printf("threads       M       N       K   runexp  oneDNN OpenBLAS   oneDNN OpenBLAS\n");
    for (int threads = 1; threads <= omp_get_num_procs(); threads *= 2) {
        kernels_set_threads(threads);
        omp_set_num_threads(threads);
        openblas_set_num_threads(threads);
        for (size_t i = 0; i < sizeof linear / sizeof *linear; i++) {
            const int tokens = linear[i][0], in = linear[i][1], out = linear[i][2];
            measure(&(product){false, true, tokens, out, in});  // y
            measure(&(product){false, false, tokens, in, out}); // dx
            measure(&(product){true, false, out, in, tokens});  // dW
        }
    }
}
