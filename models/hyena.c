// Hyena: long convolutions with filters made by a network, between gates.
#include "models/registry.h"

#include <math.h>
#include <stdio.h>

static const char *const variant_choices[] = {"safari", "paper", NULL};
enum { VARIANT_SAFARI, VARIANT_PAPER };
static const char *const normalize_choices[] = {"none", "time_l1", NULL};
static const char *const output_choices[] = {"none", ACTIVATIONS(ACTIVATION_NAME) NULL};

typedef struct hyena_settings {
    int64_t order, short_filter_order, emb_dim, filter_width, inner_layers, l_max;
    int variant, normalize, activation;
    bool bias;
    double frequency, fast_decay_pct, slow_decay_pct, target, shift;
    double filter_lr_multiplier, positions_lr_multiplier, decay_lr_multiplier;
    double dropout, output_dropout;
} hyena_settings;

#define SETTINGS hyena_settings
static const option hyena_options[] = {
    INT(order, "2", 1, 16,
        "number of gates; there is one long convolution fewer, or as many in the paper's variant"),
    CHOICE(variant, "safari", variant_choices,
           "safari: the authors' code, begins with a gate (order >= 2); paper: with a convolution (>= 1)"),
    INT(l_max, "0", 0, 1 << 26, "length of the filters; 0: block_size", .unit = "tokens"),
    INT(short_filter_order, "3", 1, SHORT_CONVOLUTION_TAPS,
        "length of the short convolution after the input projection", .unit = "tokens"),
    INT(emb_dim, "33", 3, 4095,
        "positional features that the filters are made from, odd: the position and pairs of waves"),
    INT(filter_width, "64", 1, 4096, "width of the network that makes the filters"),
    INT(inner_layers, "2", 0, FILTER_LAYERS - 1, "layers between the first and the last of that network"),
    REAL(frequency, "14.0", ABOVE(0), 1000,
         "initial frequency of the network's sines: higher makes the filters less smooth"),
    REAL(slow_decay_pct, "1.5", ABOVE(0), 1000,
         "where the window of the slowest channel has decayed to target, as a multiple of l_max"),
    REAL(fast_decay_pct, "0.3", ABOVE(0), 1000,
         "the same for the fastest channel; the others lie in between"),
    REAL(target, "0.01", ABOVE(0), BELOW(1), "what windows have decayed to at that point"),
    REAL(shift, "0.0", 0, 10, "added to the windows, so that they do not decay to zero"),
    CHOICE(normalize, "none", normalize_choices,
           "time_l1: divide the filter of each channel by its L1 norm over l_max"),
    REAL(filter_lr_multiplier, "1.0", ABOVE(0), 1000,
         "learning rate of the filter network, as a multiple of the optimizer's"),
    REAL(positions_lr_multiplier, "0.0", 0, 1000,
         "the same for the positional features; 0: they are constant"),
    REAL(decay_lr_multiplier, "0.0", 0, 1000,
         "the same for the decay rates of the windows; 0: they are constant"),
    CHOICE(activation, "none", output_choices, "activation before the output projection"),
    BOOL(bias, "true", "biases in the projections and the short convolution"),
    DROPOUT(dropout, "dropout of the input of the long convolutions"),
    DROPOUT(output_dropout, "dropout of the output"),
    {0},
};
#undef SETTINGS

static int filter_length(const builder *b, const hyena_settings *s) {
    return s->l_max ? (int)s->l_max : b->block_size;
}

// Whether the settings fit each other and the model; false after builder_fail.
static bool is_possible(builder *b, const component_choice *choice) {
    const hyena_settings *s = choice->settings;
    const int grid = filter_length(b, s);
    if (s->variant == VARIANT_SAFARI && s->order < 2)
        builder_fail(b, choice, "order", "choose 2 or more, or set variant: paper",
                     "order %d has no long convolution in the variant safari", (int)s->order);
    else if (s->emb_dim % 2 == 0)
        builder_fail(b, choice, "emb_dim", "choose an odd number",
                     "%d features are not a position and pairs of waves", (int)s->emb_dim);
    else if (grid < b->block_size)
        builder_fail(b, choice, "l_max", "set l_max to block_size or more, or leave it out",
                     "filters of %d tokens are shorter than block_size, %d", grid, b->block_size);
    else if (!b->graph->options.states && b->graph->time > grid)
        builder_fail(b, choice, "l_max", "set l_max to the longest text",
                     "a text of %d tokens at once is longer than the filters, %d", b->graph->time, grid);
    else
        return true;
    return false;
}

// Declares a parameter of the network, whose learning rate is its own and which does not decay.
static tensor *network_parameter(builder *b, const char *name, double lr_multiplier,
                                 parameter_declaration about) {
    about.lr_multiplier = lr_multiplier;
    about.decay = about.matrix = false;
    return builder_parameter(b, name, about);
}

// Weight or bias of linear map number i of the network; there is a sine between one and the next.
static tensor *network_linear(builder *b, const hyena_settings *s, int i, const char *which,
                              parameter_declaration about) {
    char name[64];
    snprintf(name, sizeof name, "filter_fn.implicit_filter.%d.%s", 2 * i, which);
    return network_parameter(b, name, s->filter_lr_multiplier, about);
}

// The filters of `count` convolutions of `width` channels each.
static tensor *build_filters(builder *b, const hyena_settings *s, int count, int width) {
    const int channels = count * width, hidden = (int)s->filter_width, features = (int)s->emb_dim;
    implicit_filter_options f = {
        .grid = filter_length(b, s),
        .filters = count,
        .layers = (int)s->inner_layers + 1,
        .slowest = log(s->target) / s->slow_decay_pct,
        .fastest = log(s->target) / s->fast_decay_pct,
        .shift = s->shift,
        .normalised = s->normalize == 1,
    };
    const parameter_declaration skip = {
        .rank = 1, .shape = {channels}, .init = INIT_NORMAL, .init_value = 1};
    const parameter_declaration frequency = {.rank = 2, .shape = {1, hidden}, .init_value = s->frequency};
    f.skip = builder_parameter(b, "filter_fn.bias", skip);
    if (s->positions_lr_multiplier > 0)
        f.features = network_parameter(b, "filter_fn.pos_emb.z", s->positions_lr_multiplier,
                                       implicit_filter_features(f.grid, features));
    for (int i = 0; i < f.layers; i++) {
        const int in = i == 0 ? features : hidden;
        f.weight[i] = network_linear(b, s, i, "weight", builder_weight(b, hidden, in));
        f.bias[i] = network_linear(b, s, i, "bias", builder_bias(b, hidden, in));
    }
    f.frequency =
        network_parameter(b, "filter_fn.implicit_filter.1.freq", s->filter_lr_multiplier, frequency);
    f.out = network_linear(b, s, f.layers, "weight", builder_weight(b, channels, hidden));
    if (s->decay_lr_multiplier > 0)
        f.rates = network_parameter(b, "filter_fn.modulation.deltas", s->decay_lr_multiplier,
                                    implicit_filter_rates(channels, f.slowest, f.fastest));
    return op_implicit_filter(b->graph, &f);
}

// The operator on rows (x_0 | .. | x_N-1 | v). Gates come in the order N-1 .. 0, as in the authors' code.
static tensor *recur(graph *g, const hyena_settings *s, tensor *rows, tensor *filters, int width) {
    const int order = (int)s->order;
    tensor *z = rows;
    int column = order * width; // of z, at first that of v
    for (int gate = order - 1; gate >= 0; gate--) {
        convolution_options o = {.channels = width, .column = column};
        if (s->variant == VARIANT_PAPER) {
            if (s->dropout > 0 && g->options.gradients) {
                z = op_dropout_columns(g, z, column, width, s->dropout);
                o.column = 0;
            }
            o.filter_column = (order - 1 - gate) * width;
            o.gate_out = rows;
            o.gate_out_column = gate * width;
        } else {
            if (gate == 0) break; // the convolution before has applied it
            o.filter_column = (order - 1 - gate) * width;
            o.gate_in = rows;
            o.gate_in_column = gate * width;
            if (s->dropout > 0 && g->options.gradients) {
                o.gate_in = op_dropout_columns(g, rows, gate * width, width, s->dropout);
                o.gate_in_column = 0;
            }
            if (gate == 1) o.gate_out = rows;
        }
        z = op_long_convolution(g, z, filters, NULL, &o);
        column = 0;
    }
    return z;
}

static tensor *build_hyena(builder *b, const component_choice *choice, tensor *x) {
    const hyena_settings *s = choice->settings;
    if (!is_possible(b, choice)) return NULL;
    graph *g = b->graph;
    const int width = x->shape[2], order = (int)s->order, rows = (order + 1) * width;
    const double bound = 1 / sqrt((double)s->short_filter_order);
    const parameter_declaration taps = {.rank = 3,
                                        .shape = {rows, 1, (int)s->short_filter_order},
                                        .init = INIT_UNIFORM,
                                        .init_value = bound,
                                        .decay = true};
    const parameter_declaration offsets = {
        .rank = 1, .shape = {rows}, .init = INIT_UNIFORM, .init_value = bound};
    const linear_map in_proj = {.name = "in_proj.", .out = rows, .bias = s->bias, .parts = order + 1};
    const linear_map out_proj = {.name = "out_proj.", .out = width, .bias = s->bias, .to_residual = true};
    const linear_parameters in = builder_linear_parameters(b, width, in_proj);
    tensor *short_weight = builder_parameter(b, "short_filter.weight", taps);
    tensor *short_bias = s->bias ? builder_parameter(b, "short_filter.bias", offsets) : NULL;
    tensor *filters = build_filters(b, s, s->variant == VARIANT_PAPER ? order : order - 1, width);
    tensor *projected = op_linear(g, x, in.weight, in.bias, ACTIVATION_NONE);
    tensor *z = recur(g, s, op_short_convolution(g, projected, short_weight, short_bias), filters, width);
    if (s->activation) z = op_activation(g, z, (activation)s->activation);
    return op_dropout(g, builder_linear(b, z, out_proj), s->output_dropout);
}

const layer_type layer_hyena = {
    .about =
        {
            .name = "hyena",
            .kind = "layer",
            .summary = "long convolutions between gates, with filters made by a small network",
            .paper = "Poli et al., Hyena Hierarchy, arXiv 2302.10866",
            .details =
                "x_0 .. x_N-1 and v are a linear map of the input followed by a short convolution. Then z = v; for n = N-1 .. 1: z = h_n * (x_n z) + beta_n x_n z; and y = x_0 z, which out_proj maps back. Filter h at position p of l_max is (W sin(..)) e^(-t |delta|) with t = p / (l_max - 1): a network of sines of the position, times a window that decays at another rate in every channel. A shorter text sees the first part of the same filters; in a longer one the convolution reaches back l_max tokens.\n\nParameters have the names and shapes of the authors' code (safari): in_proj, short_filter, filter_fn.implicit_filter.{0,2,..}, filter_fn.implicit_filter.1.freq (of all sines), filter_fn.bias (beta), out_proj; channel c of the filters belongs to convolution c mod (N-1).\n\nWhat differs from the paper, as the authors' code does: the first long convolution is left to the short one (variant: paper has all N, z = x_n (h_n * z + beta_n z)); waves are cosines and minus sines of 1e-4 .. K-1 turns over l_max. What differs from the authors' code: features of positions are constant unless positions_lr_multiplier is set (0.01 of the rate there), 33 of them and frequency 14 instead of 3 and 1, with which filters are smoother and learn a little less; time_l1 sums over positions, not channels; beta does not decay.",
            .example = "- residual: [layernorm, {hyena: {order: 2}}]\n",
            .options = hyena_options,
            .settings_size = sizeof(hyena_settings),
        },
    .build = build_hyena,
};
