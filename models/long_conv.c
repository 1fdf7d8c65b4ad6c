// A long convolution whose filter is a parameter, tap by tap.
#include "models/registry.h"

typedef struct long_conv_settings {
    double threshold, filter_std, filter_lr_multiplier, output_dropout;
    bool bias, glu;
} long_conv_settings;

#define SETTINGS long_conv_settings
static const option long_conv_options[] = {
    REAL(threshold, "0.003", 0, 10,
         "soft threshold: moves taps towards zero by this much, which keeps filters sparse; 0: none"),
    REAL(filter_std, "0.002", 0, 10, "standard deviation of the initial taps"),
    REAL(filter_lr_multiplier, "1.0", ABOVE(0), 1000,
         "learning rate of the taps, as a multiple of the optimizer's (they have no weight decay)"),
    BOOL(glu, "true",
         "gated linear unit: half of the last linear map is multiplied by the sigmoid of the other"),
    BOOL(bias, "true", "bias of the last linear map"),
    DROPOUT(output_dropout, "dropout of the output"),
    {0},
};
#undef SETTINGS

static tensor *build_long_conv(builder *b, const component_choice *choice, tensor *x) {
    const long_conv_settings *s = choice->settings;
    const int width = x->shape[2];
    const parameter_declaration taps = {.rank = 2,
                                        .shape = {b->block_size, width},
                                        .init = INIT_NORMAL,
                                        .init_value = s->filter_std,
                                        .lr_multiplier = s->filter_lr_multiplier};
    const parameter_declaration skip = {.rank = 1, .shape = {width}, .init = INIT_NORMAL, .init_value = 1};
    const linear_map out_proj = {.name = "out_proj.",
                                 .out = s->glu ? 2 * width : width,
                                 .bias = s->bias,
                                 .to_residual = true,
                                 .parts = s->glu ? 2 : 1};
    tensor *filter = builder_parameter(b, "filter", taps), *beta = builder_parameter(b, "skip", skip);
    if (s->threshold > 0) filter = op_shrink(b->graph, filter, s->threshold);
    const convolution_options options = {.channels = width};
    tensor *y = op_long_convolution(b->graph, x, filter, beta, &options);
    y = builder_linear(b, op_activation(b->graph, y, ACTIVATION_GELU), out_proj);
    if (s->glu) y = op_gated(b->graph, y, ACTIVATION_SIGMOID);
    return op_dropout(b->graph, y, s->output_dropout);
}

const layer_type layer_long_conv = {
    .about =
        {
            .name = "long_conv",
            .kind = "layer",
            .summary = "causal convolution of every channel with a filter as long as the block",
            .paper = "Fu et al., Simple hardware-efficient long convolutions, arXiv 2302.06646",
            .details =
                "y = GLU(W gelu(h * x + skip x) + b) where h is `filter` (block_size, width; row k is lag k) moved towards zero by `threshold`. Other parameters: skip (width), out_proj.weight, out_proj.bias. The longest lag is block_size - 1 tokens, also in generation, which keeps as many inputs and has no end.",
            .example = "- residual: [layernorm, long_conv]\n",
            .options = long_conv_options,
            .settings_size = sizeof(long_conv_settings),
        },
    .build = build_long_conv,
};
