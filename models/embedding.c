// From tokens to vectors and back: embedding, positions, unembedding.
#include "models/registry.h"

// --- embedding

typedef struct embedding_settings {
    int64_t width;
    double scale, init_std;
} embedding_settings;

#define SETTINGS embedding_settings
static const option embedding_options[] = {
    INT(width, "${model.width}", 1, 1 << 20, "length of a token's vector"),
    REAL(scale, "1.0", ABOVE(0), 1e6,
         "factor on the vectors; the Transformer paper uses the square root of the width"),
    REAL(init_std, "${model.init_std}", ABOVE(0), 10,
         "standard deviation of the initial vectors (PyTorch's default is 1)"),
    {0},
};
#undef SETTINGS

// A table of vectors, drawn from a normal distribution.
static tensor *table(builder *b, int rows, int width, double init_std) {
    const parameter_declaration about = {
        .rank = 2, .shape = {rows, width}, .init = INIT_NORMAL, .init_value = init_std, .decay = true};
    return builder_parameter(b, "weight", about);
}

static tensor *build_embedding(builder *b, const component_choice *choice, tensor *x) {
    const embedding_settings *s = choice->settings;
    if (x)
        return builder_fail(b, choice, NULL, "move it to the beginning of model.layers",
                            "must be the first layer: it reads tokens, not vectors");
    b->token_table = table(b, b->vocabulary, (int)s->width, s->init_std);
    return op_embedding(b->graph, b->ids, b->token_table, s->scale);
}

const layer_type layer_embedding = {
    .about =
        {
            .name = "embedding",
            .kind = "layer",
            .summary = "a learned vector for each token",
            .details = "Parameter: weight (vocabulary, width).",
            .example = "- embedding\n",
            .options = embedding_options,
            .settings_size = sizeof(embedding_settings),
        },
    .build = build_embedding,
    .may_begin = true,
};

// --- positions

enum { POSITIONS_LEARNED, POSITIONS_SINUSOIDAL };
static const char *const positions_choices[] = {"learned", "sinusoidal", NULL};

typedef struct positions_settings {
    int type;
    double init_std;
} positions_settings;

#define SETTINGS positions_settings
static const option positions_options[] = {
    CHOICE(type, "learned", positions_choices,
           "a learned vector per position, or fixed sines and cosines (then set init_std: 1 in embedding)"),
    REAL(init_std, "${model.init_std}", ABOVE(0), 10, "standard deviation of the initial learned vectors"),
    {0},
};
#undef SETTINGS

static tensor *build_positions(builder *b, const component_choice *choice, tensor *x) {
    const positions_settings *s = choice->settings;
    b->absolute_positions = true;
    if (s->type == POSITIONS_SINUSOIDAL) return op_sinusoidal_positions(b->graph, x, b->block_size);
    return op_learned_positions(b->graph, x, table(b, b->block_size, x->shape[2], s->init_std));
}

const layer_type layer_positions = {
    .about =
        {
            .name = "positions",
            .kind = "layer",
            .summary = "adds the position of a token within its block to its vector",
            .paper = "Vaswani et al., Attention is all you need, arXiv 1706.03762, section 3.5",
            .details =
                "Rotary positions are a setting of attention (rope), not a layer. Parameter of the learned kind: weight (block_size, width).",
            .example = "- positions: {type: sinusoidal}\n",
            .options = positions_options,
            .settings_size = sizeof(positions_settings),
        },
    .build = build_positions,
};

// --- unembedding

typedef struct unembedding_settings {
    bool tied, bias;
} unembedding_settings;

#define SETTINGS unembedding_settings
static const option unembedding_options[] = {
    BOOL(tied, "true", "use the weights of `embedding` (arXiv 1608.05859)"),
    BOOL(bias, "false", "add a learned bias to the logits"),
    {0},
};
#undef SETTINGS

static tensor *build_unembedding(builder *b, const component_choice *choice, tensor *x) {
    const unembedding_settings *s = choice->settings;
    const int width = x->shape[2];
    tensor *weight = b->token_table;
    if (s->tied && (!weight || weight->shape[1] != width))
        return builder_fail(b, choice, "tied",
                            "set tied: false, or let the last layer give the embedding's width",
                            "cannot share the embedding's weights: it has width %d, the last layer %d",
                            weight ? weight->shape[1] : 0, width);
    parameter_declaration own = builder_weight(b, b->vocabulary, width);
    own.matrix = false; // Muon is for hidden matrices
    const parameter_declaration zeros = {.rank = 1, .shape = {b->vocabulary}};
    if (!s->tied) weight = builder_parameter(b, "weight", own);
    tensor *bias = s->bias ? builder_parameter(b, "bias", zeros) : NULL;
    return op_linear(b->graph, x, weight, bias, ACTIVATION_NONE);
}

const layer_type layer_unembedding = {
    .about =
        {
            .name = "unembedding",
            .kind = "layer",
            .summary = "from vectors to one logit for each token of the vocabulary",
            .paper = "weight tying: Press and Wolf, arXiv 1608.05859",
            .details =
                "Parameters: weight (vocabulary, width) unless tied; bias (vocabulary) when asked for.",
            .example = "- unembedding: {tied: false}\n",
            .options = unembedding_options,
            .settings_size = sizeof(unembedding_settings),
        },
    .build = build_unembedding,
};
