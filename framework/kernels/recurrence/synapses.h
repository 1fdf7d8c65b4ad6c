// One presynaptic row through synapses, and back.
#ifndef RUNEXP_KERNELS_RECURRENCE_SYNAPSES_H
#define RUNEXP_KERNELS_RECURRENCE_SYNAPSES_H

#include "kernels/declarations.h"

enum { SYNAPSE_OPERATIONS = 25 }; // vector operations, for a vector of synapses

// Adds to drive and decay (out each) what the synapses make of v (in); to drive alone, unless `conducts`.
void synapses_add(const synapses *s, bool conducts, const real *v, real *drive, real *decay)
    ISA_SYMBOL(synapses_add);

// Adds to d, arrays in x out, the gradients of the synapses' arrays, from those of drive and decay; and to
// dv (NULL: not wanted) that of v.
void synapses_pull_back(const synapses *s, bool conducts, const real *v, const real *ddrive,
                        const real *ddecay, const synapse_gradients *d, real *dv)
    ISA_SYMBOL(synapses_pull_back);

// The gradients that a group of rows sums up, in 4 x values reals from `sums` on.
static inline synapse_gradients synapse_sums(real *sums, size_t values) {
    return (synapse_gradients){
        .w = sums, .sigma = sums + values, .mu = sums + 2 * values, .erev = sums + 3 * values};
}

// The sums over groups, whose sums stand ld reals apart.
void synapses_sum_groups(int groups, int values, const real *sums, int ld, const synapse_gradients *to)
    ISA_SYMBOL(synapses_sum_groups);

#endif
