#include "support/kernels.h"

enum { STEPS = 5 };

typedef enum method { SGD, SGD_NESTEROV, SGD_PLAIN, RMSPROP, ADAM, ADAMW, LION, METHODS } method;

static const char *const names[METHODS] = {"sgd",  "sgd nesterov", "sgd plain", "rmsprop",
                                           "adam", "adamw",        "lion"};

static optimizer_update settings(method which, int step) {
    optimizer_update u = {.lr = 0.01,
                          .beta1 = 0.9,
                          .beta2 = 0.99,
                          .epsilon = 1e-8,
                          .weight_decay = 0.1,
                          .gradient_scale = 0.5,
                          .momentum = 0.9,
                          .dampening = 0.1,
                          .first_step = step == 1};
    u.correction1 = 1 - pow(u.beta1, step);
    u.correction2 = 1 - pow(u.beta2, step);
    if (which == SGD_NESTEROV) u.nesterov = true, u.dampening = 0;
    if (which == SGD_PLAIN) u.momentum = 0;
    return u;
}

// The n parameters in pieces, of which the last is ragged; none are special.
static int cut(size_t n, update_piece *pieces) {
    int count = 0;
    for (size_t begin = 0; begin < n; begin += UPDATE_PIECE)
        pieces[count++] =
            (update_piece){begin, n - begin < UPDATE_PIECE ? n : begin + UPDATE_PIECE, 1, true};
    return count;
}

static void update(method which, int count, const update_piece *pieces, const optimizer_update *u, real *p,
                   const real *g, real *m, real *v) {
    switch (which) {
    case SGD:
    case SGD_NESTEROV:
    case SGD_PLAIN:
        kernels->update_sgd(count, pieces, u, p, g, which == SGD_PLAIN ? NULL : m);
        break;
    case RMSPROP:
        kernels->update_rmsprop(count, pieces, u, p, g, v);
        break;
    case ADAM:
    case ADAMW:
        kernels->update_adam(count, pieces, u, which == ADAMW, p, g, m, v);
        break;
    default:
        kernels->update_lion(count, pieces, u, p, g, m);
    }
}

static void run(method which, size_t n, const optimizer_update *u, real *p, const real *g, real *m,
                real *v) {
    update_piece pieces[2];
    const int count = cut(n, pieces);
    update(which, count, pieces, u, p, g, m, v);
}

// The textbook formulas; the change of the parameter is returned.
static double reference(method which, const optimizer_update *u, double p, double g, double *m, double *v) {
    const double before = p;
    g *= u->gradient_scale;
    switch (which) {
    case SGD:
    case SGD_NESTEROV:
    case SGD_PLAIN:
        g += u->weight_decay * p;
        if (which == SGD_PLAIN) return -u->lr * g;
        *m = u->first_step ? g : u->momentum * *m + (1 - u->dampening) * g;
        return -u->lr * (u->nesterov ? g + u->momentum * *m : *m);
    case RMSPROP:
        g += u->weight_decay * p;
        *v = u->beta2 * *v + (1 - u->beta2) * g * g;
        return -u->lr * g / (sqrt(*v) + u->epsilon);
    case ADAM:
    case ADAMW:
        if (which == ADAM)
            g += u->weight_decay * p;
        else
            p *= 1 - u->lr * u->weight_decay;
        *m = u->beta1 * *m + (1 - u->beta1) * g;
        *v = u->beta2 * *v + (1 - u->beta2) * g * g;
        return p - u->lr * (*m / u->correction1) / (sqrt(*v / u->correction2) + u->epsilon) - before;
    default: {
        const double mix = u->beta1 * *m + (1 - u->beta1) * g;
        *m = u->beta2 * *m + (1 - u->beta2) * g;
        return -u->lr * ((mix > 0) - (mix < 0) + u->weight_decay * p);
    }
    }
}

static void updates(void) {
    static const size_t sizes[] = {1, 5, 16, 33, 5000};
    for (int which = 0; which < METHODS; which++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const size_t n = sizes[i];
            real *p = new_normals(n, 1, 1), *m = calloc(n, sizeof *m), *v = calloc(n, sizeof *v);
            double *wanted = new_doubles(n), *wanted_m = new_doubles(n), *wanted_v = new_doubles(n);
            assert_non_null(m), assert_non_null(v);
            for (int step = 1; step <= STEPS; step++) {
                const optimizer_update u = settings((method)which, step);
                real *g = new_normals(n, (uint32_t)(10 + step), 1), *before = new_copy(p, n);
                g[0] = 0;
                for (size_t k = 0; k < n; k++)
                    wanted[k] = reference((method)which, &u, before[k], g[k], &wanted_m[k], &wanted_v[k]);
                run((method)which, n, &u, p, g, m, v);
                // The parameter is rounded to its own last place, the step to that of the terms it is a sum
                // of, whose size is the rate times a few units.
                for (size_t k = 0; k < n; k++) {
                    const double unit = sizeof(real) == 8 ? DBL_EPSILON : FLT_EPSILON;
                    const double got = (double)p[k] - (double)before[k];
                    if (fabs(got - wanted[k]) >
                        4 * unit * (fabs((double)before[k]) + fabs(wanted[k]) + 8 * u.lr)) {
                        print_error("%s (%s): change of %zu is %.9g, wanted %.9g\n", names[which],
                                    kernels->name, k, got, wanted[k]);
                        fail();
                    }
                }
                check_close("first moment", m, wanted_m, n, 1e-6);
                check_close("second moment", v, wanted_v, n, 1e-6);
                free(g), free(before);
            }
            free(p), free(m), free(v), free(wanted), free(wanted_m), free(wanted_v);
        }
}

// A piece has its own rate and decay; what is in no piece stays.
static void pieces_are_special(void) {
    enum { N = 100 };
    for (int which = 0; which < METHODS; which++) {
        const optimizer_update u = settings((method)which, 1);
        const update_piece pieces[] = {{3, 40, 0.5, true}, {40, 80, 1, false}, {83, 99, 3, true}};
        real *p = new_normals(N, 1, 1), *g = new_normals(N, 2, 1), *before = new_copy(p, N);
        real *m = calloc(N, sizeof *m), *v = calloc(N, sizeof *v);
        assert_non_null(m), assert_non_null(v);
        update((method)which, 3, pieces, &u, p, g, m, v);
        for (size_t i = 0; i < N; i++) {
            const update_piece *own = NULL;
            for (int k = 0; k < 3; k++)
                if (pieces[k].begin <= i && i < pieces[k].end) own = &pieces[k];
            if (!own) {
                assert_true(p[i] == before[i] && m[i] == 0 && v[i] == 0);
                continue;
            }
            optimizer_update special = u;
            special.lr *= own->lr_multiplier;
            if (!own->decay) special.weight_decay = 0;
            double wanted_m = 0, wanted_v = 0;
            const double wanted = reference((method)which, &special, before[i], g[i], &wanted_m, &wanted_v),
                         got = (double)p[i] - (double)before[i];
            if (!(fabs(got - wanted) <=
                  1e-5 * (fabs((double)before[i]) + 1) * special.lr + 1e-6 * fabs((double)before[i])))
                fail_msg("%s (%s): change of %zu is %.9g, wanted %.9g", names[which], kernels->name, i, got,
                         wanted);
        }
        free(p), free(g), free(before), free(m), free(v);
    }
}

static void averages(void) {
    const size_t n = 1000;
    real *p = new_normals(n, 1, 1), *shadow = new_normals(n, 2, 1);
    double *wanted = new_doubles(n);
    for (size_t i = 0; i < n; i++) wanted[i] = 0.75 * (double)shadow[i] + 0.25 * (double)p[i];
    kernels->update_average(n, (real)0.75, p, shadow);
    check_close("update_average", shadow, wanted, n, 2e-7);
    free(p), free(shadow), free(wanted);
}

static void the_same_for_any_number_of_threads(void) {
    const size_t n = 100003;
    const optimizer_update u = settings(ADAMW, 3);
    real *g = new_normals(n, 1, 1), *first = new_reals(n);
    update_piece pieces[32];
    const int count = cut(n, pieces);
    for (int threads = 1; threads <= 4; threads++) {
        kernels_set_threads(threads);
        real *p = new_normals(n, 2, 1), *m = new_normals(n, 3, 1), *v = calloc(n, sizeof *v);
        assert_non_null(v);
        kernels->update_adam(count, pieces, &u, true, p, g, m, v);
        if (threads == 1)
            memcpy(first, p, n * sizeof *p);
        else
            check_same("update_adam", first, p, n);
        free(p), free(m), free(v);
    }
    free(g), free(first);
}

static void test_updates(void **state) {
    (void)state;
    on_every_isa(updates);
}

static void test_pieces(void **state) {
    (void)state;
    on_every_isa(pieces_are_special);
}

static void test_averages(void **state) {
    (void)state;
    on_every_isa(averages);
}

static void test_threads(void **state) {
    (void)state;
    on_every_isa(the_same_for_any_number_of_threads);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
