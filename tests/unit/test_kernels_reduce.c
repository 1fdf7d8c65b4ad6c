// Column sums, norms of whole arrays, the search for NaN, and the loss.
#include "support/kernels.h"

static void column_sums(void) {
    static const int shapes[][2] = {{1, 1}, {3, 5}, {65, 16}, {64, 65}, {200, 100}, {5000, 40}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int padding = 0; padding < 8; padding += 7) {
            const int rows = shapes[i][0], columns = shapes[i][1], ld = columns + padding;
            real *x = new_normals((size_t)rows * (size_t)ld, 1, 1),
                 *out = new_normals((size_t)columns, 2, 1);
            double *wanted = new_doubles((size_t)columns);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++) wanted[c] += (double)x[r * ld + c];
            kernels->column_sum(rows, columns, x, ld, out, false);
            check_close("column_sum", out, wanted, (size_t)columns, 1e-6);
            for (int c = 0; c < columns; c++) wanted[c] += (double)out[c];
            kernels->column_sum(rows, columns, x, ld, out, true);
            check_close("column_sum, accumulating", out, wanted, (size_t)columns, 1e-6);
            free(x), free(out), free(wanted);
        }
}

static void sums_of_squares(void) {
    static const size_t sizes[] = {1, 7, 16, 1000, 4096, 5001, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        real *x = new_normals(sizes[i], 1, 1);
        double wanted = 0, first = 0;
        for (size_t k = 0; k < sizes[i]; k++) wanted += (double)x[k] * (double)x[k];
        for (int threads = 1; threads <= 4; threads++) {
            kernels_set_threads(threads);
            const double got = kernels->sum_of_squares(sizes[i], x);
            assert_true(fabs(got - wanted) <= 1e-12 * wanted);
            if (threads == 1) first = got;
            assert_true(got == first);
        }
        kernels_set_threads(1);
        free(x);
    }
    assert_true(kernels->sum_of_squares(0, NULL) == 0);
}

static void first_bad_value(void) {
    static const size_t sizes[] = {1, 7, 300, 4099, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = sizes[i], places[] = {0, n / 2, n - 1};
        real *x = new_normals(n, 1, 1);
        x[n / 3] = (real)FLT_MAX; // large, but a number
        assert_int_equal(kernels->first_not_finite(n, x), -1);
        x[n - 1] = NAN;
        for (size_t p = 0; p < 3; p++) {
            real *y = new_copy(x, n);
            y[places[p]] = p == 1 ? INFINITY : NAN;
            assert_int_equal(kernels->first_not_finite(n, y), (ptrdiff_t)places[p]);
            y[places[p]] = -INFINITY;
            assert_int_equal(kernels->first_not_finite(n, y), (ptrdiff_t)places[p]);
            free(y);
        }
        free(x);
    }
}

static void check_cross_entropy(int rows, int vocabulary, double smoothing, double spread) {
    const size_t n = (size_t)rows * (size_t)vocabulary;
    const double scale = 0.125;
    real *logits = new_normals(n, 1, spread), *z = new_copy(logits, n), *losses = new_reals((size_t)rows);
    int32_t *targets = malloc((size_t)rows * sizeof *targets);
    double *wanted = new_doubles((size_t)rows), *wanted_gradient = new_doubles(n);
    assert_non_null(targets);
    for (int r = 0; r < rows; r++) {
        const real *row = logits + (size_t)r * (size_t)vocabulary;
        double maximum = -INFINITY, sum = 0, all = 0;
        targets[r] = r % 5 == 3 ? -1 : (r * 7919) % vocabulary;
        if (targets[r] < 0) continue;
        for (int v = 0; v < vocabulary; v++) maximum = fmax(maximum, (double)row[v]), all += (double)row[v];
        for (int v = 0; v < vocabulary; v++) sum += exp((double)row[v] - maximum);
        const double lse = maximum + log(sum);
        wanted[r] = lse - (1 - smoothing) * (double)row[targets[r]] - smoothing / vocabulary * all;
        for (int v = 0; v < vocabulary; v++)
            wanted_gradient[(size_t)r * (size_t)vocabulary + (size_t)v] =
                scale * (exp((double)row[v] - lse) - (v == targets[r] ? 1 - smoothing : 0) -
                         smoothing / vocabulary);
    }
    kernels->cross_entropy(rows, vocabulary, z, targets, (real)smoothing, false, 1, losses);
    check_close("cross_entropy loss", losses, wanted, (size_t)rows, 1e-6);
    check_same("cross_entropy must leave the logits", logits, z, n);
    kernels->cross_entropy(rows, vocabulary, z, targets, (real)smoothing, true, (real)scale, losses);
    check_close("cross_entropy loss", losses, wanted, (size_t)rows, 1e-6);
    check_close("cross_entropy gradient", z, wanted_gradient, n, 5e-6);
    real *first = new_copy(z, n);
    for (int threads = 2; threads <= 4; threads++) {
        kernels_set_threads(threads);
        memcpy(z, logits, n * sizeof *z);
        kernels->cross_entropy(rows, vocabulary, z, targets, (real)smoothing, true, (real)scale, losses);
        check_same("cross_entropy", first, z, n);
    }
    kernels_set_threads(1);
    free(logits), free(z), free(losses), free(targets), free(wanted), free(wanted_gradient), free(first);
}

static void cross_entropies(void) {
    check_cross_entropy(5, 2, 0, 1);
    check_cross_entropy(9, 15, 0, 1);
    check_cross_entropy(300, 65, 0, 1);
    check_cross_entropy(7, 64, 0.125, 3);
    check_cross_entropy(20, 8192, 0, 1);
    check_cross_entropy(6, 8191, 0.125, 10);
    check_cross_entropy(3, 100000, 0, 1);
}

static void bad_logits_are_not_hidden(void) {
    const int32_t target = 1;
    real z[3] = {1, NAN, 2}, loss = 0;
    kernels->cross_entropy(1, 3, z, &target, 0, false, 1, &loss);
    assert_true(isnan(loss));
    real other[3] = {NAN, 1, 2};
    kernels->cross_entropy(1, 3, other, &target, 0, false, 1, &loss);
    assert_true(isnan(loss));
    real infinite[3] = {INFINITY, 1, 2};
    kernels->cross_entropy(1, 3, infinite, &target, 0, false, 1, &loss);
    assert_false(isfinite(loss));
}

static void test_column_sums(void **state) {
    (void)state;
    on_every_isa(column_sums);
}

static void test_sums_of_squares(void **state) {
    (void)state;
    on_every_isa(sums_of_squares);
}

static void test_first_bad_value(void **state) {
    (void)state;
    on_every_isa(first_bad_value);
}

static void test_cross_entropy(void **state) {
    (void)state;
    on_every_isa(cross_entropies);
}

static void test_bad_logits(void **state) {
    (void)state;
    on_every_isa(bad_logits_are_not_hidden);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_column_sums),     cmocka_unit_test(test_sums_of_squares),
        cmocka_unit_test(test_first_bad_value), cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_bad_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
