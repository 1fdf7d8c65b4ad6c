#include "support/kernels.h"

// Rows of groups of `size` values, `heads` of them, in rows of width ld; offset is added to the inputs.
typedef struct layout {
    int rows, heads, size, ld;
    double offset;
    bool centred, with_beta; // LayerNorm
} layout;

typedef struct inputs {
    real *x, *gamma, *beta, *dy;
} inputs;

typedef struct results {
    double *y, *dx, *dgamma, *dbeta;
} results;

static const double epsilon = 1e-5;

static inputs new_inputs(const layout *s) {
    const size_t n = (size_t)s->rows * (size_t)s->ld, size = (size_t)s->size;
    const inputs in = {new_normals(n, 1, 1), new_normals(size, 2, 1), new_normals(size, 3, 1),
                       new_normals(n, 4, 1)};
    for (size_t i = 0; i < n; i++) in.x[i] += (real)s->offset;
    return in;
}

static void free_inputs(inputs in) {
    free(in.x), free(in.gamma), free(in.beta), free(in.dy);
}

static results reference(const layout *s, const inputs *in) {
    const size_t n = (size_t)s->rows * (size_t)s->ld, size = (size_t)s->size;
    const results out = {new_doubles(n), new_doubles(n), new_doubles(size), new_doubles(size)};
    for (int r = 0; r < s->rows; r++)
        for (int h = 0; h < s->heads; h++) {
            const int at = r * s->ld + h * s->size;
            double mean = 0, variance = 0, mean_g = 0, mean_gn = 0;
            for (int i = 0; i < s->size; i++) mean += (double)in->x[at + i] / s->size;
            if (!s->centred) mean = 0;
            for (int i = 0; i < s->size; i++) variance += pow((double)in->x[at + i] - mean, 2) / s->size;
            const double reciprocal = 1 / sqrt(variance + (double)(real)epsilon);
            for (int i = 0; i < s->size; i++) {
                const double normed = ((double)in->x[at + i] - mean) * reciprocal, d = in->dy[at + i];
                out.y[at + i] = normed * (double)in->gamma[i] + (s->with_beta ? (double)in->beta[i] : 0);
                out.dgamma[i] += d * normed;
                out.dbeta[i] += d;
                mean_g += d * (double)in->gamma[i] / s->size;
                mean_gn += d * (double)in->gamma[i] * normed / s->size;
            }
            if (!s->centred) mean_g = 0;
            for (int i = 0; i < s->size; i++) {
                const double normed = ((double)in->x[at + i] - mean) * reciprocal;
                out.dx[at + i] = reciprocal * ((double)in->dy[at + i] * (double)in->gamma[i] - mean_g -
                                               normed * mean_gn);
            }
        }
    return out;
}

static void free_results(results out) {
    free(out.y), free(out.dx), free(out.dgamma), free(out.dbeta);
}

static void add_to(double *wanted, const real *before, size_t n) {
    for (size_t i = 0; i < n; i++) wanted[i] += (double)before[i];
}

static void check_layernorm(const layout *s, double limit_forward, double limit_gradient) {
    const size_t n = (size_t)s->rows * (size_t)s->ld, size = (size_t)s->size;
    const inputs in = new_inputs(s);
    const results wanted = reference(s, &in);
    real *y = new_reals(n), *statistics = new_reals(2 * (size_t)s->rows), *dx = new_copy(in.dy, n);
    real *dgamma = new_reals(size), *dbeta = new_reals(size);
    void *workspace = new_workspace(kernels->norm_workspace(s->rows, s->size));
    kernels->layernorm_forward(s->rows, s->size, (real)epsilon, in.x, in.gamma,
                               s->with_beta ? in.beta : NULL, y, statistics);
    check_close("layernorm y", y, wanted.y, n, limit_forward);
    kernels->layernorm_backward(s->rows, s->size, in.x, in.gamma, statistics, dx, dx, false, dgamma,
                                s->with_beta ? dbeta : NULL, false, workspace); // dx may be dy
    check_close("layernorm dx", dx, wanted.dx, n, limit_gradient);
    check_close("layernorm dgamma", dgamma, wanted.dgamma, size, limit_gradient);
    if (s->with_beta) check_close("layernorm dbeta", dbeta, wanted.dbeta, size, limit_gradient);
    add_to(wanted.dx, dx, n), add_to(wanted.dgamma, dgamma, size);
    kernels->layernorm_backward(s->rows, s->size, in.x, in.gamma, statistics, in.dy, dx, true, dgamma, NULL,
                                true, workspace);
    check_close("layernorm dx added", dx, wanted.dx, n, limit_gradient);
    check_close("layernorm dgamma added", dgamma, wanted.dgamma, size, limit_gradient);
    free(y), free(statistics), free(dx), free(dgamma), free(dbeta), free(workspace);
    free_results(wanted), free_inputs(in);
}

static void layernorm(void) {
    static const int shapes[][2] = {{1, 1},    {1, 2},   {3, 5},    {17, 16}, {5, 33},
                                    {40, 128}, {9, 100}, {130, 48}, {3, 768}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int with_beta = 0; with_beta < 2; with_beta++) {
            const layout s = {shapes[i][0], 1, shapes[i][1], shapes[i][1], 0, true, with_beta};
            // Two values are plus and minus the same after centring: a gradient of nothing but rounding.
            if (s.size > 2) check_layernorm(&s, 1e-6, 4e-6);
        }
    const layout shifted = {20, 1, 768, 768, 100, true, true};
    check_layernorm(&shifted, 3e-5, 3e-5);
}

static void check_rmsnorm(const layout *s) {
    const size_t n = (size_t)s->rows * (size_t)s->ld, size = (size_t)s->size;
    const inputs in = new_inputs(s);
    const results wanted = reference(s, &in);
    real *y = new_copy(in.x, n), *statistics = new_reals((size_t)s->rows * (size_t)s->heads),
         *dx = new_copy(in.dy, n);
    real *dgamma = new_reals(size);
    void *workspace = new_workspace(kernels->norm_workspace(s->rows * s->heads, s->size));
    // What lies between the heads and the end of a row belongs to somebody else.
    for (int r = 0; r < s->rows; r++)
        for (int i = s->heads * s->size; i < s->ld; i++) {
            wanted.y[r * s->ld + i] = (double)in.x[r * s->ld + i];
            wanted.dx[r * s->ld + i] = (double)in.dy[r * s->ld + i];
        }
    if (s->heads == 1 && s->ld == s->size) {
        kernels->rmsnorm_forward(s->rows, s->size, (real)epsilon, in.x, in.gamma, y, statistics);
        kernels->rmsnorm_backward(s->rows, s->size, in.x, in.gamma, statistics, dx, dx, false, dgamma,
                                  false, workspace);
    } else {
        kernels->head_norm_forward(s->rows, s->heads, s->size, s->ld, (real)epsilon, in.x, in.gamma, y,
                                   statistics);
        kernels->head_norm_backward(s->rows, s->heads, s->size, s->ld, in.x, in.gamma, statistics, dx, dx,
                                    dgamma, false, workspace);
    }
    check_close("rmsnorm y", y, wanted.y, n, 1e-6);
    check_close("rmsnorm dx", dx, wanted.dx, n, 2e-6);
    check_close("rmsnorm dgamma", dgamma, wanted.dgamma, size, 2e-6);
    if (s->heads == 1 && s->ld == s->size) {
        add_to(wanted.dx, dx, n), add_to(wanted.dgamma, dgamma, size);
        kernels->rmsnorm_backward(s->rows, s->size, in.x, in.gamma, statistics, in.dy, dx, true, dgamma,
                                  true, workspace);
        check_close("rmsnorm dx added", dx, wanted.dx, n, 2e-6);
        check_close("rmsnorm dgamma added", dgamma, wanted.dgamma, size, 2e-6);
    }
    free(y), free(statistics), free(dx), free(dgamma), free(workspace);
    free_results(wanted), free_inputs(in);
}

static void rmsnorm(void) {
    static const layout layouts[] = {{3, 1, 5, 5, 0, false, false},     {17, 1, 16, 16, 0, false, false},
                                     {130, 1, 48, 48, 0, false, false}, {3, 1, 768, 768, 0, false, false},
                                     {5, 2, 7, 20, 0, false, false},    {31, 4, 32, 384, 0, false, false},
                                     {1200, 3, 16, 50, 0, false, false}};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) check_rmsnorm(&layouts[i]);
}

static void the_same_for_any_number_of_threads(void) {
    const layout s = {2000, 1, 128, 128, 0, true, true};
    const size_t n = (size_t)s.rows * (size_t)s.ld, size = (size_t)s.size;
    const inputs in = new_inputs(&s);
    real *out = new_reals(2 * n + 2 * size), *first = new_reals(2 * n + 2 * size),
         *statistics = new_reals(2 * 2000);
    void *workspace = new_workspace(kernels->norm_workspace(s.rows, s.size));
    for (int threads = 1; threads <= 4; threads++) {
        kernels_set_threads(threads);
        kernels->layernorm_forward(s.rows, s.size, (real)epsilon, in.x, in.gamma, in.beta, out, statistics);
        kernels->layernorm_backward(s.rows, s.size, in.x, in.gamma, statistics, in.dy, out + n, false,
                                    out + 2 * n, out + 2 * n + size, false, workspace);
        if (threads == 1)
            memcpy(first, out, (2 * n + 2 * size) * sizeof *out);
        else
            check_same("layernorm", first, out, 2 * n + 2 * size);
    }
    free(out), free(first), free(statistics), free(workspace);
    free_inputs(in);
}

static void test_layernorm(void **state) {
    (void)state;
    on_every_isa(layernorm);
}

static void test_rmsnorm(void **state) {
    (void)state;
    on_every_isa(rmsnorm);
}

static void test_threads(void **state) {
    (void)state;
    on_every_isa(the_same_for_any_number_of_threads);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_rmsnorm),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
