// The steps of the solvers, and their gradients. An explicit Runge-Kutta method of s stages evaluates
//     X_i = x + h sum over j < i of a_ij k_j,   k_i = N(X_i) - L(X_i) X_i
// and ends in x' = x + h sum of b_i k_i. Backwards, from g, the gradient of x',
//     gradient of k_i = h (b_i g + sum over j > i of a_ji alpha_j)
// where alpha_j, the gradient of X_j, is what k_j passes on; and that of x is g + sum of alpha_i.
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"

typedef struct tableau {
    int stages;
    double a[LTC_STAGES][LTC_STAGES], b[LTC_STAGES];
} tableau;

static const tableau tableaus[SOLVER_COUNT] = {
    [SOLVER_EULER] = {1, .b = {1}},
    [SOLVER_RK4] = {4, {{0}, {0.5}, {0, 0.5}, {0, 0, 1}}, {1 / 6.0, 1 / 3.0, 1 / 3.0, 1 / 6.0}},
};

// --- semi-implicit: with D = 1 + h L and q = g / D the gradients are h q of N, -h q x' of L, and q of x

static void step_semi_implicit(const ltc *l, const real *drive, const real *decay, real *point) {
    const vec h = vec_set((real)l->step);
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        const vec x = vec_get(point + i, left) + h * vec_get(drive + i, left);
        vec_put(point + i, x / (1 + h * vec_get(decay + i, left)), left);
    }
}

static void step_back_semi_implicit(const ltc *l, const real *after, real *drive, real *decay, real *dx) {
    const vec h = vec_set((real)l->step);
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        const vec q = vec_get(dx + i, left) / (1 + h * vec_get(decay + i, left));
        vec_put(drive + i, h * q, left);
        vec_put(decay + i, -h * q * vec_get(after + i, left), left);
        vec_put(dx + i, q, left);
    }
}

// --- Runge-Kutta

// to = x + h sum of factor_j k_j
static void combine(const ltc *l, const double *factor, int count, real *const *k, int b, const real *x,
                    real *to) {
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        vec sum = (vec){0};
        for (int j = 0; j < count; j++)
            if (factor[j] != 0) sum += (real)factor[j] * vec_get(ltc_at(l, k[j], b) + i, left);
        vec_put(to + i, vec_get(x + i, left) + (real)l->step * sum, left);
    }
}

static void step_explicit(const ltc *l, const ltc_scratch *s, const tableau *of, int stage, int b) {
    real *drive = ltc_at(l, s->drive, b), *decay = ltc_at(l, s->decay, b);
    real *point = ltc_at(l, s->point, b), *slope = ltc_at(l, s->slope[stage], b);
    real *state = ltc_at(l, s->state, b);
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        const vec x = vec_get(point + i, left);
        vec_put(slope + i, vec_get(drive + i, left) - vec_get(decay + i, left) * x, left);
    }
    const bool last = stage + 1 == of->stages;
    combine(l, last ? of->b : of->a[stage + 1], stage + 1, s->slope, b, state, point);
    if (last) combine(l, NULL, 0, NULL, b, point, state);
}

static void step_back_explicit(const ltc *l, const ltc_scratch *s, const tableau *of, int stage, int b,
                               const real *point) {
    real *drive = ltc_at(l, s->drive, b), *decay = ltc_at(l, s->decay, b);
    real *dpoint = ltc_at(l, s->dpoint[stage], b);
    const real *dstate = ltc_at(l, s->dstate, b);
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        vec dk = (real)of->b[stage] * vec_get(dstate + i, left);
        for (int j = stage + 1; j < of->stages; j++)
            if (of->a[j][stage] != 0)
                dk += (real)of->a[j][stage] * vec_get(ltc_at(l, s->dpoint[j], b) + i, left);
        dk *= (real)l->step;
        vec_put(dpoint + i, -dk * vec_get(decay + i, left), left);
        vec_put(drive + i, dk, left);
        vec_put(decay + i, -dk * vec_get(point + i, left), left);
    }
}

// --- either

void ltc_step(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const tableau *of = &tableaus[l->solver];
    if (l->solver == SOLVER_SEMI_IMPLICIT)
        step_semi_implicit(l, ltc_at(l, s->drive, row->b), ltc_at(l, s->decay, row->b),
                           ltc_at(l, s->point, row->b));
    else
        step_explicit(l, s, of, row->evaluation % of->stages, row->b);
}

static const real *point_after(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    if (row->evaluation + 1 == ltc_evaluations(l)) return row_at(l->x, l->time, l->width, row->b, row->t);
    return ltc_on_tape(k, k->points, row) + l->width;
}

void ltc_step_back(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const tableau *of = &tableaus[l->solver];
    if (l->solver == SOLVER_SEMI_IMPLICIT)
        step_back_semi_implicit(l, point_after(k, row), ltc_at(l, s->drive, row->b),
                                ltc_at(l, s->decay, row->b), ltc_at(l, s->dpoint[0], row->b));
    else
        step_back_explicit(l, s, of, row->evaluation % of->stages, row->b, ltc_on_tape(k, k->points, row));
}

void ltc_step_end(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    real *dstate = ltc_at(l, k->s.dstate, row->b);
    for (int j = 0; j < tableaus[l->solver].stages; j++) {
        const real *dpoint = ltc_at(l, k->s.dpoint[j], row->b);
        for (int i = 0; i < l->width; i += VEC) {
            const int left = l->width - i;
            vec_put(dstate + i, vec_get(dstate + i, left) + vec_get(dpoint + i, left), left);
        }
    }
}
