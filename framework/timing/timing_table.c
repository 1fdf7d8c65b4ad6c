#include "timing/timing_table.h"

#include "base/table.h"

#include <limits.h>

static double rate(double work, double seconds) {
    return seconds > 0 ? work / seconds : 0;
}

// The shape of a row's output; "" where a row is more than one operator.
static const char *output_shape(const timing_row *r, char *buffer, size_t size) {
    return r->output ? text_shape(r->output->shape, r->output->rank, buffer, size) : "";
}

// --- for people

static void empty_cells(table *to, int count) {
    for (int i = 0; i < count; i++) table_cell(to, "%s", "");
}

// A rate and its share of a ceiling; both empty when no work is counted.
static void rate_cells(table *to, double work, double seconds, double ceiling) {
    if (!(work > 0 && seconds > 0)) {
        empty_cells(to, 2);
        return;
    }
    table_cell(to, "%.1f", 1e-9 * rate(work, seconds));
    table_cell(to, "%.0f%%", 100 * rate(work, seconds) / ceiling);
}

static void add_columns(table *to, timing_group by) {
    table_column(to, by == TIMING_BY_LAYER ? "layer" : "operator", false);
    table_shortens(to);
    if (by == TIMING_BY_OPERATOR) {
        table_column(to, "layer", false);
        table_shortens(to);
        table_column(to, "output", false);
    } else {
        table_column(to, "operators", true);
    }
    table_gives_way(to, 7);
    static const struct {
        const char *heading;
        int gives_way;
    } figures[] = {{"forward us", 5}, {"backward us", 6}, {"us", 0},   {"of step", 0},
                   {"GFLOP/s", 1},    {"of peak", 2},     {"GB/s", 3}, {"of memory", 4}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        table_column(to, figures[i].heading, true);
        table_gives_way(to, figures[i].gives_way);
    }
}

static void row(table *to, const timing_row *r, const timing *t, const ceilings *c) {
    const double seconds = r->forward + r->backward;
    char shape[64];
    table_row(to);
    table_cell(to, "%s", r->name);
    if (t->by == TIMING_BY_OPERATOR) {
        table_cell(to, "%s", r->layer ? r->layer : "");
        table_cell(to, "%s", output_shape(r, shape, sizeof shape));
    } else if (r->operators) {
        table_cell(to, "%d", r->operators);
    } else {
        empty_cells(to, 1);
    }
    if (r->operators) {
        table_cell(to, "%.1f", 1e6 * r->forward);
        table_cell(to, "%.1f", 1e6 * r->backward);
    } else {
        empty_cells(to, 2);
    }
    table_cell(to, "%.1f", 1e6 * seconds);
    table_cell(to, "%.1f%%", 100 * seconds / t->seconds);
    rate_cells(to, r->forward_flops + r->backward_flops, seconds, c->flops);
    rate_cells(to, r->forward_bytes + r->backward_bytes, seconds, c->triad);
}

void timing_table(const timing *t, const ceilings *c, int columns, text *out) {
    arena *a = arena_new();
    table *to = table_new(a);
    add_columns(to, t->by);
    for (int i = 0; i < t->count; i++) row(to, &t->rows[i], t, c);
    table_text(to, columns, out);
    arena_free(a);
    char tokens[32];
    text step = {0};
    text_add(&step, "step: %.1f us, %s tokens/s, %.1f GFLOP/s, %.1f%% of peak", 1e6 * t->seconds,
             text_count(rate((double)t->tokens, t->seconds), tokens, sizeof tokens),
             1e-9 * rate(t->flops, t->seconds), 100 * rate(t->flops, t->seconds) / c->flops);
    text_add_wrapped(out, step.bytes, "", columns ? columns : INT_MAX);
    text_free(&step);
}

// --- for programs

void timing_tsv(const timing *t, text *out) {
    char shape[64];
    text_add(out,
             "name\tlayer\toutput\toperators\tforward_us\tbackward_us\tforward_gflops\tbackward_gflops\t"
             "forward_gbytes\tbackward_gbytes\n");
    for (int i = 0; i < t->count; i++) {
        const timing_row *r = &t->rows[i];
        text_add(out, "%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.3f\t%.3f\t%.3f\t%.3f\n", r->name,
                 r->layer ? r->layer : "", output_shape(r, shape, sizeof shape), r->operators,
                 1e6 * r->forward, 1e6 * r->backward, 1e-9 * rate(r->forward_flops, r->forward),
                 1e-9 * rate(r->backward_flops, r->backward), 1e-9 * rate(r->forward_bytes, r->forward),
                 1e-9 * rate(r->backward_bytes, r->backward));
    }
    text_add(out, "step\t\t\t0\t%.2f\t0.00\t%.3f\t0.000\t0.000\t0.000\n", 1e6 * t->seconds,
             1e-9 * rate(t->flops, t->seconds));
}
