// For tests: the ends of a graph of operators. Parameters come in as activations through test_copy; a
// scalar loss, the sum of an output's elements each times a fixed number, stands at the other end.
#ifndef RUNEXP_TESTS_SUPPORT_SMALL_OPERATORS_H
#define RUNEXP_TESTS_SUPPORT_SMALL_OPERATORS_H

#include "graph/graph.h"
#include "kernels/kernels.h"

#include <string.h>

static inline void test_copy_forward(const graph *g, const run_context *c, const op *o) {
    (void)g, (void)c;
    memcpy(o->out[0]->data, o->in[0]->data, o->out[0]->count * sizeof(real));
}

static inline void test_copy_backward(const graph *g, const run_context *c, const op *o) {
    (void)g;
    kernels->scale(o->out[0]->count, 1, o->out[0]->gradient->data, o->in[0]->gradient->data,
                   op_adds(c, o, 0));
}

static inline tensor *test_copy(graph *g, tensor *x) {
    static const op_kind kind = {
        .name = "copy",
        .forward = test_copy_forward,
        .backward = test_copy_backward,
        .varies = true, // not derived: what comes in is an activation
    };
    tensor *y = graph_tensor(g, TENSOR_ACTIVATION, x->rank, x->shape);
    graph_append(g, &kind, &x, 1, y, NULL);
    return y;
}

static inline void test_project_forward(const graph *g, const run_context *c, const op *o) {
    const real *factors = o->settings;
    real *y = o->in[0]->data;
    double sum = 0;
    for (size_t i = 0; i < o->in[0]->count; i++) {
        sum += (double)y[i] * (double)factors[i];
        if (g->options.gradients) y[i] = (real)c->gradient_scale * factors[i];
    }
    o->out[0]->data[0] = (real)sum;
}

// factors: as many as x has elements; must stay alive. The copy keeps x as it is, for those who want to
// look at it.
static inline tensor *test_project(graph *g, tensor *x, real *factors) {
    static const op_kind kind = {.name = "project", .forward = test_project_forward, .is_loss = true};
    tensor *copy = test_copy(g, x);
    tensor *loss = graph_tensor(g, TENSOR_ACTIVATION, 1, (int[]){1});
    graph_append(g, &kind, &copy, 1, loss, factors);
    return loss;
}

#endif
