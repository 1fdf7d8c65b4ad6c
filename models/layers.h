// The layers, each defined in the file of its family.
#ifndef RUNEXP_MODELS_LAYERS_H
#define RUNEXP_MODELS_LAYERS_H

#include "graph/layer.h"

extern const layer_type layer_sequential, layer_residual, layer_repeat, layer_parallel; // containers.c
extern const layer_type layer_embedding, layer_positions, layer_unembedding;            // embedding.c
extern const layer_type layer_attention;                                                // attention.c
extern const layer_type layer_conv_gate;                                                // conv_gate.c
extern const layer_type layer_hyena;                                                    // hyena.c
extern const layer_type layer_long_conv;                                                // long_conv.c
extern const layer_type layer_linear, layer_mlp, layer_activation;                      // dense.c
extern const layer_type layer_layernorm, layer_rmsnorm, layer_dropout;                  // norm.c

#endif
