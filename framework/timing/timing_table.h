// The times of a training step as a table.
#ifndef RUNEXP_TIMING_TIMING_TABLE_H
#define RUNEXP_TIMING_TIMING_TABLE_H

#include "base/text.h"
#include "timing/ceilings.h"
#include "timing/timing.h"

// For people: rates and shares of the ceilings of each row, the two steps of its operators together.
// columns as in table_text.
void timing_table(const timing *t, const ceilings *c, int columns, text *out);

// For programs: a line of headings, a line for each row and one for the step, columns separated by tabs.
// Times are microseconds, rates GFLOP/s and GB/s, each step by itself; 0 where there is nothing to count.
void timing_tsv(const timing *t, text *out);

#endif
