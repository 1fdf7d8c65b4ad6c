// A recurrence through gates: what LSTM and GRU have in common, one product with the state before each
// token and then a cell. The products with the inputs of all tokens come before it and after it
// (graph/ops_recurrence.c); here is what must go from token to token.
#include "kernels/recurrence/cell.h"
#include "kernels/recurrence/rows.h"
#include "kernels/recurrence/through_time.h"

#include "kernels/sizes.h"

#include <string.h>

static const cell *cell_of(const recurrence *r) {
    return r->cell == CELL_LSTM ? &lstm_cell : &gru_cell;
}

size_t recurrence_workspace(cell_type type, int batch, int width) {
    const size_t rows = (size_t)batch * (size_t)(cell_gates(type) + 2);
    return (rows + 1) * (size_t)width * sizeof(real);
}

// Scratch of the rows: sums of the gates, then gradients of h and c; and one row of zeros.
typedef struct scratch {
    real *recurrent, *dh, *dc, *zeros;
} scratch;

static scratch scratch_of(const recurrence *r) {
    const size_t values = (size_t)r->batch * (size_t)r->width;
    real *recurrent = r->workspace, *dh = recurrent + values * (size_t)cell_gates(r->cell);
    return (scratch){recurrent, dh, dh + values, dh + 2 * values};
}

static void clear_zeros(const recurrence *r) {
    memset(scratch_of(r).zeros, 0, (size_t)r->width * sizeof(real));
}

static bool begins(const recurrence *r, int b, int t) {
    return row_begins(r->begins, r->time, b, t);
}

// What the cell goes on from.
static const real *state_before(const recurrence *r, real *of, const real *first, int b, int t) {
    return begins(r, b, t) ? scratch_of(r).zeros : row_before(of, first, r->time, r->width, b, t);
}

// --- forward

static void multiply_forward(const recurrence *r, int t, int begin, int end) {
    const int R = r->width, N = cell_gates(r->cell) * R;
    const gemm_epilogue epilogue = {.bias = r->bias};
    gemm_packed(false, end - begin, N, R, row_before(r->h, r->h_first, r->time, R, begin, t),
                t > 0 ? r->time * R : R, r->weight, scratch_of(r).recurrent + (size_t)begin * (size_t)N, N,
                &epilogue);
}

// The sums of the gates of a row whose h is zero.
static void put_bias(const recurrence *r, int b) {
    const size_t N = (size_t)cell_gates(r->cell) * (size_t)r->width;
    real *sums = scratch_of(r).recurrent + (size_t)b * N;
    if (r->bias)
        memcpy(sums, r->bias, N * sizeof(real));
    else
        memset(sums, 0, N * sizeof(real));
}

static void advance_rows(const void *of, int t, int begin, int end) {
    const recurrence *r = of;
    const cell *c = cell_of(r);
    const int R = r->width, N = cell_gates(r->cell) * R;
    for (int b = begin; b < end; b++) {
        if (begins(r, b, t)) put_bias(r, b);
        const cell_step step = {
            .width = R,
            .recurrent = scratch_of(r).recurrent + (size_t)b * (size_t)N,
            .gates = row_at(r->gates, r->time, N, b, t),
            .saved = row_at(r->saved, r->time, R, b, t),
            .h_prev = state_before(r, r->h, r->h_first, b, t),
            .c_prev = state_before(r, r->saved, r->c_first, b, t),
            .h = row_at(r->h, r->time, R, b, t),
        };
        c->forward(&step);
    }
}

// --- backward

static void retreat_rows(const void *of, int t, int begin, int end) {
    const recurrence *r = of;
    const cell *c = cell_of(r);
    const int R = r->width, N = cell_gates(r->cell) * R;
    const scratch s = scratch_of(r);
    for (int b = begin; b < end; b++) {
        const size_t row = (size_t)b * (size_t)R;
        const cell_gradient step = {
            .width = R,
            .gates = row_at(r->gates, r->time, N, b, t),
            .saved = row_at(r->saved, r->time, R, b, t),
            .recurrent = s.recurrent + (size_t)b * (size_t)N,
            .h_prev = state_before(r, r->h, r->h_first, b, t),
            .c_prev = state_before(r, r->saved, r->c_first, b, t),
            .dy = r->dy + row_offset(r->time, R, b, t),
            .dh = s.dh + row,
            .dc = s.dc + row,
        };
        c->backward(&step);
    }
}

// And no gradient to what came before a token that begins.
static void multiply_backward(const recurrence *r, int t, int begin, int end) {
    const int R = r->width, K = cell_gates(r->cell) * R;
    const scratch s = scratch_of(r);
    const gemm_epilogue epilogue = {.accumulate = true};
    gemm_packed(false, end - begin, R, K, s.recurrent + (size_t)begin * (size_t)K, K, r->weight,
                s.dh + (size_t)begin * (size_t)R, R, &epilogue);
    for (int b = begin; b < end; b++) {
        if (!begins(r, b, t)) continue;
        memset(s.dh + (size_t)b * (size_t)R, 0, (size_t)R * sizeof(real));
        memset(s.dc + (size_t)b * (size_t)R, 0, (size_t)R * sizeof(real));
    }
}

// --- through time

static double operations_of_row(const recurrence *r) {
    return (double)divide_up(r->width, VEC) * CELL_OPERATIONS;
}

static void advance(const void *of, int t, int begin, int end) {
    multiply_forward(of, t, begin, end);
    share_rows(advance_rows, of, t, begin, end, operations_of_row(of));
}

static void retreat(const void *of, int t, int begin, int end) {
    share_rows(retreat_rows, of, t, begin, end, operations_of_row(of));
    multiply_backward(of, t, begin, end);
}

void recurrence_forward(const recurrence *r) {
    clear_zeros(r);
    through_time(r->batch, r->time, false, advance, r);
}

void recurrence_backward(const recurrence *r) {
    const scratch s = scratch_of(r);
    const size_t bytes = (size_t)r->batch * (size_t)r->width * sizeof(real);
    clear_zeros(r);
    memset(s.dh, 0, bytes);
    memset(s.dc, 0, bytes);
    through_time(r->batch, r->time, true, retreat, r);
    if (r->dh_first) scale(bytes / sizeof(real), 1, s.dh, r->dh_first, r->adds_dh_first);
    if (r->dc_first) scale(bytes / sizeof(real), 1, s.dc, r->dc_first, r->adds_dc_first);
}
