#include "timing/timing.h"

#include "base/clock.h"
#include "train/trainer_parts.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_WARM_UP = 2, LEAST_STEPS = 5 };
#define WARM_UP_SHARE 0.25 // of the seconds to measure

// The rows outside of the graph.
enum { BATCH, NORM, UPDATE, REST, OUTSIDE };

typedef struct samples {
    trainer *trainer;
    op_time *ops;        // of one step
    double *parts;       // of one step: STEP_PARTS
    const int *row_of;   // of each operator
    timing_row *outside; // OUTSIDE rows, the last
    int columns;         // two for each row, forward and backward, and one for the whole step
    double *values;      // a line of columns for each step
    size_t capacity;     // lines
    timing *result;
} samples;

// --- rows

static bool same_row(const op *a, const op *b, timing_group by) {
    switch (by) {
    case TIMING_BY_KIND:
        return strcmp(a->kind->name, b->kind->name) == 0;
    case TIMING_BY_LAYER:
        return strcmp(a->path, b->path) == 0;
    default:
        return a == b;
    }
}

// Sorts the operators into rows; row_of[k] is the row of operator k.
static void make_rows(const graph *g, int passes, timing *out, int *row_of) {
    const timing_group by = out->by;
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        int first = 0;
        while (!same_row(g->ops[first], o, by)) first++;
        row_of[k] = first < k ? row_of[first] : out->count++;
        timing_row *row = &out->rows[row_of[k]];
        row->name = by == TIMING_BY_LAYER ? o->path : o->kind->name;
        if (by == TIMING_BY_OPERATOR) row->layer = o->path, row->output = o->out[0];
        row->operators++;
        const int runs = o->is_derived ? 1 : passes;
        row->forward_flops += runs * op_flops(o, false);
        row->backward_flops += runs * op_flops(o, true);
        row->forward_bytes += runs * op_bytes(o, false);
        row->backward_bytes += runs * op_bytes(o, true);
    }
    for (int i = 0; i < out->count; i++)
        out->flops += out->rows[i].forward_flops + out->rows[i].backward_flops;
}

// What is done outside of the graph, and over how many bytes: gradients are read once for their norm, and
// again for the update, together with weights and moments, which are written as well.
static timing_row *make_outside_rows(const trainer *t, timing *out) {
    timing_row *outside = out->rows + out->count;
    const double block = (double)t->model->parameters->block_bytes;
    const double update = 3 + 2 * optimizer_moments(t->optimizer) + (t->average ? 3 : 0);
    out->count += OUTSIDE;
    outside[BATCH] = (timing_row){.name = "(batch)"};
    outside[NORM] = (timing_row){.name = "(gradient norm)", .forward_bytes = block};
    outside[UPDATE] = (timing_row){.name = "(optimizer)", .forward_bytes = update * block};
    outside[REST] = (timing_row){.name = "(everything else)"};
    return outside;
}

// --- steps

static status run_step(samples *s, double *seconds, error *err) {
    trainer *t = s->trainer;
    train_row unused;
    if (*t->request.stop) return fail(err, ERR_INTERRUPTED, "interrupted while timing");
    memset(s->ops, 0, (size_t)t->built.graph->op_count * sizeof *s->ops);
    memset(s->parts, 0, STEP_PARTS * sizeof *s->parts);
    const double begin = clock_seconds();
    TRY(trainer_step(t, &unused, err));
    *seconds = clock_seconds() - begin;
    return OK;
}

static void keep(samples *s, double seconds) {
    timing *out = s->result;
    const graph *g = s->trainer->built.graph;
    if ((size_t)out->steps == s->capacity) {
        s->capacity *= 2;
        s->values = memory_resize(s->values, s->capacity * (size_t)s->columns * sizeof *s->values);
    }
    double *line = s->values + (size_t)out->steps++ * (size_t)s->columns;
    double *outside = line + 2 * (s->outside - out->rows), rest = seconds;
    memset(line, 0, (size_t)s->columns * sizeof *line);
    for (int k = 0; k < g->op_count; k++) {
        line[2 * s->row_of[k]] += s->ops[k].forward;
        line[2 * s->row_of[k] + 1] += s->ops[k].backward;
        rest -= s->ops[k].forward + s->ops[k].backward;
    }
    outside[2 * BATCH] = s->parts[STEP_BATCH];
    outside[2 * NORM] = s->parts[STEP_NORM];
    outside[2 * UPDATE] = s->parts[STEP_UPDATE];
    outside[2 * REST] = rest - s->parts[STEP_BATCH] - s->parts[STEP_NORM] - s->parts[STEP_UPDATE];
    line[s->columns - 1] = seconds;
}

static status run_steps(samples *s, double seconds, error *err) {
    const double begin = clock_seconds();
    double took = 0;
    int *warm_up = &s->result->warm_up;
    while (*warm_up < LEAST_WARM_UP || clock_seconds() - begin < WARM_UP_SHARE * seconds) {
        TRY(run_step(s, &took, err));
        ++*warm_up;
    }
    const double warm = clock_seconds();
    while (s->result->steps < LEAST_STEPS || clock_seconds() - warm < seconds) {
        TRY(run_step(s, &took, err));
        keep(s, took);
    }
    return OK;
}

// --- medians

static int smaller_first(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const samples *s, int column, double *sorted) {
    const int n = s->result->steps;
    for (int i = 0; i < n; i++) sorted[i] = s->values[(size_t)i * (size_t)s->columns + (size_t)column];
    qsort(sorted, (size_t)n, sizeof *sorted, smaller_first);
    return 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
}

static void take_medians(const samples *s) {
    timing *out = s->result;
    double *sorted = memory_alloc((size_t)out->steps * sizeof *sorted);
    for (int i = 0; i < out->count; i++) {
        out->rows[i].forward = median(s, 2 * i, sorted);
        out->rows[i].backward = median(s, 2 * i + 1, sorted);
    }
    out->seconds = median(s, 2 * out->count, sorted);
    free(sorted);
}

status timing_measure(trainer *t, double seconds, timing_group by, arena *a, timing *out, error *err) {
    graph *g = t->built.graph;
    const size_t ops = (size_t)g->op_count;
    int *row_of = arena_alloc(a, ops * sizeof *row_of);
    *out = (timing){.by = by,
                    .rows = arena_alloc(a, (ops + OUTSIDE) * sizeof *out->rows),
                    .tokens = (int64_t)t->rows * t->model->block_size};
    make_rows(g, t->passes, out, row_of);
    samples s = {.trainer = t,
                 .ops = arena_alloc(a, ops * sizeof *s.ops),
                 .parts = arena_alloc(a, STEP_PARTS * sizeof *s.parts),
                 .row_of = row_of,
                 .outside = make_outside_rows(t, out),
                 .capacity = 64,
                 .result = out};
    s.columns = 2 * out->count + 1;
    s.values = memory_alloc(s.capacity * (size_t)s.columns * sizeof *s.values);
    trainer_initialise(t);
    g->times = s.ops;
    t->parts = s.parts;
    status result = run_steps(&s, seconds, err);
    g->times = NULL;
    t->parts = NULL;
    if (result == OK) take_medians(&s);
    free(s.values);
    return result;
}
