#include "kernels/recurrence/mixed_memory.h"

#include "kernels/parallel.h"
#include "kernels/recurrence/cell.h"
#include "kernels/recurrence/rows.h"
#include "kernels/sizes.h"

#include <string.h>

enum { GATES = 4, CELL_OPERATIONS = 200 }; // operations: of the vector functions, for a vector of units

typedef struct token {
    const mixed_memory *m;
    real *dh; // backward
    int t, first;
} token;

// A document begins without c: its h_before is zero.
static const real *c_before(const mixed_memory *m, int b, int t) {
    const int R = m->width;
    if (row_begins(m->begins, m->time, b, t)) return row_at(m->h_before, m->time, R, b, t);
    return row_before(m->c, m->c_first, m->time, R, b, t);
}

// The sums of input and state change places with those of recurrence.c: the cell overwrites the state's.
static void rows_forward(const void *context, pool_share share) {
    const token *k = context;
    const mixed_memory *m = k->m;
    const int R = m->width, t = k->t;
    for (int b = k->first + share.begin; b < k->first + share.end; b++) {
        const cell_step step = {.width = R,
                                .recurrent = row_at(m->sums, m->time, GATES * R, b, t),
                                .gates = row_at(m->gates, m->time, GATES * R, b, t),
                                .saved = row_at(m->c, m->time, R, b, t),
                                .c_prev = c_before(m, b, t),
                                .h = row_at(m->h, m->time, R, b, t)};
        lstm_cell.forward(&step);
    }
}

static void rows_backward(const void *context, pool_share share) {
    const token *k = context;
    const mixed_memory *m = k->m;
    const int R = m->width, t = k->t;
    for (int b = k->first + share.begin; b < k->first + share.end; b++) {
        const cell_gradient step = {.width = R,
                                    .recurrent = row_at(m->dsums, m->time, GATES * R, b, t),
                                    .gates = row_at(m->gates, m->time, GATES * R, b, t),
                                    .saved = row_at(m->c, m->time, R, b, t),
                                    .c_prev = c_before(m, b, t),
                                    .dy = m->zeros,
                                    .dh = k->dh + (size_t)b * (size_t)R,
                                    .dc = m->dc + (size_t)b * (size_t)R};
        lstm_cell.backward(&step);
    }
}

static void share_rows(const token *k, int end, pool_work *work) {
    const int rows = end - k->first;
    parallel_for_short(rows, (double)rows * divide_up(k->m->width, VEC) * CELL_OPERATIONS, work, k);
}

void mixed_memory_advance(const mixed_memory *m, int t, int begin, int end) {
    const int R = m->width, N = GATES * R;
    gemm_packed(false, end - begin, N, R, row_at(m->h_before, m->time, R, begin, t), m->time * R, m->weight,
                row_at(m->gates, m->time, N, begin, t), m->time * N, NULL);
    share_rows(&(token){m, NULL, t, begin}, end, rows_forward);
}

void mixed_memory_retreat(const mixed_memory *m, real *dh, int t, int begin, int end) {
    const int R = m->width, K = GATES * R;
    share_rows(&(token){m, dh, t, begin}, end, rows_backward);
    if (t == 0) return;
    gemm_packed(false, end - begin, R, K, row_at(m->dsums, m->time, K, begin, t), m->time * K, m->weight,
                dh + (size_t)begin * (size_t)R, R, NULL);
    for (int b = begin; b < end; b++)
        if (row_begins(m->begins, m->time, b, t))
            memset(m->dc + (size_t)b * (size_t)R, 0, (size_t)R * sizeof(real));
}
