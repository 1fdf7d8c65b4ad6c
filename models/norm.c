// Normalisation and dropout.
#include "models/registry.h"

typedef struct norm_settings {
    double epsilon;
    bool bias; // layernorm only
} norm_settings;

static tensor *gain(builder *b, int width) {
    const parameter_declaration ones = {.rank = 1, .shape = {width}, .init_value = 1};
    return builder_parameter(b, "weight", ones);
}

// --- layernorm

#define SETTINGS norm_settings
static const option layernorm_options[] = {
    REAL(epsilon, "1.0e-5", ABOVE(0), 1, "added to the variance"),
    BOOL(bias, "true", "add a learned bias"),
    {0},
};
#undef SETTINGS

static tensor *build_layernorm(builder *b, const component_choice *choice, tensor *x) {
    const norm_settings *s = choice->settings;
    const parameter_declaration zeros = {.rank = 1, .shape = {x->shape[2]}};
    tensor *gamma = gain(b, x->shape[2]), *beta = s->bias ? builder_parameter(b, "bias", zeros) : NULL;
    return op_layernorm(b->graph, x, gamma, beta, s->epsilon);
}

const layer_type layer_layernorm = {
    .about =
        {
            .name = "layernorm",
            .kind = "layer",
            .summary =
                "each vector shifted to mean 0 and scaled to variance 1, then by a learned gain and bias",
            .paper = "Ba et al., Layer normalization, arXiv 1607.06450",
            .details = "Parameters as in torch.nn.LayerNorm: weight (width), bias (width).",
            .example = "- layernorm: {bias: false}\n",
            .options = layernorm_options,
            .settings_size = sizeof(norm_settings),
        },
    .build = build_layernorm,
};

// --- rmsnorm

#define SETTINGS norm_settings
static const option rmsnorm_options[] = {
    REAL(epsilon, "1.0e-5", ABOVE(0), 1, "added to the mean square"),
    {0},
};
#undef SETTINGS

static tensor *build_rmsnorm(builder *b, const component_choice *choice, tensor *x) {
    const norm_settings *s = choice->settings;
    return op_rmsnorm(b->graph, x, gain(b, x->shape[2]), s->epsilon);
}

const layer_type layer_rmsnorm = {
    .about =
        {
            .name = "rmsnorm",
            .kind = "layer",
            .summary = "each vector divided by its root mean square, then scaled by a learned gain",
            .paper = "Zhang and Sennrich, arXiv 1910.07467",
            .details = "Parameter: weight (width).",
            .example = "- rmsnorm\n",
            .options = rmsnorm_options,
            .settings_size = sizeof(norm_settings),
        },
    .build = build_rmsnorm,
};

// --- dropout

typedef struct dropout_settings {
    double p;
} dropout_settings;

#define SETTINGS dropout_settings
static const option dropout_options[] = {
    DROPOUT(p, "probability of dropping an element"),
    {0},
};
#undef SETTINGS

static tensor *build_dropout(builder *b, const component_choice *choice, tensor *x) {
    const dropout_settings *s = choice->settings;
    return op_dropout(b->graph, x, s->p);
}

const layer_type layer_dropout = {
    .about =
        {
            .name = "dropout",
            .kind = "layer",
            .summary = "while training, drops elements at random and scales up the rest",
            .paper = "Srivastava et al., JMLR 15 (2014)",
            .example = "- dropout: {p: 0.1}\n",
            .options = dropout_options,
            .settings_size = sizeof(dropout_settings),
        },
    .build = build_dropout,
};
