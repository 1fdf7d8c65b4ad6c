// What a run's long convolutions have learned: the magnitude of their filters by lag, a panel for each.
#include "report/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = 2,
    PANEL_HEIGHT = 215,
    HEAD = 92,
    FOOT = 22,
    MOST_PANELS = 24,
    QUANTILES = 5,
    PER_OCTAVE = 8
};

#define COLOUR_ALL "#DCE9F2" // paler than COLOUR_TRAIN_THIN
#define MEDIAN "linewidth 2.5 linecolor rgb '" COLOUR_TRAIN "'"

static const legend_entry legend[] = {
    {.look = "linewidth 9 linecolor rgb '" COLOUR_ALL "'", .text = "all channels"},
    {.look = "linewidth 9 linecolor rgb '" COLOUR_TRAIN_THIN "'", .text = "80% of the channels"},
    {.look = MEDIAN, .text = "median"},
};
enum { LEGEND = sizeof legend / sizeof *legend };

// Quantiles over the channels.
static const double levels[QUANTILES] = {0, 0.1, 0.5, 0.9, 1};

typedef struct bins {
    int count;
    double *x;            // lag + 1 in the middle
    double *y[QUANTILES]; // magnitudes
} bins;

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double root_mean_square(const model_filter *f, int channel, int from, int to) {
    double sum = 0;
    for (int k = from; k < to; k++) {
        const double h = (double)f->taps[(size_t)k * (size_t)f->channels + (size_t)channel];
        sum += h * h;
    }
    return sqrt(sum / (to - from));
}

static double quantile(const double *sorted, int count, double level) {
    const double at = level * (count - 1);
    const int below = (int)at;
    return below + 1 < count ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below])
                             : sorted[below];
}

// The first lags one by one, later ones in bins that grow with the lag; a bin's magnitude in a channel is
// its root mean square.
static bins make_bins(const model_filter *f, arena *a) {
    bins b = {0};
    double *sizes = arena_alloc(a, (size_t)f->channels * sizeof *sizes);
    b.x = arena_alloc(a, (size_t)f->lags * sizeof *b.x);
    for (int q = 0; q < QUANTILES; q++) b.y[q] = arena_alloc(a, (size_t)f->lags * sizeof *b.y[q]);
    const double ratio = pow(2, 1.0 / PER_OCTAVE);
    for (int from = 0, to; from < f->lags; from = to) {
        to = (int)((from + 1) * ratio); // lag + 1 grows by the ratio
        if (to <= from) to = from + 1;
        if (to > f->lags) to = f->lags;
        for (int c = 0; c < f->channels; c++) sizes[c] = root_mean_square(f, c, from, to);
        qsort(sizes, (size_t)f->channels, sizeof *sizes, by_size);
        b.x[b.count] = sqrt((double)(from + 1) * to);
        for (int q = 0; q < QUANTILES; q++) b.y[q][b.count] = quantile(sizes, f->channels, levels[q]);
        b.count++;
    }
    return b;
}

// The filters that get a panel when there are too many: evenly spread, with the first and the last.
static int panel_filter(int panel, int panels, int filters) {
    return panels > 1 ? (int)((double)panel * (filters - 1) / (panels - 1) + 0.5) : 0;
}

static int panels_of(const report_run *run) {
    return run->filter_count < MOST_PANELS ? run->filter_count : MOST_PANELS;
}

static int picture_height(const report_run *run) {
    return HEAD + (panels_of(run) + COLUMNS - 1) / COLUMNS * PANEL_HEIGHT + FOOT;
}

static void add_data(text *s, int panel, const bins *b, double floor) {
    text_add(s, "$filter%d << EOD\n", panel);
    for (int i = 0; i < b->count; i++) {
        text_add(s, "%.6g", b->x[i]);
        for (int q = 0; q < QUANTILES; q++) text_add(s, " %.5g", fmax(b->y[q][i], floor));
        text_add(s, "\n");
    }
    text_add(s, "EOD\n");
}

// "repeat/0/residual1/hyena", with a number when the layer has several filters.
static const char *panel_title(const report_run *run, int filter, arena *a) {
    int same = 0, number = 0;
    for (int i = 0; i < run->filter_count; i++)
        if (strcmp(run->filters[i].layer, run->filters[filter].layer) == 0) {
            same++;
            if (i <= filter) number++;
        }
    return same > 1 ? arena_format(a, "%s, convolution %d", run->filters[filter].layer, number)
                    : run->filters[filter].layer;
}

static void add_panel(text *s, int panel, int panels, int height, const char *title) {
    const int row = panel / COLUMNS;
    const double left = 0.095 + 0.465 * (panel % COLUMNS), width = 0.405;
    const double top = HEAD + row * PANEL_HEIGHT + 22, bottom = top + PANEL_HEIGHT - 62;
    const bool is_last = panel + COLUMNS >= panels;
    text_add(s,
             "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
             "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset label 1003 ",
             left, left + width, 1 - top / height, 1 - bottom / height);
    script_add_quoted(s, title, 60);
    text_add(s, " at graph 0, graph 1.06 left\nset xlabel '%s' offset 0,0.4\nset ylabel '%s' offset 1,0\n",
             is_last ? "lag + 1 (tokens)" : "", panel % COLUMNS == 0 ? "magnitude" : "");
    text_add(s,
             "plot $filter%d using 1:2:6 with filledcurves fillcolor rgb '" COLOUR_ALL "', \\\n"
             "     $filter%d using 1:3:5 with filledcurves fillcolor rgb '" COLOUR_TRAIN_THIN "', \\\n"
             "     $filter%d using 1:4 with lines " MEDIAN "\n",
             panel, panel, panel);
}

static bool draw_filters(const report_run *run, arena *a, text *s) {
    const int panels = panels_of(run), height = picture_height(run);
    if (panels == 0) return false;
    bins *all = arena_alloc(a, (size_t)panels * sizeof *all);
    range highest = range_empty, usual = range_empty; // of the largest channels; of most
    double lags = 0;
    for (int i = 0; i < panels; i++) {
        const model_filter *f = &run->filters[panel_filter(i, panels, run->filter_count)];
        all[i] = make_bins(f, a);
        range_include(&highest, &(curve){all[i].x, all[i].y[QUANTILES - 1], (size_t)all[i].count});
        range_include(&usual, &(curve){all[i].x, all[i].y[1], (size_t)all[i].count});
        if (f->lags > lags) lags = f->lags;
    }
    if (!(highest.high > 0)) return false;                         // only zeros, or not finite
    const double floor = fmax(usual.low / 3, 1e-5 * highest.high); // smaller values have hardly any effect
    for (int i = 0; i < panels; i++) add_data(s, i, &all[i], floor);
    text_add(s,
             "set logscale xy\nset format x '%%g'\nset format y '1e%%T'\nset xrange [1:%.9g]\n"
             "set yrange [%.4g:%.4g]\n",
             lags > 1 ? lags : 2, floor, 1.5 * highest.high);
    script_legend(s, height, legend, LEGEND, 0);
    text_add(s, "set multiplot\n");
    for (int i = 0; i < panels; i++) {
        add_panel(s, i, panels, height, panel_title(run, panel_filter(i, panels, run->filter_count), a));
        if (i == 0) text_add(s, "unset label\nunset arrow\n");
    }
    text_add(s, "unset multiplot\n");
    return true;
}

const plot_type plot_filters = {
    .about = {.name = "filters",
              .kind = "plot",
              .summary = "the magnitude of long convolutions' filters by lag"},
    .title = "filters",
    .draw = draw_filters,
    .height = picture_height,
};
