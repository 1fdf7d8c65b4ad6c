// Softmax cross-entropy over the last axis.
#include "graph/ops.h"

typedef struct loss_settings {
    int rows, vocabulary;
    double smoothing;
} loss_settings;

static void forward(const graph *g, const run_context *c, const op *o) {
    const loss_settings *s = o->settings;
    kernels->cross_entropy(s->rows, s->vocabulary, o->in[0]->data, o->in[1]->ids, (real)s->smoothing,
                           g->mode == GRAPH_TRAIN, (real)c->gradient_scale, o->out[0]->data);
}

static double flops(const op *o) {
    const loss_settings *s = o->settings;
    return 5.0 * s->rows * s->vocabulary;
}

static const op_kind loss_kind = {
    .name = "cross_entropy", .forward = forward, .passthrough = -1, .is_loss = true, .flops = flops};

tensor *op_cross_entropy(graph *g, tensor *logits, tensor *targets, double smoothing) {
    loss_settings *s = arena_alloc(g->memory, sizeof *s);
    s->vocabulary = logits->shape[logits->rank - 1];
    s->rows = (int)(logits->count / (size_t)s->vocabulary);
    s->smoothing = smoothing;
    tensor *losses = graph_tensor(g, TENSOR_ACTIVATION, logits->rank - 1, logits->shape);
    graph_append(g, &loss_kind, (tensor *[]){logits, targets}, 2, losses, s);
    return losses;
}
