// The equation of a liquid time-constant network with conductance synapses (arXiv 2006.04439, section 2;
// Lechner et al., Neural circuit policies, Nature Machine Intelligence 2 (2020)):
//     N = (leak rest + drive + input_1) / capacity,   L = (leak + decay + input_2) / capacity
//
// Gradients of what belongs to synapses and membranes are summed for each row of the batch by itself, or
// for some rows one after the other where there are many, and then over these groups.
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"
#include "kernels/recurrence/synapses.h"

#include <string.h>

// Of a group.
typedef struct sums {
    synapse_gradients synapses;
    membrane_gradients membranes;
} sums;

static int synapses_of(const ltc *l) {
    return l->width * l->width;
}

static int group_values(const ltc *l) {
    return 4 * synapses_of(l) + 3 * l->width;
}

size_t ltc_synaptic_sums(const ltc *l) {
    return (size_t)ltc_row_groups(l) * (size_t)group_values(l);
}

static sums sums_of_group(const ltc_tokens *k, int group) {
    const ltc *l = k->l;
    const int values = synapses_of(l);
    real *first = k->s.synaptic + (size_t)group * (size_t)group_values(l), *leak = first + 4 * values;
    return (sums){synapse_sums(first, (size_t)values),
                  {.leak = leak, .rest = leak + l->width, .capacity = leak + 2 * l->width}};
}

static const real *input_of(const ltc *l, const ltc_row *row) {
    return l->input + row_offset(l->time, 2 * l->width, row->b, row->t);
}

static void evaluate(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const membranes *m = &l->membranes;
    const int n = l->width;
    const real *input = input_of(l, row);
    real *drive = ltc_at(l, k->s.drive, row->slot), *decay = ltc_at(l, k->s.decay, row->slot);
    for (int i = 0; i < n; i += VEC) {
        const int left = n - i;
        const vec leak = vec_get(m->leak + i, left);
        vec_put(drive + i, leak * vec_get(m->rest + i, left) + vec_get(input + i, left), left);
        vec_put(decay + i, l->adaptive ? leak + vec_get(input + n + i, left) : leak, left);
    }
    synapses_add(l->synapses, l->adaptive, ltc_at(l, k->s.point, row->slot), drive, decay);
    real *kept = k->kept ? ltc_on_tape(k, k->kept, 2 * n, row) : NULL;
    for (int i = 0; i < n; i += VEC) {
        const int left = n - i;
        const vec capacity = vec_get(m->capacity + i, left);
        vec_put(drive + i, vec_get(drive + i, left) / capacity, left);
        vec_put(decay + i, vec_get(decay + i, left) / capacity, left);
    }
    if (!kept) return;
    memcpy(kept, drive, (size_t)n * sizeof(real));
    memcpy(kept + n, decay, (size_t)n * sizeof(real));
}

static void recall(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const int n = l->width;
    const real *kept = ltc_on_tape(k, k->kept, 2 * n, row);
    memcpy(ltc_at(l, k->s.drive, row->slot), kept, (size_t)n * sizeof(real));
    memcpy(ltc_at(l, k->s.decay, row->slot), kept + n, (size_t)n * sizeof(real));
}

// N and L are sums over the capacity: divides their gradients by it, and passes them on to all but
// synapses.
static void pull_membranes_back(const ltc_tokens *k, const ltc_row *row, const membrane_gradients *d) {
    const ltc *l = k->l;
    const membranes *m = &l->membranes;
    const int n = l->width;
    const real *kept = ltc_on_tape(k, k->kept, 2 * n, row);
    real *ddrive = ltc_at(l, k->s.drive, row->slot), *ddecay = ltc_at(l, k->s.decay, row->slot);
    real *dinput = row_at(l->dinput, l->time, 2 * n, row->b, row->t);
    for (int i = 0; i < n; i += VEC) {
        const int left = n - i;
        const vec capacity = vec_get(m->capacity + i, left);
        const vec dn = vec_get(ddrive + i, left) / capacity, dl = vec_get(ddecay + i, left) / capacity;
        vec_add_to(d->capacity + i, -dn * vec_get(kept + i, left) - dl * vec_get(kept + n + i, left), left);
        vec_add_to(d->leak + i, dn * vec_get(m->rest + i, left) + dl, left);
        vec_add_to(d->rest + i, dn * vec_get(m->leak + i, left), left);
        vec_add_to(dinput + i, dn, left);
        if (l->adaptive) vec_add_to(dinput + n + i, dl, left);
        vec_put(ddrive + i, dn, left);
        vec_put(ddecay + i, dl, left);
    }
}

static void pull_back(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const sums d = sums_of_group(k, row->b / ltc_rows_of_group(l));
    pull_membranes_back(k, row, &d.membranes);
    real *dpoint = ltc_at(l, k->s.dpoint[row->evaluation % solver_stages(l->solver)], row->slot);
    synapses_pull_back(l->synapses, l->adaptive, ltc_on_tape(k, k->points, l->width, row),
                       ltc_at(l, k->s.drive, row->slot), ltc_at(l, k->s.decay, row->slot), &d.synapses,
                       dpoint);
}

const ltc_equation ltc_synaptic = {2, evaluate, recall, pull_back};

void ltc_synaptic_begin(const ltc_tokens *k) {
    memset(k->s.synaptic, 0, ltc_synaptic_sums(k->l) * sizeof(real));
}

void ltc_synaptic_end(const ltc_tokens *k) {
    const ltc *l = k->l;
    const int n = l->width, groups = ltc_row_groups(l), ld = group_values(l);
    const sums first = sums_of_group(k, 0);
    const membrane_gradients *by = &first.membranes, *of = &l->dmembranes;
    synapses_sum_groups(groups, synapses_of(l), k->s.synaptic, ld, &l->dsynapses);
    column_sum(groups, n, by->leak, ld, of->leak, of->adds_leak);
    column_sum(groups, n, by->rest, ld, of->rest, of->adds_rest);
    column_sum(groups, n, by->capacity, ld, of->capacity, of->adds_capacity);
}
