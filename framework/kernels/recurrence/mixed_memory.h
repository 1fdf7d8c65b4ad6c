// A memory in front of another recurrent layer's cell (struct mixed_memory): its part of a token's step.
#ifndef RUNEXP_KERNELS_RECURRENCE_MIXED_MEMORY_H
#define RUNEXP_KERNELS_RECURRENCE_MIXED_MEMORY_H

#include "kernels/declarations.h"

// Of token t, for rows begin to end - 1 of the batch (through_time.h): makes h of what the layer's cell left
// in h_before.
void mixed_memory_advance(const mixed_memory *m, int t, int begin, int end)
    ISA_SYMBOL(mixed_memory_advance);

// Turns dh, batch x R, from the gradient of this token's h into that of its h_before; that of c stays in dc,
// which is zero at first.
void mixed_memory_retreat(const mixed_memory *m, real *dh, int t, int begin, int end)
    ISA_SYMBOL(mixed_memory_retreat);

#endif
