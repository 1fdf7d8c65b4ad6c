// Tables of texts: aligned for terminals, or as CSV.
#ifndef RUNEXP_REPORT_TABLE_H
#define RUNEXP_REPORT_TABLE_H

#include "base/memory.h"
#include "base/text.h"

typedef struct table table;

table *table_new(arena *a);
void table_column(table *t, const char *heading, bool to_the_right);
void table_row(table *t); // begins a row; cells that are not added stay empty
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

// One line for the headings, one for each row; two blanks between columns, none at the end of a line.
void table_text(const table *t, text *out);

// RFC 4180, lines end in "\n".
void table_csv(const table *t, text *out);

#endif
