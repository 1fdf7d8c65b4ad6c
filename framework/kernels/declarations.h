// What kernel sources include: the vectors and the kernels of the instruction set that they are compiled
// for.
#ifndef RUNEXP_KERNELS_DECLARATIONS_H
#define RUNEXP_KERNELS_DECLARATIONS_H

#include "kernels/isa.h"
#include "kernels/kernels.h"

#define KERNEL(result, name, parameters) result name parameters ISA_SYMBOL(name);
#include "kernels/list.h"

#endif
