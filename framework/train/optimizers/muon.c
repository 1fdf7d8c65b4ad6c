// Muon: momentum orthogonalised by a Newton-Schulz iteration for hidden matrices, AdamW for the rest.
//
// Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
// (kellerjordan.github.io/posts/muon); the scaling that matches AdamW's step is of arXiv 2502.16982,
// section 2.
#include "train/optimizers/optimizer.h"

#include <math.h>

typedef enum muon_scaling { MUON_ASPECT, MUON_ADAMW } muon_scaling;

typedef struct muon_settings {
    optimizer_common common;
    double momentum;
    bool nesterov;
    int64_t iterations;
    int scaling; // muon_scaling
    double adam_lr;
    real_list adam_betas;
    double adam_epsilon;
} muon_settings;

static const char *const scalings[] = {"aspect", "adamw", NULL};

#define SETTINGS muon_settings
static const option muon_options[] = {
    OPTIMIZER_LR("0.02", DOC_LR ", of hidden matrices"),
    OPTIMIZER_WEIGHT_DECAY("0.0", DOC_DECOUPLED_DECAY),
    REAL(momentum, "0.95", 0, BELOW(1), "decay of the running mean of the gradient"),
    BOOL(nesterov, "true",
         "orthogonalise the mean as it would be after one more step with the same gradient"),
    INT(iterations, "5", 1, 20,
        "Newton-Schulz iterations; 5 bring singular values above 0.0015 of the norm into [0.68, 1.2]"),
    CHOICE(scaling, "aspect", scalings,
           "scale of an m x n step: aspect: sqrt(max(1, m/n)); adamw: 0.2 sqrt(max(m, n)), for AdamW's lr"),
    REAL(adam_lr, "1.0e-3", ABOVE(0), INFINITY,
         "learning rate of the other parameters; the schedule scales it like lr"),
    REALS(adam_betas, "[0.9, 0.95]", 0, BELOW(1), "betas of AdamW for the other parameters", .min_count = 2,
          .max_count = 2),
    REAL(adam_epsilon, "1.0e-10", ABOVE(0), 1, "epsilon of AdamW for the other parameters"),
    {0},
};
#undef SETTINGS

// A parameter as Muon sees it: `parts` matrices of rows x columns, one after the other.
typedef struct stack {
    int parts, rows, columns;
} stack;

static stack stack_of(const parameter *p) {
    const int parts = p->about.parts == 0 ? 1 : p->about.parts;
    return (stack){parts, p->about.shape[0] / parts, (int)(p->count / (size_t)p->about.shape[0])};
}

// Where the pieces of the workspace for one matrix begin, in bytes. side is the shorter side.
typedef struct layout {
    int side;
    size_t x, spare, gram, polynomial, product, total;
} layout;

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static layout layout_of(const stack *s) {
    layout l = {.side = s->rows < s->columns ? s->rows : s->columns};
    const int longer = s->rows < s->columns ? s->columns : s->rows;
    const size_t align = 63;
    const size_t whole = ((size_t)s->rows * s->columns * sizeof(real) + align) & ~align;
    const size_t square = ((size_t)l.side * l.side * sizeof(real) + align) & ~align;
    l.spare = l.x + whole;
    l.gram = l.spare + whole;
    l.polynomial = l.gram + square;
    l.product = l.polynomial + square;
    size_t product =
        larger(kernels->gemm_workspace(l.side, longer), kernels->gemm_workspace(l.side, l.side));
    product = larger(product, kernels->gemm_workspace(s->columns, l.side));
    l.total = l.product + product;
    return l;
}

static size_t muon_workspace(const void *settings, const parameter_set *parameters) {
    (void)settings;
    size_t most = 0;
    for (int i = 0; i < parameters->count; i++) {
        if (!parameters->items[i]->about.matrix) continue;
        const stack s = stack_of(parameters->items[i]);
        most = larger(most, layout_of(&s).total);
    }
    return most;
}

// Newton-Schulz with the quintic a x + b x^3 + c x^5 on the singular values of the matrix at workspace +
// l->x, after division by its Frobenius norm. With the Gram matrix A over the shorter side, X becomes (a I
// + b A + c A^2) X, or X (a I + b A + c A^2) when columns are the shorter side: the same as transposing
// first. Returns where the result is.
static real *orthogonalise(const stack *s, const layout *l, int64_t iterations, char *workspace) {
    const double a = 3.4445, b = -4.7750, c = 2.0315;
    const int m = s->rows, n = s->columns, side = l->side;
    const bool wide = m <= n;
    const size_t count = (size_t)m * n, squared = (size_t)side * side;
    real *x = (real *)(workspace + l->x), *spare = (real *)(workspace + l->spare);
    real *gram = (real *)(workspace + l->gram), *polynomial = (real *)(workspace + l->polynomial);
    void *product = workspace + l->product;
    static const gemm_epilogue plain = {.act = ACTIVATION_NONE};

    const double norm = sqrt(kernels->sum_of_squares(count, x));
    kernels->scale(count, (real)(1 / (norm + 1e-7)), x, x, false);
    for (int64_t i = 0; i < iterations; i++) {
        if (wide)
            kernels->gemm(false, true, side, side, n, x, n, x, n, gram, side, &plain, product);
        else
            kernels->gemm(true, false, side, side, m, x, n, x, n, gram, side, &plain, product);
        kernels->gemm(false, false, side, side, side, gram, side, gram, side, polynomial, side, &plain,
                      product);
        kernels->scale(squared, (real)c, polynomial, polynomial, false);
        kernels->scale(squared, (real)b, gram, polynomial, true);
        for (int d = 0; d < side; d++) polynomial[(size_t)d * side + d] += (real)a;
        if (wide)
            kernels->gemm(false, false, m, n, side, polynomial, side, x, n, spare, n, &plain, product);
        else
            kernels->gemm(false, false, m, n, side, x, n, polynomial, side, spare, n, &plain, product);
        real *swap = x;
        x = spare;
        spare = swap;
    }
    return x;
}

static double step_scale(const muon_settings *settings, const stack *s) {
    const double m = s->rows, n = s->columns;
    return settings->scaling == MUON_ADAMW ? 0.2 * sqrt(fmax(m, n)) : sqrt(fmax(1, m / n));
}

static void update_matrix(const muon_settings *settings, const stack *s, const optimizer_update *u,
                          char *workspace, real *p, const real *g, real *m) {
    const layout l = layout_of(s);
    const size_t count = (size_t)s->rows * s->columns;
    const double beta = settings->momentum;
    const real gradient_part = (real)((1 - beta) * u->gradient_scale);
    real *x = (real *)(workspace + l.x);

    kernels->scale(count, (real)beta, m, m, false);
    kernels->scale(count, gradient_part, g, m, true);
    kernels->scale(count, settings->nesterov ? (real)beta : 1, m, x, false);
    if (settings->nesterov) kernels->scale(count, gradient_part, g, x, true);

    const real *direction = orthogonalise(s, &l, settings->iterations, workspace);
    if (u->weight_decay > 0) kernels->scale(count, (real)(1 - u->lr * u->weight_decay), p, p, false);
    kernels->scale(count, (real)(-u->lr * step_scale(settings, s)), direction, p, true);
}

static void muon_update(const void *settings, const optimizer_call *call) {
    const muon_settings *s = settings;
    const parameter_set *set = call->parameters;
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        if (!p->about.matrix) continue;
        const stack matrices = stack_of(p);
        const optimizer_update u = optimizer_update_of(call, call->lr * p->about.lr_multiplier,
                                                       p->about.decay ? s->common.weight_decay : 0);
        const size_t count = (size_t)matrices.rows * matrices.columns;
        for (size_t at = p->offset; at < p->offset + p->count; at += count)
            update_matrix(s, &matrices, &u, call->workspace, call->values + at, set->gradients + at,
                          call->moments[0] + at);
    }
    optimizer_update u =
        optimizer_update_of(call, s->adam_lr * (call->lr / s->common.lr), s->common.weight_decay);
    u.beta1 = s->adam_betas.values[0];
    u.beta2 = s->adam_betas.values[1];
    u.epsilon = s->adam_epsilon;
    u.correction1 = 1 - pow(u.beta1, (double)call->step);
    u.correction2 = 1 - pow(u.beta2, (double)call->step);
    kernels->update_adam(call->piece_count, call->pieces, &u, true, call->values, set->gradients,
                         call->moments[0], call->moments[1]);
}

const optimizer_type optimizer_muon = {
    .about = {.name = "muon",
              .kind = "optimizer",
              .summary = "momentum orthogonalised by Newton-Schulz for hidden matrices, AdamW for the rest",
              .paper = "kellerjordan.github.io/posts/muon (2024); scaling adamw: arXiv 2502.16982",
              .details =
                  "Hidden matrices (attention, MLP and recurrent weights; stacked ones such as q|k|v one "
                  "by one) move along the nearest orthogonal matrix to their momentum, so that all "
                  "directions of a matrix learn equally fast. Embeddings, positions, the output head, "
                  "norms and biases are trained by AdamW with adam_lr, adam_betas and adam_epsilon.",
              .example = "optimizer: {type: muon, lr: 0.02, adam_lr: 1.0e-3, weight_decay: 0.01}\n",
              .options = muon_options,
              .settings_size = sizeof(muon_settings)},
    .matrices_apart = true,
    .moments = 2,
    .moment_names = {"m", "v"},
    .update = muon_update,
    .workspace = muon_workspace,
};
