// Plots of how training goes: learning rate, gradient norm, speed.
#include "report/plots.h"

#include <math.h>

static bool draw_lr(const report_run *run, arena *a, text *s) {
    const curve lr = plot_train_curve(&run->metrics, offsetof(train_row, lr), a);
    range r = range_empty;
    range_include(&r, &lr);
    if (r.count == 0) return false;
    axes drawn;
    script_x_axis(s, &drawn, "step", (double)run->history.steps);
    script_value_axis(s, &drawn, "learning rate", r, INFINITY, AXIS_FROM_ZERO);
    script_add_curve(s, "lr", &lr, THIN_EXTREMES);
    text_add(s, "plot $lr using 1:2 %s linewidth 2.5 linecolor rgb '" COLOUR_TRAIN "' notitle\n",
             script_style(lr.count));
    return true;
}

// Adds a dashed level to the plot command, with its legend.
static void add_level(text *s, double level, const char *colour, const char *legend) {
    text_add(s, ", \\\n     %.9g with lines dashtype 2 linewidth 1.5 linecolor rgb '%s' title '%s'", level,
             colour, legend);
}

static void add_raw_and_smooth(text *s, size_t count) {
    text_add(s,
             "plot $raw using 1:2 %s linewidth 1 linecolor rgb '" COLOUR_TRAIN_THIN
             "' title 'each step', \\\n"
             "     $smooth using 1:2 %s linewidth 2.5 linecolor rgb '" COLOUR_TRAIN "' title 'smoothed'",
             script_style(count), script_style(count));
}

static bool draw_grad_norm(const report_run *run, arena *a, text *s) {
    const curve norm = plot_train_curve(&run->metrics, offsetof(train_row, grad_norm), a);
    range r = range_empty;
    range_include(&r, &norm);
    if (r.count == 0) return false;
    if (run->grad_clip > 0) range_include(&r, &(curve){&run->grad_clip, &run->grad_clip, 1});
    const curve smooth = plot_smoothed_curve(&norm, r.low > 0, a);
    axes drawn;
    script_x_axis(s, &drawn, "step", (double)run->history.steps);
    script_value_axis(s, &drawn, "L2 norm of the gradient", r, 1, AXIS_FITTED);
    script_add_curve(s, "raw", &norm, THIN_EXTREMES);
    script_add_curve(s, "smooth", &smooth, THIN_MEANS);
    add_raw_and_smooth(s, norm.count);
    if (run->grad_clip > 0) {
        size_t clipped = 0;
        for (size_t i = 0; i < norm.count; i++) clipped += norm.y[i] > run->grad_clip;
        add_level(s, run->grad_clip, COLOUR_VAL,
                  arena_format(a, "clip at %g: %.0f%% of steps", run->grad_clip,
                               100.0 * (double)clipped / (double)norm.count));
    }
    text_add(s, "\n");
    return true;
}

static bool draw_speed(const report_run *run, arena *a, text *s) {
    const curve speed = plot_train_curve(&run->metrics, offsetof(train_row, tokens_per_second), a);
    range r = range_empty;
    range_include(&r, &speed);
    if (r.count == 0) return false;
    const double mean = run->history.tokens_per_second;
    const curve smooth = plot_smoothed_curve(&speed, false, a);
    axes drawn;
    script_x_axis(s, &drawn, "step", (double)run->history.steps);
    script_value_axis(s, &drawn, "tokens per second", r, INFINITY, AXIS_FROM_ZERO);
    text_add(s, "set format y '%%.0f'\n");
    script_add_curve(s, "raw", &speed, THIN_EXTREMES);
    script_add_curve(s, "smooth", &smooth, THIN_MEANS);
    add_raw_and_smooth(s, speed.count);
    if (mean > 0) add_level(s, mean, COLOUR_NOTE, arena_format(a, "over the whole run: %.0f", mean));
    text_add(s, "\n");
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
