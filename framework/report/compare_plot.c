#include "base/file.h"
#include "report/compare.h"
#include "report/compare_curves.h"
#include "report/compare_labels.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum { NAMED = 12 }; // of the best runs

// The colours of named runs; the last five are dashed too.
static const char *const colours[NAMED] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                           "#E69F00", "#56B4E9", "#000000", "#332288",
                                           "#882255", "#999933", "#44AA99", "#AA4499"};
enum { SOLID = 7 };
#define GREY "linewidth 0.7 linecolor rgb '#BBBBBB'"

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
static const char *look_of(const comparison *c, int rank, double width, arena *a) {
    if (c->swept.setting)
        return arena_format(a, "linewidth %g linecolor palette cb %.9g", rank < NAMED ? width : 0.7,
                            c->swept.values[c->order[rank]]);
    if (rank >= NAMED) return GREY;
    return arena_format(a, "linewidth %g dashtype %d linecolor rgb '%s'", width, rank < SOLID ? 1 : 2,
                        colours[rank]);
}

// "lr 1e-3 (best 1.4697 at step 2000)"
static const char *legend_text(const comparison *c, int rank, const overlay *o, arena *a) {
    enum { LABEL = 56 };
    const history *h = &c->runs[c->order[rank]].history;
    text t = {0};
    text_add_shortened(&t, c->labels[c->order[rank]], LABEL);
    text_add(&t, " (");
    if (o->has_val)
        text_add(&t, h->best.loss < 100 ? "best %.4f at step %lld" : "best %.6g at step %lld", h->best.loss,
                 (long long)h->best.step);
    if (h->diverged)
        text_add(&t, "%sdiverged after step %lld", o->has_val ? ", " : "", (long long)h->diverged_after);
    else if (!o->has_val)
        text_add(&t, o->has_train ? "training loss only" : "no loss yet");
    text_add(&t, ")");
    const char *copy = arena_copy_text(a, t.bytes);
    text_free(&t);
    return copy;
}

// The entries of the named runs, and one for all others where no colour scale tells what they are.
static int make_legend(const comparison *c, const overlay *o, legend_entry out[NAMED + 1], arena *a) {
    int n = 0;
    for (; n < named_of(c); n++)
        out[n] = (legend_entry){look_of(c, n, 2.5, a), legend_text(c, n, &o[n], a), false};
    const int others = c->count - n;
    if (others > 0 && !c->swept.setting)
        out[n++] =
            (legend_entry){GREY, arena_format(a, "%d other run%s", others, others == 1 ? "" : "s"), false};
    return n;
}

static void add_plot(text *command, const char *block, int rank, const curve *values, double size,
                     const char *look) {
    text_add(command, "%s$%s%d using ($1/%g):2 %s %s", command->length ? ", \\\n     " : "plot ", block,
             rank, size, script_has_lone_point(values) ? STYLE_POINTS : STYLE_LINES, look);
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
    text_add(s, "%s\n", swept->in_epochs ? " . \" (epochs)\"" : "");
    if (swept->logarithmic) script_logarithmic_tics(s, "cb", swept->low, swept->high);
}

// What the picture shows, in one line.
static const char *description_of(const comparison *c, const overlay *o, const loss_ranges *loss,
                                  arena *a) {
    enum { COLUMNS = 112 };
    bool thin = false;
    for (int i = 0; i < c->count; i++) thin = thin || (o[i].has_val && o[i].shows_train);
    const char *words =
        arena_format(a, "validation loss%s%s", thin ? "; thin: training loss, smoothed" : "",
                     loss->worse.count ? "; top: runs gone wrong" : "");
    if (c->independent == 0) return words;
    words = arena_format(a, "%s; runs differ in ", words);
    return arena_format(a, "%s%s", words,
                        report_setting_list(c->settings, c->independent, COLUMNS - utf8_columns(words), a));
}

// The panels have the same height whatever the number of runs (pixels). The strip, with a gap below it, is
// the upper part of the panel of losses.
enum { HEAD = 76, LOSS_PANEL = 430, STRIP = 70, STRIP_GAP = 12, BETWEEN = 40, RATE_PANEL = 215, FOOT = 58 };

static void add_panel(text *s, int height, int top, int panel_height) {
    text_add(s, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", 1 - (double)top / height,
             1 - (double)(top + panel_height) / height);
}

static void add_blocks(text *s, const overlay *o, int rank) {
    const struct {
        const char *block;
        const curve *values;
        bool there;
        thinning how;
    } blocks[] = {{"train", &o->train, o->shows_train, THIN_MEANS},
                  {"val", &o->val, o->has_val, THIN_MEANS},
                  {"lr", &o->lr, o->has_lr, THIN_EXTREMES}};
    char name[32];
    for (int k = 0; k < 3; k++) {
        snprintf(name, sizeof name, "%s%d", blocks[k].block, rank);
        if (blocks[k].there) script_add_curve(s, name, blocks[k].values, blocks[k].how);
    }
}

static void add_strip_tic(text *s, double loss) {
    text_add(s, loss < 100 ? "\"%.1f\" %.9g" : loss < 1e6 ? "\"%.0f\" %.9g" : "\"%.1e\" %.9g", loss, loss);
}

// The losses of runs that went wrong; the axis is labelled at the smallest and the largest.
static void add_strip(text *s, const range *worse, int height, int top, const char *plot) {
    axes drawn;
    text_add(s, "set format x ''\nset border 2\nset xtics scale 0\n");
    add_panel(s, height, top, STRIP);
    script_value_axis(s, &drawn, "", *worse, 4, AXIS_FITTED);
    text_add(s, "set ytics (");
    add_strip_tic(s, worse->low);
    if (worse->high > 1.2 * worse->low) {
        text_add(s, ", ");
        add_strip_tic(s, worse->high);
    }
    text_add(s, ")\n%s\n\n", plot);
    text_add(
        s, "unset label\nunset arrow\nunset colorbox\nunset logscale y\nset ytics autofreq\nset border 3\n"
           "set xtics scale default\n");
}

// The losses, and what the runs are called.
static void add_losses(text *s, const comparison *c, const loss_ranges *loss, const unit *u, double last,
                       int height, int top, const char *plot) {
    axes drawn;
    const int strip = loss->worse.count ? STRIP + STRIP_GAP : 0;
    script_x_axis(s, &drawn, "", last / u->size);
    add_scale(s, &c->swept, 1 - (double)top / height, 1 - (double)(top + LOSS_PANEL) / height);
    if (strip) add_strip(s, &loss->worse, height, top, plot);
    script_x_axis(s, &drawn, "", last / u->size);
    add_panel(s, height, top + strip, LOSS_PANEL - strip);
    script_value_axis(s, &drawn, "validation loss (nats per token)", loss->usual, 10, AXIS_FITTED);
    text_add(s, "%s\n\n", plot);
    text_add(s, "unset label\nunset arrow\nunset logscale y\nset ytics autofreq\nunset colorbox\n");
}

static void add_rates(text *s, const overlay *o, int count, const unit *u, double last, int height, int top,
                      const char *plot) {
    axes drawn;
    bool logarithmic;
    const range rates = compare_rate_range(o, count, &logarithmic);
    add_panel(s, height, top, RATE_PANEL);
    script_x_axis(s, &drawn, u->title, last / u->size);
    script_value_axis(s, &drawn, "learning rate", rates, logarithmic ? 1 : INFINITY, AXIS_FROM_ZERO);
    text_add(s, "%s\n", plot);
}

// The panels over one kind of axis. False when no run has anything to show.
static bool draw(const comparison *c, over x, arena *a, text *s) {
    const int count = c->count;
    overlay *o = arena_alloc(a, (size_t)count * sizeof *o); // the best first
    bool any_rate = false;
    for (int i = 0; i < count; i++) {
        o[i] = compare_overlay(&c->runs[c->order[i]], x, i, count, NAMED, a);
        any_rate = any_rate || o[i].has_lr;
    }
    const loss_ranges loss = compare_loss_ranges(o, count);
    if (loss.usual.count == 0 || !any_rate) return false;
    legend_entry legend[NAMED + 1];
    const int entries = make_legend(c, o, legend, a);
    const int top = HEAD + script_legend_height(legend, entries);
    const int height = top + LOSS_PANEL + BETWEEN + RATE_PANEL + FOOT;
    const double last = compare_last_x(o, count);
    const unit u = unit_of(x, last);
    const script_heading heading = {
        .stem = stems[x],
        .title = report_compare_title(c->runs, count, c->settings, c->independent, a),
        .description = description_of(c, o, &loss, a),
        .height = height};
    script_begin(s, &heading);
    text loss_plot = {0}, lr_plot = {0};
    for (int i = count - 1; i >= 0; i--) { // the best on top
        const char *thick = look_of(c, i, 2.5, a), *thin = look_of(c, i, 0.8, a);
        add_blocks(s, &o[i], i);
        if (o[i].shows_train)
            add_plot(&loss_plot, "train", i, &o[i].train, u.size, o[i].has_val ? thin : thick);
        if (o[i].has_val) add_plot(&loss_plot, "val", i, &o[i].val, u.size, thick);
        if (o[i].has_lr) add_plot(&lr_plot, "lr", i, &o[i].lr, u.size, thick);
    }
    script_legend(s, height, legend, entries, 0);
    text_add(s, "\nset multiplot\n");
    add_losses(s, c, &loss, &u, last, height, top, loss_plot.bytes);
    add_rates(s, o, count, &u, last, height, top + LOSS_PANEL + BETWEEN, lr_plot.bytes);
    text_add(s, "unset multiplot\n");
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
