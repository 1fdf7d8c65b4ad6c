#include "support/kernels.h"

static const size_t sizes[] = {1, 3, 4, 15, 16, 17, 64, 100, 4095, 4097, 9001};
enum { SIZES = sizeof sizes / sizeof *sizes };

static double normal_cdf(double x) {
    return 0.5 * erfc(-x * M_SQRT1_2);
}

static double value(activation act, double x) {
    const double u = 1.5957691216057308 * (x + 0.044715 * x * x * x);
    switch (act) {
    case ACTIVATION_GELU:
        return x * normal_cdf(x);
    case ACTIVATION_GELU_TANH:
        return x / (1 + exp(-u));
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case ACTIVATION_RELU2:
        return x > 0 ? x * x : 0;
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

static double slope(activation act, double x) {
    const double u = 1.5957691216057308 * (x + 0.044715 * x * x * x), t = 1 / (1 + exp(-u)),
                 s = 1 / (1 + exp(-x));
    switch (act) {
    case ACTIVATION_GELU:
        return normal_cdf(x) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
    case ACTIVATION_GELU_TANH:
        return t + x * t * (1 - t) * 1.5957691216057308 * (1 + 3 * 0.044715 * x * x);
    case ACTIVATION_RELU:
        return x > 0;
    case ACTIVATION_RELU2:
        return x > 0 ? 2 * x : 0;
    case ACTIVATION_SILU:
        return s + x * s * (1 - s);
    case ACTIVATION_TANH:
        return 1 - tanh(x) * tanh(x);
    case ACTIVATION_SIGMOID:
        return s * (1 - s);
    default:
        return 1;
    }
}

static void activations(void) {
    for (int act = 0; act < ACTIVATION_COUNT; act++)
        for (int i = 0; i < SIZES; i++) {
            const size_t n = sizes[i];
            real *x = new_normals(n, 1, 2), *dy = new_normals(n, 2, 1), *y = new_reals(n),
                 *dx = new_copy(dy, n);
            double *wanted = new_doubles(n);
            kernels->activation_forward((activation)act, n, x, y);
            for (size_t k = 0; k < n; k++) wanted[k] = value((activation)act, x[k]);
            check_close("activation_forward", y, wanted, n, 5e-7);
            kernels->activation_backward((activation)act, n, x, dx, dx, false); // dx may be dy
            for (size_t k = 0; k < n; k++) wanted[k] = (double)dy[k] * slope((activation)act, x[k]);
            check_close("activation_backward", dx, wanted, n, 2e-6);
            for (size_t k = 0; k < n; k++) wanted[k] += (double)dx[k];
            kernels->activation_backward((activation)act, n, x, dy, dx, true);
            check_close("activation_backward, accumulating", dx, wanted, n, 2e-6);
            free(x), free(dy), free(y), free(dx), free(wanted);
        }
}

static void gated_units(void) {
    static const int shapes[][2] = {{1, 1}, {3, 5}, {7, 16}, {5, 33}, {40, 344}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int act = 0; act < ACTIVATION_COUNT; act++) {
            const int rows = shapes[i][0], F = shapes[i][1];
            const size_t n = (size_t)rows * (size_t)F;
            real *ab = new_normals(2 * n, 1, 1), *dy = new_normals(n, 2, 1), *y = new_reals(n),
                 *dab = new_reals(2 * n);
            double *wanted = new_doubles(n), *wanted_gradient = new_doubles(2 * n);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < F; c++) {
                    const double a = ab[r * 2 * F + c], u = ab[r * 2 * F + F + c], d = dy[r * F + c];
                    wanted[r * F + c] = value((activation)act, a) * u;
                    wanted_gradient[r * 2 * F + c] = d * u * slope((activation)act, a);
                    wanted_gradient[r * 2 * F + F + c] = d * value((activation)act, a);
                }
            kernels->gated_forward((activation)act, rows, F, ab, y);
            kernels->gated_backward((activation)act, rows, F, ab, dy, dab);
            check_close("gated_forward", y, wanted, n, 5e-7);
            check_close("gated_backward", dab, wanted_gradient, 2 * n, 2e-6);
            free(ab), free(dy), free(y), free(dab), free(wanted), free(wanted_gradient);
        }
}

static void sums_and_products(void) {
    for (int i = 0; i < SIZES; i++) {
        const size_t n = sizes[i];
        real *a = new_normals(n, 1, 1), *b = new_normals(n, 2, 1), *y = new_reals(n),
             *before = new_normals(n, 3, 1);
        double *wanted = new_doubles(n);
        kernels->add(n, a, b, y);
        for (size_t k = 0; k < n; k++) wanted[k] = (double)a[k] + (double)b[k];
        check_close("add", y, wanted, n, 2e-7);
        memcpy(y, a, n * sizeof *y);
        kernels->add(n, y, b, y);
        check_close("add in place", y, wanted, n, 2e-7);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            memcpy(y, before, n * sizeof *y);
            kernels->multiply(n, a, b, y, accumulate);
            for (size_t k = 0; k < n; k++)
                wanted[k] = (double)a[k] * (double)b[k] + (accumulate ? (double)before[k] : 0);
            check_close("multiply", y, wanted, n, 2e-7);
            memcpy(y, before, n * sizeof *y);
            kernels->scale(n, (real)0.75, a, y, accumulate);
            for (size_t k = 0; k < n; k++)
                wanted[k] = 0.75 * (double)a[k] + (accumulate ? (double)before[k] : 0);
            check_close("scale", y, wanted, n, 2e-7);
        }
        free(a), free(b), free(y), free(before), free(wanted);
    }
}

static void dropout_follows_its_definition(void) {
    static const double probabilities[] = {0, 0.1, 0.5, 0.9375};
    for (int i = 0; i < SIZES; i++)
        for (size_t j = 0; j < sizeof probabilities / sizeof *probabilities; j++)
            for (int form = 0; form < 4; form++) {
                const size_t n = sizes[i];
                const bool with_residual = form & 1, accumulate = form & 2;
                const dropout_mask mask = {(real)probabilities[j], {99, RNG_DROPOUT, 4, 17, 3}};
                const double below = round((double)mask.p * 65536);
                real *x = new_normals(n, 1, 1), *residual = new_normals(n, 2, 1), *y = new_normals(n, 3, 1);
                double *wanted = new_doubles(n);
                for (size_t k = 0; k < n; k++) {
                    const bool dropped = rng_half(&mask.random, k) < below;
                    wanted[k] = (dropped ? 0 : (double)x[k] * 65536 / (65536 - below)) +
                                (with_residual ? (double)residual[k] : 0) + (accumulate ? (double)y[k] : 0);
                }
                kernels->dropout(n, &mask, x, with_residual ? residual : NULL, y, accumulate);
                check_close("dropout", y, wanted, n, 3e-7);
                free(x), free(residual), free(y), free(wanted);
            }
}

static void the_same_for_any_number_of_threads(void) {
    const size_t n = 300001;
    const dropout_mask mask = {(real)0.2, {99, RNG_DROPOUT, 4, 17, 3}};
    real *x = new_normals(n, 1, 1), *z = new_normals(n, 2, 1), *y = new_reals(n), *first = new_reals(4 * n);
    for (int threads = 1; threads <= 4; threads++) {
        kernels_set_threads(threads);
        for (int which = 0; which < 4; which++) {
            if (which == 0) kernels->activation_forward(ACTIVATION_GELU, n, x, y);
            if (which == 1) kernels->activation_backward(ACTIVATION_SILU, n, x, z, y, false);
            if (which == 2) kernels->dropout(n, &mask, x, z, y, false);
            if (which == 3) kernels->add(n, x, z, y);
            if (threads == 1)
                memcpy(first + (size_t)which * n, y, n * sizeof *y);
            else
                check_same("elementwise", first + (size_t)which * n, y, n);
        }
    }
    free(x), free(z), free(y), free(first);
}

static void test_activations(void **state) {
    (void)state;
    on_every_isa(activations);
}

static void test_gated_units(void **state) {
    (void)state;
    on_every_isa(gated_units);
}

static void test_sums_and_products(void **state) {
    (void)state;
    on_every_isa(sums_and_products);
}

static void test_dropout(void **state) {
    (void)state;
    on_every_isa(dropout_follows_its_definition);
}

static void test_threads(void **state) {
    (void)state;
    on_every_isa(the_same_for_any_number_of_threads);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),       cmocka_unit_test(test_gated_units),
        cmocka_unit_test(test_sums_and_products), cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
