#include "support/kernels.h"

static void check_unfold(int batch, int time, int width, int taps) {
    const size_t n = (size_t)batch * (size_t)time * (size_t)width, columns = (size_t)width * (size_t)taps;
    const size_t rows = (size_t)batch * (size_t)time;
    const size_t kept = (size_t)batch * (size_t)(taps - 1) * (size_t)width;
    real *x = new_normals(n, 1, 1), *before = new_normals(kept, 2, 1), *y = new_reals(rows * columns);
    real *dy = new_normals(rows * columns, 3, 1), *dx = new_reals(n);
    for (int with_before = 0; with_before < 2; with_before++) {
        kernels->unfold(batch, time, width, taps, x, with_before ? before : NULL, y);
        for (int b = 0; b < batch; b++)
            for (int t = 0; t < time; t++)
                for (int i = 0; i < width; i++)
                    for (int j = 0; j < taps; j++) {
                        const int at = t - (taps - 1) + j;
                        real wanted = with_before && at < 0
                                          ? before[(b * (taps - 1) + taps - 1 + at) * width + i]
                                          : 0;
                        if (at >= 0) wanted = x[(b * time + at) * width + i];
                        const size_t row = (size_t)(b * time + t);
                        assert_true(y[row * columns + (size_t)(i * taps + j)] == wanted);
                    }
    }
    double *wanted = new_doubles(n);
    for (int b = 0; b < batch; b++)
        for (int t = 0; t < time; t++)
            for (int j = 0; j < taps; j++)
                for (int i = 0; i < width; i++) {
                    const int at = t - (taps - 1) + j;
                    const size_t row = (size_t)(b * time + t);
                    if (at >= 0)
                        wanted[(b * time + at) * width + i] +=
                            (double)dy[row * columns + (size_t)(i * taps + j)];
                }
    kernels->unfold_backward(batch, time, width, taps, dy, dx, false);
    check_close("unfold_backward", dx, wanted, n, 1e-6);
    for (size_t i = 0; i < n; i++) wanted[i] += (double)dx[i];
    kernels->unfold_backward(batch, time, width, taps, dy, dx, true);
    check_close("unfold_backward, accumulating", dx, wanted, n, 1e-6);
    free(x), free(before), free(y), free(dy), free(dx), free(wanted);
}

static void shapes(void) {
    for (int threads = 1; threads <= 3; threads++) {
        kernels_set_threads(threads);
        check_unfold(1, 1, 1, 2);
        check_unfold(3, 5, 7, 4);
        check_unfold(2, 3, 33, 9); // windows longer than the block
        check_unfold(2, 131, 65, 3);
        check_unfold(4, 64, 130, 4);
        check_unfold(2, 17, 20, 1);
    }
}

static void test_windows(void **state) {
    (void)state;
    on_every_isa(shapes);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
