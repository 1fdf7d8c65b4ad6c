// The kernels of one instruction set.
#include "kernels/declarations.h"

extern const kernel_table table ISA_SYMBOL(kernel_table);

const kernel_table table = {
    .name = ISA_NAME,
    .vector_bytes = KERNEL_VECTOR_BYTES,
#define KERNEL(result, name, parameters) .name = name,
#include "kernels/list.h"
};
