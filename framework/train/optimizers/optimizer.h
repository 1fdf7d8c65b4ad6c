// Optimizers: what turns gradients into the next weights.
//
// An optimizer is one file (train/optimizers/<name>.c) with its settings, its update and its declaration,
// and one line in optimizer_registry. Updates run over all parameters in one pass of a kernel; weight
// decay touches only parameters declared with `decay`, and each parameter's lr_multiplier scales its rate.
#ifndef RUNEXP_TRAIN_OPTIMIZERS_OPTIMIZER_H
#define RUNEXP_TRAIN_OPTIMIZERS_OPTIMIZER_H

#include "base/error.h"
#include "config/settings.h"
#include "graph/parameters.h"
#include "kernels/kernels.h"

// Every optimizer's settings struct begins with these, as `common`. Their rows follow.
typedef struct optimizer_common {
    double lr, weight_decay;
} optimizer_common;

#define OPTIMIZER_LR(default_, doc_)                                                                       \
    SETTING(OPTION_REAL, double, "lr", common.lr, .fallback = default_, .min = ABOVE(0), .max = INFINITY,  \
            .doc = doc_)
#define OPTIMIZER_WEIGHT_DECAY(default_, doc_)                                                             \
    SETTING(OPTION_REAL, double, "weight_decay", common.weight_decay, .fallback = default_, .min = 0,      \
            .max = INFINITY, .doc = doc_)

#define DOC_LR "learning rate at the top of the schedule"
#define DOC_COUPLED_DECAY                                                                                  \
    "L2 penalty: this times the weight is added to its gradient (matrices and embeddings only)"
#define DOC_DECOUPLED_DECAY "each step shrinks matrices and embeddings by the learning rate times this"

typedef struct optimizer optimizer;

enum { OPTIMIZER_MAX_MOMENTS = 2 };

// One update of the whole parameter set.
typedef struct optimizer_call {
    const parameter_set *parameters;
    real *values;               // of the parameters, to be updated
    const update_piece *pieces; // every parameter but those with matrices_apart
    int piece_count;
    real *moments[OPTIMIZER_MAX_MOMENTS];
    double lr;             // after the schedule
    double gradient_scale; // clip factor: multiplies every gradient
    int64_t step;          // 1 for the first update
    void *workspace;       // of optimizer_type.workspace bytes, 64-byte aligned
} optimizer_call;

typedef struct optimizer_type {
    component about;
    bool matrices_apart; // update() handles hidden matrices itself: they are not among the pieces
    int moments;         // arrays of state, each as large as the parameters
    const char *moment_names[OPTIMIZER_MAX_MOMENTS];
    void (*update)(const void *settings, const optimizer_call *call);
    size_t (*workspace)(const void *settings, const parameter_set *parameters); // bytes; NULL: none
} optimizer_type;

extern const optimizer_type optimizer_sgd, optimizer_rmsprop, optimizer_adam, optimizer_adamw,
    optimizer_lion, optimizer_muon;

extern const component *const optimizer_registry[]; // all of them, NULL-terminated

// State arrays are zeroed. choice (its settings) and parameters must outlive the optimizer; parameters must
// have values and gradients. The workspace is sized for the current kernel table and number of
// threads. ERR_MEMORY, or ERR_INTERNAL for a parameter declared with parts that do not divide its rows;
// *out is then NULL. Free with optimizer_free (NULL is allowed).
status optimizer_new(const component_choice *choice, parameter_set *parameters, optimizer **out,
                     error *err);
void optimizer_free(optimizer *o);

// Applies one update in place: lr is the rate after the schedule, gradient_scale the clip factor, step
// counts updates from 1. Gradients must be finite (see gradient_norm). Allocates nothing.
void optimizer_step(optimizer *o, double lr, double gradient_scale, int64_t step);

double optimizer_lr(const component_choice *choice); // the base rate

int optimizer_moments(const optimizer *o);
const char *optimizer_moment_name(const optimizer *o, int i);
real *optimizer_moment(const optimizer *o, int i); // laid out like parameter_set.values
size_t optimizer_bytes(const optimizer *o);        // moments and workspace

// sqrt of the sum of squares of all gradients, in double, fixed order. NaN or infinite when a gradient is.
double gradient_norm(const parameter_set *parameters);

// The factor by which clipping to a global norm multiplies the gradients: min(1, limit / (norm + 1e-6)), as
// PyTorch's clip_grad_norm_; 1 when limit is 0 (no clipping).
double gradient_clip_factor(double norm, double limit);

// For the optimizers: the fields that every update starts from (lr, weight_decay, gradient_scale,
// first_step; the rest zero). lr is the rate of parameters whose multiplier is 1, weight_decay that of
// those that decay.
optimizer_update optimizer_update_of(const optimizer_call *call, double lr, double weight_decay);

#endif
