// The parameters of a model: named arrays in one block, with their gradients and how they are initialised
// and updated.
//
// Every graph of a model (training, evaluation, decoding) is built over the same set: the first build
// declares the parameters, later builds find them by name. Offsets are multiples of 16 reals, so that
// kernels may run over the whole block; the padding between parameters is zero and stays zero.
#ifndef RUNEXP_GRAPH_PARAMETERS_H
#define RUNEXP_GRAPH_PARAMETERS_H

#include "base/error.h"
#include "base/memory.h"
#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_MAX_RANK = 4 };

typedef enum initializer {
    INIT_CONSTANT,   // value a
    INIT_NORMAL,     // N(0, a^2)
    INIT_UNIFORM,    // U(-a, a)
    INIT_RANGE,      // U(a, b)
    INIT_ORTHOGONAL, // a times a random matrix with orthonormal rows, no more of them than columns
    INIT_FORMULA     // a function of the declaration and the element
} initializer;

// Elements begin .. end - 1 of the first axis begin with `value`. Empty by default.
typedef struct parameter_part {
    int begin, end;
    double value;
} parameter_part;

typedef struct parameter_declaration parameter_declaration;

struct parameter_declaration {
    int rank, shape[TENSOR_MAX_RANK];
    initializer init;
    double init_value;           // a above
    double init_last;            // b above; for a formula's own use, as init_value is
    double (*map)(double drawn); // of a value drawn from a range, what it begins with; NULL: itself
    double (*formula)(const parameter_declaration *about, size_t index);
    parameter_part constant; // begins with a constant, whatever the others do
    bool decay;              // weight decay applies
    bool matrix;             // a hidden matrix (out x in), which Muon orthogonalises
    int parts;               // stacked matrices (q|k|v: 3) that Muon splits along the first axis; 0 means 1
    double lr_multiplier;    // 0 means 1
};

typedef struct parameter {
    const char *name; // "repeat/0/residual1/attention/in_proj_weight"
    parameter_declaration about;
    size_t offset, count; // in reals, into the blocks below
    int number;           // order of declaration: the rng site of its initial values
} parameter;

// What follows from the values alone: a packed weight, a filter made by a network, its spectrum. Graphs
// compute it when it is out of date.
typedef struct derived_tensor {
    const char *name;
    real *data; // 64-byte aligned
    size_t count;
    uint64_t version; // of the values that it was made from; 0: not made yet
} derived_tensor;

typedef struct parameter_set {
    parameter **items;
    int count, capacity;
    size_t total;          // reals of a block, padding included
    size_t learned;        // number of parameters, padding excluded
    const real *values;    // NULL until parameters_allocate; to write: parameters_write
    uint64_t version;      // another one whenever values may have changed
    real *gradients;       // NULL unless asked for
    size_t gradient_reals; // total, and those of derived tensors that a graph has asked for
    size_t block_bytes;    // of the values
    derived_tensor **derived;
    int derived_count;
    arena *memory;
} parameter_set;

parameter_set *parameters_new(void);
void parameters_free(parameter_set *set);

parameter *parameters_find(const parameter_set *set, const char *name); // NULL when absent

// Declares a parameter, or returns the one of that name. ERR_INTERNAL when it exists with another shape.
status parameters_declare(parameter_set *set, const char *name, const parameter_declaration *about,
                          parameter **out, error *err);

// Allocates values (zeroed), and gradients when asked. Call once, after the first build.
status parameters_allocate(parameter_set *set, bool with_gradients, error *err);

// Fills the values from the declarations: parameter n draws from stream (seed, RNG_INIT, site n).
void parameters_initialise(parameter_set *set, uint64_t seed);

// The values, to be changed by the caller before anything else looks at them: what is derived from them is
// out of date from now on. Call again for every change.
real *parameters_write(parameter_set *set);

// Makes room in the block of gradients for `derived_reals` reals of derived tensors after those of the
// parameters. Its contents are lost when it grows. ERR_MEMORY.
status parameters_place_gradients(parameter_set *set, size_t derived_reals, error *err);

// The derived tensor of that name and size, to be made anew by the next graph that runs: the one that is
// there, or a new one. It lives as long as the set. ERR_MEMORY.
status parameters_derived(parameter_set *set, const char *name, size_t count, derived_tensor **out,
                          error *err);

size_t parameters_derived_bytes(const parameter_set *set); // of all derived tensors

#endif
