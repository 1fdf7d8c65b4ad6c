// A model: the `model` section of an experiment made into parameters and graphs.
#ifndef RUNEXP_MODELS_MODEL_H
#define RUNEXP_MODELS_MODEL_H

#include "config/component.h"
#include "graph/graph.h"

typedef struct model_settings {
    int64_t width, depth;
    double dropout;
    int init; // 0 gpt2, 1 torch
    double init_std;
    component_list layers;
} model_settings;

extern const component model_section;

typedef struct model {
    const model_settings *settings;
    parameter_set *parameters; // declared; values are placed by parameters_allocate
    int vocabulary, block_size;
    bool absolute_positions; // the context cannot grow beyond block_size without renumbering
    int residuals;           // residual additions from beginning to end
    string_list warnings;    // of layers, with their places: what may not do what is expected
} model;

// Declares the parameters. vocabulary: number of token ids. Layers that do not fit together are ERR_CONFIG
// at their place in the experiment. Free with model_free.
status model_new(const model_settings *settings, int vocabulary, int block_size, model **out, error *err);
void model_free(model *m);

// A graph of the model with what its users read and write. Free with graph_free(built.graph).
typedef struct model_graph {
    graph *graph;
    tensor *ids;     // (batch, time): bind with tokens_bind
    tensor *targets; // (batch, time), NULL without losses
    tensor *logits;  // (batch, time, vocabulary), NULL when the loss makes them in chunks
    tensor *losses;  // (batch, time), NULL when not asked for
} model_graph;

// Builds and finishes a graph, which graph_place then gives its memory. with_losses: it ends in the losses
// of the targets, else in logits. Logits stay readable after a run, but where gradients take their bytes.
status model_build(model *m, const graph_options *options, bool with_losses, model_graph *out, error *err);

// Points a tensor of tokens at the caller's ids, which must stay alive during the run.
void tokens_bind(tensor *t, const int32_t *ids);

#endif
