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
    INIT_CONSTANT, // value a
    INIT_NORMAL,   // N(0, a^2)
    INIT_UNIFORM,  // U(-a, a)
    INIT_FORMULA   // a function of the declaration and the element
} initializer;

typedef struct parameter_declaration parameter_declaration;

struct parameter_declaration {
    int rank, shape[TENSOR_MAX_RANK];
    initializer init;
    double init_value; // a above
    double init_last;  // for a formula's own use, as init_value is
    double (*formula)(const parameter_declaration *about, size_t index);
    bool decay;           // weight decay applies
    bool matrix;          // a hidden matrix (out x in), which Muon orthogonalises
    int parts;            // stacked matrices (q|k|v: 3) that Muon splits along the first axis; 0 means 1
    double lr_multiplier; // 0 means 1
};

typedef struct parameter {
    const char *name; // "repeat/0/residual1/attention/in_proj_weight"
    parameter_declaration about;
    size_t offset, count; // in reals, into the blocks below
    int number;           // order of declaration: the rng site of its initial values
    bool packs;           // a matrix with a packed copy
    size_t packed_offset; // of it, in bytes, into parameter_set.packed
} parameter;

// What decoding computes from the values alone.
typedef struct parameter_constant {
    real *data;
    size_t count;
} parameter_constant;

typedef struct parameter_set {
    parameter **items;
    int count, capacity;
    size_t total;    // reals of a block, padding included
    size_t learned;  // number of parameters, padding excluded
    real *values;    // NULL until parameters_allocate
    real *gradients; // NULL unless asked for
    size_t block_bytes;
    unsigned char *packed; // copies of matrices for kernels->gemm_packed, NULL until somebody packs
    size_t packed_bytes;
    parameter_constant *constants; // by number
    int constant_count;
    bool packed_behind; // values have changed since these and the packed copies were made
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

// Copies of the matrices whose `packs` is set, laid out for kernels->gemm_packed by the instruction set
// in force: parameters_place_packed gets the memory (again, when there are more of them or the instruction
// set has changed), parameters_pack fills it from the values. What changes the values sets packed_behind,
// and the next run of a decoding graph packs.
status parameters_place_packed(parameter_set *set, error *err);
void parameters_pack(parameter_set *set);

// A place for constant `number` (the numbers are given in order, from 0) of so many reals, 64-byte aligned:
// the one that is there, or a new one when that has another size.
status parameters_place_constant(parameter_set *set, int number, size_t count, real **data, error *err);

#endif
