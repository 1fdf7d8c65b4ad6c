#include "support/kernels.h"

typedef struct problem {
    attention_shape shape;
    dropout_mask mask;
    double spread; // of queries and keys
} problem;

static problem new_problem(int batch, int time, int heads, int kv_heads, int head_size, int window,
                           double dropout) {
    return (problem){
        .shape = {batch, time, heads, kv_heads, head_size, window, (real)(1 / sqrt(head_size))},
        .mask = {(real)dropout, {21, RNG_DROPOUT, 6, 5, 1}},
        .spread = 1};
}

static size_t row_width(const attention_shape *s) {
    return (size_t)attention_columns(s);
}

// Queries, keys and values are one.
static problem new_shared_problem(int batch, int time, int heads, int head_size, int window,
                                  double dropout) {
    problem p = new_problem(batch, time, heads, heads, head_size, window, dropout);
    p.shape.shared_qkv = true;
    return p;
}

static size_t out_width(const attention_shape *s) {
    return (size_t)s->heads * (size_t)s->head_size;
}

static size_t row_count(const attention_shape *s) {
    return (size_t)s->batch * (size_t)s->time;
}

static double factor_of(const problem *p, int b, int h, int i, int j) {
    const attention_shape *s = &p->shape;
    const uint64_t row = ((uint64_t)b * (uint64_t)s->heads + (uint64_t)h) * (uint64_t)s->time + (uint64_t)i;
    const uint64_t element = row * (((uint64_t)s->time + 7) / 8 * 8) + (uint64_t)j;
    const double dropped = round((double)p->mask.p * 65536);
    return rng_half(&p->mask.random, element) < dropped ? 0 : 65536 / (65536 - dropped);
}

// The definition, with the whole matrix, in double precision.
static void reference(const problem *p, const real *qkv, const real *dout, double *out, double *lse,
                      double *dqkv, double *dscale) {
    const attention_shape *s = &p->shape;
    const int size = s->head_size, ld = (int)row_width(s), ldo = (int)out_width(s);
    double *probability = new_doubles((size_t)s->time), *gradient = new_doubles((size_t)s->time);
    *dscale = 0;
    for (int b = 0; b < s->batch; b++)
        for (int h = 0; h < s->heads; h++) {
            const int kv = h / (s->heads / s->kv_heads);
            const int q_at = h * size, k_at = attention_key_column(s) + kv * size,
                      v_at = attention_value_column(s) + kv * size;
            for (int i = 0; i < s->time; i++) {
                const real *row = qkv + (b * s->time + i) * ld;
                double *o = out + (b * s->time + i) * ldo + h * size,
                       *dq = dqkv + (b * s->time + i) * ld + q_at;
                const real *d = dout + (b * s->time + i) * ldo + h * size;
                const int first = s->window && i >= s->window ? i - s->window + 1 : 0;
                double maximum = -INFINITY, sum = 0, delta = 0;
                for (int j = first; j <= i; j++) {
                    const real *other = qkv + (b * s->time + j) * ld;
                    double score = 0;
                    for (int c = 0; c < size; c++) score += (double)row[q_at + c] * (double)other[k_at + c];
                    probability[j] = score * (double)s->scale;
                    maximum = fmax(maximum, probability[j]);
                }
                for (int j = first; j <= i; j++) sum += exp(probability[j] - maximum);
                lse[(b * s->heads + h) * s->time + i] = maximum + log(sum);
                for (int j = first; j <= i; j++) {
                    const real *other = qkv + (b * s->time + j) * ld;
                    const double factor = factor_of(p, b, h, i, j);
                    probability[j] = exp(probability[j] - maximum) / sum;
                    gradient[j] = 0;
                    for (int c = 0; c < size; c++) {
                        o[c] += probability[j] * factor * (double)other[v_at + c];
                        gradient[j] += factor * (double)d[c] * (double)other[v_at + c];
                        dqkv[(b * s->time + j) * ld + v_at + c] += probability[j] * factor * (double)d[c];
                    }
                    delta += probability[j] * gradient[j];
                }
                for (int j = first; j <= i; j++) {
                    const real *other = qkv + (b * s->time + j) * ld;
                    const double unscaled = probability[j] * (gradient[j] - delta),
                                 score_gradient = unscaled * (double)s->scale;
                    for (int c = 0; c < size; c++) {
                        *dscale += unscaled * (double)row[q_at + c] * (double)other[k_at + c];
                        dq[c] += score_gradient * (double)other[k_at + c];
                        dqkv[(b * s->time + j) * ld + k_at + c] += score_gradient * (double)row[q_at + c];
                    }
                }
            }
        }
    free(probability), free(gradient);
}

static real *new_qkv(const problem *p) {
    const attention_shape *s = &p->shape;
    real *qkv = new_normals(row_count(s) * row_width(s), 1, 1);
    for (size_t r = 0; r < row_count(s); r++)
        for (size_t c = 0; c < (size_t)attention_value_column(s); c++)
            qkv[r * row_width(s) + c] *= (real)p->spread;
    return qkv;
}

// The terms of the gradient of the scale cancel each other: its error is that of their magnitudes.
static void check_dscale(const char *what, const problem *p, const real *qkv, const double *dqkv,
                         double got, double wanted, double limit) {
    const attention_shape *s = &p->shape;
    double magnitude = 0;
    for (size_t r = 0; r < row_count(s); r++)
        for (size_t c = 0; c < row_width(s); c++)
            magnitude += fabs((double)qkv[r * row_width(s) + c] * dqkv[r * row_width(s) + c]);
    if (!(fabs(got - wanted) <= limit * magnitude / (double)s->scale))
        fail_msg("%s: the gradient of the scale is %g, not %g", what, got, wanted);
}

static void check_problem(const problem *p, double limit_forward, double limit_gradient) {
    const attention_shape *s = &p->shape;
    const size_t size = row_count(s) * row_width(s), out_size = row_count(s) * out_width(s);
    const size_t lse_size = row_count(s) * (size_t)s->heads;
    real *qkv = new_qkv(p), *dout = new_normals(out_size, 2, 1), *out = new_reals(out_size),
         *lse = new_reals(lse_size);
    real *dqkv = new_reals(size);
    double *wanted = new_doubles(out_size), *wanted_lse = new_doubles(lse_size),
           *wanted_gradient = new_doubles(size);
    double dscale, wanted_dscale;
    void *workspace = new_workspace(kernels->attention_workspace(s, kernels_threads()));
    char what[160];
    snprintf(what, sizeof what, "attention of %d x %d, %d/%d heads of %d, window %d, dropout %g", s->batch,
             s->time, s->heads, s->kv_heads, s->head_size, s->window, (double)p->mask.p);
    reference(p, qkv, dout, wanted, wanted_lse, wanted_gradient, &wanted_dscale);
    kernels->attention_forward(s, &p->mask, qkv, out, lse, workspace);
    check_close(what, out, wanted, out_size, limit_forward);
    check_close(what, lse, wanted_lse, lse_size, limit_forward);
    kernels->attention_backward(s, &p->mask, qkv, out, lse, dout, dqkv, false, &dscale, workspace);
    check_close(what, dqkv, wanted_gradient, size, limit_gradient);
    check_dscale(what, p, qkv, wanted_gradient, dscale, wanted_dscale, limit_gradient);
    for (size_t i = 0; i < size; i++) dqkv[i] = 1, wanted_gradient[i] += 1;
    kernels->attention_backward(s, &p->mask, qkv, out, lse, dout, dqkv, true, NULL, workspace);
    check_close(what, dqkv, wanted_gradient, size, limit_gradient);
    free(qkv), free(dout), free(out), free(lse), free(dqkv), free(workspace);
    free(wanted), free(wanted_lse), free(wanted_gradient);
}

static void shapes(void) {
    const problem problems[] = {
        new_problem(1, 1, 1, 1, 1, 0, 0),        new_problem(2, 5, 2, 2, 3, 0, 0),
        new_problem(1, 12, 1, 1, 16, 0, 0),      new_problem(1, 49, 2, 1, 17, 0, 0),
        new_problem(3, 64, 4, 4, 32, 0, 0),      new_problem(1, 100, 6, 2, 20, 0, 0),
        new_problem(1, 97, 3, 1, 64, 0, 0.25),   new_problem(2, 130, 2, 2, 33, 0, 0.1),
        new_problem(1, 401, 1, 1, 24, 0, 0.5),   new_problem(1, 800, 1, 1, 16, 0, 0),
        new_problem(1, 60, 1, 1, 400, 0, 0.1),   new_problem(1, 385, 1, 1, 128, 0, 0),
        new_problem(2, 65, 4, 1, 48, 0, 0.2),    new_problem(2, 513, 2, 1, 32, 0, 0.1),
        new_problem(1, 1091, 4, 2, 8, 0, 0.3),   new_problem(1, 127, 2, 2, 72, 0, 0),
        new_shared_problem(2, 37, 1, 7, 0, 0),   new_shared_problem(1, 130, 2, 33, 9, 0.1),
        new_shared_problem(2, 2100, 1, 8, 0, 0), new_shared_problem(1, 1700, 2, 16, 1200, 0.2),
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) check_problem(&problems[i], 2e-6, 5e-6);
}

static void windows(void) {
    static const int sizes[] = {1, 2, 7, 31, 64, 200, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const problem p = new_problem(2, 150, 2, 1, 20, sizes[i], i % 2 ? 0.2 : 0);
        check_problem(&p, 2e-6, 5e-6);
    }
    // Long enough for several parts of time; windows of which an end falls on, before and behind a border.
    static const int long_ones[][2] = {{900, 100},  {1030, 1},   {1100, 512}, {1100, 513},
                                       {1100, 511}, {1537, 700}, {1200, 64},  {577, 65}};
    for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones; i++) {
        const problem p = new_problem(1, long_ones[i][0], 2, 1, 16, long_ones[i][1], i % 2 ? 0 : 0.1);
        check_problem(&p, 2e-6, 5e-6);
    }
}

static void sharp_scores(void) {
    problem p = new_problem(1, 200, 2, 2, 64, 0, 0);
    p.spread = 3;
    check_problem(&p, 2e-5, 3e-5);
}

static void check_threads(const problem *p) {
    const attention_shape *s = &p->shape;
    const size_t size = row_count(s) * row_width(s), out_size = row_count(s) * out_width(s);
    real *qkv = new_qkv(p), *dout = new_normals(out_size, 2, 1),
         *lse = new_reals(row_count(s) * (size_t)s->heads);
    const size_t all = out_size + size + 1; // with the gradient of the scale
    real *got = new_reals(all), *first = new_reals(all);
    for (int threads = 1; threads <= 4; threads++) {
        kernels_set_threads(threads);
        void *workspace = new_workspace(kernels->attention_workspace(s, threads));
        kernels->attention_forward(s, &p->mask, qkv, got, lse, workspace);
        double dscale;
        kernels->attention_backward(s, &p->mask, qkv, got, lse, dout, got + out_size, false, &dscale,
                                    workspace);
        got[out_size + size] = (real)dscale;
        if (threads == 1)
            memcpy(first, got, all * sizeof *got);
        else
            check_same("attention", first, got, all);
        free(workspace);
    }
    free(qkv), free(dout), free(lse), free(got), free(first);
}

static void the_same_for_any_number_of_threads(void) {
    const problem problems[] = {
        new_problem(3, 70, 4, 2, 24, 0, 0.2), new_problem(1, 1600, 2, 1, 16, 0, 0.1),
        new_problem(1, 2100, 1, 1, 8, 900, 0), new_shared_problem(2, 2600, 1, 16, 0, 0.1)};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) check_threads(&problems[i]);
}

// What a query's output is must not depend in the least on later tokens.
static void check_future(int time) {
    const problem p = new_problem(1, time, 2, 2, 20, 0, 0);
    const size_t now = (size_t)time * 11 / 18;
    const attention_shape *s = &p.shape;
    const size_t size = row_count(s) * row_width(s), out_size = row_count(s) * out_width(s);
    real *qkv = new_qkv(&p), *before = new_reals(out_size), *after = new_reals(out_size);
    real *lse = new_reals(row_count(s) * (size_t)s->heads);
    void *workspace = new_workspace(kernels->attention_workspace(s, 1));
    kernels->attention_forward(s, &p.mask, qkv, before, lse, workspace);
    for (size_t i = now * row_width(s); i < size; i++) qkv[i] = 40 - qkv[i];
    kernels->attention_forward(s, &p.mask, qkv, after, lse, workspace);
    check_same("attention of earlier tokens", before, after, now * out_width(s));
    free(qkv), free(before), free(after), free(lse), free(workspace);
}

static void the_future_is_not_seen(void) {
    check_future(90);
    check_future(1300);
}

// Tokens in chunks of several lengths, over caches with room to spare and caches that are rings.
static void decoding_is_attention(void) {
    static const struct {
        int shape[5], capacity, chunk;
        bool shared;
    } cases[] = {{{1, 1, 1, 1, 1}, 1, 1, false},     {{2, 9, 4, 2, 20}, 12, 1, false},
                 {{2, 9, 4, 2, 20}, 9, 9, false},    {{3, 50, 2, 2, 33}, 50, 7, false},
                 {{3, 50, 2, 2, 33}, 19, 5, false},  {{1, 300, 6, 1, 64}, 303, 64, false},
                 {{1, 300, 6, 1, 64}, 64, 1, false}, {{2, 150, 4, 4, 32}, 128, 3, false},
                 {{2, 60, 2, 2, 20}, 40, 7, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int *dims = cases[i].shape, capacity = cases[i].capacity;
        problem p = new_problem(dims[0], dims[1], dims[2], dims[3], dims[4], capacity, 0);
        p.shape.shared_qkv = cases[i].shared;
        const attention_shape *s = &p.shape;
        const size_t cache = (size_t)(s->batch * capacity * s->kv_heads * s->head_size);
        const size_t size = row_count(s) * row_width(s), out_size = row_count(s) * out_width(s);
        real *qkv = new_qkv(&p), *dout = new_normals(out_size, 2, 1), *part = new_reals(size);
        real *keys = new_reals(cache), *values = new_reals(cache), *part_out = new_reals(out_size);
        real *got = new_reals(out_size), *first = new_reals(out_size);
        double *wanted = new_doubles(out_size), *lse = new_doubles(row_count(s) * (size_t)s->heads);
        double *unused = new_doubles(size), unused_scale;
        reference(&p, qkv, dout, wanted, lse, unused, &unused_scale);
        for (int threads = 1; threads <= 3; threads++) {
            kernels_set_threads(threads);
            memset(keys, 0xFF, cache * sizeof *keys), memset(values, 0xFF, cache * sizeof *values);
            void *workspace = new_workspace((size_t)(threads * capacity) * sizeof(real));
            for (int at = 0, taken; at < s->time; at += taken) {
                taken = s->time - at < cases[i].chunk ? s->time - at : cases[i].chunk;
                attention_shape chunk = *s;
                chunk.time = taken;
                const size_t in_bytes = (size_t)taken * row_width(s) * sizeof(real),
                             out_bytes = (size_t)taken * out_width(s) * sizeof(real);
                for (int b = 0; b < s->batch; b++)
                    memcpy((char *)part + (size_t)b * in_bytes,
                           qkv + (size_t)(b * s->time + at) * row_width(s), in_bytes);
                kernels->attention_decode(&chunk, capacity, at, part, keys, values, part_out, workspace);
                for (int b = 0; b < s->batch; b++)
                    memcpy(got + (size_t)(b * s->time + at) * out_width(s),
                           (char *)part_out + (size_t)b * out_bytes, out_bytes);
            }
            check_close("attention_decode", got, wanted, out_size, 2e-6);
            if (threads == 1)
                memcpy(first, got, out_size * sizeof *got);
            else
                check_same("attention_decode", first, got, out_size);
            free(workspace);
        }
        kernels_set_threads(1);
        free(qkv), free(dout), free(part), free(keys), free(values), free(part_out), free(got), free(first);
        free(wanted), free(lse), free(unused);
    }
}

static void test_shapes(void **state) {
    (void)state;
    on_every_isa(shapes);
}

static void test_windows(void **state) {
    (void)state;
    on_every_isa(windows);
}

static void test_sharp_scores(void **state) {
    (void)state;
    on_every_isa(sharp_scores);
}

static void test_threads(void **state) {
    (void)state;
    on_every_isa(the_same_for_any_number_of_threads);
}

static void test_future(void **state) {
    (void)state;
    on_every_isa(the_future_is_not_seen);
}

static void test_decoding(void **state) {
    (void)state;
    on_every_isa(decoding_is_attention);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_windows), cmocka_unit_test(test_sharp_scores),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_future),  cmocka_unit_test(test_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
