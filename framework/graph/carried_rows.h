// For recurrent operators: the state before the first tokens of a run, and the one that is left for the
// next. Tensors of all tokens are (batch, time, width), a state is (batch, width).
#ifndef RUNEXP_GRAPH_CARRIED_ROWS_H
#define RUNEXP_GRAPH_CARRIED_ROWS_H

#include "graph/graph.h"

// Fills `first`, (batch, width), from a carried state or an input; with zeros where that is NULL, and in
// rows whose first token begins a document.
void carried_rows_begin(const graph *g, const run_context *c, const tensor *from, tensor *first);

// Leaves the values of the last tokens in `to` when that is a carried state; else (an input, NULL) does
// nothing.
void carried_rows_end(const graph *g, const tensor *all, const tensor *to);

#endif
