// In the order in which `describe` lists them. CONTRIBUTING.md says how to add one.
#include "models/registry.h"

const component *const layer_registry[] = {
    // containers
    &layer_sequential.about,
    &layer_residual.about,
    &layer_repeat.about,
    &layer_parallel.about,
    // from tokens, to logits
    &layer_embedding.about,
    &layer_positions.about,
    &layer_unembedding.about,
    // mixing over time
    &layer_attention.about,
    &layer_conv_gate.about,
    &layer_hyena.about,
    &layer_long_conv.about,
    &layer_lstm.about,
    &layer_gru.about,
    &layer_ltc.about,
    &layer_cfc.about,
    // dense
    &layer_linear.about,
    &layer_mlp.about,
    &layer_activation.about,
    // normalisation and regularisation
    &layer_layernorm.about,
    &layer_rmsnorm.about,
    &layer_dropout.about,
    NULL,
};
