// Plots of how well the model predicts: loss, perplexity, the gap between validation and training.
#include "report/plots.h"

#include <math.h>
#include <string.h>

static double last_step(const report_run *run) {
    double last = (double)run->history.steps;
    for (int part = 0; part < SPLIT_COUNT; part++) {
        size_t count = run->metrics.eval_count[part];
        if (count > 0 && (double)run->metrics.eval[part][count - 1].step > last)
            last = (double)run->metrics.eval[part][count - 1].step;
    }
    return last;
}

// Where overfitting starts and where the run diverged.
static void add_marks(const report_run *run, const axes *drawn, text *s) {
    const history *h = &run->history;
    text label = {0};
    if (h->overfits) {
        text_add(&label, "overfitting starts at step %lld", (long long)h->best.step);
        script_vertical_mark(s, drawn, (double)h->best.step, 0, COLOUR_NOTE, label.bytes);
    }
    if (h->diverged) {
        text_clear(&label);
        text_add(&label, "diverged after step %lld", (long long)h->diverged_after);
        script_vertical_mark(s, drawn, (double)h->diverged_after, h->overfits, COLOUR_VAL, label.bytes);
    }
    text_free(&label);
}

#define THICK "linewidth 2.5 linecolor rgb "

typedef struct eval_style {
    split part;
    const char *block, *look, *title;
} eval_style;

static const eval_style eval_styles[] = {
    {SPLIT_TRAIN, "train_eval", THICK "'" COLOUR_OTHER "'", "train, evaluated"},
    {SPLIT_TEST, "test", THICK "'" COLOUR_TEST "'", "test"},
    {SPLIT_VAL, "val", THICK "'" COLOUR_VAL "'", "validation"},
};
enum { EVAL_STYLES = sizeof eval_styles / sizeof *eval_styles };

// Loss and perplexity: the same curves of other numbers. raw is optional; smooth and raw are of the
// batches. Nothing is added when there is no finite value.
static bool draw_curves(const report_run *run, const curve *raw, const curve *smooth, size_t eval_offset,
                        const char *axis, double log_above, double best, arena *a, text *s) {
    curve evals[EVAL_STYLES], all_curves[EVAL_STYLES + 2];
    int curve_count = 0;
    range all = range_empty;
    range smooth_range = range_empty;
    range_include(&smooth_range, smooth);
    all_curves[curve_count++] = *smooth;
    if (raw) all_curves[curve_count++] = *raw;
    for (int i = 0; i < EVAL_STYLES; i++)
        all_curves[curve_count++] = evals[i] =
            plot_eval_curve(&run->metrics, eval_styles[i].part, eval_offset, a);
    for (int i = 0; i < curve_count; i++) range_include(&all, &all_curves[i]);
    if (all.count == 0) return false;
    script_plot plot = {0};
    axes drawn;
    plot_step_axis(run, last_step(run), &drawn, &plot, s);
    script_value_axis(s, &drawn, axis, all, log_above, AXIS_FITTED);
    add_marks(run, &drawn, s);
    if (run->history.has_val && isfinite(best)) { // a perplexity may be infinite where the loss is not
        const char *label =
            arena_format(a, "best %.4f at step %lld", best, (long long)run->history.best.step);
        script_point_mark(s, &drawn, (double)run->history.best.step, best, COLOUR_VAL, label, all_curves,
                          curve_count, run->history.overfits);
    }
    if (raw && smooth_range.count > 0) {
        script_add_curve(s, "train_raw", raw, THIN_EXTREMES);
        script_plot_add(&plot, "$train_raw using 1:2", script_style(raw),
                        "linewidth 1 linecolor rgb '" COLOUR_TRAIN_THIN "'", "train, batches");
    }
    if (smooth_range.count > 0) {
        script_add_curve(s, "train", smooth, THIN_MEANS);
        script_plot_add(&plot, "$train using 1:2", script_style(smooth), THICK "'" COLOUR_TRAIN "'",
                        "train, smoothed");
    }
    for (int i = 0; i < EVAL_STYLES; i++) {
        range r = range_empty;
        range_include(&r, &evals[i]);
        if (r.count == 0) continue;
        script_add_curve(s, eval_styles[i].block, &evals[i], THIN_MEANS);
        script_plot_add(&plot, arena_format(a, "$%s using 1:2", eval_styles[i].block),
                        script_style(&evals[i]), eval_styles[i].look, eval_styles[i].title);
    }
    script_plot_end(&plot, s, SCRIPT_HEIGHT);
    return true;
}

static bool draw_loss(const report_run *run, arena *a, text *s) {
    const double log_above = 50;
    const curve raw = plot_train_curve(&run->metrics, offsetof(train_row, loss), a);
    range r = range_empty;
    range_include(&r, &raw);
    const curve smooth = plot_smoothed_curve(&raw, r.low > 0 && r.high > log_above * r.low, a);
    return draw_curves(run, &raw, &smooth, offsetof(eval_row, loss), "loss (nats per token)", log_above,
                       run->history.best.loss, a, s);
}

static bool draw_perplexity(const report_run *run, arena *a, text *s) {
    curve smooth = plot_train_curve(&run->metrics, offsetof(train_row, loss), a);
    double *y = arena_alloc(a, (smooth.count + 1) * sizeof *y);
    // The perplexity of a loss that has diverged would flatten everything else.
    for (size_t i = 0; i < smooth.count; i++)
        y[i] = run->history.smoothed[i] < 20 ? exp(run->history.smoothed[i]) : NAN;
    smooth.y = y;
    return draw_curves(run, NULL, &smooth, offsetof(eval_row, perplexity), "perplexity per token", 8,
                       run->history.best.perplexity, a, s);
}

static bool draw_gap(const report_run *run, arena *a, text *s) {
    const history *h = &run->history;
    double *x = arena_alloc(a, (h->gap_count + 1) * sizeof *x);
    double *y = arena_alloc(a, (h->gap_count + 1) * sizeof *y);
    for (size_t i = 0; i < h->gap_count; i++) {
        x[i] = (double)h->gaps[i].step;
        y[i] = h->gaps[i].gap;
    }
    const curve gap = {x, y, h->gap_count};
    const double zero = 0;
    range r = range_empty;
    range_include(&r, &gap);
    if (r.count == 0) return false;
    range_include(&r, &(curve){&zero, &zero, 1}); // the zero line is always visible
    script_plot plot = {0};
    axes drawn;
    plot_step_axis(run, last_step(run), &drawn, &plot, s);
    script_value_axis(s, &drawn, "validation loss - training loss (nats)", r, INFINITY, AXIS_FITTED);
    add_marks(run, &drawn, s);
    script_add_curve(s, "gap", &gap, THIN_MEANS);
    text_add(s, "set arrow from graph 0, first 0 to graph 1, first 0 nohead linewidth 1 "
                "linecolor rgb '" COLOUR_NOTE "'\n");
    script_plot_add(&plot, "$gap using 1:2", script_style(&gap), THICK "'" COLOUR_VAL "'",
                    h->gap_is_evaluated ? "gap to the training loss (evaluated)"
                                        : "gap to the training loss (smoothed batches)");
    script_plot_end(&plot, s, SCRIPT_HEIGHT);
    return true;
}

const plot_type plot_loss = {
    .about = {.name = "loss",
              .kind = "plot",
              .summary =
                  "training, validation and test loss over steps, with the best evaluation and where "
                  "overfitting starts"},
    .title = "loss",
    .draw = draw_loss,
};

const plot_type plot_perplexity = {
    .about = {.name = "perplexity",
              .kind = "plot",
              .summary = "exp(loss) of the evaluated splits and of the smoothed training loss"},
    .title = "perplexity",
    .draw = draw_perplexity,
};

const plot_type plot_gap = {
    .about = {.name = "gap",
              .kind = "plot",
              .summary = "validation loss minus training loss at each evaluation"},
    .title = "generalisation gap",
    .draw = draw_gap,
};
