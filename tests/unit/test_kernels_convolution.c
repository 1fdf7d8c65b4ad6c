#include "support/kernels.h"

enum { CHANNELS = 37, MOST_THREADS = 3 };

typedef struct problem {
    int batch, time, taps;
    bool gates, beta;
    convolution c;
    real *s, *filter, *beta_values, *dy; // s: rows gate_out | gate_in | x
    real *y, *z, *ds, *dfilter, *dbeta, *tables, *prepared;
} problem;

static problem problem_new(int batch, int time, bool gates, bool beta) {
    const size_t rows = (size_t)batch * (size_t)time, n = rows * CHANNELS;
    const size_t taps = (size_t)time * CHANNELS;
    problem p = {.batch = batch, .time = time, .gates = gates, .beta = beta};
    p.s = new_normals(3 * n, 1, 1);
    p.filter = new_normals(taps, 2, 0.1);
    p.beta_values = new_normals(CHANNELS, 3, 0.5);
    p.dy = new_normals(n, 4, 1);
    p.y = new_reals(n);
    p.z = new_reals(n);
    p.ds = new_normals(3 * n, 5, 1);
    p.dfilter = new_normals(taps, 6, 1);
    p.dbeta = new_normals(CHANNELS, 7, 1);
    p.tables = new_reals(kernels->convolution_tables(time));
    p.prepared = new_workspace(kernels->convolution_prepared(time, CHANNELS) * sizeof(real));
    kernels->convolution_tabulate(time, p.tables);
    p.c = (convolution){
        .batch = batch,
        .time = time,
        .channels = CHANNELS,
        .x = {.value = p.s + 2 * CHANNELS, .gradient = p.ds + 2 * CHANNELS, .ld = 3 * CHANNELS},
        .filter = {.value = p.filter, .gradient = p.dfilter, .ld = CHANNELS},
        .tables = p.tables,
        .prepared = p.prepared,
        .y = p.y,
        .z = p.z,
        .dy = p.dy,
    };
    if (gates) {
        p.c.gate_out = (convolution_operand){.value = p.s, .gradient = p.ds, .ld = 3 * CHANNELS};
        p.c.gate_in =
            (convolution_operand){.value = p.s + CHANNELS, .gradient = p.ds + CHANNELS, .ld = 3 * CHANNELS};
    }
    if (beta) {
        p.c.beta = p.beta_values;
        p.c.dbeta = p.dbeta;
    }
    return p;
}

static void problem_free(problem *p) {
    real *const all[] = {p->s,  p->filter,  p->beta_values, p->dy,     p->y,       p->z,
                         p->ds, p->dfilter, p->dbeta,       p->tables, p->prepared};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void run(problem *p) {
    void *workspace = new_workspace(kernels->convolution_workspace(&p->c, kernels_threads()));
    kernels->convolution_prepare(&p->c, workspace);
    kernels->convolution_forward(&p->c, workspace);
    kernels->convolution_backward(&p->c, workspace);
    free(workspace);
}

// Everything by its definition; s, filter and beta as in the problem.
typedef struct exact {
    double *y, *ds, *dfilter, *dbeta;
} exact;

static exact exact_new(const problem *p) {
    const size_t n = (size_t)p->batch * (size_t)p->time * CHANNELS;
    exact e = {new_doubles(n), new_doubles(3 * n), new_doubles((size_t)p->time * CHANNELS),
               new_doubles(CHANNELS)};
    double *w = new_doubles((size_t)p->time), *dz = new_doubles((size_t)p->time);
    for (int b = 0; b < p->batch; b++)
        for (int d = 0; d < CHANNELS; d++) {
            const int first = b * p->time;
            for (int t = 0; t < p->time; t++) {
                const real *row = p->s + (first + t) * 3 * CHANNELS + d;
                w[t] = (double)row[2 * CHANNELS] * (p->gates ? (double)row[CHANNELS] : 1);
                dz[t] = (double)p->dy[(first + t) * CHANNELS + d] * (p->gates ? (double)row[0] : 1);
            }
            for (int t = 0; t < p->time; t++) {
                const int i = (first + t) * CHANNELS + d;
                const real *row = p->s + (first + t) * 3 * CHANNELS + d;
                double *drow = e.ds + (first + t) * 3 * CHANNELS + d;
                double z = 0, dw = 0;
                for (int k = 0; k <= t; k++) {
                    const double h = (double)p->filter[k * CHANNELS + d] +
                                     (k == 0 && p->beta ? (double)p->beta_values[d] : 0);
                    z += h * w[t - k];
                    e.dfilter[k * CHANNELS + d] += dz[t] * w[t - k];
                }
                for (int k = 0; t + k < p->time; k++) {
                    const double h = (double)p->filter[k * CHANNELS + d] +
                                     (k == 0 && p->beta ? (double)p->beta_values[d] : 0);
                    dw += h * dz[t + k];
                }
                e.dbeta[d] += dz[t] * w[t];
                e.y[i] = z * (p->gates ? (double)row[0] : 1);
                drow[2 * CHANNELS] = dw * (p->gates ? (double)row[CHANNELS] : 1);
                if (!p->gates) continue;
                drow[CHANNELS] = dw * (double)row[2 * CHANNELS];
                drow[0] = (double)p->dy[i] * z;
            }
        }
    free(w);
    free(dz);
    return e;
}

static void exact_free(exact *e) {
    free(e->y);
    free(e->ds);
    free(e->dfilter);
    free(e->dbeta);
}

// Rows of the gradient that the problem has nothing to do with are left as they are.
static void take_over(const problem *p, exact *e) {
    if (p->gates) return;
    for (int i = 0; i < p->batch * p->time; i++)
        for (int d = 0; d < 2 * CHANNELS; d++)
            e->ds[i * 3 * CHANNELS + d] = (double)p->ds[i * 3 * CHANNELS + d];
}

static void check_length(int batch, int time, bool gates, bool beta) {
    static const double LIMIT = 2e-6;
    problem p = problem_new(batch, time, gates, beta);
    exact e = exact_new(&p);
    const size_t n = (size_t)batch * (size_t)time * CHANNELS;
    take_over(&p, &e);
    run(&p);
    char what[80];
    snprintf(what, sizeof what, "%d sequences of %d%s%s", batch, time, gates ? ", gates" : "",
             beta ? ", beta" : "");
    check_close(what, p.y, e.y, n, LIMIT);
    check_close(what, p.ds, e.ds, 3 * n, LIMIT);
    check_close(what, p.dfilter, e.dfilter, (size_t)time * CHANNELS, LIMIT);
    if (beta) check_close(what, p.dbeta, e.dbeta, CHANNELS, LIMIT);
    exact_free(&e);
    problem_free(&p);
}

static void results_are_as_defined(void) {
    static const int times[] = {1,   2,   3,   7,   16,  17,  31,  64,  81,
                                127, 128, 129, 160, 161, 200, 257, 300, 1001};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        check_length(3, times[i], true, true);
        check_length(1, times[i], true, false);
        check_length(1, times[i], false, times[i] % 2);
    }
    check_length(9, 150, true, false);
}

static void test_lengths_of_all_kinds(void **state) {
    (void)state;
    on_every_isa(results_are_as_defined);
}

// Added to what was there, twice what is made once.
static void check_added(int batch, int time, bool beta) {
    problem p = problem_new(batch, time, true, beta);
    const size_t n = (size_t)batch * (size_t)time * CHANNELS, taps = (size_t)time * CHANNELS;
    run(&p);
    double *ds = new_doubles(3 * n), *dfilter = new_doubles(taps), *dbeta = new_doubles(CHANNELS);
    for (size_t i = 0; i < 3 * n; i++) ds[i] = 2 * (double)p.ds[i];
    for (size_t i = 0; i < taps; i++) dfilter[i] = 2 * (double)p.dfilter[i];
    for (size_t i = 0; i < CHANNELS; i++) dbeta[i] = 2 * (double)p.dbeta[i];
    p.c.x.adds = p.c.gate_in.adds = p.c.gate_out.adds = p.c.filter.adds = p.c.adds_beta = true;
    run(&p);
    check_close("added gradients", p.ds, ds, 3 * n, 1e-6);
    check_close("added gradient of the filter", p.dfilter, dfilter, taps, 1e-6);
    if (beta) check_close("added gradient of beta", p.dbeta, dbeta, CHANNELS, 1e-6);
    free(ds);
    free(dfilter);
    free(dbeta);
    problem_free(&p);
}

static void gradients_are_added(void) {
    for (int time = 20; time <= 320; time += 300)
        for (int beta = 0; beta < 2; beta++) {
            check_added(1, time, beta);
            check_added(3, time, beta);
            check_added(17, time, beta);
        }
}

static void test_gradients_add_up(void **state) {
    (void)state;
    on_every_isa(gradients_are_added);
}

static void threads_change_nothing(void) {
    for (int time = 90; time <= 700; time += 610) {
        const size_t n = (size_t)9 * (size_t)time * CHANNELS, taps = (size_t)time * CHANNELS;
        problem one = problem_new(9, time, true, true);
        run(&one);
        for (int threads = 2; threads <= MOST_THREADS; threads++) {
            problem more = problem_new(9, time, true, true);
            kernels_set_threads(threads);
            run(&more);
            kernels_set_threads(1);
            check_same("y", one.y, more.y, n);
            check_same("gradients", one.ds, more.ds, 3 * n);
            check_same("gradient of the filter", one.dfilter, more.dfilter, taps);
            check_same("gradient of beta", one.dbeta, more.dbeta, CHANNELS);
            problem_free(&more);
        }
        problem_free(&one);
    }
}

static void test_results_do_not_depend_on_threads(void **state) {
    (void)state;
    on_every_isa(threads_change_nothing);
}

static void future_changes_nothing(void) {
    enum { TIME = 500, CUT = 217 };
    problem before = problem_new(1, TIME, false, true), after = problem_new(1, TIME, false, true);
    double *wanted = new_doubles((size_t)TIME * CHANNELS);
    for (int t = CUT; t < TIME; t++)
        for (int d = 0; d < CHANNELS; d++) after.s[t * 3 * CHANNELS + 2 * CHANNELS + d] += 1;
    run(&before);
    run(&after);
    for (int i = 0; i < TIME * CHANNELS; i++)
        wanted[i] = i < CUT * CHANNELS ? (double)before.y[i] : (double)after.y[i];
    check_close("the past", after.y, wanted, (size_t)TIME * CHANNELS, 1e-6);
    problem_free(&before);
    problem_free(&after);
    free(wanted);
}

static void test_the_past_does_not_see_the_future(void **state) {
    (void)state;
    on_every_isa(future_changes_nothing);
}

// --- streams

typedef struct stream_run {
    int streams, taps, length;
    real *s, *filter, *beta, *y; // of all streams: rows gate_out | gate_in | x
} stream_run;

// Reads the streams `chunk` tokens at a time.
static void follow(const stream_run *r, int chunk, real *y) {
    real *constants =
        new_workspace(kernels->convolution_online_constants(r->taps, CHANNELS) * sizeof(real));
    const size_t reals = (size_t)r->streams * kernels->convolution_online_state(r->taps, CHANNELS);
    real *carried = new_workspace(reals * sizeof(real));
    memset(carried, 0, reals * sizeof(real));
    void *workspace = new_workspace(kernels->convolution_online_workspace(r->taps, kernels_threads()));
    const size_t rows = (size_t)r->streams * (size_t)chunk;
    real *s = new_reals(rows * 3 * CHANNELS), *out = new_reals(rows * CHANNELS);
    convolution c = {.batch = r->streams,
                     .channels = CHANNELS,
                     .gate_out = {.value = s, .ld = 3 * CHANNELS},
                     .gate_in = {.value = s + CHANNELS, .ld = 3 * CHANNELS},
                     .x = {.value = s + 2 * CHANNELS, .ld = 3 * CHANNELS},
                     .filter = {.value = r->filter, .ld = CHANNELS},
                     .beta = r->beta,
                     .y = out};
    kernels->convolution_online_prepare(&c, r->taps, constants, workspace);
    for (int at = 0; at < r->length; at += c.time) {
        c.time = r->length - at < chunk ? r->length - at : chunk;
        for (int b = 0; b < r->streams; b++)
            memcpy(s + b * c.time * 3 * CHANNELS, r->s + (b * r->length + at) * 3 * CHANNELS,
                   (size_t)c.time * 3 * CHANNELS * sizeof *s);
        kernels->convolution_online(&c, r->taps, at, 41, constants, carried, workspace);
        for (int b = 0; b < r->streams; b++)
            memcpy(y + (b * r->length + at) * CHANNELS, out + b * c.time * CHANNELS,
                   (size_t)c.time * CHANNELS * sizeof *y);
    }
    free(constants);
    free(carried);
    free(workspace);
    free(s);
    free(out);
}

static void filter_streams(const stream_run *r, double *y) {
    for (int b = 0; b < r->streams; b++)
        for (int t = 0; t < r->length; t++)
            for (int d = 0; d < CHANNELS; d++) {
                const real *row = r->s + (b * r->length + t) * 3 * CHANNELS + d;
                double sum = (double)r->beta[d] * (double)row[CHANNELS] * (double)row[2 * CHANNELS];
                for (int k = 0; k <= t && k < r->taps; k++) {
                    const real *then = row - k * 3 * CHANNELS;
                    sum += (double)r->filter[k * CHANNELS + d] * (double)then[CHANNELS] *
                           (double)then[2 * CHANNELS];
                }
                y[(b * r->length + t) * CHANNELS + d] = sum * (double)row[0];
            }
}

static void streams_are_filtered(void) {
    static const struct {
        int streams, taps, length;
    } cases[] = {{1, 1, 5},     {2, 13, 40},    {1, 64, 200},   {3, 65, 200},
                 {1, 129, 400}, {1, 300, 1000}, {1, 1025, 2300}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stream_run r = {cases[i].streams, cases[i].taps, cases[i].length, NULL, NULL, NULL, NULL};
        const size_t rows = (size_t)r.streams * (size_t)r.length;
        r.s = new_normals(rows * 3 * CHANNELS, 1, 1);
        r.filter = new_normals((size_t)r.taps * CHANNELS, 2, 0.1);
        r.beta = new_normals(CHANNELS, 3, 0.5);
        r.y = new_reals(rows * CHANNELS);
        double *wanted = new_doubles(rows * CHANNELS);
        filter_streams(&r, wanted);
        follow(&r, 1, r.y);
        check_close("tokens", r.y, wanted, rows * CHANNELS, 5e-6);
        follow(&r, 7, r.y);
        check_close("a few tokens at a time", r.y, wanted, rows * CHANNELS, 5e-6);
        follow(&r, r.length, r.y);
        check_close("all tokens at once", r.y, wanted, rows * CHANNELS, 5e-6);
        real *threads = new_reals(rows * CHANNELS);
        kernels_set_threads(MOST_THREADS);
        follow(&r, r.length, threads);
        kernels_set_threads(1);
        check_same("streams", r.y, threads, rows * CHANNELS);
        free(threads);
        free(wanted);
        free(r.s);
        free(r.filter);
        free(r.beta);
        free(r.y);
    }
}

static void test_streams_see_as_many_tokens_as_there_are_taps(void **state) {
    (void)state;
    on_every_isa(streams_are_filtered);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_of_all_kinds),
        cmocka_unit_test(test_gradients_add_up),
        cmocka_unit_test(test_results_do_not_depend_on_threads),
        cmocka_unit_test(test_the_past_does_not_see_the_future),
        cmocka_unit_test(test_streams_see_as_many_tokens_as_there_are_taps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
