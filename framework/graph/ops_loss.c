// Softmax cross-entropy over the last axis: of logits, or of a linear map whose logits never exist all at
// once.
#include "graph/ops.h"
#include "graph/ops_fuse.h"

// --- of logits

typedef struct loss_settings {
    int rows, vocabulary;
    double smoothing;
} loss_settings;

static void forward(const graph *g, const run_context *c, const op *o) {
    const loss_settings *s = o->settings;
    kernels->cross_entropy(s->rows, s->vocabulary, o->in[0]->data, o->in[1]->ids, (real)s->smoothing,
                           g->options.gradients, (real)c->gradient_scale, o->out[0]->data);
}

static double flops(const op *o) {
    const loss_settings *s = o->settings;
    return 5.0 * s->rows * s->vocabulary;
}

static const op_kind loss_kind = {
    .name = "cross_entropy", .forward = forward, .is_loss = true, .only_in_place = true, .flops = flops};

static tensor *append_loss(graph *g, tensor *logits, tensor *targets, double smoothing) {
    loss_settings *s = arena_alloc(g->memory, sizeof *s);
    s->vocabulary = tensor_width(logits);
    s->rows = (int)(logits->count / (size_t)s->vocabulary);
    s->smoothing = smoothing;
    tensor *losses = graph_tensor(g, TENSOR_ACTIVATION, logits->rank - 1, logits->shape);
    graph_append(g, &loss_kind, (tensor *[]){logits, targets}, 2, losses, s);
    return losses;
}

// --- of x W^T + b, by chunks of rows

enum { X, WEIGHT, BIAS, TARGETS, PACKED_TRANSPOSED, PACKED, INPUTS };

typedef struct chunked_settings {
    int rows, in, vocabulary;
    int chunk; // rows whose logits exist at a time
    double smoothing;
} chunked_settings;

// The logits of a chunk stand at the beginning of the workspace.
static size_t logits_bytes(const chunked_settings *s) {
    const size_t alignment = 64;
    return ((size_t)s->chunk * (size_t)s->vocabulary * sizeof(real) + alignment - 1) / alignment *
           alignment;
}

// A product of some rows with W^T or, for gradients, with W; by the packed weight, where there is one.
static void multiply(const op *o, bool transposed, int rows, const real *from, real *to,
                     const gemm_epilogue *epilogue, void *workspace) {
    const chunked_settings *s = o->settings;
    const int N = transposed ? s->vocabulary : s->in, K = transposed ? s->in : s->vocabulary;
    const tensor *packed = o->in[transposed ? PACKED_TRANSPOSED : PACKED];
    if (packed)
        kernels->gemm_packed(false, rows, N, K, from, K, packed->data, to, N, epilogue);
    else
        kernels->gemm(false, transposed, rows, N, K, from, K, o->in[WEIGHT]->data, s->in, to, N, epilogue,
                      workspace);
}

// Adds what the rows from `first` on give to the gradients, dz being the gradient of their logits. That of
// x comes last: it may take the bytes of x.
static void add_gradients(const run_context *c, const op *o, int first, int rows, const real *dz,
                          void *workspace) {
    const chunked_settings *s = o->settings;
    const size_t at = (size_t)first * (size_t)s->in;
    const tensor *weight = o->in[WEIGHT], *bias = o->in[BIAS], *dx = o->in[X]->gradient;
    const gemm_epilogue to_weight = {.accumulate = first > 0 || op_adds(c, o, WEIGHT)};
    const gemm_epilogue to_input = {.accumulate = op_adds(c, o, X)};
    if (bias)
        kernels->column_sum(rows, s->vocabulary, dz, s->vocabulary, bias->gradient->data,
                            first > 0 || op_adds(c, o, BIAS));
    kernels->gemm(true, false, s->vocabulary, s->in, rows, dz, s->vocabulary, o->in[X]->data + at, s->in,
                  weight->gradient->data, s->in, &to_weight, workspace);
    if (dx) multiply(o, false, rows, dz, dx->data + at, &to_input, workspace);
}

static void chunked_forward(const graph *g, const run_context *c, const op *o) {
    const chunked_settings *s = o->settings;
    const bool train = g->options.gradients;
    const gemm_epilogue to_logits = {.bias = o->in[BIAS] ? o->in[BIAS]->data : NULL};
    real *logits = g->workspace;
    void *workspace = (char *)g->workspace + logits_bytes(s);
    for (int first = 0; first < s->rows; first += s->chunk) {
        const int rows = s->rows - first < s->chunk ? s->rows - first : s->chunk;
        multiply(o, true, rows, o->in[X]->data + (size_t)first * (size_t)s->in, logits, &to_logits,
                 workspace);
        kernels->cross_entropy(rows, s->vocabulary, logits, o->in[TARGETS]->ids + first, (real)s->smoothing,
                               train, (real)c->gradient_scale, o->out[0]->data + first);
        if (train) add_gradients(c, o, first, rows, logits, workspace);
    }
}

static double chunked_flops(const op *o) {
    const chunked_settings *s = o->settings;
    return (2.0 * s->in + 5) * s->rows * s->vocabulary;
}

static size_t chunked_workspace(const op *o, bool backward) {
    const chunked_settings *s = o->settings;
    if (backward) return 0;
    size_t bytes = kernels->gemm_workspace(s->vocabulary, s->in);
    size_t weight = kernels->gemm_workspace(s->in, s->chunk);
    size_t input = kernels->gemm_workspace(s->in, s->vocabulary);
    if (weight > bytes) bytes = weight;
    if (input > bytes) bytes = input;
    return logits_bytes(s) + bytes;
}

static const op_kind chunked_kind = {.name = "linear_cross_entropy",
                                     .forward = chunked_forward,
                                     .is_loss = true,
                                     .flops = chunked_flops,
                                     .workspace = chunked_workspace};

tensor *op_linear_cross_entropy(graph *g, tensor *x, tensor *weight, tensor *bias, tensor *targets,
                                double smoothing, int chunk) {
    chunked_settings *s = arena_alloc(g->memory, sizeof *s);
    s->vocabulary = weight->shape[0];
    s->in = weight->shape[1];
    s->rows = (int)(x->count / (size_t)s->in);
    s->chunk = chunk < s->rows ? chunk : s->rows;
    s->smoothing = smoothing;
    tensor *losses = graph_tensor(g, TENSOR_ACTIVATION, x->rank - 1, x->shape);
    tensor *in[INPUTS] = {[X] = x, [WEIGHT] = weight, [BIAS] = bias, [TARGETS] = targets};
    if (g->options.packs_weights) {
        in[PACKED_TRANSPOSED] = op_pack(g, weight, true);
        if (g->options.gradients && x->differentiable) in[PACKED] = op_pack(g, weight, false);
    }
    graph_append(g, &chunked_kind, in, INPUTS, losses, s);
    return losses;
}

// --- which of the two

// Rows of logits at a time. So few that they stay in the second-level cache, but not fewer than make the
// products worth it: each chunk reads the weight twice and adds to all of its gradient. In equal pieces, by
// shape alone.
static int chunk_of(int rows, int vocabulary) {
    enum { CACHED = 1 << 18, FEWEST = 192, MULTIPLE = 12 };
    const int most = CACHED / vocabulary > FEWEST ? CACHED / vocabulary : FEWEST;
    const int chunks = (rows + most - 1) / most, each = (rows + chunks - 1) / chunks;
    return (each + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
}

tensor *op_cross_entropy(graph *g, tensor *logits, tensor *targets, double smoothing) {
    const int vocabulary = tensor_width(logits), rows = (int)(logits->count / (size_t)vocabulary),
              chunk = chunk_of(rows, vocabulary);
    tensor *x, *weight, *bias;
    if (chunk >= rows || !linear_take_apart(g, logits, &x, &weight, &bias))
        return append_loss(g, logits, targets, smoothing);
    return op_linear_cross_entropy(g, x, weight, bias, targets, smoothing, chunk);
}
