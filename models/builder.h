// What layers are written with. A layer is what an experiment's `layers` list names: it declares parameters
// and composes operators, and never writes a backward pass.
//
// Failures are sticky. The builder keeps the first one; from then on its functions still return tensors of
// the shapes asked for, so a layer composes operators without checking, and the graph is thrown away. A
// layer returns early in one case only, settings that do not fit: `return builder_fail(...)`.
#ifndef RUNEXP_MODELS_BUILDER_H
#define RUNEXP_MODELS_BUILDER_H

#include "config/settings.h"
#include "graph/graph.h"
#include "graph/ops.h"

typedef struct builder builder;

// The row of a dropout probability in a layer's option table: the model's unless set.
#define DROPOUT(member, doc_) REAL(member, "${model.dropout}", 0, BELOW(1), doc_)

typedef struct layer_type {
    component about; // first member: see config/component.h
    // Appends the layer to the graph and returns its output, (batch, time, any width), or NULL by
    // builder_fail. x is the input, (batch, time, width).
    tensor *(*build)(builder *b, const component_choice *choice, tensor *x);
    bool may_begin; // x may be NULL: no layer has made vectors yet
} layer_type;

// What a layer may know of the model it stands in.
struct builder {
    graph *graph;
    tensor *ids; // (batch, time)
    int vocabulary;
    int block_size;          // longest context
    double init_std;         // of linear weights, when init is gpt2
    bool init_torch;         // PyTorch's defaults instead
    int residual_count;      // residual additions in the whole model; 0 while they are being counted
    int residuals_met;       // those built so far
    int residual_depth;      // how many residual containers are around the layer being built
    tensor *token_table;     // of the embedding, once built: for tied heads
    string_list *warnings;   // of settings that may not do what is expected; NULL: not wanted
    bool absolute_positions; // some layer adds positions that end at block_size
    char path[256];          // of the layer being built
    bool failed;
    error *err; // the first failure
};

// Reports a setting that does not fit (key may be NULL: the layer itself); always returns NULL.
tensor *builder_fail(builder *b, const component_choice *choice, const char *key, const char *hint,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

// Warns of a setting that may not do what is expected.
void builder_warn(builder *b, const component_choice *choice, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Declares the parameter <path of the layer>/<name>, or finds it when another graph has declared it.
tensor *builder_parameter(builder *b, const char *name, parameter_declaration about);

// Declarations of the weight (out, in) and the bias (out) of a linear map, with the model's initialisation.
parameter_declaration builder_weight(const builder *b, int out, int in);
parameter_declaration builder_bias(const builder *b, int out, int in);
// Of a weight (out, in) that begins uniform as of Glorot and Bengio (2010), whatever the model's
// initialisation.
parameter_declaration builder_glorot_weight(int out, int in);

// A linear map with parameters of its own.
typedef struct linear_map {
    const char *name; // its parameters are <name>weight and <name>bias
    int out;          // width of the output
    bool bias;
    bool to_residual; // the output is added to the residual stream: gpt2 divides by sqrt(residual_count)
    int parts;        // see parameter_declaration
    activation act;
} linear_map;

typedef struct linear_parameters {
    tensor *weight, *bias; // bias may be NULL
} linear_parameters;

// act(x W^T + b).
tensor *builder_linear(builder *b, tensor *x, linear_map map);

// Declares its parameters alone, for an input of width `in`; op_linear applies them later.
linear_parameters builder_linear_parameters(builder *b, int in, linear_map map);

// For containers: builds the layers of a list one after another, each under its own path. Returns x itself
// for an empty list and after a failure.
tensor *builder_sequence(builder *b, const component_list *layers, tensor *x);

// The same under <path>/<number>, for containers that build several lists, or one several times.
tensor *builder_branch(builder *b, int number, const component_list *layers, tensor *x);

#endif
