// One presynaptic row through synapses, and back.
#ifndef RUNEXP_KERNELS_RECURRENCE_SYNAPSES_H
#define RUNEXP_KERNELS_RECURRENCE_SYNAPSES_H

#include "kernels/declarations.h"

// Adds to drive and decay (out each) what the synapses make of v (in); to drive alone, unless `conducts`.
void synapses_add(const synapses *s, bool conducts, const real *v, real *drive, real *decay)
    ISA_SYMBOL(synapses_add);

// Adds to d, arrays in x out, the gradients of the synapses' arrays, from those of drive and decay; and to
// dv (NULL: not wanted) that of v.
void synapses_pull_back(const synapses *s, bool conducts, const real *v, const real *ddrive,
                        const real *ddecay, const synapse_gradients *d, real *dv)
    ISA_SYMBOL(synapses_pull_back);

#endif
