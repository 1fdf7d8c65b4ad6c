// Writing gnuplot scripts: what every picture of the program has in common.
//
// A script carries its data inside, chooses among the terminals of the installed gnuplot, and writes its
// picture beside itself, so that it can be run again on another machine. Whoever sets gnuplot's variable
// `suffix` gets the picture under its name with that suffix.
#ifndef RUNEXP_REPORT_SCRIPT_H
#define RUNEXP_REPORT_SCRIPT_H

#include "base/text.h"

// Colours that colour-blind readers can tell apart: Okabe and Ito, "Color Universal Design", 2008.
#define COLOUR_TRAIN "#0072B2"      // blue
#define COLOUR_TRAIN_THIN "#B3D4E8" // the same, pale
#define COLOUR_VAL "#D55E00"        // vermilion
#define COLOUR_TEST "#009E73"       // green
#define COLOUR_OTHER "#CC79A7"      // purple
#define COLOUR_NOTE "#555555"       // marks and their labels

// A curve; values that are not finite break its line.
typedef struct curve {
    const double *x, *y;
    size_t count;
} curve;

// How a curve of more than 4000 points is thinned: by the smallest and largest value of each of 1000 bins,
// so that no peak is lost, or by their means.
typedef enum thinning { THIN_EXTREMES, THIN_MEANS } thinning;

// The range of the finite values of several curves. Start with range_empty; count is 0 when there were
// none.
typedef struct range {
    double low, high;
    size_t count;
} range;
extern const range range_empty;
void range_include(range *r, const curve *c);

typedef struct script_heading {
    const char *stem;  // the script's file name without ".gp": the picture's too
    const char *title; // first line
    const char *description;
    int height; // pixels; the width is always 1000
} script_heading;

enum { SCRIPT_HEIGHT = 620 }; // of a picture with one plot

// Everything up to the first axis: terminal, output, title, grid, margins.
void script_begin(text *s, const script_heading *h);
void script_end(text *s);

// Any string as an expression of gnuplot: control characters become blanks, invalid UTF-8 a question mark.
// In the room of at most max_columns lower-case Latin letters, with an ellipsis in the middle (0: no
// limit), as both ends tell names apart.
void script_add_quoted(text *s, const char *value, int max_columns);

// About how many lower-case Latin letters are as wide as s in a picture.
int script_columns(const char *s);

typedef struct legend_entry {
    const char *look; // of its line: "linewidth 2.5 linecolor rgb '#0072B2'"
    const char *text;
    bool has_points;
} legend_entry;

// A legend between heading and plot, in as many columns as there is room for, and the top margin below it,
// with axis_above pixels for an axis.
// gnuplot's own puts everything in one column, over the curves, when it takes the columns for too wide.
void script_legend(text *s, int height, const legend_entry *entries, int count, int axis_above);
int script_legend_height(const legend_entry *entries, int count); // pixels

// The plot command of a picture, curve by curve, with its legend. Start with {0}; looks and titles must
// live until the end; a curve without a title is not in the legend.
enum { SCRIPT_CURVES = 8 };
typedef struct script_plot {
    text command;
    int axis_above; // pixels between legend and plot that an axis takes
    legend_entry legend[SCRIPT_CURVES];
    int count;
} script_plot;
void script_plot_add(script_plot *p, const char *what, const char *style, const char *look,
                     const char *title);
void script_plot_end(script_plot *p, text *s, int height);

// A data block "$<name> << EOD".
void script_add_curve(text *s, const char *name, const curve *c, thinning how);

// Axes as they were written, to compute where in the picture a point lies.
typedef struct axes {
    double last;      // x runs from 0 to last
    double low, high; // of y
    bool logarithmic;
} axes;

// "set xlabel", "set xrange" and tics from 0 to last.
void script_x_axis(text *s, axes *drawn, const char *title, double last);

// A second axis above the plot for the same points, which runs from 0 to last too.
void script_axis_above(text *s, script_plot *plot, const char *title, double last);

// "set yrange" and tics around the values, with some room; logarithmic when they are positive and spread
// over more than a factor of `log_above`. AXIS_FROM_ZERO: linear axes of positive values start at 0.
typedef enum axis_start { AXIS_FITTED, AXIS_FROM_ZERO } axis_start;
void script_value_axis(text *s, axes *drawn, const char *title, range r, double log_above,
                       axis_start start);

// A dashed vertical line at x over the whole height with a label beside its top end (level 0) or one or
// more lines below (level 1, ...).
void script_vertical_mark(text *s, const axes *drawn, double x, int level, const char *colour,
                          const char *label);

// A ring around a point, with a label beside it where it covers least of the given curves and, when
// has_line is set, not a vertical line through the point.
void script_point_mark(text *s, const axes *drawn, double x, double y, const char *colour,
                       const char *label, const curve *curves, int count, bool has_line);

// Tics of a logarithmic axis ("y", "cb") from low to high, which are positive.
void script_logarithmic_tics(text *s, const char *axis, double low, double high);

#define STYLE_LINES "with lines"
#define STYLE_POINTS "with linespoints pointtype 7 pointsize 0.6"

// STYLE_LINES or, for a curve whose points should be seen since they are few or one is alone, STYLE_POINTS.
const char *script_style(const curve *c);

// Whether a line would not show some point because it has no neighbour.
bool script_has_lone_point(const curve *c);

#endif
