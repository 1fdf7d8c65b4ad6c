// What operators ask of those that they can be fused with.
#ifndef RUNEXP_GRAPH_OPS_FUSE_H
#define RUNEXP_GRAPH_OPS_FUSE_H

#include "graph/graph.h"

// Makes o's output residual + what it was, when o is of that kind and has no residual yet; returns whether
// it did.
bool linear_fuse_residual(op *o, tensor *residual);
bool dropout_fuse_residual(op *o, tensor *residual);

// When y was made by the operator appended last, and that is a linear without activation or residual: takes
// it out of the graph and hands over its inputs (*bias may be NULL). y then has no producer and never will
// have data. Returns whether it did.
bool linear_take_apart(graph *g, tensor *y, tensor **x, tensor **weight, tensor **bias);

// When x was made by an embedding without a scale: hands over its inputs, and leaves it in the graph, for
// others that may read x.
bool embedding_inputs(const tensor *x, tensor **ids, tensor **table);

#endif
