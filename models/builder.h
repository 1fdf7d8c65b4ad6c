// Layers: what an experiment's `layers` list names. A layer composes operators; it never writes a backward
// pass.
#ifndef RUNEXP_MODELS_BUILDER_H
#define RUNEXP_MODELS_BUILDER_H

#include "config/component.h"
#include "graph/graph.h"
#include "graph/ops.h"

typedef struct builder builder;

typedef struct layer_type {
    component about; // first member: see config/component.h
    // Appends the layer to the graph and returns its output, or NULL with the error set by builder_fail. x
    // is the input, (batch, time, width).
    tensor *(*build)(builder *b, const component_choice *choice, tensor *x);
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
    bool absolute_positions; // some layer adds positions that end at block_size
    char path[256];          // of the layer being built
    error *err;
};

// Declares (or finds) a parameter of the layer being built: `name` is appended to the layer's path. NULL
// after builder_fail.
tensor *builder_parameter(builder *b, const char *name, const parameter_declaration *about);

// Weight (out, in) and, when asked, bias of a linear map: "<name>weight" and "<name>bias" with the model's
// initialisation. to_residual: the output is added to the residual stream, so gpt2 initialisation divides
// by sqrt(residual_count). Returns false after builder_fail.
bool builder_linear(builder *b, const char *name, int out, int in, bool with_bias, bool to_residual,
                    int parts, tensor **weight, tensor **bias);

// Builds the layers of a list one after the other, each under its own path. NULL after builder_fail.
tensor *builder_sequence(builder *b, const component_list *layers, tensor *x);

// Reports a problem at a setting of the layer (key may be NULL: at the layer itself); always returns NULL.
tensor *builder_fail(builder *b, const component_choice *choice, const char *key, const char *hint,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

// Reports that a layer which works on vectors comes before any embedding; always returns NULL.
tensor *builder_needs_input(builder *b, const component_choice *choice);

#endif
