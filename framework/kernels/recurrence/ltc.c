// The way of a liquid time-constant network through the tokens: in each, some evaluations of the equation,
// every one after a product with the recurrent weight. What the forward step leaves on the tape (or the
// backward step, which then goes through some tokens again) makes the gradient of that weight one product
// over all evaluations.
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"
#include "kernels/recurrence/through_time.h"

#include "kernels/parallel.h"
#include "kernels/sizes.h"

#include <string.h>

enum {
    EVALUATION_OPERATIONS = 100, // vector operations of an evaluation and its part of a step, for a vector
    TAPE_BYTES = 4 << 20,        // of the tokens that the backward step goes through again at once
};

// --- memory

static size_t row_values(const ltc *l) {
    return (size_t)l->batch * (size_t)l->width;
}

// Tokens on the tape: all, or as many as TAPE_BYTES takes.
static int tokens_at_once(const ltc *l, bool has_tape) {
    if (has_tape) return l->time;
    const size_t bytes = 2 * row_values(l) * (size_t)ltc_evaluations(l) * sizeof(real);
    return bytes > TAPE_BYTES ? 1 : smaller((int)(TAPE_BYTES / bytes), l->time);
}

// Takes `values` reals, aligned for vectors, from *at.
static real *take(real **at, size_t values) {
    real *const p = *at;
    *at += (values + 15) & ~(size_t)15;
    return p;
}

// Lays the scratch memory out from `memory` on and returns its end. With one stage, the gradients of the
// point and of the state are one.
static real *lay_out(const ltc *l, bool backward, real *memory, ltc_scratch *s) {
    const size_t values = row_values(l);
    const int stages = solver_stages(l->solver);
    const bool is_explicit = l->solver != SOLVER_SEMI_IMPLICIT;
    real *at = memory;
    *s = (ltc_scratch){.rate = take(&at, (size_t)l->width)};
    s->drive = take(&at, values), s->decay = take(&at, values);
    s->point = take(&at, values), s->sums = take(&at, values);
    if (is_explicit) {
        s->state = take(&at, values);
        for (int i = 0; i < stages; i++) s->slope[i] = take(&at, values);
    }
    if (!backward) return at;
    s->dstate = take(&at, values), s->dsums = take(&at, values);
    s->damplitude = take(&at, values), s->drate = take(&at, values);
    if (!is_explicit) s->dpoint[0] = s->dstate;
    for (int i = 0; is_explicit && i < stages; i++) s->dpoint[i] = take(&at, values);
    if (!l->points) {
        const size_t tape = values * (size_t)(tokens_at_once(l, false) * ltc_evaluations(l));
        s->points = take(&at, tape), s->kept = take(&at, tape);
    }
    s->product = at;
    return at;
}

size_t ltc_workspace(const ltc *l, bool backward) {
    ltc_scratch s;
    real start[1];
    size_t bytes = (size_t)(lay_out(l, backward, start, &s) - start) * sizeof(real);
    if (backward)
        bytes +=
            gemm_workspace(l->width, l->batch * tokens_at_once(l, l->points != NULL) * ltc_evaluations(l));
    return bytes;
}

static void put_rates(const ltc *l, real *rate) {
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        const vec tau = l->tau ? vec_get(l->tau + i, left) : vec_set((real)l->fixed_tau);
        vec_put(rate + i, 1 / tau, left);
    }
}

static ltc_tokens all_tokens(const ltc *l, bool backward) {
    ltc_tokens k = {.l = l, .count = l->time, .points = l->points, .kept = l->kept};
    lay_out(l, backward, l->workspace, &k.s);
    put_rates(l, k.s.rate);
    return k;
}

// --- rows of a token, shared out where a thread does not have them to itself

typedef void row_work(const ltc_tokens *k, const ltc_row *row);

typedef struct rows_of_token {
    const ltc_tokens *k;
    row_work *work;
    int t, evaluation, first; // first row
} rows_of_token;

static void do_rows(const void *context, pool_share share) {
    const rows_of_token *r = context;
    for (int i = share.begin; i < share.end; i++)
        r->work(r->k, &(ltc_row){r->first + i, r->t, r->evaluation});
}

static void for_rows(const ltc_tokens *k, row_work *work, int t, int evaluation, int begin, int end) {
    const rows_of_token r = {k, work, t, evaluation, begin};
    const double operations = (double)(end - begin) * divide_up(k->l->width, VEC) * EVALUATION_OPERATIONS;
    parallel_for_short(end - begin, operations, do_rows, &r);
}

// --- forward

static size_t row_bytes(const ltc *l) {
    return (size_t)l->width * sizeof(real);
}

static void begin_token(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    real *point = ltc_at(l, k->s.point, row->b);
    if (row_begins(l->begins, l->time, row->b, row->t))
        memset(point, 0, row_bytes(l));
    else
        memcpy(point, row_before(l->x, l->x_first, l->time, l->width, row->b, row->t), row_bytes(l));
    if (k->s.state) memcpy(ltc_at(l, k->s.state, row->b), point, row_bytes(l));
}

static void evaluate_and_step(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    if (k->points) memcpy(ltc_on_tape(k, k->points, row), ltc_at(l, k->s.point, row->b), row_bytes(l));
    ltc_evaluate(k, row);
    ltc_step(k, row);
}

static void end_token(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    memcpy(row_at(l->x, l->time, l->width, row->b, row->t), ltc_at(l, k->s.point, row->b), row_bytes(l));
}

static void advance(const void *of, int token, int begin, int end) {
    const ltc_tokens *k = of;
    const ltc *l = k->l;
    const int n = l->width, t = k->first + token;
    for_rows(k, begin_token, t, 0, begin, end);
    for (int e = 0; e < ltc_evaluations(l); e++) {
        gemm_packed(false, end - begin, n, n, ltc_at(l, k->s.point, begin), n, l->weight,
                    ltc_at(l, k->s.sums, begin), n, NULL);
        for_rows(k, evaluate_and_step, t, e, begin, end);
    }
    for_rows(k, end_token, t, 0, begin, end);
}

void ltc_forward(const ltc *l) {
    const ltc_tokens k = all_tokens(l, false);
    through_time(l->batch, l->time, false, advance, &k);
}

// --- backward

static void meet_gradient(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const int n = l->width;
    const real *dx = row_at((real *)l->dx, l->time, n, row->b, row->t);
    real *dstate = ltc_at(l, k->s.dstate, row->b);
    for (int i = 0; i < n; i += VEC)
        vec_put(dstate + i, vec_get(dstate + i, n - i) + vec_get(dx + i, n - i), n - i);
    if (!l->adds_dinput) memset(row_at(l->dinput, l->time, n, row->b, row->t), 0, row_bytes(l));
}

static void step_back(const ltc_tokens *k, const ltc_row *row) {
    ltc_recall(k, row);
    ltc_step_back(k, row);
    ltc_pull_back(k, row);
}

// No gradient to what came before a token that begins.
static void leave_gradient(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    if (row_begins(l->begins, l->time, row->b, row->t))
        memset(ltc_at(l, k->s.dstate, row->b), 0, row_bytes(l));
}

static void retreat(const void *of, int token, int begin, int end) {
    const ltc_tokens *k = of;
    const ltc *l = k->l;
    const int n = l->width, t = k->first + token, stages = solver_stages(l->solver);
    const gemm_epilogue epilogue = {.accumulate = true};
    for_rows(k, meet_gradient, t, 0, begin, end);
    for (int e = ltc_evaluations(l) - 1; e >= 0; e--) {
        for_rows(k, step_back, t, e, begin, end);
        gemm_packed(false, end - begin, n, n, ltc_at(l, k->s.dsums, begin), n, l->weight_backward,
                    ltc_at(l, k->s.dpoint[e % stages], begin), n, &epilogue);
        if (e % stages == 0 && k->s.dpoint[0] != k->s.dstate) for_rows(k, ltc_step_end, t, e, begin, end);
    }
    for_rows(k, leave_gradient, t, 0, begin, end);
}

// Tokens first .. first + count - 1, the ones after them being done.
static void retreat_through(ltc_tokens *k, int first, int count) {
    const ltc *l = k->l;
    const int n = l->width;
    const bool last = first + count == l->time;
    const gemm_epilogue epilogue = {.accumulate = l->adds_dweight || !last};
    k->first = first, k->count = count;
    if (!l->points) through_time(l->batch, count, false, advance, k);
    through_time(l->batch, count, true, retreat, k);
    gemm(true, false, n, n, l->batch * count * ltc_evaluations(l), k->kept, n, k->points, n, l->dweight, n,
         &epilogue, k->s.product);
}

// The sums over the rows of the batch; d(1/tau)/dtau = -1/tau^2.
static void sum_rows(const ltc *l, const ltc_scratch *s) {
    const int n = l->width;
    column_sum(l->batch, n, s->damplitude, n, l->damplitude, l->adds_damplitude);
    if (!l->dtau) return;
    column_sum(l->batch, n, s->drate, n, s->sums, false);
    multiply((size_t)n, s->sums, s->rate, s->sums, false);
    scale((size_t)n, -1, s->sums, s->sums, false);
    multiply((size_t)n, s->sums, s->rate, l->dtau, l->adds_dtau);
}

void ltc_backward(const ltc *l) {
    ltc_tokens k = all_tokens(l, true);
    const size_t values = row_values(l);
    const int at_once = tokens_at_once(l, l->points != NULL);
    memset(k.s.dstate, 0, values * sizeof(real));
    memset(k.s.damplitude, 0, values * sizeof(real));
    memset(k.s.drate, 0, values * sizeof(real));
    if (!l->points) k.points = k.s.points, k.kept = k.s.kept;
    for (int end = l->time; end > 0; end -= smaller(at_once, end))
        retreat_through(&k, larger(end - at_once, 0), smaller(at_once, end));
    sum_rows(l, &k.s);
    if (l->dx_first) scale(values, 1, k.s.dstate, l->dx_first, l->adds_dx_first);
}
