// Products with packed matrices.
#include "support/kernels.h"

typedef struct problem {
    int M, N, K;
    real *x, *W, *packed, *bias, *residual;
} problem;

static problem new_problem(int M, int N, int K) {
    problem p = {.M = M, .N = N, .K = K};
    p.x = new_normals((size_t)M * (size_t)K, 1, 1 / sqrt(K));
    p.W = new_normals((size_t)N * (size_t)K, 2, 1);
    p.packed = new_workspace(kernels->packed_reals(N, K) * sizeof(real));
    p.bias = new_normals((size_t)N, 3, 1);
    p.residual = new_normals((size_t)M * (size_t)N, 4, 1);
    kernels->packed_fill(N, K, p.W, p.packed);
    return p;
}

static void free_problem(problem *p) {
    free(p->x), free(p->W), free(p->packed), free(p->bias), free(p->residual);
}

static void check_problem(const problem *p, bool bias, activation act, bool residual) {
    const size_t size = (size_t)p->M * (size_t)p->N;
    const gemm_epilogue e = {
        .bias = bias ? p->bias : NULL, .act = act, .residual = residual ? p->residual : NULL};
    real *y = new_reals(size);
    double *wanted = new_doubles(size);
    char what[96];
    for (int m = 0; m < p->M; m++)
        for (int n = 0; n < p->N; n++) {
            double sum = bias ? (double)p->bias[n] : 0;
            for (int k = 0; k < p->K; k++) sum += (double)p->x[m * p->K + k] * (double)p->W[n * p->K + k];
            if (act == ACTIVATION_GELU) sum = 0.5 * sum * erfc(-sum * M_SQRT1_2);
            if (residual) sum += (double)p->residual[m * p->N + n];
            wanted[m * p->N + n] = sum;
        }
    memset(y, 0xFF, size * sizeof *y);
    kernels->packed_multiply(p->M, p->N, p->K, p->x, p->packed, y, &e);
    snprintf(what, sizeof what, "%d x %d x %d, bias %d, activation %d, residual %d", p->M, p->N, p->K, bias,
             act, residual);
    check_close(what, y, wanted, size, 3e-6);
    if (residual) { // in place
        real *same = new_copy(p->residual, size);
        const gemm_epilogue in_place = {.bias = e.bias, .act = act, .residual = same};
        kernels->packed_multiply(p->M, p->N, p->K, p->x, p->packed, same, &in_place);
        check_same(what, y, same, size);
        free(same);
    }
    free(y), free(wanted);
}

static void ragged_shapes(void) {
    static const int M[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 64},
                     N[] = {1, 3, 4, 15, 16, 17, 65, 128, 200}, K[] = {1, 5, 16, 33, 128, 1000};
    for (size_t m = 0; m < sizeof M / sizeof *M; m++)
        for (size_t n = 0; n < sizeof N / sizeof *N; n++)
            for (size_t k = 0; k < sizeof K / sizeof *K; k++) {
                problem p = new_problem(M[m], N[n], K[k]);
                check_problem(&p, false, ACTIVATION_NONE, false);
                if (K[k] == 33) {
                    check_problem(&p, true, ACTIVATION_NONE, true);
                    check_problem(&p, true, ACTIVATION_GELU, false);
                    check_problem(&p, false, ACTIVATION_GELU, true);
                }
                free_problem(&p);
            }
}

// Whatever the number of threads, and of rows, and wherever a row stands among them.
static void rows_do_not_depend_on_each_other(void) {
    enum { ROWS = 29, N = 210, K = 150 };
    problem p = new_problem(ROWS, N, K);
    const gemm_epilogue e = {.bias = p.bias, .act = ACTIVATION_GELU};
    real *alone = new_reals(ROWS * N), *together = new_reals(ROWS * N);
    for (int r = 0; r < ROWS; r++)
        kernels->packed_multiply(1, N, K, p.x + r * K, p.packed, alone + r * N, &e);
    for (int threads = 1; threads <= 4; threads++) {
        kernels_set_threads(threads);
        for (int rows = 1; rows <= ROWS; rows++)
            for (int first = 0; first + rows <= ROWS; first += rows) {
                kernels->packed_multiply(rows, N, K, p.x + first * K, p.packed, together, &e);
                check_same("rows together", alone + first * N, together, (size_t)rows * N);
            }
    }
    kernels_set_threads(1);
    free(alone), free(together);
    free_problem(&p);
}

static void test_shapes(void **state) {
    (void)state;
    on_every_isa(ragged_shapes);
}

static void test_rows(void **state) {
    (void)state;
    on_every_isa(rows_do_not_depend_on_each_other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
