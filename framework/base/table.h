// Tables of texts: aligned for terminals, or as CSV.
#ifndef RUNEXP_BASE_TABLE_H
#define RUNEXP_BASE_TABLE_H

#include "base/memory.h"
#include "base/text.h"

typedef struct table table;

table *table_new(arena *a);
void table_column(table *t, const char *heading, bool to_the_right);
// What the last column does where the terminal is too narrow: its texts are shortened in the middle; it is
// left out, before the columns of lower rank (1 and up). With a negative rank it is left out only where the
// shortest texts do not fit either, -1 after all others.
void table_shortens(table *t);
void table_gives_way(table *t, int rank);
void table_row(table *t); // begins a row; cells that are not added stay empty
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

// One line for the headings, one for each row; two blanks between columns, none at the end of a line. Fits
// `columns` columns (0: there is no limit) as far as its columns shorten and give way; a last line says how
// many were left out.
void table_text(const table *t, int columns, text *out);

// RFC 4180, lines end in "\n".
void table_csv(const table *t, text *out);

#endif
