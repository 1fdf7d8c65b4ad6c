// The way of a liquid time-constant network through the tokens: in each, some evaluations of the equation,
// every one after a product with the recurrent weight. What the forward step leaves on the tape (or the
// backward step, which then goes through some tokens again) makes the gradient of that weight one product
// over all evaluations.
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"
#include "kernels/recurrence/synapses.h"
#include "kernels/recurrence/through_time.h"

#include "kernels/parallel.h"
#include "kernels/products/micro_kernel.h"
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

static size_t row_bytes(const ltc *l) {
    return (size_t)l->width * sizeof(real);
}

static bool is_adaptive(const ltc *l) {
    return l->solver == SOLVER_DOPRI5;
}

// Evaluations of a token: as many as there are, or may be.
static int most_evaluations(const ltc *l) {
    return is_adaptive(l) ? LTC_ADAPTIVE_STEPS * solver_stages(l->solver) : ltc_evaluations(l);
}

// Evaluations on a tape in scratch memory: of at least one token of each row.
static size_t tape_rows(const ltc *l) {
    const size_t token = (size_t)l->batch * (size_t)most_evaluations(l);
    const size_t all = token * (size_t)l->time,
                 room = TAPE_BYTES / ((1 + (size_t)ltc_equation_of(l)->kept) * row_bytes(l));
    return room < token ? token : room < all ? room : all;
}

// Takes `bytes` from *at on, aligned for vectors.
static void *take(char **at, size_t bytes) {
    char *const p = *at;
    *at += (bytes + 63) & ~(size_t)63;
    return p;
}

static void lay_out_solver(const ltc *l, bool backward, char **at, ltc_scratch *s) {
    const size_t bytes = row_values(l) * sizeof(real);
    const int stages = solver_stages(l->solver);
    if (l->solver == SOLVER_SEMI_IMPLICIT) {
        s->dpoint[0] = s->dstate; // with one stage, the gradients of the point and of the state are one
        return;
    }
    s->state = take(at, bytes);
    for (int i = 0; i < (is_adaptive(l) ? stages + 1 : stages); i++) s->slope[i] = take(at, bytes);
    for (int i = 0; backward && i < stages; i++) s->dpoint[i] = take(at, bytes);
    if (!is_adaptive(l)) return;
    s->progress = take(at, (size_t)l->batch * sizeof *s->progress);
    s->chosen = take(at, (size_t)l->batch * sizeof *s->chosen);
    if (backward) s->places = take(at, (size_t)l->batch * (size_t)l->time * sizeof *s->places);
}

// Lays the scratch memory out from `memory` on and returns its end.
static char *lay_out(const ltc *l, bool backward, char *memory, ltc_scratch *s) {
    const size_t bytes = row_values(l) * sizeof(real), tape = tape_rows(l) * row_bytes(l);
    char *at = memory;
    *s = (ltc_scratch){.rate = take(&at, row_bytes(l))};
    s->drive = take(&at, bytes), s->decay = take(&at, bytes);
    s->point = take(&at, bytes), s->sums = take(&at, bytes);
    if (backward) {
        s->dstate = take(&at, bytes), s->dsums = take(&at, bytes);
        s->damplitude = take(&at, bytes), s->drate = take(&at, bytes);
        if (!l->points)
            s->points = take(&at, tape), s->kept = take(&at, (size_t)ltc_equation_of(l)->kept * tape);
    }
    lay_out_solver(l, backward, &at, s);
    if (backward && l->synapses) s->synaptic = take(&at, ltc_synaptic_sums(l) * sizeof(real));
    // A product over any number of evaluations needs no more than one pass.
    if (backward && !l->synapses)
        s->product = take(&at, gemm_workspace(l->width, kernels->micro_kernel->KC));
    return at;
}

size_t ltc_workspace(const ltc *l, bool backward) {
    ltc_scratch s;
    char start[1];
    return (size_t)(lay_out(l, backward, start, &s) - start);
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
    if (!l->synapses) put_rates(l, k.s.rate);
    return k;
}

// --- rows of a token

typedef struct rows_of_token {
    const ltc_tokens *k;
    ltc_work *work;
    const ltc_group *group;
    int t, evaluation;
} rows_of_token;

static void do_rows(const void *context, pool_share share) {
    const rows_of_token *r = context;
    const ltc_group *g = r->group;
    for (int i = share.begin; i < share.end; i++)
        r->work(r->k, &(ltc_row){g->rows ? g->rows[i] : g->first + i, g->first + i, r->t, r->evaluation});
}

void ltc_for_rows(const ltc_tokens *k, ltc_work *work, const ltc_group *group, int t, int evaluation) {
    const rows_of_token r = {k, work, group, t, evaluation};
    const double operations = (double)group->count * divide_up(k->l->width, VEC) * EVALUATION_OPERATIONS;
    parallel_for_short(group->count, operations, do_rows, &r);
}

void ltc_multiply(const ltc_tokens *k, const ltc_group *group) {
    const ltc *l = k->l;
    const int n = l->width;
    if (l->synapses) return;
    gemm_packed(false, group->count, n, n, ltc_at(l, k->s.point, group->first), n, l->weight,
                ltc_at(l, k->s.sums, group->first), n, NULL);
}

static void multiply_back(const ltc_tokens *k, const ltc_group *group, int stage) {
    const ltc *l = k->l;
    const int n = l->width;
    const gemm_epilogue epilogue = {.accumulate = true};
    if (l->synapses) return;
    gemm_packed(false, group->count, n, n, ltc_at(l, k->s.dsums, group->first), n, l->weight_backward,
                ltc_at(l, k->s.dpoint[stage], group->first), n, &epilogue);
}

// The rows begin to end - 1 that take a step of that number; none after the last.
static ltc_group group_of_step(const ltc_tokens *k, int t, int step, int begin, int end) {
    if (is_adaptive(k->l)) return ltc_group_of_step(k, t, step, begin, end);
    return (ltc_group){begin, step < k->l->steps ? end - begin : 0, NULL};
}

// --- forward

static void begin_token(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    real *point = ltc_at(l, k->s.point, row->slot);
    if (row_begins(l->begins, l->time, row->b, row->t))
        memset(point, 0, row_bytes(l));
    else
        memcpy(point, row_before(l->x, l->x_first, l->time, l->width, row->b, row->t), row_bytes(l));
    if (k->s.state) memcpy(ltc_at(l, k->s.state, row->b), point, row_bytes(l));
}

static void begin_step(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    memcpy(ltc_at(l, k->s.point, row->slot), ltc_at(l, k->s.state, row->b), row_bytes(l));
}

static void evaluate_and_step(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    if (k->points)
        memcpy(ltc_on_tape(k, k->points, l->width, row), ltc_at(l, k->s.point, row->slot), row_bytes(l));
    ltc_equation_of(l)->evaluate(k, row);
    ltc_step(k, row);
}

static void end_token(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    real *state = k->s.state ? k->s.state : k->s.point;
    memcpy(row_at(l->x, l->time, l->width, row->b, row->t), ltc_at(l, state, row->b), row_bytes(l));
}

static void take_steps(const ltc_tokens *k, int t, int begin, int end) {
    const int stages = solver_stages(k->l->solver);
    for (int step = 0;; step++) {
        const ltc_group group = group_of_step(k, t, step, begin, end);
        if (group.count == 0) return;
        if (group.rows) ltc_for_rows(k, begin_step, &group, t, 0);
        for (int stage = 0; stage < stages; stage++) {
            ltc_multiply(k, &group);
            ltc_for_rows(k, evaluate_and_step, &group, t, step * stages + stage);
        }
    }
}

static void advance_rows(const ltc_tokens *k, int token, int begin, int end) {
    const int t = k->first + token;
    const ltc_group all = {begin, end - begin, NULL};
    ltc_for_rows(k, begin_token, &all, t, 0);
    if (is_adaptive(k->l) && !k->again)
        ltc_choose_steps(k, &all, t);
    else
        take_steps(k, t, begin, end);
    if (!k->again) ltc_for_rows(k, end_token, &all, t, 0);
}

// Calls `rows` with the rows of the groups begin to end - 1: of all at once, for the sake of products; or,
// with synapses, of one after the other, whose sums then stay in the cache for a token.
typedef void rows_step(const ltc_tokens *k, int token, int begin, int end);

typedef struct shared_rows {
    const ltc_tokens *k;
    rows_step *rows;
    int token, first; // first group
} shared_rows;

static void take_groups(const void *context, pool_share share) {
    const shared_rows *r = context;
    const int each = ltc_rows_of_group(r->k->l), batch = r->k->l->batch;
    for (int b = (r->first + share.begin) * each; b < smaller((r->first + share.end) * each, batch); b++)
        r->rows(r->k, r->token, b, b + 1);
}

static void for_groups(const ltc_tokens *k, rows_step *rows, int token, int begin, int end) {
    const shared_rows r = {k, rows, token, begin};
    const ltc *l = k->l;
    const double vectors = (double)l->batch * l->width * divide_up(l->width, VEC) * ltc_evaluations(l);
    if (l->synapses)
        parallel_for_short(end - begin, vectors * SYNAPSE_OPERATIONS, take_groups, &r);
    else
        rows(k, token, begin, end);
}

static void advance(const void *of, int token, int begin, int end) {
    for_groups(of, advance_rows, token, begin, end);
}

void ltc_forward(const ltc *l) {
    const ltc_tokens k = all_tokens(l, false);
    through_time(ltc_row_groups(l), l->time, false, advance, &k);
}

// --- backward

static void meet_gradient(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const int n = l->width;
    const real *dx = l->dx + row_offset(l->time, n, row->b, row->t);
    real *dstate = ltc_at(l, k->s.dstate, row->b);
    for (int i = 0; i < n; i += VEC) vec_add_to(dstate + i, vec_get(dx + i, n - i), n - i);
    const int inputs = l->synapses ? 2 * n : n;
    if (!l->adds_dinput)
        memset(row_at(l->dinput, l->time, inputs, row->b, row->t), 0, (size_t)inputs * sizeof(real));
}

static void step_back(const ltc_tokens *k, const ltc_row *row) {
    ltc_equation_of(k->l)->recall(k, row);
    ltc_step_back(k, row);
    ltc_equation_of(k->l)->pull_back(k, row);
}

// No gradient to what came before a token that begins.
static void leave_gradient(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    if (row_begins(l->begins, l->time, row->b, row->t))
        memset(ltc_at(l, k->s.dstate, row->b), 0, row_bytes(l));
}

static void retreat_rows(const ltc_tokens *k, int token, int begin, int end) {
    const ltc *l = k->l;
    const int t = k->first + token, stages = solver_stages(l->solver);
    const ltc_group all = {begin, end - begin, NULL};
    int step = 0;
    while (group_of_step(k, t, step, begin, end).count > 0) step++;
    ltc_for_rows(k, meet_gradient, &all, t, 0);
    while (step-- > 0) {
        const ltc_group group = group_of_step(k, t, step, begin, end);
        for (int stage = stages - 1; stage >= 0; stage--) {
            ltc_for_rows(k, step_back, &group, t, step * stages + stage);
            multiply_back(k, &group, stage);
        }
        if (k->s.dpoint[0] != k->s.dstate) ltc_for_rows(k, ltc_step_end, &group, t, 0);
    }
    ltc_for_rows(k, leave_gradient, &all, t, 0);
}

static void retreat(const void *of, int token, int begin, int end) {
    for_groups(of, retreat_rows, token, begin, end);
}

// Evaluations of all rows in token t.
static size_t evaluations_of_token(const ltc *l, int t) {
    if (!is_adaptive(l)) return (size_t)l->batch * (size_t)ltc_evaluations(l);
    size_t steps = 0;
    for (int b = 0; b < l->batch; b++) steps += (size_t)ltc_steps_taken(l, b, t);
    return steps * (size_t)solver_stages(l->solver);
}

// Of the tokens before `end`, as many as the tape takes; sets *rows to what they take of it.
static void choose_tokens(ltc_tokens *k, int end, size_t *rows) {
    const ltc *l = k->l;
    const size_t room = l->points ? SIZE_MAX : tape_rows(l);
    k->first = end, *rows = 0;
    while (k->first > 0) {
        const size_t more = evaluations_of_token(l, k->first - 1);
        if (*rows + more > room) break;
        *rows += more;
        k->first--;
    }
    k->count = end - k->first;
    if (!k->s.places) return;
    size_t next = 0;
    for (int b = 0; b < l->batch; b++)
        for (int t = k->first; t < end; t++) {
            k->s.places[(size_t)b * (size_t)l->time + (size_t)t] = (int)next;
            next += (size_t)(ltc_steps_taken(l, b, t) * solver_stages(l->solver));
        }
}

// Goes back from token end - 1, the ones after it being done, and returns where it stopped.
static int retreat_from(ltc_tokens *k, int end) {
    const ltc *l = k->l;
    const int n = l->width;
    const gemm_epilogue epilogue = {.accumulate = l->adds_dweight || end < l->time};
    size_t rows;
    choose_tokens(k, end, &rows);
    if (k->again) through_time(ltc_row_groups(l), k->count, false, advance, k);
    through_time(ltc_row_groups(l), k->count, true, retreat, k);
    if (l->synapses) return k->first;
    gemm(true, false, n, n, (int)rows, k->kept, n, k->points, n, l->dweight, n, &epilogue, k->s.product);
    return k->first;
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
    memset(k.s.dstate, 0, values * sizeof(real));
    if (l->synapses) {
        ltc_synaptic_begin(&k);
    } else {
        memset(k.s.damplitude, 0, values * sizeof(real));
        memset(k.s.drate, 0, values * sizeof(real));
    }
    if (!l->points) k.points = k.s.points, k.kept = k.s.kept, k.again = true;
    for (int end = l->time; end > 0;) end = retreat_from(&k, end);
    if (l->synapses)
        ltc_synaptic_end(&k);
    else
        sum_rows(l, &k.s);
    if (l->dx_first) scale(values, 1, k.s.dstate, l->dx_first, l->adds_dx_first);
}
