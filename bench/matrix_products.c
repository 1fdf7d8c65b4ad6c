// Our matrix product, packing its right operand on the way and beforehand, beside those of oneDNN and
// OpenBLAS: the shapes of the shipped experiments, all sides in turn.
//
//     matrix_products [TURNS [PRODUCT...]]    PRODUCT: NT768x384x128, say, for op(A) op(B) and M x N x K
#include "base/clock.h"
#include "base/machine.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#include <cblas-openblas.h>
#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDES = 4, TURNS_MAX = 99 };
#define SECONDS 0.003 // of one side's turn

typedef struct product {
    bool transpose_a, transpose_b;
    int M, N, K;
} product;

static real *A, *B, *C, *packed;
static int turns = 15;
static void *workspace;

static void run(int side, const product *p) {
    const int lda = p->transpose_a ? p->M : p->K, ldb = p->transpose_b ? p->K : p->N;
    if (side == 0)
        kernels->gemm(p->transpose_a, p->transpose_b, p->M, p->N, p->K, A, lda, B, ldb, C, p->N, NULL,
                      workspace);
    else if (side == 1)
        kernels->gemm_packed(p->transpose_a, p->M, p->N, p->K, A, lda, packed, C, p->N, NULL);
    else if (side == 2)
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
    double rates[SIDES][TURNS_MAX];
    const double flops = 2.0 * p->M * p->N * p->K;
    kernels->gemm_pack(p->transpose_b, p->N, p->K, B, p->transpose_b ? p->K : p->N, packed);
    for (int turn = 0; turn < turns; turn++)
        for (int side = 0; side < SIDES; side++) {
            if (side % 2 == 0) usleep(10000); // OpenMP's threads, or ours, spin for so long after work
            run(side, p); // its own data and code come back to the caches, its threads wake up
            int runs = 0;
            const double begin = clock_seconds();
            double seconds;
            do run(side, p), runs++;
            while ((seconds = clock_seconds() - begin) < SECONDS);
            rates[side][turn] = flops * runs / seconds * 1e-9;
        }
    double rate[SIDES];
    for (int side = 0; side < SIDES; side++) rate[side] = median(rates[side], turns);
    printf("%4d %c%c %8d %7d %7d  %7.1f %7.1f %7.1f  %7.1f  %7.2f %7.2f  %7.2f\n", kernels_threads(),
           p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', p->M, p->N, p->K, rate[0], rate[1],
           rate[2], rate[3], rate[0] / rate[2], rate[1] / rate[2], rate[0] / rate[3]);
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

// What an argument asks for; false: it asks for nothing.
static bool read_product(const char *text, product *p) {
    char a, b;
    if (sscanf(text, "%c%c%dx%dx%d", &a, &b, &p->M, &p->N, &p->K) != 5) return false;
    p->transpose_a = a == 'T', p->transpose_b = b == 'T';
    return true;
}

int main(int argc, char **argv) {
    // Tokens, inputs and outputs of the linear layers of gpt_nano, smallm, gpt_baby and slm.
    static const int linear[][3] = {
        {768, 128, 384},   {768, 128, 128},   {768, 128, 512},   {768, 512, 128},  {768, 128, 65},
        {1024, 128, 256},  {1024, 256, 128},  {1024, 384, 1152}, {1024, 384, 384}, {1024, 384, 1536},
        {1024, 1536, 384}, {1024, 768, 2304}, {1024, 768, 768},
    };
    const size_t reals = 32u << 20;
    if (argc > 1) turns = atoi(argv[1]);
    if (turns < 1 || turns > TURNS_MAX) return 2;
    A = new_block(reals), B = new_block(reals), C = new_block(reals), packed = new_block(reals);
    workspace = new_block(reals);
    const dnnl_version_t *onednn = dnnl_version();
    printf("GFLOP/s of C = op(A) op(B), medians of %d turns; N as it lies, T transposed\n", turns);
    printf("oneDNN %d.%d.%d; %s\n", onednn->major, onednn->minor, onednn->patch, openblas_get_config());
    printf(
        "                                   runexp, B                       runexp / oneDNN /OpenBLAS\n");
    printf(
        "threads       M       N       K  as it is  packed  oneDNN OpenBLAS as it is  packed as it is\n");
    for (int threads = 1; threads <= machine_cores(); threads *= 2) {
        kernels_set_threads(threads);
        omp_set_num_threads(threads);
        openblas_set_num_threads(threads);
        for (int i = 2; i < argc; i++) {
            product p;
            if (!read_product(argv[i], &p)) return 2;
            measure(&p);
        }
        for (size_t i = 0; argc <= 2 && i < sizeof linear / sizeof *linear; i++) {
            const int tokens = linear[i][0], in = linear[i][1], out = linear[i][2];
            measure(&(product){false, true, tokens, out, in});  // y
            measure(&(product){false, false, tokens, in, out}); // dx
            measure(&(product){true, false, out, in, tokens});  // dW
        }
    }
}
