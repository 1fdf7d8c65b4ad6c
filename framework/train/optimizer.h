// Optimizers: what turns gradients into the next weights.
#ifndef RUNEXP_TRAIN_OPTIMIZER_H
#define RUNEXP_TRAIN_OPTIMIZER_H

#include "base/error.h"
#include "config/component.h"
#include "graph/parameters.h"

// Every optimizer's settings struct begins with these.
typedef struct optimizer_common {
    double lr, weight_decay;
} optimizer_common;

typedef struct optimizer optimizer;

// One update of the whole parameter set.
typedef struct optimizer_call {
    parameter_set *parameters;
    real *moments[2];
    double lr;             // after the schedule
    double gradient_scale; // clip factor: multiplies every gradient
    int64_t step;          // 1 for the first update
    void *workspace;
} optimizer_call;

typedef struct optimizer_type {
    component about;
    int moments; // arrays of state, each as large as the parameters
    const char *moment_names[2];
    void (*update)(const void *settings, const optimizer_call *call);
    size_t (*workspace)(const void *settings, const parameter_set *parameters); // bytes; NULL: none
} optimizer_type;

extern const component *const optimizer_registry[]; // sgd, rmsprop, adam, adamw, lion, muon

// State arrays are zeroed. Free with optimizer_free.
status optimizer_new(const component_choice *choice, parameter_set *parameters, optimizer **out,
                     error *err);
void optimizer_free(optimizer *o);
void optimizer_step(optimizer *o, double lr, double gradient_scale, int64_t step);
double optimizer_lr(const component_choice *choice); // the base rate

int optimizer_moments(const optimizer *o);
const char *optimizer_moment_name(const optimizer *o, int i);
real *optimizer_moment(const optimizer *o, int i); // laid out like parameter_set.values
size_t optimizer_bytes(const optimizer *o);

// sqrt of the sum of squares of all gradients, in double, fixed order. NaN or infinite when a gradient is.
double gradient_norm(const parameter_set *parameters);

#endif
