#include "kernels/recurrence/mixed_memory.h"

#include "kernels/recurrence/cell.h"
#include "kernels/recurrence/rows.h"
#include "kernels/recurrence/through_time.h"
#include "kernels/sizes.h"

#include <string.h>

typedef struct backward_rows {
    const mixed_memory *m;
    real *dh;
} backward_rows;

static int gates_width(const mixed_memory *m) {
    return cell_gates(CELL_LSTM) * m->width;
}

static double operations_of_row(const mixed_memory *m) {
    return (double)divide_up(m->width, VEC) * CELL_OPERATIONS;
}

// A document begins without c: its h_before is zero.
static const real *c_before(const mixed_memory *m, int b, int t) {
    const int R = m->width;
    if (row_begins(m->begins, m->time, b, t)) return row_at(m->h_before, m->time, R, b, t);
    return row_before(m->c, m->c_first, m->time, R, b, t);
}

// The sums of input and state change places with those of recurrence.c: the cell overwrites the state's.
static void rows_forward(const void *of, int t, int begin, int end) {
    const mixed_memory *m = of;
    const int R = m->width, N = gates_width(m);
    for (int b = begin; b < end; b++) {
        const cell_step step = {.width = R,
                                .recurrent = row_at(m->sums, m->time, N, b, t),
                                .gates = row_at(m->gates, m->time, N, b, t),
                                .saved = row_at(m->c, m->time, R, b, t),
                                .c_prev = c_before(m, b, t),
                                .h = row_at(m->h, m->time, R, b, t)};
        lstm_cell.forward(&step);
    }
}

static void rows_backward(const void *of, int t, int begin, int end) {
    const backward_rows *k = of;
    const mixed_memory *m = k->m;
    const int R = m->width, N = gates_width(m);
    for (int b = begin; b < end; b++) {
        const cell_gradient step = {.width = R,
                                    .recurrent = row_at(m->dsums, m->time, N, b, t),
                                    .gates = row_at(m->gates, m->time, N, b, t),
                                    .saved = row_at(m->c, m->time, R, b, t),
                                    .c_prev = c_before(m, b, t),
                                    .dy = m->zeros,
                                    .dh = k->dh + (size_t)b * (size_t)R,
                                    .dc = m->dc + (size_t)b * (size_t)R};
        lstm_cell.backward(&step);
    }
}

void mixed_memory_advance(const mixed_memory *m, int t, int begin, int end) {
    const int R = m->width, N = gates_width(m);
    gemm_packed(false, end - begin, N, R, row_at(m->h_before, m->time, R, begin, t), m->time * R, m->weight,
                row_at(m->gates, m->time, N, begin, t), m->time * N, NULL);
    share_rows(rows_forward, m, t, begin, end, operations_of_row(m));
}

void mixed_memory_retreat(const mixed_memory *m, real *dh, int t, int begin, int end) {
    const int R = m->width, K = gates_width(m);
    share_rows(rows_backward, &(backward_rows){m, dh}, t, begin, end, operations_of_row(m));
    if (t == 0) return;
    gemm_packed(false, end - begin, R, K, row_at(m->dsums, m->time, K, begin, t), m->time * K, m->weight,
                dh + (size_t)begin * (size_t)R, R, NULL);
    for (int b = begin; b < end; b++)
        if (row_begins(m->begins, m->time, b, t))
            memset(m->dc + (size_t)b * (size_t)R, 0, (size_t)R * sizeof(real));
}
