// Dormand-Prince 5(4) with steps of its own for each row of the batch, so that a row does not depend on
// what it is computed with. All rows of a group try a step at once; those that have reached the end of the
// token wait.
//
// With E, the error of a step (the difference to the method of order 4) relative to the tolerance, a step
// is accepted when E <= 1. Its successor is 0.9 E^-0.14 E_before^0.08 times as long, a PI controller
// (Hairer, Norsett and Wanner, Solving ordinary differential equations I, section II.4; Gustafsson 1991),
// or, after a step that was rejected, 0.9 E^-0.2 times.
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"

#include <math.h>
#include <string.h>

enum { STAGES = 7, FIRST_STEPS = 4 }; // the first step is this part of a token

static const double error_weights[STAGES] = {71 / 57600.0,      0,          -71 / 16695.0, 71 / 1920.0,
                                             -17253 / 339200.0, 22 / 525.0, -1 / 40.0};

static double token_length(const ltc *l) {
    return l->steps * l->step;
}

static real *lengths_of(const ltc *l, int b, int t) {
    return row_at(l->lengths, l->time, LTC_ADAPTIVE_STEPS, b, t);
}

int ltc_steps_taken(const ltc *l, int b, int t) {
    const real *lengths = lengths_of(l, b, t);
    int taken = 0;
    while (taken < LTC_ADAPTIVE_STEPS && lengths[taken] != 0) taken++;
    return taken;
}

static void begin(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    k->s.progress[row->b] = (ltc_progress){.length = token_length(l) / FIRST_STEPS, .last_error = 1};
    if (l->lengths) memset(lengths_of(l, row->b, row->t), 0, LTC_ADAPTIVE_STEPS * sizeof(real));
}

static void evaluate(const ltc_tokens *k, const ltc_row *row) {
    ltc_equation_of(k->l)->evaluate(k, row);
    ltc_put_slope(k, row, row->evaluation);
}

static void put_point(const ltc_tokens *k, const ltc_row *row) {
    ltc_put_point(k, row, row->evaluation);
}

// The root of the mean square over the neurons. After the last stage `point` is x at the end of the step.
static double relative_error(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const real *state = ltc_at(l, s->state, row->b), *point = ltc_at(l, s->point, row->slot);
    const vec h = vec_set((real)s->progress[row->b].length);
    vec sum = (vec){0};
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        vec e = (vec){0};
        for (int j = 0; j < STAGES; j++)
            if (error_weights[j] != 0)
                e += (real)error_weights[j] * vec_get(ltc_at(l, s->slope[j], row->b) + i, left);
        const vec size = vec_max(vec_abs(vec_get(state + i, left)), vec_abs(vec_get(point + i, left)));
        e = h * e / ((real)l->atol + (real)l->rtol * size);
        sum += e * e;
    }
    return sqrt((double)vec_sum(sum) / l->width);
}

static double between(double low, double x, double high) {
    return x < low ? low : x > high ? high : x;
}

static void accept(const ltc_tokens *k, const ltc_row *row, double off) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const size_t bytes = (size_t)l->width * sizeof(real);
    ltc_progress *p = &s->progress[row->b];
    memcpy(ltc_at(l, s->state, row->b), ltc_at(l, s->point, row->slot), bytes);
    memcpy(ltc_at(l, s->slope[0], row->b), ltc_at(l, s->slope[STAGES - 1], row->b), bytes);
    if (l->lengths) lengths_of(l, row->b, row->t)[p->taken] = (real)p->length;
    p->taken++;
    p->done += p->length;
    p->length *= between(0.2, 0.9 * pow(off, -0.14) * pow(p->last_error, 0.08), 5);
    p->last_error = fmax(off, 1e-4);
}

// Too many steps: x becomes NaN, which training reports.
static void give_up(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    ltc_progress *p = &k->s.progress[row->b];
    real *state = ltc_at(l, k->s.state, row->b);
    for (int i = 0; i < l->width; i++) state[i] = (real)NAN;
    if (l->lengths && p->taken == 0) lengths_of(l, row->b, row->t)[0] = (real)p->length;
    p->done = token_length(l);
}

static void judge(const ltc_tokens *k, const ltc_row *row) {
    ltc_progress *p = &k->s.progress[row->b];
    double off = relative_error(k, row);
    if (off < 1e-10) off = 1e-10;
    p->tried++;
    if (off <= 1)
        accept(k, row, off);
    else // NaN as well
        p->length *= off > 1 ? between(0.2, 0.9 * pow(off, -0.2), 1) : 0.2;
    if (p->tried == LTC_ADAPTIVE_STEPS && p->done < token_length(k->l)) give_up(k, row);
}

// The rows that have not reached the end of the token; a last step ends there.
static ltc_group rows_on_the_way(const ltc_tokens *k, const ltc_group *group) {
    const double end = token_length(k->l);
    ltc_group g = {group->first, 0, k->s.chosen + group->first};
    for (int i = 0; i < group->count; i++) {
        ltc_progress *p = &k->s.progress[group->first + i];
        if (p->done >= end * (1 - 1e-9)) continue;
        if (p->done + p->length > end * (1 - 1e-9)) p->length = end - p->done;
        k->s.chosen[group->first + g.count++] = group->first + i;
    }
    return g;
}

void ltc_choose_steps(const ltc_tokens *k, const ltc_group *group, int t) {
    ltc_for_rows(k, begin, group, t, 0);
    ltc_multiply(k, group);
    ltc_for_rows(k, evaluate, group, t, 0);
    for (ltc_group g = rows_on_the_way(k, group); g.count > 0; g = rows_on_the_way(k, group)) {
        for (int stage = 1; stage < STAGES; stage++) {
            ltc_for_rows(k, put_point, &g, t, stage);
            ltc_multiply(k, &g);
            ltc_for_rows(k, evaluate, &g, t, stage);
        }
        ltc_for_rows(k, judge, &g, t, 0);
    }
}

ltc_group ltc_group_of_step(const ltc_tokens *k, int t, int step, int begin_row, int end_row) {
    ltc_group g = {begin_row, 0, k->s.chosen + begin_row};
    for (int b = begin_row; b < end_row; b++) {
        const real *lengths = lengths_of(k->l, b, t);
        if (step >= LTC_ADAPTIVE_STEPS || lengths[step] == 0) continue;
        k->s.progress[b].length = (double)lengths[step];
        k->s.chosen[begin_row + g.count++] = b;
    }
    return g;
}
