// What kernel sources include: the vectors and the kernels of the instruction set that they are compiled
// for.
#ifndef RUNEXP_KERNELS_DECLARATIONS_H
#define RUNEXP_KERNELS_DECLARATIONS_H

#include "kernels/isa.h"
#include "kernels/kernels.h"

#define KERNEL(result, name, parameters) result name parameters ISA_SYMBOL(name);
#include "kernels/list.h"

// What gemm multiplies with where there is no special unit (products/vector.c).
extern const struct micro_kernel vector_micro_kernel ISA_SYMBOL(vector_micro_kernel);

// Fills in all kernels but not the name (table.c).
void table_init(kernel_table *table) ISA_SYMBOL(table_init);

#endif
