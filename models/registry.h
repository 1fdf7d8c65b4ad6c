// The layers that an experiment can name, each defined in the file of its family.
#ifndef RUNEXP_MODELS_REGISTRY_H
#define RUNEXP_MODELS_REGISTRY_H

#include "models/builder.h"

// Every layer, containers included. NULL-terminated.
extern const component *const layer_registry[];

extern const layer_type layer_sequential, layer_residual, layer_repeat, layer_parallel; // containers.c
extern const layer_type layer_embedding, layer_positions, layer_unembedding;            // embedding.c
extern const layer_type layer_attention;                                                // attention.c
extern const layer_type layer_conv_gate;                                                // conv_gate.c
extern const layer_type layer_hyena;                                                    // hyena.c
extern const layer_type layer_long_conv;                                                // long_conv.c
extern const layer_type layer_lstm, layer_gru;                                          // recurrent.c
extern const layer_type layer_ltc;                                                      // ltc.c
extern const layer_type layer_cfc;                                                      // cfc.c
extern const layer_type layer_linear, layer_mlp, layer_activation;                      // dense.c
extern const layer_type layer_layernorm, layer_rmsnorm, layer_dropout;                  // norm.c

#endif
