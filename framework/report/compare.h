// Runs side by side: pictures and tables.
#ifndef RUNEXP_REPORT_COMPARE_H
#define RUNEXP_REPORT_COMPARE_H

#include "base/text.h"
#include "report/gnuplot.h"
#include "report/run.h"

// For qsort of pointers into an array of runs: the smallest validation loss first; runs without one come
// last; equals stay in the order of the array.
int report_better_first(const void *x, const void *y);

// Writes plots_folder/compare-<names>/{steps,tokens,seconds}.gp and draws them: above, the validation loss
// of every run, below, its learning rate, both over completed steps, tokens trained on, or seconds of
// training. Thin lines are smoothed training losses, where they would not bury the rest; losses of runs
// that are much worse than when they began are in a strip at the top. The best dozen runs are named and
// coloured, the rest is grey; a number that was swept is a colour scale. Panels have the same height for
// any number of runs. Errors and the line of the log as in report_plot_run.
status report_compare(const report_run *runs, int count, const char *plots_folder, const gnuplot *program,
                      error *err);

// One row for each run, the best validation loss first: the settings that differ, losses, perplexity,
// speed, time, status. As text, a dozen settings at most are columns, and a note says how many were left
// out; as CSV, all of them under their full paths and every number in full. columns as in table_text.
void report_compare_table(const report_run *runs, int count, bool csv, int columns, text *out);

// One row for each run, in the given order: status, steps done and wanted, best validation loss, when.
void report_list_table(const report_run *runs, int count, int columns, text *out);

// Loads every run found directly in a folder, sorted by name. One that cannot be read is a warning. ERR_IO
// when the folder cannot be read. Memory from a.
status report_find_runs(const char *folder, arena *a, report_run **runs, int *count, error *err);

#endif
