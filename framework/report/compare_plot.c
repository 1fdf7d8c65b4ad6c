#include "base/file.h"
#include "report/compare.h"
#include "report/differences.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum over { OVER_STEPS, OVER_TOKENS, OVER_SECONDS, OVERS } over;
static const char *const stems[OVERS] = {"steps", "tokens", "seconds"};

typedef struct unit {
    double size;
    const char *title;
} unit;

// The unit that makes an axis up to `last` easy to read.
static unit unit_of(over x, double last) {
    if (x == OVER_STEPS) return (unit){1, "step"};
    if (x == OVER_TOKENS)
        return last >= 2e9   ? (unit){1e9, "training tokens (thousand millions)"}
               : last >= 2e6 ? (unit){1e6, "training tokens (millions)"}
               : last >= 2e3 ? (unit){1e3, "training tokens (thousands)"}
                             : (unit){1, "training tokens"};
    return last >= 3 * 3600 ? (unit){3600, "time of training (hours)"}
           : last >= 3 * 60 ? (unit){60, "time of training (minutes)"}
                            : (unit){1, "time of training (seconds)"};
}

static double value_over(over x, int64_t step, int64_t tokens, double seconds) {
    return x == OVER_STEPS ? (double)step : x == OVER_TOKENS ? (double)tokens : seconds;
}

// What is drawn of one run.
typedef struct overlay {
    curve val, train, lr;
    bool has_val, has_train, has_lr;
    const char *legend;
} overlay;

static curve over_other(curve c, double *x) {
    c.x = x;
    return c;
}

static bool has_values(const curve *c) {
    range r = range_empty;
    range_include(&r, c);
    return r.count > 0;
}

static overlay make_overlay(const report_run *run, over x, arena *a) {
    const metrics_data *m = &run->metrics;
    size_t evals = m->eval_count[SPLIT_VAL];
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
    const char *result = o.has_val     ? arena_format(a, "best %.4f at step %lld", run->history.best.loss,
                                                      (long long)run->history.best.step)
                         : o.has_train ? "training loss only"
                                       : "no loss yet";
    o.legend = arena_format(a, "%s (%s)", run->name, result);
    return o;
}

static double last_x(const overlay *o, int count) {
    double last = 0;
    for (int i = 0; i < count; i++) {
        if (o[i].val.count && o[i].val.x[o[i].val.count - 1] > last) last = o[i].val.x[o[i].val.count - 1];
        if (o[i].train.count && o[i].train.x[o[i].train.count - 1] > last)
            last = o[i].train.x[o[i].train.count - 1];
    }
    return last;
}

// Runs beyond the number of colours get the colours again with other dashes.
static void add_plot(text *command, const char *block, int run, double size, const char *style,
                     double width, const char *title) {
    text_add(command, "%s$%s%d using ($1/%g):2 %s linewidth %g dashtype %d linecolor rgb '%s' %s",
             command->length ? ", \\\n     " : "plot ", block, run, size, style, width,
             1 + run / SCRIPT_COLOURS, script_colours[run % SCRIPT_COLOURS], title ? "title " : "notitle");
    if (title) script_add_quoted(command, title, 96);
}

static void add_panel(text *s, double top, double bottom) {
    text_add(s, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", top, bottom);
}

static const char *what_differs(const report_run *runs, int count, arena *a) {
    differing_setting *settings;
    int independent;
    report_differences(runs, count, a, &settings, &independent);
    text t = {0};
    text_add(&t, "validation loss; thin lines: training loss, smoothed");
    for (int i = 0; i < independent; i++)
        text_add(&t, "%s%s", i == 0 ? ". Settings that differ: " : ", ", settings[i].path);
    char *copy = arena_copy_text(a, t.bytes);
    text_free(&t);
    return copy;
}

// Ends just above the largest first validation loss of the runs (first training loss where there is none),
// so that neither the steep beginning of the training curves nor a run that diverges flattens the rest.
static range loss_range(const overlay *o, int count) {
    range all = range_empty, first = range_empty;
    for (int i = 0; i < count; i++) {
        const curve *compared = o[i].val.count > 0 ? &o[i].val : &o[i].train;
        range_include(&all, &o[i].val);
        range_include(&all, &o[i].train);
        range_include(&first, &(curve){compared->x, compared->y, compared->count > 0});
    }
    const double highest = 1.05 * first.high;
    if (first.count > 0 && first.high > 0 && all.high > highest) all.high = highest;
    return all;
}

// Linear from zero; when the runs' highest rates are far apart, logarithmic around them.
static void add_rate_axis(text *s, axes *drawn, const overlay *o, int count) {
    range all = range_empty, peaks = range_empty;
    for (int i = 0; i < count; i++) {
        range own = range_empty;
        range_include(&own, &o[i].lr);
        range_include(&all, &o[i].lr);
        range_include(&peaks, &(curve){&own.high, &own.high, own.count > 0});
    }
    bool logarithmic = peaks.low > 0 && peaks.high > 8 * peaks.low;
    if (logarithmic && all.low < peaks.low / 20) all.low = peaks.low / 20;
    script_value_axis(s, drawn, "learning rate", all, logarithmic ? 1 : INFINITY, AXIS_FROM_ZERO);
}

static const char *title_of(const report_run *runs, int count, arena *a) {
    text t = {0};
    for (int i = 0; i < count; i++)
        text_add(&t, "%s%s", i == 0 ? "" : i == count - 1 ? " and " : ", ", runs[i].name);
    const char *title = utf8_width(t.bytes) <= 80 ? arena_copy_text(a, t.bytes)
                                                  : arena_format(a, "%d runs compared", count);
    text_free(&t);
    return title;
}

// The two panels over one kind of axis. False when no run has anything to show.
static bool draw(const report_run *runs, int count, over x, arena *a, text *s) {
    overlay *o = arena_alloc(a, (size_t)count * sizeof *o);
    bool any_rate = false;
    int longest = 0;
    for (int i = 0; i < count; i++) {
        o[i] = make_overlay(&runs[i], x, a);
        any_rate = any_rate || o[i].has_lr;
        if (utf8_width(o[i].legend) > longest) longest = utf8_width(o[i].legend);
    }
    const range loss = loss_range(o, count);
    if (loss.count == 0 || !any_rate) return false;
    const int columns = longest <= 48 ? 2 : 1, lines = (count + columns - 1) / columns;
    const int height = 780 + 20 * lines;
    const script_heading heading = {.stem = stems[x],
                                    .title = title_of(runs, count, a),
                                    .description = what_differs(runs, count, a),
                                    .height = height,
                                    .legend_lines = lines};
    const unit u = unit_of(x, last_x(o, count));
    script_begin(s, &heading);
    text loss_plot = {0}, lr_plot = {0};
    for (int i = 0; i < count; i++) {
        char name[32];
        const struct {
            const char *block;
            const curve *values;
            bool there;
        } blocks[] = {{"train", &o[i].train, o[i].has_train},
                      {"val", &o[i].val, o[i].has_val},
                      {"lr", &o[i].lr, o[i].has_lr}};
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "%s%d", blocks[k].block, i);
            if (blocks[k].there)
                script_add_curve(s, name, blocks[k].values, k < 2 ? THIN_MEANS : THIN_EXTREMES);
        }
        if (o[i].has_train)
            add_plot(&loss_plot, "train", i, u.size, "with lines", o[i].has_val ? 0.8 : 2.5,
                     o[i].has_val ? NULL : o[i].legend);
        if (o[i].has_val)
            add_plot(&loss_plot, "val", i, u.size, script_style(o[i].val.count), 2.5, o[i].legend);
        if (o[i].has_lr) add_plot(&lr_plot, "lr", i, u.size, script_style(o[i].lr.count), 2.5, NULL);
    }
    axes drawn;
    const double bottom = 58.0 / height, middle = 0.36;
    text_add(s, "\nset multiplot\n");
    script_x_axis(s, &drawn, u.title, last_x(o, count) / u.size);
    text_add(s, "set bmargin at screen %.4f\nset xlabel ''\n", middle + 20.0 / height);
    script_value_axis(s, &drawn, "validation loss (nats per token)", loss, 50, AXIS_FITTED);
    text_add(s, "%s\n\n", loss_plot.bytes);
    text_add(s, "unset label 1001\nunset label 1002\nunset key\nunset logscale y\nset ytics autofreq\n");
    add_panel(s, middle - 20.0 / height, bottom);
    script_x_axis(s, &drawn, u.title, last_x(o, count) / u.size);
    add_rate_axis(s, &drawn, o, count);
    text_add(s, "%s\nunset multiplot\n", lr_plot.bytes);
    script_end(s);
    text_free(&loss_plot);
    text_free(&lr_plot);
    return true;
}

// "compare-a-b"; long lists end in a hash of all names, so that each has a folder of its own.
static const char *folder_of(const report_run *runs, int count, arena *a) {
    enum { LONGEST = 120 };
    text t = {0};
    uint32_t hash = 2166136261u; // FNV-1a
    text_add(&t, "compare");
    for (int i = 0; i < count; i++) {
        const char *slash = strrchr(runs[i].folder, '/'),
                   *name = slash && slash[1] ? slash + 1 : runs[i].name;
        text_add(&t, "-%s", name);
        for (const char *c = runs[i].folder; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    }
    for (size_t i = 0; i < t.length; i++)
        if (t.bytes[i] == '/') t.bytes[i] = '_';
    const char *copy = t.length <= LONGEST ? arena_copy_text(a, t.bytes)
                                           : arena_format(a, "compare-%d-runs-%08x", count, (unsigned)hash);
    text_free(&t);
    return copy;
}

status report_compare(const report_run *runs, int count, const char *plots_folder, const gnuplot *program,
                      error *err) {
    arena *a = arena_new();
    const char *folder = path_join(a, plots_folder, folder_of(runs, count, a));
    gnuplot_script scripts[OVERS];
    text contents[OVERS] = {{0}};
    int written = 0;
    for (int x = 0; x < OVERS; x++) {
        if (!draw(runs, count, (over)x, a, &contents[x])) continue;
        scripts[written++] = (gnuplot_script){.path = arena_format(a, "%s/%s.gp", folder, stems[x]),
                                              .content = contents[x].bytes,
                                              .length = contents[x].length};
    }
    status result = written ? gnuplot_draw_all(program, folder, scripts, written, err) : OK;
    for (int x = 0; x < OVERS; x++) text_free(&contents[x]);
    arena_free(a);
    return result;
}
