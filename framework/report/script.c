#include "report/script.h"

#include <limits.h>
#include <math.h>
#include <string.h>

const range range_empty = {INFINITY, -INFINITY, 0};

enum { MAX_POINTS = 4000, BINS = 1000, FEW_POINTS = 60 };

// Sizes in pixels; PLOT_ and LETTER_ are estimates, good enough to see what covers what.
enum { WIDTH = 1000, LINE_HEIGHT = 18, PLOT_WIDTH = 860, PLOT_HEIGHT = 480, LETTER_WIDTH = 8 };

void range_include(range *r, const curve *c) {
    for (size_t i = 0; i < c->count; i++) {
        if (!isfinite(c->y[i])) continue;
        if (c->y[i] < r->low) r->low = c->y[i];
        if (c->y[i] > r->high) r->high = c->y[i];
        r->count++;
    }
}

void script_begin(text *s, const script_heading *h) {
    const double line = LINE_HEIGHT / (double)h->height;
    text_add(s,
             "# Draws %s.png (.svg or .txt where gnuplot has no png) beside this file: gnuplot %s.gp\n\n",
             h->stem, h->stem);
    text_add(s,
             "set encoding utf8\n"
             "folder = exists('ARG0') ? ARG0 : ''\n"
             "while (strlen(folder) > 0 && substr(folder, strlen(folder), strlen(folder)) ne '/') {\n"
             "    folder = substr(folder, 1, strlen(folder) - 1)\n"
             "}\n"
             "has(name) = strstrt(' ' . GPVAL_TERMINALS . ' ', ' ' . name . ' ') > 0\n"
             // What no installed font has, pngcairo draws as a box over the whole picture.
             "fonts_have(codes) = strlen(system(\"fc-list ':charset=\" . codes . \"' family\")) > 0\n"
             "characters(s, codes, box) = device ne 'pngcairo' || fonts_have(codes) ? s : box\n"
             "device = has('pngcairo') ? 'pngcairo' : has('png') ? 'png' : has('svg') ? 'svg' : 'dumb'\n");
    text_add(s,
             "if (device eq 'pngcairo') { set terminal pngcairo noenhanced size %d,%d font 'sans,11' }\n",
             WIDTH, h->height);
    text_add(s,
             "if (device eq 'png') { set terminal png noenhanced truecolor size %d,%d font 'sans,10' }\n",
             WIDTH, h->height);
    text_add(s,
             "if (device eq 'svg') { set terminal svg noenhanced size %d,%d font 'sans,13' "
             "background '#FFFFFF' }\n",
             WIDTH, h->height);
    text_add(s, "if (device eq 'dumb') { set terminal dumb noenhanced size 120,%d }\n", h->height / 15);
    text_add(s,
             "picture = folder . '%s' . (device eq 'svg' ? '.svg' : device eq 'dumb' ? '.txt' : '.png')\n"
             "set output picture . (exists('suffix') ? suffix : '')\n\n",
             h->stem);
    const bool is_long = script_columns(h->title) > 74;
    text_add(s, "set label 1001 ");
    script_add_quoted(s, h->title, 92);
    text_add(s, " at graph 0, screen %.4f left font ',%d'\n", 1 - 1.35 * line, is_long ? 12 : 15);
    text_add(s, "set label 1002 ");
    script_add_quoted(s, h->description ? h->description : "", 112);
    text_add(s, " at graph 0, screen %.4f left textcolor rgb '" COLOUR_NOTE "'\n", 1 - 2.6 * line);
    text_add(s,
             "set lmargin at screen 0.105\n"
             "set rmargin at screen 0.965\n"
             "set tmargin at screen %.4f\n"
             "set bmargin at screen %.4f\n"
             "unset key\n",
             1 - 3.9 * line, 3.2 * line);
    text_add(s, "set border 3 linecolor rgb '#666666'\n"
                "set tics out nomirror\n"
                "set grid back linecolor rgb '#E3E3E3' linewidth 1 linetype 1\n"
                "if (device eq 'dumb') { unset grid }\n\n");
}

void script_end(text *s) {
    text_add(s, "set output\n"
                "set print '-'\n"
                "print picture\n");
}

static void add_point(text *s, double x, double y) {
    if (isfinite(y))
        text_add(s, "%.9g %.7g\n", x, y);
    else
        text_add(s, "%.9g NaN\n", x);
}

// One bin of a thinned curve. A value that is not finite breaks the line here too.
static void add_bin(text *s, const curve *c, size_t from, size_t to, thinning how) {
    size_t low = from, high = from, broken = to;
    double x = 0, y = 0;
    for (size_t i = from; i < to; i++) {
        if (!isfinite(c->y[i])) {
            broken = i;
            continue;
        }
        x += c->x[i];
        y += c->y[i];
        if (!isfinite(c->y[low]) || c->y[i] < c->y[low]) low = i;
        if (!isfinite(c->y[high]) || c->y[i] > c->y[high]) high = i;
    }
    if (broken < to) {
        add_point(s, c->x[broken], NAN);
    } else if (how == THIN_MEANS) {
        add_point(s, x / (double)(to - from), y / (double)(to - from));
    } else {
        add_point(s, c->x[low < high ? low : high], c->y[low < high ? low : high]);
        if (low != high) add_point(s, c->x[low < high ? high : low], c->y[low < high ? high : low]);
    }
}

void script_add_curve(text *s, const char *name, const curve *c, thinning how) {
    text_add(s, "$%s << EOD\n", name);
    if (c->count <= MAX_POINTS)
        for (size_t i = 0; i < c->count; i++) add_point(s, c->x[i], c->y[i]);
    else
        for (size_t b = 0; b < BINS; b++)
            add_bin(s, c, b * c->count / BINS, (b + 1) * c->count / BINS, how);
    text_add(s, "EOD\n");
}

void script_x_axis(text *s, axes *drawn, const char *title, double last) {
    drawn->last = last > 0 ? last : 1;
    text_add(s, "set xlabel ");
    script_add_quoted(s, title, 0);
    text_add(s, "\nset xrange [0:%.9g]\nset format x '%s'\n", drawn->last, last > 10 ? "%.0f" : "%g");
    if (last == floor(last) && last <= 10) text_add(s, "set xtics 1\n");
}

void script_axis_above(text *s, script_plot *plot, const char *title, double last) {
    plot->axis_above = 48;
    text_add(s, "set x2label ");
    script_add_quoted(s, title, 0);
    text_add(s, " offset 0,-0.6\nset x2range [0:%.9g]\nset x2tics\nset border 7\n", last);
}

// gnuplot labels whole powers of ten only: over few decades hardly any label would remain. Over many it
// draws so many small tics that they become a bar.
void script_logarithmic_tics(text *s, const char *axis, double low, double high) {
    static const double few[] = {1, 2, 5, 0}, many[] = {1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9, 0};
    const double decades = log10(high) - log10(low);
    if (decades > 3) {
        text_add(s, "set %stics autofreq\n", axis);
        if (low < 1e-4 || high > 1e5) text_add(s, "set format %s '1e%%T'\n", axis);
        if (decades > 8) text_add(s, "set m%stics 1\n", axis);
        return;
    }
    const char *separator = "";
    text_add(s, "set %stics (", axis);
    for (int exponent = (int)floor(log10(low)); exponent <= (int)floor(log10(high)); exponent++) {
        const double power = pow(10, exponent);
        for (const double *digit = decades < 0.8 ? many : few; *digit > 0; digit++) {
            const double at = *digit * power, nearly = 1 + 1e-9;
            if (at * nearly < low || at > high * nearly) continue;
            text_add(s, "%s%g", separator, at);
            separator = ", ";
        }
    }
    text_add(s, ")\n");
}

void script_value_axis(text *s, axes *drawn, const char *title, range r, double log_above,
                       axis_start start) {
    drawn->logarithmic = r.count > 0 && r.low > 0 && r.high > log_above * r.low;
    if (drawn->logarithmic) {
        double room = exp(0.08 * (log(r.high) - log(r.low)));
        drawn->low = r.low / room;
        drawn->high = r.high * room;
    } else {
        double low = start == AXIS_FROM_ZERO && r.low > 0 ? 0 : r.low, room = 0.08 * (r.high - low);
        if (!(room > 0)) room = r.high != 0 ? 0.1 * fabs(r.high) : 1;
        drawn->low = low == 0 ? 0 : low - room;
        drawn->high = r.high + room;
    }
    text_add(s, "set ylabel ");
    script_add_quoted(s, title, 0);
    text_add(s, "\n%sset format y '%%g'\nset yrange [%.6g:%.6g]\n",
             drawn->logarithmic ? "set logscale y\n" : "", drawn->low, drawn->high);
    if (drawn->logarithmic) script_logarithmic_tics(s, "y", drawn->low, drawn->high);
}

void script_vertical_mark(text *s, const axes *drawn, double x, int level, const char *colour,
                          const char *label) {
    bool to_the_left = x > 0.5 * drawn->last;
    text_add(s,
             "set arrow from %.9g, graph 0 to %.9g, graph 1 nohead dashtype 2 linewidth 1.5 "
             "linecolor rgb '%s'\n",
             x, x, colour);
    text_add(s, "set label ");
    script_add_quoted(s, label, 0);
    text_add(s, " at %.9g, graph %.3f %s offset %s,0 textcolor rgb '%s' front\n", x, 0.97 - 0.06 * level,
             to_the_left ? "right" : "left", to_the_left ? "-0.8" : "0.8", colour);
}

typedef struct box {
    double left, right, bottom, top;
} box;

static double pixel_x(const axes *d, double x) {
    return PLOT_WIDTH * x / d->last;
}

static double pixel_y(const axes *d, double y) {
    double part = d->logarithmic ? (log(y) - log(d->low)) / (log(d->high) - log(d->low))
                                 : (y - d->low) / (d->high - d->low);
    return PLOT_HEIGHT * part;
}

// How much of a curve runs through a box, in pixels along x.
static double covered(const axes *d, const curve *c, const box *b) {
    double sum = 0;
    for (size_t i = 1; i < c->count; i++) {
        double x0 = pixel_x(d, c->x[i - 1]), x1 = pixel_x(d, c->x[i]);
        if (x1 < b->left || x0 > b->right || !isfinite(c->y[i - 1]) || !isfinite(c->y[i])) continue;
        double y0 = pixel_y(d, c->y[i - 1]), y1 = pixel_y(d, c->y[i]);
        int pieces = 1 + (int)((x1 - x0) / 4);
        for (int k = 0; k < pieces; k++) {
            double part = (k + 0.5) / pieces, x = x0 + part * (x1 - x0), y = y0 + part * (y1 - y0);
            if (x >= b->left && x <= b->right && y >= b->bottom && y <= b->top) sum += (x1 - x0) / pieces;
        }
    }
    return sum;
}

void script_point_mark(text *s, const axes *drawn, double x, double y, const char *colour,
                       const char *label, const curve *curves, int count, bool has_line) {
    static const char *const sides[] = {"center", "left", "right"};
    static const double heights[] = {1.2, -1.2, 2.2, -2.2, 3.4, -3.4, 5, -5};
    const double width = LETTER_WIDTH * script_columns(label), px = pixel_x(drawn, x),
                 py = pixel_y(drawn, y);
    double least = INFINITY, offset_x = 0, offset_y = 1.2;
    const char *side = sides[0];
    for (size_t h = 0; h < sizeof heights / sizeof *heights; h++) {
        for (int k = 0; k < 3; k++) {
            double shift = k == 1 ? LETTER_WIDTH : k == 2 ? -LETTER_WIDTH : 0;
            double left = px + shift - (k == 0 ? width / 2 : k == 2 ? width : 0);
            double middle = py + heights[h] * LINE_HEIGHT;
            const box b = {left - 4, left + width + 4, middle - 0.6 * LINE_HEIGHT,
                           middle + 0.6 * LINE_HEIGHT};
            double cost = 2.0 * (double)h; // prefer places close to the point
            if (b.left < 0) cost -= 10 * b.left;
            if (b.right > PLOT_WIDTH + 4) cost += 10 * (b.right - PLOT_WIDTH - 4);
            if (b.bottom < 4) cost += 10 * (4 - b.bottom);
            if (b.top > PLOT_HEIGHT - 2 * LINE_HEIGHT) cost += 10 * (b.top - PLOT_HEIGHT + 2 * LINE_HEIGHT);
            if (has_line && k == 0) cost += LINE_HEIGHT;
            for (int i = 0; i < count; i++) cost += covered(drawn, &curves[i], &b);
            if (cost >= least) continue;
            least = cost;
            side = sides[k];
            offset_x = k == 1 ? 1 : k == 2 ? -1 : 0;
            offset_y = heights[h];
        }
    }
    text_add(s, "set label ");
    script_add_quoted(s, label, 0);
    text_add(s,
             " at %.9g,%.9g %s offset %g,%g front textcolor rgb '%s' "
             "point pointtype 6 pointsize 2 linewidth 2 linecolor rgb '%s'\n",
             x, y, side, offset_x, offset_y, colour, colour);
}

bool script_has_lone_point(const curve *c) {
    for (size_t i = 0; i < c->count; i++)
        if (isfinite(c->y[i]) && !(i > 0 && isfinite(c->y[i - 1])) &&
            !(i + 1 < c->count && isfinite(c->y[i + 1])))
            return true;
    return false;
}

const char *script_style(const curve *c) {
    return c->count <= FEW_POINTS || script_has_lone_point(c) ? STYLE_POINTS : STYLE_LINES;
}
