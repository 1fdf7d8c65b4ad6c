#include "graph/carried_rows.h"

#include "kernels/recurrence/rows.h"

#include <string.h>

void carried_rows_begin(const graph *g, const run_context *c, const tensor *from, tensor *first) {
    const size_t bytes = first->count * sizeof(real);
    if (from)
        memcpy(first->data, from->data, bytes);
    else
        memset(first->data, 0, bytes);
    const size_t width = (size_t)tensor_width(first);
    for (int b = 0; b < g->batch; b++)
        if (row_begins(c->begins, g->time, b, 0))
            memset(first->data + (size_t)b * width, 0, width * sizeof(real));
}

void carried_rows_end(const graph *g, const tensor *all, const tensor *to) {
    if (!to || to->kind != TENSOR_STATE) return;
    const int width = tensor_width(all);
    for (int b = 0; b < g->batch; b++)
        memcpy(to->data + (size_t)b * (size_t)width, row_at(all->data, g->time, width, b, g->time - 1),
               (size_t)width * sizeof(real));
}
