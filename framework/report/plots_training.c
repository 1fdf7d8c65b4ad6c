// Plots of how training goes: learning rate, gradient norm, speed.
#include "report/plots.h"

#include <math.h>

static bool draw_lr(const report_run *run, arena *a, text *s) {
    const curve lr = plot_train_curve(&run->metrics, offsetof(train_row, lr), a);
    range r = range_empty;
    range_include(&r, &lr);
    if (r.count == 0) return false;
    script_plot plot = {0};
    axes drawn;
    plot_step_axis(run, (double)run->history.steps, &drawn, &plot, s);
    script_value_axis(s, &drawn, "learning rate", r, INFINITY, AXIS_FROM_ZERO);
    script_add_curve(s, "lr", &lr, THIN_EXTREMES);
    script_plot_add(&plot, "$lr using 1:2", script_style(&lr),
                    "linewidth 2.5 linecolor rgb '" COLOUR_TRAIN "'", NULL);
    script_plot_end(&plot, s, SCRIPT_HEIGHT);
    return true;
}

// Adds a dashed level.
static void add_level(script_plot *plot, double level, const char *look, const char *legend, arena *a) {
    script_plot_add(plot, arena_format(a, "%.9g", level), STYLE_LINES, look, legend);
}

static void add_raw_and_smooth(script_plot *plot, const curve *raw) {
    script_plot_add(plot, "$raw using 1:2", script_style(raw),
                    "linewidth 1 linecolor rgb '" COLOUR_TRAIN_THIN "'", "each step");
    script_plot_add(plot, "$smooth using 1:2", script_style(raw),
                    "linewidth 2.5 linecolor rgb '" COLOUR_TRAIN "'", "smoothed");
}

static bool draw_grad_norm(const report_run *run, arena *a, text *s) {
    const curve norm = plot_train_curve(&run->metrics, offsetof(train_row, grad_norm), a);
    range r = range_empty;
    range_include(&r, &norm);
    if (r.count == 0) return false;
    if (run->grad_clip > 0) range_include(&r, &(curve){&run->grad_clip, &run->grad_clip, 1});
    const curve smooth = plot_smoothed_curve(&norm, r.low > 0, a);
    script_plot plot = {0};
    axes drawn;
    plot_step_axis(run, (double)run->history.steps, &drawn, &plot, s);
    script_value_axis(s, &drawn, "L2 norm of the gradient", r, 1, AXIS_FITTED);
    script_add_curve(s, "raw", &norm, THIN_EXTREMES);
    script_add_curve(s, "smooth", &smooth, THIN_MEANS);
    add_raw_and_smooth(&plot, &norm);
    if (run->grad_clip > 0) {
        size_t clipped = 0;
        for (size_t i = 0; i < norm.count; i++) clipped += norm.y[i] > run->grad_clip;
        add_level(&plot, run->grad_clip, "dashtype 2 linewidth 1.5 linecolor rgb '" COLOUR_VAL "'",
                  arena_format(a, "clip at %g: %.0f%% of steps", run->grad_clip,
                               100.0 * (double)clipped / (double)norm.count),
                  a);
    }
    script_plot_end(&plot, s, SCRIPT_HEIGHT);
    return true;
}

static bool draw_speed(const report_run *run, arena *a, text *s) {
    curve speed = plot_train_curve(&run->metrics, offsetof(train_row, tokens_per_second), a);
    range r = range_empty;
    range_include(&r, &speed);
    if (r.count == 0) return false;
    const double unit = r.high >= 1e7 ? 1e6 : r.high >= 1e4 ? 1e3 : 1;
    double *scaled = arena_alloc(a, speed.count * sizeof *scaled);
    for (size_t i = 0; i < speed.count; i++) scaled[i] = speed.y[i] / unit;
    speed.y = scaled;
    r = (range){r.low / unit, r.high / unit, r.count};
    const double mean = run->history.tokens_per_second;
    const curve smooth = plot_smoothed_curve(&speed, false, a);
    script_plot plot = {0};
    axes drawn;
    plot_step_axis(run, (double)run->history.steps, &drawn, &plot, s);
    script_value_axis(s, &drawn,
                      unit == 1e6   ? "tokens per second (millions)"
                      : unit == 1e3 ? "tokens per second (thousands)"
                                    : "tokens per second",
                      r, INFINITY, AXIS_FROM_ZERO);
    script_add_curve(s, "raw", &speed, THIN_EXTREMES);
    script_add_curve(s, "smooth", &smooth, THIN_MEANS);
    add_raw_and_smooth(&plot, &speed);
    char number[32];
    if (mean > 0)
        add_level(&plot, mean / unit, "dashtype 2 linewidth 1.5 linecolor rgb '" COLOUR_NOTE "'",
                  arena_format(a, "over the whole run: %s", text_count(mean, number, sizeof number)), a);
    script_plot_end(&plot, s, SCRIPT_HEIGHT);
    return true;
}

const plot_type plot_lr = {
    .about = {.name = "lr", .kind = "plot", .summary = "the learning rate of every update"},
    .title = "learning rate",
    .draw = draw_lr,
};

const plot_type plot_grad_norm = {
    .about = {.name = "grad_norm",
              .kind = "plot",
              .summary = "the norm of the gradient before clipping, and the level of clipping"},
    .title = "gradient norm",
    .draw = draw_grad_norm,
};

const plot_type plot_speed = {
    .about = {.name = "speed", .kind = "plot", .summary = "training tokens per second"},
    .title = "speed",
    .draw = draw_speed,
};
