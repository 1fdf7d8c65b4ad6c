// All kernels of one instruction set.
#include "kernels/declarations.h"

void table_init(kernel_table *table) {
    table->vector_bytes = KERNEL_VECTOR_BYTES;
    table->micro_kernel = &vector_micro_kernel;
#define KERNEL(result, name, parameters) table->name = name;
#include "kernels/list.h"
}
