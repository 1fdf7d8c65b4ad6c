#include "base/file.h"
#include "report/compare.h"
#include "report/compare_labels.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

static overlay make_overlay(const report_run *run, const char *label, over x, arena *a) {
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
    o.legend = o.has_val
                   ? arena_format(a, "%s (best %.4f at step %lld)", label, run->history.best.loss,
                                  (long long)run->history.best.step)
                   : arena_format(a, "%s (%s)", label, o.has_train ? "training loss only" : "no loss yet");
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

enum { NAMED = 12 }; // of the best runs

// The colours of named runs; the last five are dashed too.
static const char *const colours[NAMED] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                           "#E69F00", "#56B4E9", "#000000", "#332288",
                                           "#882255", "#999933", "#44AA99", "#AA4499"};
enum { SOLID = 7 };

// What is drawn, the same for all kinds of axes.
typedef struct comparison {
    const report_run *runs;
    int count;
    const char **labels;
    int *order; // of runs, the best first
    differing_setting *settings;
    int independent;
    swept_number swept;
} comparison;

static int named_of(const comparison *c) {
    return c->count < NAMED ? c->count : NAMED;
}

// The look of a run's lines: its value's place in the colour scale, a colour of its own, or grey.
static void add_look(text *command, const comparison *c, int rank, double width) {
    text_add(command, "linewidth %g ", rank < NAMED ? width : 0.7);
    if (c->swept.setting)
        text_add(command, "linecolor palette cb %.9g", c->swept.values[c->order[rank]]);
    else if (rank < NAMED)
        text_add(command, "dashtype %d linecolor rgb '%s'", rank < SOLID ? 1 : 2, colours[rank]);
    else
        text_add(command, "linecolor rgb '#BBBBBB'");
}

static void add_plot(text *command, const comparison *c, const char *block, int rank, double size,
                     const char *style, double width) {
    text_add(command, "%s$%s%d using ($1/%g):2 %s ", command->length ? ", \\\n     " : "plot ", block, rank,
             size, style);
    add_look(command, c, rank, width);
    text_add(command, " notitle");
}

static void add_legend(text *command, const comparison *c, const overlay *o) {
    for (int rank = 0; rank < named_of(c); rank++) {
        text_add(command, ", \\\n     keyentry with lines ");
        add_look(command, c, rank, 2.5);
        text_add(command, " title ");
        script_add_quoted(command, o[rank].legend, 96);
    }
    const int others = c->count - named_of(c);
    if (others > 0 && !c->swept.setting)
        text_add(command, ", \\\n     keyentry with lines linecolor rgb '#BBBBBB' title '%d other run%s'",
                 others, others == 1 ? "" : "s");
}

// The colour scale, right of the upper panel.
static void add_scale(text *s, const swept_number *swept, double top, double bottom) {
    if (!swept->setting) return;
    text_add(
        s,
        "set rmargin at screen 0.875\n"
        "set palette defined (0 '#440154', 1 '#414487', 2 '#2A788E', 3 '#22A884', 4 '#7AD151', 5 '#D8C820')\n"
        "set cbrange [%.9g:%.9g]\n%sset format cb '%%g'\n"
        "set colorbox vertical user origin screen 0.89, screen %.4f size screen 0.014, screen %.4f\n"
        "set cblabel ",
        swept->low, swept->high, swept->logarithmic ? "set logscale cb\n" : "", bottom, top - bottom);
    script_add_quoted(s, swept->setting->heading, 40);
    text_add(s, "\n");
}

static void add_panel(text *s, double top, double bottom) {
    text_add(s, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", top, bottom);
}

static const char *what_differs(const comparison *c, arena *a) {
    const char *words = "validation loss; thin lines: training loss, smoothed";
    for (int i = 0; i < c->independent; i++)
        words = arena_format(a, "%s%s%s", words, i == 0 ? ". Settings that differ: " : ", ",
                             c->settings[i].heading);
    return words;
}

// Every validation loss, and above them the training loss only up to where runs without validation begin, so
// that the steep beginning of the training curves does not flatten the rest.
static range loss_range(const overlay *o, int count) {
    range all = range_empty, whole = range_empty;
    for (int i = 0; i < count; i++) {
        range_include(&all, &o[i].val);
        range_include(&all, &o[i].train);
        range_include(&whole, &o[i].val);
        if (!o[i].has_val)
            range_include(&whole, &(curve){o[i].train.x, o[i].train.y, o[i].train.count > 0});
    }
    if (whole.count > 0 && all.high > whole.high) all.high = whole.high;
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

// "a, b and c", or what was swept: "gpt_nano: 5 runs compared by lr".
static const char *title_of(const comparison *c, arena *a) {
    const char *names = "";
    for (int i = 0; i < c->count; i++)
        names = arena_format(a, "%s%s%s", names,
                             i == 0              ? ""
                             : i == c->count - 1 ? " and "
                                                 : ", ",
                             c->labels[i]);
    const size_t base = strcspn(c->runs[0].name, ",");
    bool common = c->runs[0].name[base] == ',' || c->labels[0] != c->runs[0].name;
    for (int i = 1; i < c->count; i++)
        common = common && strcspn(c->runs[i].name, ",") == base &&
                 memcmp(c->runs[i].name, c->runs[0].name, base) == 0;
    if (common) {
        const char *subject = arena_format(a, "%.*s: ", (int)base, c->runs[0].name);
        if (c->independent == 1)
            return arena_format(a, "%s%d runs compared by %s", subject, c->count, c->settings[0].heading);
        names = arena_format(a, "%s%s", subject, names);
        if (utf8_width(names) > 80) return arena_format(a, "%s%d runs compared", subject, c->count);
    }
    return utf8_width(names) <= 80 ? names : arena_format(a, "%d runs compared", c->count);
}

// The panels have the same height whatever the number of runs (pixels).
enum { HEAD = 75, LEGEND_LINE = 20, LOSS_PANEL = 430, BETWEEN = 40, RATE_PANEL = 215, FOOT = 58 };

static void add_blocks(text *s, const overlay *o, int rank) {
    const struct {
        const char *block;
        const curve *values;
        bool there;
        thinning how;
    } blocks[] = {{"train", &o->train, o->has_train, THIN_MEANS},
                  {"val", &o->val, o->has_val, THIN_MEANS},
                  {"lr", &o->lr, o->has_lr, THIN_EXTREMES}};
    char name[32];
    for (int k = 0; k < 3; k++) {
        snprintf(name, sizeof name, "%s%d", blocks[k].block, rank);
        if (blocks[k].there) script_add_curve(s, name, blocks[k].values, blocks[k].how);
    }
}

// The two panels over one kind of axis. False when no run has anything to show.
static bool draw(const comparison *c, over x, arena *a, text *s) {
    const int count = c->count;
    overlay *o = arena_alloc(a, (size_t)count * sizeof *o); // the best first
    bool any_rate = false;
    int longest = 0;
    for (int i = 0; i < count; i++) {
        o[i] = make_overlay(&c->runs[c->order[i]], c->labels[c->order[i]], x, a);
        any_rate = any_rate || o[i].has_lr;
        if (i < NAMED && utf8_width(o[i].legend) > longest) longest = utf8_width(o[i].legend);
    }
    const range loss = loss_range(o, count);
    if (loss.count == 0 || !any_rate) return false;
    const int columns = longest <= 24 ? 3 : longest <= (c->swept.setting ? 40 : 48) ? 2 : 1;
    const int lines = (named_of(c) + (count > NAMED) + columns - 1) / columns;
    const int height = HEAD + LEGEND_LINE * lines + LOSS_PANEL + BETWEEN + RATE_PANEL + FOOT;
    const double foot = (double)FOOT / height, middle = foot + (double)RATE_PANEL / height;
    const double bottom = middle + (double)BETWEEN / height, top = bottom + (double)LOSS_PANEL / height;
    const script_heading heading = {.stem = stems[x],
                                    .title = title_of(c, a),
                                    .description = what_differs(c, a),
                                    .height = height,
                                    .legend_lines = lines};
    const unit u = unit_of(x, last_x(o, count));
    script_begin(s, &heading);
    text loss_plot = {0}, lr_plot = {0};
    for (int i = count - 1; i >= 0; i--) { // the best on top
        add_blocks(s, &o[i], i);
        if (o[i].has_train && (i < NAMED || !o[i].has_val))
            add_plot(&loss_plot, c, "train", i, u.size, "with lines", o[i].has_val ? 0.8 : 2.5);
        if (o[i].has_val) add_plot(&loss_plot, c, "val", i, u.size, "with lines", 2.5);
        if (o[i].has_lr) add_plot(&lr_plot, c, "lr", i, u.size, "with lines", 2.5);
    }
    add_legend(&loss_plot, c, o);
    axes drawn;
    text_add(s, "\nset multiplot\n");
    script_x_axis(s, &drawn, u.title, last_x(o, count) / u.size);
    add_panel(s, top, bottom);
    text_add(s, "set xlabel ''\n");
    add_scale(s, &c->swept, top, bottom);
    script_value_axis(s, &drawn, "validation loss (nats per token)", loss, 10, AXIS_FITTED);
    text_add(s, "%s\n\n", loss_plot.bytes);
    text_add(s, "unset label 1001\nunset label 1002\nunset key\nunset logscale y\nset ytics autofreq\n"
                "unset colorbox\n");
    add_panel(s, middle, foot);
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

static comparison compare(const report_run *runs, int count, arena *a) {
    comparison c = {.runs = runs, .count = count, .order = arena_alloc(a, (size_t)count * sizeof(int))};
    report_differences(runs, count, a, &c.settings, &c.independent);
    c.labels = report_labels(runs, count, c.settings, c.independent, a);
    c.swept = report_swept_number(c.settings, c.independent, count, a);
    const report_run **sorted = arena_alloc(a, (size_t)count * sizeof *sorted);
    for (int i = 0; i < count; i++) sorted[i] = &runs[i];
    qsort(sorted, (size_t)count, sizeof *sorted, report_better_first);
    for (int i = 0; i < count; i++) c.order[i] = (int)(sorted[i] - runs);
    return c;
}

status report_compare(const report_run *runs, int count, const char *plots_folder, const gnuplot *program,
                      error *err) {
    arena *a = arena_new();
    const char *folder = path_join(a, plots_folder, folder_of(runs, count, a));
    gnuplot_script scripts[OVERS];
    text contents[OVERS] = {{0}};
    int written = 0;
    const comparison c = compare(runs, count, a);
    for (int x = 0; x < OVERS; x++) {
        if (!draw(&c, (over)x, a, &contents[x])) continue;
        scripts[written++] = (gnuplot_script){.path = arena_format(a, "%s/%s.gp", folder, stems[x]),
                                              .content = contents[x].bytes,
                                              .length = contents[x].length};
    }
    status result = written ? gnuplot_draw_all(program, folder, scripts, written, err) : OK;
    for (int x = 0; x < OVERS; x++) text_free(&contents[x]);
    arena_free(a);
    return result;
}
