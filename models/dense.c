// Layers that treat each position by itself: linear, mlp, activation.
#include "models/registry.h"

static const char *const activation_choices[] = {ACTIVATIONS(ACTIVATION_NAME) NULL};

// The choice of a name above.
static activation activation_of(int choice) {
    return (activation)(choice + ACTIVATION_GELU);
}

// --- linear

typedef struct linear_settings {
    int64_t out;
    bool bias;
} linear_settings;

#define SETTINGS linear_settings
static const option linear_options[] = {
    INT(out, "${model.width}", 1, 1 << 20, "width of the output"),
    BOOL(bias, "true", "add a learned bias"),
    {0},
};
#undef SETTINGS

static tensor *build_linear(builder *b, const component_choice *choice, tensor *x) {
    const linear_settings *s = choice->settings;
    return builder_linear(b, x, (linear_map){.name = "", .out = (int)s->out, .bias = s->bias});
}

const layer_type layer_linear = {
    .about =
        {
            .name = "linear",
            .kind = "layer",
            .summary = "x W^T + b at each position",
            .details = "Parameters as in torch.nn.Linear: weight (out, in), bias (out).",
            .example = "- linear: {out: 64, bias: false}\n",
            .options = linear_options,
            .settings_size = sizeof(linear_settings),
        },
    .build = build_linear,
};

// --- mlp

static const char *const mlp_choices[] = {ACTIVATIONS(ACTIVATION_NAME) "swiglu", "geglu", "glu", NULL};
enum { MLP_SWIGLU = ACTIVATION_COUNT - 1 }; // the first of the gated kinds
static const activation gate_of[] = {ACTIVATION_SILU, ACTIVATION_GELU, ACTIVATION_SIGMOID};

typedef struct mlp_settings {
    int64_t hidden;
    int activation;
    bool bias;
    double dropout;
} mlp_settings;

#define SETTINGS mlp_settings
static const option mlp_options[] = {
    INT(hidden, "0", 0, 1 << 20,
        "hidden width; 0: 4 x width, or for gated kinds 8/3 x width, rounded up to a multiple of 64"),
    CHOICE(activation, "gelu", mlp_choices,
           "gelu is exact, gelu_tanh its approximation; swiglu, geglu and glu are gated"),
    BOOL(bias, "true", "biases in both linear maps"),
    DROPOUT(dropout, "dropout of the output"),
    {0},
};
#undef SETTINGS

static tensor *build_mlp(builder *b, const component_choice *choice, tensor *x) {
    const mlp_settings *s = choice->settings;
    const int width = x->shape[2];
    const bool gated = s->activation >= MLP_SWIGLU;
    const int hidden = s->hidden ? (int)s->hidden : gated ? (8 * width / 3 + 63) / 64 * 64 : 4 * width;
    const linear_map fc1 = {
        .name = "fc1.",
        .out = gated ? 2 * hidden : hidden,
        .bias = s->bias,
        .parts = gated ? 2 : 1,
        .act = gated ? ACTIVATION_NONE : activation_of(s->activation),
    };
    const linear_map fc2 = {.name = "fc2.", .out = width, .bias = s->bias, .to_residual = true};
    tensor *h = builder_linear(b, x, fc1);
    if (gated) h = op_gated(b->graph, h, gate_of[s->activation - MLP_SWIGLU]);
    return op_dropout(b->graph, builder_linear(b, h, fc2), s->dropout);
}

const layer_type layer_mlp = {
    .about =
        {
            .name = "mlp",
            .kind = "layer",
            .summary = "two linear maps with an activation between them, at each position",
            .paper =
                "gated kinds: Shazeer, arXiv 2002.05202; relu2: arXiv 2109.08668; gelu: arXiv 1606.08415",
            .details =
                "Parameters: fc1.weight (hidden, width), fc1.bias, fc2.weight (width, hidden), fc2.bias. In the gated kinds fc1 is (2 hidden, width), the gate above the value: fc2(act(gate) * value).",
            .example = "- residual: [layernorm, {mlp: {hidden: 512, activation: swiglu}}]\n",
            .options = mlp_options,
            .settings_size = sizeof(mlp_settings),
        },
    .build = build_mlp,
};

// --- activation

typedef struct activation_settings {
    int type;
} activation_settings;

#define SETTINGS activation_settings
static const option activation_options[] = {
    CHOICE(type, "gelu", activation_choices, "the function"),
    {0},
};
#undef SETTINGS

static tensor *build_activation(builder *b, const component_choice *choice, tensor *x) {
    const activation_settings *s = choice->settings;
    return op_activation(b->graph, x, activation_of(s->type));
}

const layer_type layer_activation = {
    .about =
        {
            .name = "activation",
            .kind = "layer",
            .summary = "a function of each element",
            .example = "- activation: {type: silu}\n",
            .options = activation_options,
            .settings_size = sizeof(activation_settings),
        },
    .build = build_activation,
};
