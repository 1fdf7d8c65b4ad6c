// The closed-form continuous-time network.
#include "models/registry.h"

#include <math.h>
#include <stdio.h>

typedef struct cfc_settings {
    int64_t hidden;
    int mode; // cfc_mode
    int64_t backbone_layers, backbone_units;
    bool mixed_memory;
} cfc_settings;

static const char *const mode_names[] = {"default", "no_gate", "pure", NULL}; // in the order of cfc_mode

#define SETTINGS cfc_settings
static const option cfc_options_table[] = {
    INT(hidden, "0", 0, 1 << 20, "width of the hidden state and of the output; 0: that of the input"),
    CHOICE(
        mode, "default", mode_names,
        "what the heads make: two states and a gate in time between them (default), a state and a gated one added to it (no_gate), or the closed-form solution itself (pure)"),
    INT(backbone_layers, "1", 0, CFC_LAYERS, "number of layers before the heads; 0: none"),
    INT(backbone_units, "128", 1, 1 << 20, "width of those layers"),
    BOOL(
        mixed_memory, "false",
        "an LSTM in front of the network goes on from its h, and the network from that of the LSTM (arXiv 2006.04418)"),
    {0},
};
#undef SETTINGS

// As ncps begins: weights by Glorot and Bengio, biases as torch.nn.Linear.
static linear_parameters declare(builder *b, const char *name, int out, int in) {
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    const parameter_declaration biases = {
        .rank = 1, .shape = {out}, .init = INIT_UNIFORM, .init_value = 1 / sqrt((double)in)};
    const linear_parameters p = {.weight = builder_parameter(b, weight, builder_glorot_weight(out, in))};
    return (linear_parameters){p.weight, builder_parameter(b, bias, biases)};
}

// Elapsed time is 1 from token to token: the two maps of the gate, of which one would be multiplied by it,
// are one whose weights are the sum.
static linear_parameters declare_gated_heads(builder *b, int R, int in) {
    const linear_parameters ff1 = declare(b, "ff1", R, in), ff2 = declare(b, "ff2", R, in),
                            time_a = declare(b, "time_a", R, in), time_b = declare(b, "time_b", R, in);
    graph *g = b->graph;
    tensor *const weights[] = {ff1.weight, ff2.weight, op_add(g, time_a.weight, time_b.weight)};
    tensor *const biases[] = {ff1.bias, ff2.bias, op_add(g, time_a.bias, time_b.bias)};
    return (linear_parameters){op_stack(g, weights, 3), op_stack(g, biases, 3)};
}

// w_tau is drawn although ncps sets it to 0 first: |w_tau| has no slope there, and it would never move.
static tensor *declare_constants(builder *b, int R) {
    const parameter_declaration A = {.rank = 2, .shape = {1, R}, .init_value = 1};
    parameter_declaration w_tau = builder_glorot_weight(1, R);
    w_tau.decay = w_tau.matrix = false;
    tensor *first = builder_parameter(b, "A", A);
    return op_stack(b->graph, (tensor *[]){first, builder_parameter(b, "w_tau", w_tau)}, 2);
}

// Gates and forget bias as of the layer lstm, the rest as ncps begins.
static void declare_memory(builder *b, int R, int in, cfc_options *options) {
    const int gates = cell_gates(CELL_LSTM);
    parameter_declaration ih = builder_glorot_weight(gates * R, in);
    ih.parts = gates;
    parameter_declaration hh = ih;
    hh.shape[1] = R;
    hh.init = INIT_ORTHOGONAL;
    hh.init_value = 1;
    const parameter_declaration bias = {.rank = 1,
                                        .shape = {gates * R},
                                        .init = INIT_UNIFORM,
                                        .init_value = 0.1,
                                        .constant = {LSTM_FORGET * R, (LSTM_FORGET + 1) * R, 1}};
    options->memory_ih = builder_parameter(b, "lstm.weight_ih", ih);
    options->memory_hh = builder_parameter(b, "lstm.weight_hh", hh);
    options->memory_bias = builder_parameter(b, "lstm.bias", bias);
}

static tensor *build_cfc(builder *b, const component_choice *choice, tensor *x) {
    const cfc_settings *s = choice->settings;
    const int R = s->hidden ? (int)s->hidden : tensor_width(x);
    cfc_options options = {.mode = (cfc_mode)s->mode, .width = R, .layers = (int)s->backbone_layers};
    if (s->mixed_memory) declare_memory(b, R, tensor_width(x), &options);
    int in = tensor_width(x) + R;
    for (int k = 0; k < options.layers; k++) {
        char name[32];
        snprintf(name, sizeof name, "backbone.%d", 2 * k); // activations stand between them
        const linear_parameters layer = declare(b, name, (int)s->backbone_units, in);
        options.weight[k] = layer.weight;
        options.bias[k] = layer.bias;
        in = (int)s->backbone_units;
    }
    const linear_parameters heads =
        options.mode == CFC_PURE ? declare(b, "ff1", R, in) : declare_gated_heads(b, R, in);
    options.weight[options.layers] = heads.weight;
    options.bias[options.layers] = heads.bias;
    if (options.mode == CFC_PURE) options.constants = declare_constants(b, R);
    return op_cfc(b->graph, x, &options);
}

const layer_type layer_cfc = {
    .about =
        {
            .name = "cfc",
            .kind = "layer",
            .summary =
                "closed-form continuous-time network: a liquid recurrence without a solver of equations",
            .paper = "Hasani et al., Closed-form continuous-time neural networks, arXiv 2106.13898",
            .details =
                "The backbone makes s of input and state (x, h): layers of 1.7159 tanh(0.666 (W s + b)). The heads make the next state of s; from token to token one unit of time passes. default: f1, f2 = tanh(ff1 s, ff2 s), t = sigmoid(time_a s + time_b s), h = f1 (1 - t) + f2 t. no_gate: h = f1 + f2 t. pure: h = A - A exp(-(|w_tau| + |ff1 s|)) ff1 s.\n\nParameters as in ncps.torch.CfCCell: backbone.0.weight, backbone.0.bias, backbone.2.weight and so on for each layer, ff1.weight, ff1.bias, ff2, time_a, time_b, or ff1, A and w_tau; weights and w_tau are drawn from Glorot and Bengio's uniform distribution, A begins as 1. Those of mixed memory are lstm.weight_ih, lstm.weight_hh and lstm.bias, gates in the order i, f, g, o (ncps: g, i, f, o, and 1 added to f). Generation carries h from token to token, and c of the memory, for as long as one likes.",
            .example = "- cfc: {hidden: 256}\n",
            .options = cfc_options_table,
            .settings_size = sizeof(cfc_settings),
        },
    .build = build_cfc,
};
