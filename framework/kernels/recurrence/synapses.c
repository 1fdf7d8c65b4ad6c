// Conductance synapses: what rows of presynaptic values make of a layer of neurons. A sigmoid for each
// synapse is nearly all of the work; it is computed again in the backward step.
#include "kernels/recurrence/synapses.h"

#include "kernels/parallel.h"
#include "kernels/sizes.h"
#include "kernels/vector_math.h"

#include <string.h>

enum { GROUPS = 64 }; // of rows, whose gradients are summed one after the other

void synapses_add(const synapses *s, bool conducts, const real *v, real *drive, real *decay) {
    const int n = s->out;
    for (int j = 0; j < n; j += VEC) {
        const int left = n - j;
        vec driven = vec_get(drive + j, left), conducted = (vec){0};
        for (int i = 0; i < s->in; i++) {
            const size_t at = (size_t)i * (size_t)n + (size_t)j;
            const vec open = vec_sigmoid(vec_get(s->sigma + at, left) * (v[i] - vec_get(s->mu + at, left)));
            const vec conductance = vec_get(s->w + at, left) * open;
            driven += conductance * vec_get(s->erev + at, left);
            conducted += conductance;
        }
        vec_put(drive + j, driven, left);
        if (conducts) vec_add_to(decay + j, conducted, left);
    }
}

void synapses_pull_back(const synapses *s, bool conducts, const real *v, const real *ddrive,
                        const real *ddecay, const synapse_gradients *d, real *dv) {
    const int n = s->out;
    for (int i = 0; i < s->in; i++) {
        vec to_v = (vec){0};
        for (int j = 0; j < n; j += VEC) {
            const int left = n - j;
            const size_t at = (size_t)i * (size_t)n + (size_t)j;
            const vec w = vec_get(s->w + at, left), sigma = vec_get(s->sigma + at, left);
            const vec erev = vec_get(s->erev + at, left), driven = vec_get(ddrive + j, left);
            const vec above = v[i] - vec_get(s->mu + at, left), open = vec_sigmoid(sigma * above);
            vec to_conductance = driven * erev;
            if (conducts) to_conductance += vec_get(ddecay + j, left);
            const vec to_sum = to_conductance * w * open * (1 - open), to_above = to_sum * sigma;
            vec_add_to(d->w + at, to_conductance * open, left);
            vec_add_to(d->erev + at, driven * w * open, left);
            vec_add_to(d->sigma + at, to_sum * above, left);
            vec_add_to(d->mu + at, -to_above, left);
            to_v += to_above;
        }
        if (dv) dv[i] += vec_sum(to_v);
    }
}

void synapses_sum_groups(int groups, int values, const real *sums, int ld, const synapse_gradients *to) {
    column_sum(groups, values, sums, ld, to->w, to->adds_w);
    column_sum(groups, values, sums + values, ld, to->sigma, to->adds_sigma);
    column_sum(groups, values, sums + 2 * values, ld, to->mu, to->adds_mu);
    column_sum(groups, values, sums + 3 * values, ld, to->erev, to->adds_erev);
}

// --- rows

typedef struct rows_through {
    int rows, rows_of_group;
    const synapses *s;
    bool conducts, accumulate_dv;
    const real *v, *dsums;
    real *sums, *dv;
    real *gradients; // of each group: w, sigma, mu, erev
} rows_through;

static void add_rows(const void *context, pool_share share) {
    const rows_through *r = context;
    const size_t in = (size_t)r->s->in, out = (size_t)r->s->out;
    for (int row = share.begin; row < share.end; row++) {
        real *drive = r->sums + (size_t)row * 2 * out;
        memset(drive, 0, 2 * out * sizeof(real));
        synapses_add(r->s, r->conducts, r->v + (size_t)row * in, drive, drive + out);
    }
}

static double operations_of(int rows, const synapses *s) {
    return (double)rows * s->in * divide_up(s->out, VEC) * SYNAPSE_OPERATIONS;
}

void synapses_forward(int rows, const synapses *s, bool conducts, const real *v, real *sums) {
    const rows_through r = {.rows = rows, .s = s, .conducts = conducts, .v = v, .sums = sums};
    parallel_for(rows, operations_of(rows, s), add_rows, &r);
}

static size_t values_of(const synapses *s) {
    return (size_t)s->in * (size_t)s->out;
}

static void pull_groups_back(const void *context, pool_share share) {
    const rows_through *r = context;
    const size_t in = (size_t)r->s->in, out = (size_t)r->s->out, values = values_of(r->s);
    for (int group = share.begin; group < share.end; group++) {
        real *sums = r->gradients + (size_t)group * 4 * values;
        const synapse_gradients d = synapse_sums(sums, values);
        const int first = group * r->rows_of_group, end = smaller(first + r->rows_of_group, r->rows);
        memset(sums, 0, 4 * values * sizeof(real));
        for (int row = first; row < end; row++) {
            real *dv = r->dv ? r->dv + (size_t)row * in : NULL;
            const real *ddrive = r->dsums + (size_t)row * 2 * out;
            if (dv && !r->accumulate_dv) memset(dv, 0, in * sizeof(real));
            synapses_pull_back(r->s, r->conducts, r->v + (size_t)row * in, ddrive, ddrive + out, &d, dv);
        }
    }
}

size_t synapses_workspace(int rows, int in, int out) {
    return (size_t)smaller(rows, GROUPS) * 4 * (size_t)in * (size_t)out * sizeof(real);
}

void synapses_backward(int rows, const synapses *s, bool conducts, const real *v, const real *dsums,
                       real *dv, bool accumulate_dv, const synapse_gradients *gradients, void *workspace) {
    rows_through r = {rows,     divide_up(rows, GROUPS), s, conducts, accumulate_dv, v, dsums, NULL, dv,
                      workspace};
    const int groups = divide_up(rows, r.rows_of_group), values = (int)values_of(s);
    parallel_for(groups, 2 * operations_of(rows, s), pull_groups_back, &r);
    synapses_sum_groups(groups, values, workspace, 4 * values, gradients);
}
