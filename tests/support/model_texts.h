// For tests: models that between them use every layer and every way of wiring them.
#ifndef RUNEXP_TESTS_SUPPORT_MODEL_TEXTS_H
#define RUNEXP_TESTS_SUPPORT_MODEL_TEXTS_H

#include <string.h>

typedef struct model_text {
    const char *name, *yaml;
} model_text;

static const model_text model_texts[] = {
    {"pre-norm, learned positions, tied head",
     "model:\n"
     "  width: 24\n"
     "  depth: 2\n"
     "  init_std: 0.2\n"
     "  layers:\n"
     "    - embedding\n"
     "    - positions\n"
     "    - dropout\n"
     "    - repeat:\n"
     "        layers:\n"
     "          - residual: [layernorm, {attention: {heads: 3}}]\n"
     "          - residual: [layernorm, mlp]\n"
     "    - layernorm\n"
     "    - unembedding\n"},
    {"post-norm, sinusoidal positions, no biases",
     "model:\n"
     "  width: 20\n"
     "  depth: 2\n"
     "  init: torch\n"
     "  layers:\n"
     "    - embedding: {scale: 4.5, init_std: 1.0}\n"
     "    - positions: {type: sinusoidal}\n"
     "    - repeat:\n"
     "        layers:\n"
     "          - residual: [{attention: {heads: 4, bias: false}}]\n"
     "          - layernorm: {bias: false}\n"
     "          - residual: [{mlp: {hidden: 28, activation: relu2, bias: false}}]\n"
     "          - layernorm: {bias: false}\n"
     "    - unembedding: {tied: false, bias: true}\n"},
    {"rotary, grouped heads, qk_norm, window, swiglu",
     "model:\n"
     "  width: 24\n"
     "  depth: 2\n"
     "  init_std: 0.2\n"
     "  layers:\n"
     "    - embedding\n"
     "    - repeat:\n"
     "        layers:\n"
     "          - residual: [rmsnorm, {attention: {heads: 4, kv_heads: 2, rope: true, rope_dim: 4, qk_norm: true, window: 9}}]\n"
     "          - residual: [rmsnorm, {mlp: {hidden: 30, activation: swiglu}}]\n"
     "    - rmsnorm\n"
     "    - unembedding\n"},
    {"lstm of two layers", "model:\n"
                           "  width: 12\n"
                           "  layers:\n"
                           "    - embedding: {init_std: 1.0}\n"
                           "    - lstm: {hidden: 21, layers: 2}\n"
                           "    - residual: [layernorm, {lstm: {forget_bias: 0, bias: false}}]\n"
                           "    - unembedding: {tied: false}\n"},
    {"gru of two layers", "model:\n"
                          "  width: 12\n"
                          "  layers:\n"
                          "    - embedding: {init_std: 1.0}\n"
                          "    - gru: {layers: 2, hidden: 17}\n"
                          "    - linear: {out: 12}\n"
                          "    - residual: [gru]\n"
                          "    - unembedding\n"},
    {"liquid time-constant networks",
     "model:\n"
     "  width: 12\n"
     "  layers:\n"
     "    - embedding: {init_std: 1.0}\n"
     "    - ltc: {hidden: 21, steps: 3}\n"
     "    - residual: [layernorm, {ltc: {activation: tanh, steps: 2, checkpointing: true}}]\n"
     "    - ltc: {hidden: 17, solver: rk4, steps: 2, adaptive: false}\n"
     "    - residual: [{ltc: {solver: euler, steps: 3, train_tau: false}}]\n"
     "    - residual: [{ltc: {solver: dopri5, rtol: 1.0, atol: 1.0}}]\n"
     "    - unembedding: {tied: false}\n"},
    {"liquid time-constant networks with synapses",
     "model:\n"
     "  width: 6\n"
     "  layers:\n"
     "    - embedding: {init_std: 1.0}\n"
     "    - ltc: {form: synapses, hidden: 7, steps: 2}\n"
     "    - residual: [{ltc: {form: synapses, steps: 1, checkpointing: true}}]\n"
     "    - ltc: {form: synapses, hidden: 5, solver: rk4, steps: 1, step_size: 0.3, adaptive: false}\n"
     "    - ltc: {form: synapses, solver: dopri5, step_size: 0.01, rtol: 1.0, atol: 1.0}\n"
     "    - unembedding: {tied: false}\n"},
    {"cfc in every mode", "model:\n"
                          "  width: 12\n"
                          "  layers:\n"
                          "    - embedding: {init_std: 1.0}\n"
                          "    - cfc: {hidden: 21, backbone_units: 17}\n"
                          "    - cfc: {mode: no_gate, hidden: 9, backbone_layers: 2, backbone_units: 19}\n"
                          "    - cfc: {mode: pure, hidden: 12, backbone_layers: 3, backbone_units: 8}\n"
                          "    - residual: [layernorm, {cfc: {backbone_layers: 0}}]\n"
                          "    - unembedding: {tied: false}\n"},
    {"lstm and attention without projections",
     "model:\n"
     "  width: 12\n"
     "  layers:\n"
     "    - embedding: {init_std: 1.0}\n"
     "    - lstm: {hidden: 20}\n"
     "    - attention: {heads: 1, projections: none, learned_scale: true}\n"
     "    - residual: [{attention: {heads: 4, projections: qkv, learned_scale: true}}]\n"
     "    - unembedding: {tied: false}\n"},
    {"parallel branches by sum, product and concat",
     "model:\n"
     "  width: 16\n"
     "  init_std: 0.3\n"
     "  layers:\n"
     "    - embedding\n"
     "    - parallel:\n"
     "        branches: [[], [layernorm, {attention: {heads: 2, kv_heads: 1, rope: true}}], [linear, {activation: {type: tanh}}]]\n"
     "    - parallel:\n"
     "        combine: product\n"
     "        branches: [[{linear: {out: 20}}, {activation: {type: silu}}], [{linear: {out: 20}}]]\n"
     "    - parallel:\n"
     "        combine: concat\n"
     "        branches: [[{linear: {out: 7}}], [], [{sequential: [rmsnorm, {linear: {out: 9, bias: false}}]}]]\n"
     "    - residual: [{mlp: {activation: geglu, hidden: 24}}]\n"
     "    - parallel: {branches: [[], []]}\n"
     "    - linear: {out: 16}\n"
     "    - unembedding\n"},
    {"nested residuals without a norm, multi-query heads of their own size",
     "model:\n"
     "  width: 18\n"
     "  init: torch\n"
     "  layers:\n"
     "    - embedding: {init_std: 0.5}\n"
     "    - positions\n"
     "    - residual:\n"
     "        - residual: [{attention: {heads: 3, kv_heads: 1, head_size: 5, window: 4}}]\n"
     "        - residual: [{linear: {out: 18}}]\n"
     "        - activation: {type: gelu_tanh}\n"
     "    - residual: [{activation: {type: sigmoid}}]\n"
     "    - residual: [dropout]\n"
     "    - residual: [layernorm, {mlp: {activation: glu, hidden: 11}}, {residual: [{linear: {bias: false}}]}]\n"
     "    - layernorm\n"
     "    - unembedding: {bias: true}\n"},
    {"convolutions that gate themselves, with residuals and without",
     "model:\n"
     "  width: 22\n"
     "  depth: 2\n"
     "  init: torch\n"
     "  layers:\n"
     "    - embedding: {init_std: 1.0}\n"
     "    - conv_gate: {kernel: 3, hidden: 30}\n"
     "    - repeat:\n"
     "        layers: [{residual: [layernorm, {conv_gate: {hidden: 35}}]}]\n"
     "    - residual: [{conv_gate: {kernel: 1, hidden: 9}}]\n"
     "    - layernorm\n"
     "    - unembedding: {tied: false, bias: true}\n"},
    {"long convolutions, with threshold and without, and attention",
     "model:\n"
     "  width: 21\n"
     "  init_std: 0.2\n"
     "  layers:\n"
     "    - embedding\n"
     "    - residual: [layernorm, {long_conv: {filter_std: 0.1, threshold: 0.05, filter_lr_multiplier: 2.0}}]\n"
     "    - residual: [layernorm, {attention: {heads: 3, rope: true, rope_dim: 4}}]\n"
     "    - residual: [layernorm, {long_conv: {filter_std: 0.2, threshold: 0.0, glu: false, bias: false}}]\n"
     "    - layernorm\n"
     "    - unembedding\n"},
    {"hyena of orders 2 and 3",
     "model:\n"
     "  width: 18\n"
     "  init_std: 0.2\n"
     "  layers:\n"
     "    - embedding\n"
     "    - residual: [layernorm, {hyena: {emb_dim: 5, filter_width: 10, frequency: 2.0}}]\n"
     "    - residual: [layernorm, {hyena: {order: 3, emb_dim: 3, filter_width: 8, inner_layers: 1, short_filter_order: 4, activation: gelu, shift: 0.1, normalize: time_l1}}]\n"
     "    - layernorm\n"
     "    - unembedding\n"},
    {"hyena as in the paper beside attention, everything learned, filters beyond the block",
     "model:\n"
     "  width: 16\n"
     "  init: torch\n"
     "  layers:\n"
     "    - embedding: {init_std: 0.5}\n"
     "    - residual: [layernorm, {hyena: {variant: paper, l_max: 170, emb_dim: 5, filter_width: 9, inner_layers: 0, frequency: 3.0, positions_lr_multiplier: 0.1, decay_lr_multiplier: 0.1}}]\n"
     "    - residual: [layernorm, {attention: {heads: 2}}]\n"
     "    - residual: [layernorm, {hyena: {variant: paper, order: 1, bias: false, l_max: 170, emb_dim: 7, filter_width: 6, frequency: 2.0}}]\n"
     "    - layernorm\n"
     "    - unembedding\n"},
};

// How much later tokens change what comes before them, of the largest logit: Fourier transforms round all
// of a sequence together.
static inline double model_text_rounding(const model_text *m) {
    return strstr(m->yaml, "long_conv") || strstr(m->yaml, "hyena") ? 5e-6 : 0;
}

enum { MODEL_TEXTS = sizeof model_texts / sizeof *model_texts };

#endif
