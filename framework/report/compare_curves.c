#include "report/compare_curves.h"

#include "report/plot.h"

#include <math.h>

enum { TRAINING_OF_RUNS = 6, FEW_EVALUATIONS = 3 };

static double value_over(over x, int64_t step, int64_t tokens, double seconds) {
    return x == OVER_STEPS ? (double)step : x == OVER_TOKENS ? (double)tokens : seconds;
}

static curve over_other(curve c, double *x) {
    c.x = x;
    return c;
}

static bool has_values(const curve *c) {
    range r = range_empty;
    range_include(&r, c);
    return r.count > 0;
}

overlay compare_overlay(const report_run *run, over x, int rank, int count, int named, arena *a) {
    const metrics_data *m = &run->metrics;
    const size_t evals = m->eval_count[SPLIT_VAL];
    double *train_x = arena_alloc(a, (m->train_count + 1) * sizeof *train_x);
    double *eval_x = arena_alloc(a, (evals + 1) * sizeof *eval_x);
    for (size_t i = 0; i < m->train_count; i++)
        train_x[i] = value_over(x, m->train[i].step, m->train[i].tokens, m->train[i].seconds);
    for (size_t i = 0; i < evals; i++)
        eval_x[i] = value_over(x, m->eval[SPLIT_VAL][i].step, m->eval[SPLIT_VAL][i].tokens,
                               m->eval[SPLIT_VAL][i].seconds);
    overlay o = {
        .val = over_other(plot_eval_curve(m, SPLIT_VAL, offsetof(eval_row, loss), a), eval_x),
        .train = {train_x, run->history.smoothed, m->train_count},
        .lr = over_other(plot_train_curve(m, offsetof(train_row, lr), a), train_x),
    };
    o.has_val = has_values(&o.val);
    o.has_train = has_values(&o.train);
    o.has_lr = has_values(&o.lr);
    const bool buried = count > TRAINING_OF_RUNS && (rank >= named || evals >= FEW_EVALUATIONS);
    o.shows_train = o.has_train && !(o.has_val && buried);
    return o;
}

static void include_last_x(double *last, const curve *c) {
    if (c->count && c->x[c->count - 1] > *last) *last = c->x[c->count - 1];
}

double compare_last_x(const overlay *o, int count) {
    double last = 0;
    for (int i = 0; i < count; i++) {
        include_last_x(&last, &o[i].val);
        include_last_x(&last, &o[i].train);
    }
    return last;
}

static double first_value(const curve *c) {
    for (size_t i = 0; i < c->count; i++)
        if (isfinite(c->y[i])) return c->y[i];
    return INFINITY;
}

static double worse_from(const overlay *o, int count) {
    double least = INFINITY;
    for (int i = 0; i < count; i++)
        least = fmin(least, first_value(o[i].has_train ? &o[i].train : &o[i].val));
    return 3 * least;
}

static void include(loss_ranges *r, const curve *c, double limit) {
    for (size_t i = 0; i < c->count; i++)
        range_include(c->y[i] > limit ? &r->worse : &r->usual, &(curve){&c->x[i], &c->y[i], 1});
}

loss_ranges compare_loss_ranges(const overlay *o, int count) {
    loss_ranges r = {range_empty, range_empty};
    range train = range_empty;
    const double limit = worse_from(o, count);
    for (int i = 0; i < count; i++) {
        include(&r, o[i].has_val ? &o[i].val : &o[i].train, limit);
        if (!o[i].has_val || !o[i].shows_train) continue;
        range_include(&train, &o[i].train);
        const size_t skipped = o[i].train.count / 10;
        const curve later = {o[i].train.x + skipped, o[i].train.y + skipped, o[i].train.count - skipped};
        if (o[i].val.count < FEW_EVALUATIONS) include(&r, &later, limit);
    }
    if (r.usual.count == 0) {
        r.usual = r.worse;
        r.worse = range_empty;
    }
    if (r.usual.count > 0 && train.low < r.usual.low) r.usual.low = train.low;
    return r;
}

range compare_rate_range(const overlay *o, int count, bool *logarithmic) {
    range all = range_empty, peaks = range_empty;
    for (int i = 0; i < count; i++) {
        range own = range_empty;
        range_include(&own, &o[i].lr);
        range_include(&all, &o[i].lr);
        range_include(&peaks, &(curve){&own.high, &own.high, own.count > 0});
    }
    *logarithmic = peaks.low > 0 && peaks.high > 8 * peaks.low;
    if (*logarithmic && all.low < peaks.low / 20) all.low = peaks.low / 20;
    return all;
}
