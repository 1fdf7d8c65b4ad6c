// What op_residual asks of the operators that can take a sum into their own work.
#ifndef RUNEXP_GRAPH_OPS_FUSE_H
#define RUNEXP_GRAPH_OPS_FUSE_H

#include "graph/graph.h"

// Makes o's output residual + what it was, when o is of that kind and has no residual yet; returns whether
// it did.
bool linear_fuse_residual(op *o, tensor *residual);
bool dropout_fuse_residual(op *o, tensor *residual);

#endif
