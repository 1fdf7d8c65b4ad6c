#include "support/kernels.h"

#include "kernels/products/micro_kernel.h"

typedef struct problem {
    bool transpose_a, transpose_b;
    int M, N, K, lda, ldb, ldc;
} problem;

static size_t size_of_a(const problem *p) {
    return (size_t)(p->transpose_a ? p->K : p->M) * (size_t)p->lda;
}

static size_t size_of_b(const problem *p) {
    return (size_t)(p->transpose_b ? p->N : p->K) * (size_t)p->ldb;
}

static problem new_problem(bool transpose_a, bool transpose_b, int M, int N, int K, int padding) {
    return (problem){
        transpose_a, transpose_b, M, N, K, (transpose_a ? M : K) + padding, (transpose_b ? K : N) + padding,
        N + padding};
}

static double activate(activation act, double x) {
    switch (act) {
    case ACTIVATION_GELU:
        return 0.5 * x * erfc(-x * M_SQRT1_2);
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case ACTIVATION_TANH:
        return tanh(x);
    default:
        return x;
    }
}

// op(A) op(B) in double precision, M x N without padding.
static double *product(const problem *p, const real *A, const real *B) {
    double *C = new_doubles((size_t)p->M * (size_t)p->N);
    for (int m = 0; m < p->M; m++)
        for (int k = 0; k < p->K; k++) {
            const double a = p->transpose_a ? A[k * p->lda + m] : A[m * p->lda + k];
            for (int n = 0; n < p->N; n++)
                C[m * p->N + n] += a * (double)(p->transpose_b ? B[n * p->ldb + k] : B[k * p->ldb + n]);
        }
    return C;
}

#define STEP 1e-4 // of central differences

typedef struct variant {
    bool bias, slope, residual, residual_is_c, accumulate, factor;
    activation act;
} variant;

static const variant variants[] = {
    {0},
    {.accumulate = true},
    {.bias = true},
    {.bias = true, .accumulate = true},
    {.bias = true, .residual = true},
    {.residual = true, .residual_is_c = true},
    {.bias = true, .act = ACTIVATION_GELU},
    {.bias = true, .slope = true, .act = ACTIVATION_GELU},
    {.act = ACTIVATION_RELU, .residual = true},
    {.bias = true, .slope = true, .residual = true, .accumulate = true, .act = ACTIVATION_TANH},
    {.slope = true},
    {.residual = true, .accumulate = true},
    {.factor = true},
    {.bias = true, .factor = true},
};

static void check_variant(const problem *p, const variant *v, const real *A, const real *B,
                          const double *plain) {
    const size_t size = (size_t)p->M * (size_t)p->ldc, results = (size_t)p->M * (size_t)p->N;
    real *C = new_normals(size, 3, 1), *before = new_copy(C, size), *slope = new_normals(size, 4, 1);
    real *residual = new_normals(size, 5, 1), *bias = new_normals((size_t)p->N, 6, 1),
         *got = new_reals(results);
    double *wanted = new_doubles(results), *wanted_slope = new_doubles(results);
    void *workspace = new_workspace(kernels->gemm_workspace(p->N, p->K));
    const gemm_epilogue e = {.bias = v->bias ? bias : NULL,
                             .act = v->act,
                             .slope = v->slope ? slope : NULL,
                             .residual = !v->residual       ? NULL
                                         : v->residual_is_c ? C
                                                            : residual,
                             .accumulate = v->accumulate,
                             .factor = v->factor ? residual : NULL};
    kernels->gemm(p->transpose_a, p->transpose_b, p->M, p->N, p->K, A, p->lda, B, p->ldb, C, p->ldc, &e,
                  workspace);
    for (int m = 0; m < p->M; m++) {
        for (int n = 0; n < p->N; n++) {
            const int i = m * p->N + n, at = m * p->ldc + n;
            double x = plain[i] + (v->bias ? (double)bias[n] : 0);
            wanted_slope[i] = (activate(v->act, x + STEP) - activate(v->act, x - STEP)) / (2 * STEP);
            x = activate(v->act, x);
            if (v->residual) x += (double)(v->residual_is_c ? before : residual)[at];
            if (v->accumulate) x += (double)before[at];
            if (v->factor) x *= (double)residual[at];
            wanted[i] = x;
            got[i] = C[at];
        }
        // The padding of the rows belongs to somebody else.
        assert_memory_equal(C + m * p->ldc + p->N, before + m * p->ldc + p->N,
                            (size_t)(p->ldc - p->N) * sizeof *C);
    }
    char what[160];
    snprintf(what, sizeof what, "%d x %d x %d, transposed %d %d, variant %d", p->M, p->N, p->K,
             p->transpose_a, p->transpose_b, (int)(v - variants));
    check_close(what, got, wanted, results, 2e-6);
    if (v->slope) {
        for (int m = 0; m < p->M; m++)
            memcpy(got + m * p->N, slope + m * p->ldc, (size_t)p->N * sizeof *got);
        check_close(what, got, wanted_slope, results, 1e-5);
    }
    free(C), free(before), free(slope), free(residual), free(bias), free(got);
    free(wanted), free(wanted_slope), free(workspace);
}

static void check_problem(const problem *p, bool every_variant) {
    real *A = new_normals(size_of_a(p), 1, 1 / sqrt(p->K)), *B = new_normals(size_of_b(p), 2, 1);
    double *plain = product(p, A, B);
    for (size_t i = 0; i < (every_variant ? sizeof variants / sizeof *variants : 1); i++)
        check_variant(p, &variants[i], A, B, plain);
    free(A), free(B), free(plain);
}

static void ragged_shapes(void) {
    static const int M[] = {1, 2, 3, 4, 5, 11, 12, 13, 50, 97, 110};
    static const int N[] = {1, 7, 15, 16, 17, 31, 32, 33, 65, 100};
    static const int K[] = {1, 2, 8, 15, 17, 64, 100};
    int turn = 0;
    for (size_t m = 0; m < sizeof M / sizeof *M; m++)
        for (size_t n = 0; n < sizeof N / sizeof *N; n++, turn++) {
            const int k = K[(m + 3 * n) % (sizeof K / sizeof *K)];
            const problem p = new_problem(turn & 1, turn & 2, M[m], N[n], k, turn % 3);
            check_problem(&p, false);
            const problem q = new_problem(turn & 2, !(turn & 1), M[m], N[n], k, 0);
            check_problem(&q, false);
        }
}

static void epilogues(void) {
    static const int shapes[][3] = {{1, 40, 33},   {3, 70, 50},  {29, 47, 20}, {64, 65, 128},
                                    {25, 40, 800}, {4, 33, 400}, {67, 300, 20}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 4; t++) {
            const problem p = new_problem(t & 1, t & 2, shapes[i][0], shapes[i][1], shapes[i][2], 5);
            check_problem(&p, true);
        }
}

static void long_and_wide(void) {
    // More than one pass over K, more than one strip of columns.
    for (int t = 0; t < 4; t++) {
        const problem deep = new_problem(t & 1, t & 2, 14, 40, 1601, 0);
        check_problem(&deep, true);
        const problem wide = new_problem(t & 1, t & 2, 13, 2200, 9, 0);
        check_problem(&wide, false);
    }
    const problem both = new_problem(true, false, 20, 1100, 500, 0);
    check_problem(&both, true);
}

static void the_same_for_any_number_of_threads(void) {
    static const int shapes[][3] = {
        {200, 130, 90}, {61, 300, 400}, {1, 700, 300}, {500, 20, 40}, {40, 1200, 280}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 4; t++) {
            const problem p = new_problem(t & 1, t & 2, shapes[i][0], shapes[i][1], shapes[i][2], 0);
            const size_t size = (size_t)p.M * (size_t)p.N;
            real *A = new_normals(size_of_a(&p), 1, 1), *B = new_normals(size_of_b(&p), 2, 1);
            real *bias = new_normals((size_t)p.N, 3, 1), *first = new_reals(size);
            const gemm_epilogue e = {.bias = bias, .act = ACTIVATION_GELU};
            for (int threads = 1; threads <= 4; threads++) {
                kernels_set_threads(threads);
                void *workspace = new_workspace(kernels->gemm_workspace(p.N, p.K));
                real *C = new_reals(size);
                kernels->gemm(p.transpose_a, p.transpose_b, p.M, p.N, p.K, A, p.lda, B, p.ldb, C, p.ldc, &e,
                              workspace);
                if (threads == 1)
                    memcpy(first, C, size * sizeof *C);
                else
                    check_same("gemm", first, C, size);
                free(C), free(workspace);
            }
            kernels_set_threads(1);
            free(A), free(B), free(bias), free(first);
        }
}

// A packed B gives the same bits, whoever packs it.
static void packed(void) {
    static const int shapes[][3] = {{1, 1, 1}, {5, 17, 9}, {30, 40, 50}, {100, 33, 600}, {60, 1100, 270}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 4; t++) {
            const problem p = new_problem(t & 1, t & 2, shapes[i][0], shapes[i][1], shapes[i][2], 0);
            const size_t size = (size_t)p.M * (size_t)p.ldc;
            real *A = new_normals(size_of_a(&p), 1, 1), *B = new_normals(size_of_b(&p), 2, 1);
            real *bias = new_normals((size_t)p.N, 3, 1), *C = new_reals(size), *wanted = new_reals(size);
            real *room = new_workspace(kernels->gemm_packed_bytes(p.N, p.K));
            void *workspace = new_workspace(kernels->gemm_workspace(p.N, p.K));
            const gemm_epilogue e = {.bias = bias, .act = ACTIVATION_SILU};
            kernels->gemm(p.transpose_a, p.transpose_b, p.M, p.N, p.K, A, p.lda, B, p.ldb, wanted, p.ldc,
                          &e, workspace);
            for (int threads = 1; threads <= 3; threads += 2) {
                kernels_set_threads(threads);
                kernels->gemm_pack(p.transpose_b, p.N, p.K, B, p.ldb, room);
                kernels->gemm_packed(p.transpose_a, p.M, p.N, p.K, A, p.lda, room, C, p.ldc, &e);
                check_same("gemm_packed", wanted, C, size);
            }
            kernels_set_threads(1);
            free(A), free(B), free(bias), free(C), free(wanted), free(room), free(workspace);
        }
}

// Rows first .. first + count - 1 of a product, with a packed B.
static void multiply_rows(const problem *p, const real *A, const void *packed_b, const gemm_epilogue *e,
                          int first, int count, real *C) {
    gemm_epilogue of_rows = *e;
    const ptrdiff_t at = (ptrdiff_t)first * p->ldc;
    if (e->slope) of_rows.slope += at;
    if (e->residual) of_rows.residual += at;
    if (e->factor) of_rows.factor += at;
    kernels->gemm_packed(p->transpose_a, count, p->N, p->K, p->transpose_a ? A + first : A + first * p->lda,
                         p->lda, packed_b, C + at, p->ldc, &of_rows);
}

// The results of a row by itself and of any number of rows, in products of many rows, on any number of
// threads.
static void check_rows(const problem *p, const variant *v) {
    const size_t size = (size_t)p->M * (size_t)p->ldc;
    real *A = new_normals(size_of_a(p), 1, 1), *B = new_normals(size_of_b(p), 2, 1);
    real *C = new_normals(size, 3, 1), *other = new_normals(size, 4, 1),
         *bias = new_normals((size_t)p->N, 5, 1);
    real *wanted = new_copy(C, size), *wanted_slope = new_reals(size), *got = new_reals(size),
         *slope = new_reals(size);
    void *packed_b = new_workspace(kernels->gemm_packed_bytes(p->N, p->K));
    gemm_epilogue e = {.bias = v->bias ? bias : NULL,
                       .act = v->act,
                       .slope = v->slope ? wanted_slope : NULL,
                       .residual = !v->residual       ? NULL
                                   : v->residual_is_c ? wanted
                                                      : other,
                       .accumulate = v->accumulate,
                       .factor = v->factor ? other : NULL};
    kernels->gemm_pack(p->transpose_b, p->N, p->K, B, p->ldb, packed_b);
    multiply_rows(p, A, packed_b, &e, 0, p->M, wanted);
    if (v->slope) e.slope = slope;
    if (v->residual_is_c) e.residual = got;
    for (int rows = 1; rows < p->M; rows += rows < 14 ? 1 : 17) {
        kernels_set_threads(1 + rows % 3);
        memcpy(got, C, size * sizeof *got);
        for (int first = 0; first < p->M; first += rows)
            multiply_rows(p, A, packed_b, &e, first, first + rows < p->M ? rows : p->M - first, got);
        for (int m = 0; m < p->M; m++) {
            check_same("a row among others", wanted + m * p->ldc, got + m * p->ldc, (size_t)p->N);
            if (v->slope)
                check_same("its slope", wanted_slope + m * p->ldc, slope + m * p->ldc, (size_t)p->N);
        }
    }
    kernels_set_threads(1);
    free(A), free(B), free(C), free(other), free(bias), free(packed_b);
    free(wanted), free(wanted_slope), free(got), free(slope);
}

static void rows_do_not_depend_on_each_other(void) {
    static const int N[] = {1, 15, 17, 40, 65, 96, 200}, K[] = {1, 33, 150, 400, 1000};
    for (size_t n = 0; n < sizeof N / sizeof *N; n++)
        for (size_t k = 0; k < sizeof K / sizeof *K; k++)
            for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
                if ((n + k + v) % 3 != 0) continue;
                const problem p = new_problem(v % 2, k % 2, 81, N[n], K[k], (int)n % 3);
                check_rows(&p, &variants[v]);
            }
}

// A unit unlike the others: small odd blocks, operands packed as doubles in fours of K, A never read where
// it lies.
enum { UNIT_MR = 5, UNIT_NR = 9, UNIT_KR = 4, UNIT_KC = 32 };

static int padded(int depth) {
    return (depth + UNIT_KR - 1) / UNIT_KR * UNIT_KR;
}

// Element (i, k) at X[i * along_i + k * along_k] goes to [k / KR][i][k % KR] of blocks of `size` i.
static void unit_pack(int count, int size, int depth, const real *X, ptrdiff_t along_i, ptrdiff_t along_k,
                      double *to) {
    for (int block = 0; block < count; block += size, to += size * padded(depth))
        for (int i = 0; i < size; i++)
            for (int k = 0; k < padded(depth); k++)
                to[(k / UNIT_KR * size + i) * UNIT_KR + k % UNIT_KR] =
                    block + i < count && k < depth ? (double)X[(block + i) * along_i + k * along_k] : 0;
}

static void unit_pack_rows(int rows, int depth, const real *A, ptrdiff_t lda, void *packed) {
    unit_pack(rows, UNIT_MR, depth, A, lda, 1, packed);
}

static void unit_pack_columns(int rows, int depth, const real *A, ptrdiff_t lda, void *packed) {
    unit_pack(rows, UNIT_MR, depth, A, 1, lda, packed);
}

static void unit_pack_panel(bool transposed, int columns, int depth, const real *B, ptrdiff_t ldb,
                            void *panel) {
    unit_pack(columns, UNIT_NR, depth, B, transposed ? ldb : 1, transposed ? 1 : ldb, panel);
}

static int unit_panels_at_once(int rows) {
    (void)rows;
    return 1;
}

static void unit_multiply(const register_block *block) {
    const double *a = block->a, *b = block->b;
    assert_int_equal(block->layout, A_PACKED);
    assert_in_range(block->depth, 1, UNIT_KC);
    for (int r = 0; r < block->rows; r++)
        for (int c = 0; c < block->columns; c++) {
            const ptrdiff_t at = r * block->ldc + c;
            double sum = block->initial ? (double)block->initial[c] : 0;
            for (int k = 0; k < padded(block->depth); k++)
                sum += a[(k / UNIT_KR * UNIT_MR + r) * UNIT_KR + k % UNIT_KR] *
                       b[(k / UNIT_KR * UNIT_NR + c) * UNIT_KR + k % UNIT_KR];
            if (block->added) sum += (double)block->added[at];
            if (block->factor) sum *= (double)block->factor[at];
            block->c[at] = (real)sum;
        }
}

static const micro_kernel unit = {
    .MR = UNIT_MR,
    .NR = UNIT_NR,
    .KC = UNIT_KC,
    .KR = UNIT_KR,
    .element = sizeof(double),
    .pack_rows = unit_pack_rows,
    .pack_columns = unit_pack_columns,
    .pack_panel = unit_pack_panel,
    .panels_at_once = unit_panels_at_once,
    .multiply = unit_multiply,
};

static void another_unit(void) {
    const kernel_table *const chosen = kernels;
    kernel_table table = *chosen;
    table.micro_kernel = &unit;
    kernels = &table;
    ragged_shapes();
    epilogues();
    long_and_wide();
    the_same_for_any_number_of_threads();
    packed();
    kernels = chosen;
}

static void test_ragged_shapes(void **state) {
    (void)state;
    on_every_isa(ragged_shapes);
}

static void test_epilogues(void **state) {
    (void)state;
    on_every_isa(epilogues);
}

static void test_long_and_wide(void **state) {
    (void)state;
    on_every_isa(long_and_wide);
}

static void test_threads(void **state) {
    (void)state;
    on_every_isa(the_same_for_any_number_of_threads);
}

static void test_packed(void **state) {
    (void)state;
    on_every_isa(packed);
}

static void test_rows(void **state) {
    (void)state;
    on_every_isa(rows_do_not_depend_on_each_other);
}

static void test_another_unit(void **state) {
    (void)state;
    error err;
    assert_int_equal(kernels_select("auto", &err), OK);
    another_unit();
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ragged_shapes), cmocka_unit_test(test_epilogues),
        cmocka_unit_test(test_long_and_wide), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_packed),        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_another_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
