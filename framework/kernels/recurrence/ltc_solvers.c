// The steps of the solvers, and their gradients. An explicit Runge-Kutta method of s stages evaluates
//     X_i = x + h sum over j < i of a_ij k_j,   k_i = N(X_i) - L(X_i) X_i
// and ends in x' = x + h sum of b_i k_i. Backwards, from g, the gradient of x',
//     gradient of k_i = h (b_i g + sum over j > i of a_ji alpha_j)
// where alpha_j, the gradient of X_j, is what k_j passes on; and that of x is g + sum of alpha_i.
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"

#include <string.h>

typedef struct tableau {
    int stages;
    double a[LTC_STAGES][LTC_STAGES], b[LTC_STAGES];
} tableau;

// dopri5: Dormand and Prince, J. Comp. Appl. Math. 6 (1980). Its seventh stage is the first of the next
// step.
static const tableau tableaus[SOLVER_COUNT] = {
    [SOLVER_EULER] = {1, .b = {1}},
    [SOLVER_RK4] = {4, {{0}, {0.5}, {0, 0.5}, {0, 0, 1}}, {1 / 6.0, 1 / 3.0, 1 / 3.0, 1 / 6.0}},
    [SOLVER_DOPRI5] = {6,
                       {{0},
                        {1 / 5.0},
                        {3 / 40.0, 9 / 40.0},
                        {44 / 45.0, -56 / 15.0, 32 / 9.0},
                        {19372 / 6561.0, -25360 / 2187.0, 64448 / 6561.0, -212 / 729.0},
                        {9017 / 3168.0, -355 / 33.0, 46732 / 5247.0, 49 / 176.0, -5103 / 18656.0}},
                       {35 / 384.0, 0, 500 / 1113.0, 125 / 192.0, -2187 / 6784.0, 11 / 84.0}},
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

static real step_length(const ltc_tokens *k, const ltc_row *row) {
    return (real)(k->l->solver == SOLVER_DOPRI5 ? k->s.progress[row->b].length : k->l->step);
}

void ltc_put_slope(const ltc_tokens *k, const ltc_row *row, int stage) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const real *drive = ltc_at(l, s->drive, row->slot), *decay = ltc_at(l, s->decay, row->slot);
    const real *point = ltc_at(l, s->point, row->slot);
    real *slope = ltc_at(l, s->slope[stage], row->b);
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        vec_put(slope + i, vec_get(drive + i, left) - vec_get(decay + i, left) * vec_get(point + i, left),
                left);
    }
}

void ltc_put_point(const ltc_tokens *k, const ltc_row *row, int stage) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const tableau *of = &tableaus[l->solver];
    const double *factor = stage < of->stages ? of->a[stage] : of->b;
    const real *state = ltc_at(l, s->state, row->b);
    real *point = ltc_at(l, s->point, row->slot);
    const vec h = vec_set(step_length(k, row));
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        vec sum = (vec){0};
        for (int j = 0; j < stage; j++)
            if (factor[j] != 0) sum += (real)factor[j] * vec_get(ltc_at(l, s->slope[j], row->b) + i, left);
        vec_put(point + i, vec_get(state + i, left) + h * sum, left);
    }
}

static void step_back_explicit(const ltc_tokens *k, const ltc_row *row, const tableau *of, int stage) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    real *drive = ltc_at(l, s->drive, row->slot), *decay = ltc_at(l, s->decay, row->slot);
    real *dpoint = ltc_at(l, s->dpoint[stage], row->slot);
    const real *dstate = ltc_at(l, s->dstate, row->b), *point = ltc_on_tape(k, k->points, l->width, row);
    const vec h = vec_set(step_length(k, row));
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        vec dk = (real)of->b[stage] * vec_get(dstate + i, left);
        for (int j = stage + 1; j < of->stages; j++)
            if (of->a[j][stage] != 0)
                dk += (real)of->a[j][stage] * vec_get(ltc_at(l, s->dpoint[j], row->slot) + i, left);
        dk *= h;
        vec_put(dpoint + i, -dk * vec_get(decay + i, left), left);
        vec_put(drive + i, dk, left);
        vec_put(decay + i, -dk * vec_get(point + i, left), left);
    }
}

// --- either

void ltc_step(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    real *point = ltc_at(l, s->point, row->slot);
    if (l->solver == SOLVER_SEMI_IMPLICIT) {
        step_semi_implicit(l, ltc_at(l, s->drive, row->slot), ltc_at(l, s->decay, row->slot), point);
        return;
    }
    const int stages = tableaus[l->solver].stages, stage = row->evaluation % stages;
    ltc_put_slope(k, row, stage);
    ltc_put_point(k, row, stage + 1);
    if (stage + 1 == stages) memcpy(ltc_at(l, s->state, row->b), point, (size_t)l->width * sizeof(real));
}

static const real *point_after(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    if (row->evaluation + 1 == ltc_evaluations(l)) return row_at(l->x, l->time, l->width, row->b, row->t);
    return ltc_on_tape(k, k->points, l->width, row) + l->width;
}

void ltc_step_back(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const tableau *of = &tableaus[l->solver];
    if (l->solver == SOLVER_SEMI_IMPLICIT)
        step_back_semi_implicit(l, point_after(k, row), ltc_at(l, s->drive, row->slot),
                                ltc_at(l, s->decay, row->slot), ltc_at(l, s->dpoint[0], row->slot));
    else
        step_back_explicit(k, row, of, row->evaluation % of->stages);
}

void ltc_step_end(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    real *dstate = ltc_at(l, k->s.dstate, row->b);
    for (int j = 0; j < tableaus[l->solver].stages; j++) {
        const real *dpoint = ltc_at(l, k->s.dpoint[j], row->slot);
        for (int i = 0; i < l->width; i += VEC) {
            const int left = l->width - i;
            vec_add_to(dstate + i, vec_get(dpoint + i, left), left);
        }
    }
}
