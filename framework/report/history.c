#include "report/history.h"

#include <math.h>
#include <string.h>

void history_smooth(const double *values, size_t count, double *out) {
    const size_t half = count / 50 > 100 ? 100 : count / 50; // a wider window would only cost time
    for (size_t i = 0; i < count; i++) {
        size_t left = i < half ? i : half, right = left;
        if (right > count - 1 - i) right = count - 1 - i;
        double sum = 0;
        int finite = 0;
        for (size_t k = i - left; k <= i + right; k++) {
            if (!isfinite(values[k])) continue;
            sum += values[k];
            finite++;
        }
        out[i] = isfinite(values[i]) ? sum / finite : NAN;
    }
}

static void smooth_loss(const metrics_data *m, arena *a, history *out) {
    double *loss = arena_alloc(a, (m->train_count + 1) * sizeof *loss);
    out->smoothed = arena_alloc(a, (m->train_count + 1) * sizeof *out->smoothed);
    for (size_t i = 0; i < m->train_count; i++) loss[i] = m->train[i].loss;
    history_smooth(loss, m->train_count, out->smoothed);
}

static void find_best(const metrics_data *m, history *out) {
    for (size_t i = 0; i < m->eval_count[SPLIT_VAL]; i++) {
        const eval_row *row = &m->eval[SPLIT_VAL][i];
        if (!isfinite(row->loss)) continue;
        if (!out->has_val || row->loss < out->best.loss) out->best = *row;
        out->final = *row;
        out->has_val = true;
    }
}

static void find_divergence(const metrics_data *m, history *out) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < m->train_count; i++)
        if (!isfinite(m->train[i].loss) && m->train[i].step < first) first = m->train[i].step;
    for (size_t i = 0; i < m->eval_count[SPLIT_VAL]; i++)
        if (!isfinite(m->eval[SPLIT_VAL][i].loss) && m->eval[SPLIT_VAL][i].step < first)
            first = m->eval[SPLIT_VAL][i].step;
    out->diverged = first < INT64_MAX || strcmp(m->status, "diverged") == 0;
    for (size_t i = 0; out->diverged && i < m->train_count; i++)
        if (m->train[i].step < first) out->diverged_after = m->train[i].step;
}

// The training loss at a step: of the evaluation of the training split made then, or the smoothed loss of
// the last batch up to it. NaN when there is neither.
static double train_loss_at(const history *h, int64_t step) {
    const metrics_data *m = h->metrics;
    if (h->gap_is_evaluated) {
        for (size_t i = 0; i < m->eval_count[SPLIT_TRAIN]; i++)
            if (m->eval[SPLIT_TRAIN][i].step == step) return m->eval[SPLIT_TRAIN][i].loss;
        return NAN;
    }
    size_t below = 0, above = m->train_count; // bisection: rows are in the order of steps
    while (below < above) {
        size_t middle = (below + above) / 2;
        if (m->train[middle].step <= step)
            below = middle + 1;
        else
            above = middle;
    }
    return below > 0 ? h->smoothed[below - 1] : NAN;
}

static void find_gaps(const metrics_data *m, arena *a, history *out) {
    out->gap_is_evaluated = m->eval_count[SPLIT_TRAIN] > 0;
    out->gaps = arena_alloc(a, (m->eval_count[SPLIT_VAL] + 1) * sizeof *out->gaps);
    for (size_t i = 0; i < m->eval_count[SPLIT_VAL]; i++) {
        const eval_row *row = &m->eval[SPLIT_VAL][i];
        double gap = row->loss - train_loss_at(out, row->step);
        if (isfinite(gap)) out->gaps[out->gap_count++] = (gap_row){.step = row->step, .gap = gap};
    }
}

static bool overfits(const history *h) {
    const double noticeable = 1.005;
    if (!h->has_val || !(h->final.loss > noticeable * h->best.loss)) return false;
    int later = 0;
    for (size_t i = 0; i < h->metrics->eval_count[SPLIT_VAL]; i++)
        later += h->metrics->eval[SPLIT_VAL][i].step > h->best.step;
    return later >= 2 && train_loss_at(h, h->final.step) < train_loss_at(h, h->best.step);
}

void history_derive(const metrics_data *m, arena *a, history *out) {
    *out = (history){.metrics = m};
    smooth_loss(m, a, out);
    find_best(m, out);
    find_gaps(m, a, out);
    out->overfits = overfits(out);
    find_divergence(m, out);
    if (m->train_count > 0) {
        const train_row *last = &m->train[m->train_count - 1];
        out->steps = last->step;
        out->tokens = last->tokens;
        out->seconds = last->seconds;
        if (last->seconds > 0) out->tokens_per_second = (double)last->tokens / last->seconds;
    }
}
