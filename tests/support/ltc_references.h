// For tests: liquid time-constant networks, put into small graphs, and their definitions in double
// precision.
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

// What the solvers integrate: a token of a case.
typedef struct reference_token {
    const operator_case *c;
    double *const *leaf;
    reference_equation_at *equation;
    int at, n;
} reference_token;

// to = N(x) - L(x) x
static void reference_slope(const reference_token *k, const double *x, double *to) {
    reference_equation e;
    k->equation(k->c, k->leaf, k->at, x, &e);
    for (int i = 0; i < k->n; i++) to[i] = e.drive[i] - e.decay[i] * x[i];
}

// The slope at x + h sum of a_j k_j
static void reference_stage(const reference_token *k, const double *x, double h, int count, const double *a,
                            double (*slopes)[LTC_WIDTH_MAX]) {
    double point[LTC_WIDTH_MAX];
    for (int i = 0; i < k->n; i++) {
        point[i] = x[i];
        for (int j = 0; j < count; j++) point[i] += h * a[j] * slopes[j][i];
    }
    reference_slope(k, point, slopes[count]);
}

// A step of the method of Dormand and Prince; off, its error, may be NULL.
static void reference_dopri5(const reference_token *k, double h, double *x, double *off) {
    static const double a[7][6] = {
        {0},
        {1 / 5.0},
        {3 / 40.0, 9 / 40.0},
        {44 / 45.0, -56 / 15.0, 32 / 9.0},
        {19372 / 6561.0, -25360 / 2187.0, 64448 / 6561.0, -212 / 729.0},
        {9017 / 3168.0, -355 / 33.0, 46732 / 5247.0, 49 / 176.0, -5103 / 18656.0},
        {35 / 384.0, 0, 500 / 1113.0, 125 / 192.0, -2187 / 6784.0, 11 / 84.0}};
    static const double fourth[7] = {
        5179 / 57600.0, 0, 7571 / 16695.0, 393 / 640.0, -92097 / 339200.0, 187 / 2100.0, 1 / 40.0};
    double slopes[7][LTC_WIDTH_MAX];
    for (int stage = 0; stage < 7; stage++) reference_stage(k, x, h, stage, a[stage], slopes);
    for (int i = 0; i < k->n; i++) {
        double fifth = 0, difference = 0;
        for (int j = 0; j < 7; j++) {
            fifth += (j < 6 ? a[6][j] : 0) * slopes[j][i];
            difference += ((j < 6 ? a[6][j] : 0) - fourth[j]) * slopes[j][i];
        }
        if (off) off[i] = h * difference;
        x[i] += h * fifth;
    }
}

// dopri5 with its choice of steps.
static void reference_adaptive(const reference_token *k, double *x) {
    const ltc_options *o = &k->c->ltc;
    const double end = o->steps * o->step;
    double done = 0, h = end / 4, before = 1;
    for (int tried = 0; tried < LTC_ADAPTIVE_STEPS && end - done > 1e-9 * end; tried++) {
        double next[LTC_WIDTH_MAX], off[LTC_WIDTH_MAX], sum = 0;
        if (done + h > end * (1 - 1e-9)) h = end - done;
        for (int i = 0; i < k->n; i++) next[i] = x[i];
        reference_dopri5(k, h, next, off);
        for (int i = 0; i < k->n; i++)
            sum += pow(off[i] / (o->atol + o->rtol * fmax(fabs(x[i]), fabs(next[i]))), 2) / k->n;
        const double e = fmax(sqrt(sum), 1e-10);
        if (e > 1) {
            h *= fmin(fmax(0.9 * pow(e, -0.2), 0.2), 1);
            continue;
        }
        done += h;
        h *= fmin(fmax(0.9 * pow(e, -0.14) * pow(before, 0.08), 0.2), 5);
        before = fmax(e, 1e-4);
        for (int i = 0; i < k->n; i++) x[i] = next[i];
    }
}

static void reference_step(const reference_token *k, double *x) {
    static const double a[4][3] = {{0}, {0.5}, {0, 0.5}, {0, 0, 1}};
    const double h = k->c->ltc.step;
    const int n = k->n;
    double slopes[4][LTC_WIDTH_MAX];
    reference_equation e;
    switch (k->c->ltc.solver) {
    case SOLVER_SEMI_IMPLICIT:
        k->equation(k->c, k->leaf, k->at, x, &e);
        for (int i = 0; i < n; i++) x[i] = (x[i] + h * e.drive[i]) / (1 + h * e.decay[i]);
        break;
    case SOLVER_EULER:
        reference_slope(k, x, slopes[0]);
        for (int i = 0; i < n; i++) x[i] += h * slopes[0][i];
        break;
    default: // rk4
        for (int stage = 0; stage < 4; stage++) reference_stage(k, x, h, stage, a[stage], slopes);
        for (int i = 0; i < n; i++)
            x[i] += h / 6 * (slopes[0][i] + 2 * slopes[1][i] + 2 * slopes[2][i] + slopes[3][i]);
    }
}

// first: the leaf of x before the first token
static void reference_tokens(const operator_case *c, const run_context *run, double *const *leaf,
                             reference_equation_at *equation, int n, int first, double *y) {
    for (int row = 0; row < c->batch; row++) {
        double x[LTC_WIDTH_MAX] = {0};
        for (int i = 0; i < n && c->leaf[first].rank; i++) x[i] = leaf[first][row * n + i];
        for (int t = 0; t < c->time; t++) {
            const int at = row * c->time + t;
            for (int i = 0; run->begins && run->begins[at] && i < n; i++) x[i] = 0;
            const reference_token k = {c, leaf, equation, at, n};
            if (c->ltc.solver == SOLVER_DOPRI5) reference_adaptive(&k, x);
            for (int u = 0; c->ltc.solver != SOLVER_DOPRI5 && u < c->ltc.steps; u++) reference_step(&k, x);
            for (int i = 0; i < n; i++) y[at * n + i] = x[i];
        }
    }
}

static void reference_ltc(const operator_case *c, const run_context *run, double *const *leaf, double *y) {
    reference_tokens(c, run, leaf, reference_neural, leaf_width(c, 0), 4, y);
}

static tensor *build_ltc(graph *g, const operator_case *c, tensor *const *leaf) {
    ltc_options o = c->ltc;
    o.weight = leaf[1], o.amplitude = leaf[2], o.tau = leaf[3], o.first = leaf[4];
    return op_ltc(g, leaf[0], &o);
}

// --- synapses

// Adds what synapses w, sigma, mu, erev, four leaves from `arrays` on, make of v.
static void reference_synapses_of(double *const *arrays, int in, int out, const double *v, double *drive,
                                  double *decay) {
    for (int i = 0; i < in; i++)
        for (int j = 0; j < out; j++) {
            const int at = i * out + j;
            const double conductance = arrays[0][at] / (1 + exp(-arrays[1][at] * (v[i] - arrays[2][at])));
            drive[j] += conductance * arrays[3][at];
            decay[j] += conductance;
        }
}

// Leaves input, w, sigma, mu, erev, leak, rest, capacity, x before the first token.
static void reference_synaptic(const operator_case *c, double *const *leaf, int at, const double *x,
                               reference_equation *e) {
    const int n = leaf_width(c, 0) / 2;
    const double *input = leaf[0] + at * 2 * n;
    double decay[LTC_WIDTH_MAX];
    for (int j = 0; j < n; j++) {
        e->drive[j] = leaf[5][j] * leaf[6][j] + input[j];
        decay[j] = input[n + j];
    }
    reference_synapses_of(leaf + 1, n, n, x, e->drive, decay);
    for (int j = 0; j < n; j++) {
        e->drive[j] /= leaf[7][j];
        e->decay[j] = (leaf[5][j] + (c->ltc.adaptive ? decay[j] : 0)) / leaf[7][j];
    }
}

static void reference_ltc_synaptic(const operator_case *c, const run_context *run, double *const *leaf,
                                   double *y) {
    reference_tokens(c, run, leaf, reference_synaptic, leaf_width(c, 0) / 2, 8, y);
}

static tensor *build_ltc_synaptic(graph *g, const operator_case *c, tensor *const *leaf) {
    ltc_options o = c->ltc;
    o.synapses = (synapse_tensors){leaf[1], leaf[2], leaf[3], leaf[4]};
    o.leak = leaf[5], o.rest = leaf[6], o.capacity = leaf[7], o.first = leaf[8];
    return op_ltc(g, leaf[0], &o);
}

static void reference_synapses(const operator_case *c, const run_context *run, double *const *leaf,
                               double *y) {
    (void)run;
    const int in = leaf_width(c, 0), out = leaf_width(c, 1);
    double unused[LTC_WIDTH_MAX];
    for (int r = 0; r < leaf_rows(c, 0); r++) {
        double *drive = y + r * 2 * out, *decay = drive + out;
        for (int j = 0; j < 2 * out; j++) drive[j] = 0;
        reference_synapses_of(leaf + 1, in, out, leaf[0] + r * in, drive, c->ltc.adaptive ? decay : unused);
    }
}

static tensor *build_synapses(graph *g, const operator_case *c, tensor *const *leaf) {
    return op_synapses(g, leaf[0], &(synapse_tensors){leaf[1], leaf[2], leaf[3], leaf[4]}, c->ltc.adaptive);
}

// ---

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
