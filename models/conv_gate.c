// A short convolution that gates itself, and a feed-forward network.
#include "models/registry.h"

#include <math.h>

typedef struct conv_gate_settings {
    int64_t kernel, hidden;
    double dropout;
} conv_gate_settings;

#define SETTINGS conv_gate_settings
static const option conv_gate_options[] = {
    INT(kernel, "4", 1, 256, "length of the convolution, the token itself included", .unit = "tokens"),
    INT(hidden, "2048", 1, 1 << 20, "hidden width of the feed-forward network"),
    DROPOUT(dropout, "dropout of the output"),
    {0},
};
#undef SETTINGS

static tensor *build_conv_gate(builder *b, const component_choice *choice, tensor *x) {
    const conv_gate_settings *s = choice->settings;
    const int width = x->shape[2], taps = (int)s->kernel;
    // As torch.nn.Conv1d(width, width, taps) begins.
    const double bound = 1 / sqrt((double)width * taps);
    const parameter_declaration conv_weight = {.rank = 3,
                                               .shape = {width, width, taps},
                                               .init = INIT_UNIFORM,
                                               .init_value = bound,
                                               .decay = true,
                                               .matrix = true};
    const parameter_declaration conv_bias = {
        .rank = 1, .shape = {width}, .init = INIT_UNIFORM, .init_value = bound};
    const linear_map gate = {.name = "gate.", .out = width, .bias = true, .act = ACTIVATION_SIGMOID};
    const linear_map fc1 = {.name = "fc1.", .out = (int)s->hidden, .bias = true, .act = ACTIVATION_RELU};
    const linear_map fc2 = {.name = "fc2.", .out = width, .bias = true, .to_residual = true};
    tensor *weight = builder_parameter(b, "conv.weight", conv_weight);
    tensor *bias = builder_parameter(b, "conv.bias", conv_bias);
    tensor *c = op_linear(b->graph, op_unfold(b->graph, x, taps), weight, bias, ACTIVATION_NONE);
    tensor *u = op_multiply(b->graph, c, builder_linear(b, c, gate));
    return op_dropout(b->graph, builder_linear(b, builder_linear(b, u, fc1), fc2), s->dropout);
}

const layer_type layer_conv_gate = {
    .about =
        {
            .name = "conv_gate",
            .kind = "layer",
            .summary = "a short causal convolution over all channels, gated by itself, then an mlp",
            .details =
                "c = convolution of the last `kernel` tokens, u = c * sigmoid(gate(c)), output fc2(relu(fc1(u))). It has no residual and no norm of its own. Earlier programs padded this block on both sides, so that it saw the tokens it was to predict; here the tokens before the first count as zero. Parameters: conv.weight (width, width, kernel) and conv.bias as in torch.nn.Conv1d, also in how they begin; gate, fc1 and fc2 as torch.nn.Linear. Generation keeps the last kernel - 1 vectors. Tokens before the document of a token (dataset.document_separator) count as zero, too.",
            .example = "- residual: [layernorm, {conv_gate: {kernel: 4, hidden: 512}}]\n",
            .options = conv_gate_options,
            .settings_size = sizeof(conv_gate_settings),
        },
    .build = build_conv_gate,
};
