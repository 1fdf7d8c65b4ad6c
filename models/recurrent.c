// Recurrent layers: LSTM and GRU.
#include "models/registry.h"

#include <math.h>
#include <stdio.h>

typedef struct recurrent_settings {
    int64_t hidden, layers;
    bool bias;
    double dropout;
    double forget_bias; // of an LSTM; 0: none is set
} recurrent_settings;

#define SETTINGS recurrent_settings
#define SHARED_OPTIONS                                                                                     \
    INT(hidden, "0", 0, 1 << 20, "width of the hidden state and of the output; 0: that of the input"),     \
        INT(layers, "1", 1, 64,                                                                            \
            "number of layers, each of which reads the hidden states of the one before"),                  \
        BOOL(bias, "true", "biases of the gates, of the input and of the state"),                          \
        DROPOUT(dropout, "dropout between the layers, not after the last")

static const option lstm_options[] = {
    SHARED_OPTIONS,
    REAL(forget_bias, "1.0", -100, 100,
         "initial bias of the forget gate; 0: drawn like the others, as PyTorch does"),
    {0},
};
static const option gru_options[] = {SHARED_OPTIONS, {0}};
#undef SETTINGS

static tensor *declare(builder *b, const char *name, int layer, parameter_declaration about) {
    char full[32];
    snprintf(full, sizeof full, "%s_l%d", name, layer);
    return builder_parameter(b, full, about);
}

static tensor *build_layers(builder *b, const recurrent_settings *s, cell_type cell, tensor *x) {
    for (int layer = 0; layer < (int)s->layers; layer++) {
        const int in = tensor_width(x), R = s->hidden ? (int)s->hidden : in, gates = cell_gates(cell);
        // As torch.nn.LSTM and torch.nn.GRU begin.
        const parameter_declaration drawn = {.init = INIT_UNIFORM, .init_value = 1 / sqrt((double)R)};
        parameter_declaration w_ih = drawn, w_hh = drawn, b_ih = drawn, b_hh = drawn;
        w_ih.rank = w_hh.rank = 2, b_ih.rank = b_hh.rank = 1;
        w_ih.shape[0] = w_hh.shape[0] = b_ih.shape[0] = b_hh.shape[0] = gates * R;
        w_ih.shape[1] = in, w_hh.shape[1] = R;
        w_ih.decay = w_hh.decay = w_ih.matrix = w_hh.matrix = true;
        w_ih.parts = w_hh.parts = gates;
        if (s->forget_bias != 0) {
            b_ih.constant = (parameter_part){LSTM_FORGET * R, (LSTM_FORGET + 1) * R, s->forget_bias};
            b_hh.constant = (parameter_part){LSTM_FORGET * R, (LSTM_FORGET + 1) * R, 0};
        }
        recurrence_options options = {.cell = cell,
                                      .w_ih = declare(b, "weight_ih", layer, w_ih),
                                      .w_hh = declare(b, "weight_hh", layer, w_hh)};
        if (s->bias) {
            options.b_ih = declare(b, "bias_ih", layer, b_ih);
            options.b_hh = declare(b, "bias_hh", layer, b_hh);
        }
        if (layer > 0) x = op_dropout(b->graph, x, s->dropout);
        x = op_recurrence(b->graph, x, &options);
    }
    return x;
}

static tensor *build_lstm(builder *b, const component_choice *choice, tensor *x) {
    return build_layers(b, choice->settings, CELL_LSTM, x);
}

static tensor *build_gru(builder *b, const component_choice *choice, tensor *x) {
    return build_layers(b, choice->settings, CELL_GRU, x);
}

const layer_type layer_lstm = {
    .about =
        {
            .name = "lstm",
            .kind = "layer",
            .summary = "long short-term memory: a recurrence with a cell state behind gates",
            .paper =
                "Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9 (1997); forget gate: Gers et al. (2000)",
            .details =
                "With the sums a = W_ih x + b_ih + W_hh h + b_hh of four gates: i, f, o = sigmoid(a_i, a_f, a_o), g = tanh(a_g); then c = f c + i g and h = o tanh(c).\n\nParameters as in torch.nn.LSTM: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, and so on for each layer, gates in the order i, f, g, o; drawn from U(-1/sqrt(hidden), 1/sqrt(hidden)). Generation carries h and c from token to token, for as long as one likes.",
            .example = "- lstm: {hidden: 256, layers: 2, dropout: 0.2}\n",
            .options = lstm_options,
            .settings_size = sizeof(recurrent_settings),
        },
    .build = build_lstm,
};

const layer_type layer_gru = {
    .about =
        {
            .name = "gru",
            .kind = "layer",
            .summary = "gated recurrent unit: a recurrence with two gates and no cell state",
            .paper =
                "Cho et al., Learning phrase representations using RNN encoder-decoder, arXiv 1406.1078",
            .details =
                "With the sums a = W_ih x + b_ih and b = W_hh h + b_hh of three gates: r, z = sigmoid(a_r + b_r, a_z + b_z), n = tanh(a_n + r b_n); then h = (1 - z) n + z h. r resets the product rather than the state, as in PyTorch.\n\nParameters as in torch.nn.GRU: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, and so on for each layer, gates in the order r, z, n; drawn from U(-1/sqrt(hidden), 1/sqrt(hidden)). Generation carries h from token to token, for as long as one likes.",
            .example = "- gru: {hidden: 256}\n",
            .options = gru_options,
            .settings_size = sizeof(recurrent_settings),
        },
    .build = build_gru,
};
