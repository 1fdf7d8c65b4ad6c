// For tests: liquid time-constant networks, put into small graphs, and their definitions in double precision.
#ifndef RUNEXP_TESTS_SUPPORT_LTC_REFERENCES_H
#define RUNEXP_TESTS_SUPPORT_LTC_REFERENCES_H

#include "support/operator_references.h"

enum { LTC_WIDTH_MAX = 64 };

// dx/dt = drive - decay x
typedef struct reference_equation {
    double drive[LTC_WIDTH_MAX], decay[LTC_WIDTH_MAX];
} reference_equation;

// Leaves input, W, A, tau, x before the first token; the last two may be absent. at: of the token.
static void reference_neural(const operator_case *c, double *const *leaf, int at, const double *x,
                             reference_equation *e) {
    const ltc_options *o = &c->ltc;
    const int n = leaf_width(c, 0);
    for (int j = 0; j < n; j++) {
        double sum = leaf[0][at * n + j];
        for (int i = 0; i < n; i++) sum += leaf[1][j * n + i] * x[i];
        const double f = reference_activation(o->act, sum),
                     tau = c->leaf[3].rank ? leaf[3][j] : o->fixed_tau;
        e->drive[j] = f * leaf[2][j];
        e->decay[j] = 1 / tau + (o->adaptive ? o->abs_gate ? fabs(f) : f : 0);
    }
}

typedef void reference_equation_at(const operator_case *c, double *const *leaf, int at, const double *x,
                                   reference_equation *e);

// to = N(x) - L(x) x at x + h k
static void reference_slope(const operator_case *c, double *const *leaf, reference_equation_at *equation,
                            int at, int n, const double *x, double h, const double *k, double *to) {
    reference_equation e;
    double point[LTC_WIDTH_MAX];
    for (int i = 0; i < n; i++) point[i] = x[i] + h * k[i];
    equation(c, leaf, at, point, &e);
    for (int i = 0; i < n; i++) to[i] = e.drive[i] - e.decay[i] * point[i];
}

static void reference_step(const operator_case *c, double *const *leaf, reference_equation_at *equation,
                           int at, int n, double *x) {
    const double h = c->ltc.step, zero[LTC_WIDTH_MAX] = {0};
    double k[4][LTC_WIDTH_MAX];
    reference_equation e;
    switch (c->ltc.solver) {
    case SOLVER_SEMI_IMPLICIT:
        equation(c, leaf, at, x, &e);
        for (int i = 0; i < n; i++) x[i] = (x[i] + h * e.drive[i]) / (1 + h * e.decay[i]);
        break;
    case SOLVER_EULER:
        reference_slope(c, leaf, equation, at, n, x, 0, zero, k[0]);
        for (int i = 0; i < n; i++) x[i] += h * k[0][i];
        break;
    case SOLVER_RK4:
        reference_slope(c, leaf, equation, at, n, x, 0, zero, k[0]);
        reference_slope(c, leaf, equation, at, n, x, h / 2, k[0], k[1]);
        reference_slope(c, leaf, equation, at, n, x, h / 2, k[1], k[2]);
        reference_slope(c, leaf, equation, at, n, x, h, k[2], k[3]);
        for (int i = 0; i < n; i++) x[i] += h / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
        break;
    default:
        abort();
    }
}

static void reference_ltc(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    const int n = leaf_width(c, 0);
    for (int row = 0; row < c->batch; row++) {
        double x[LTC_WIDTH_MAX] = {0};
        for (int i = 0; i < n && c->leaf[4].rank; i++) x[i] = leaf[4][row * n + i];
        for (int t = 0; t < c->time; t++) {
            const int at = row * c->time + t;
            for (int i = 0; run->begins && run->begins[at] && i < n; i++) x[i] = 0;
            for (int u = 0; u < c->ltc.steps; u++) reference_step(c, leaf, reference_neural, at, n, x);
            for (int i = 0; i < n; i++) y[at * n + i] = x[i];
        }
    }
}

static tensor *build_ltc(graph *g, const operator_case *c, tensor *const *leaf) {
    ltc_options o = c->ltc;
    o.weight = leaf[1], o.amplitude = leaf[2], o.tau = leaf[3], o.first = leaf[4];
    return op_ltc(g, leaf[0], &o);
}

static void reference_softplus(const operator_case *c, const run_context *run, double *const *leaf,
                               double *y) {
    (void)run;
    for (size_t i = 0; i < leaf_count(c, 0); i++)
        y[i] = c->p + fmax(leaf[0][i], 0) + log1p(exp(-fabs(leaf[0][i])));
}

static tensor *build_softplus(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_softplus(g, leaf[0], c->p);
}

#endif
