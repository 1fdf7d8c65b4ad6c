// Multi-head causal self-attention.
#include "models/registry.h"

#include <math.h>

typedef struct attention_settings {
    int64_t heads, kv_heads, head_size, window, rope_dim;
    int projections;
    bool bias, rope, qk_norm, learned_scale;
    double dropout, output_dropout, rope_base;
} attention_settings;

enum { PROJECT_ALL, PROJECT_INPUTS, PROJECT_NOTHING };
static const char *const projections_names[] = {"all", "qkv", "none", NULL};

#define SETTINGS attention_settings
static const option attention_layer_options[] = {
    INT(heads, "4", 1, 1024, "number of query heads"),
    INT(kv_heads, "0", 0, 1024,
        "number of key and value heads, a divisor of heads (arXiv 2305.13245); 0: heads; 1: multi-query"),
    INT(head_size, "0", 0, 4096, "width of a head; 0: width / heads"),
    CHOICE(
        projections, "all", projections_names,
        "linear maps: to queries, keys and values, and of the output; only the former (qkv); or none, so that queries, keys and values are the input"),
    BOOL(bias, "true", "biases in the projections"),
    INT(window, "0", 0, 1 << 30, "how far back a token sees, itself included; 0: the whole block",
        .unit = "tokens"),
    BOOL(rope, "false", "rotary positions (arXiv 2104.09864); element i is paired with i + rope_dim / 2"),
    INT(rope_dim, "0", 0, 4096, "number of elements of a head that are rotated, even; 0: all"),
    REAL(rope_base, "10000.0", ABOVE(1), 1e12, "base of the rotation frequencies"),
    BOOL(
        learned_scale, "false",
        "multiply queries by a learned number, which begins at 1 / sqrt(head_size), in place of that constant"),
    BOOL(qk_norm, "false", "RMSNorm of queries and keys over each head, before rotation"),
    DROPOUT(dropout, "dropout of the attention probabilities"),
    DROPOUT(output_dropout, "dropout of the output"),
    {0},
};
#undef SETTINGS

// Queries, keys and values side by side; without projections x, which is all three.
static tensor *project(builder *b, const attention_settings *s, const attention_options *o, tensor *x) {
    const linear_map in_proj = {
        .name = "in_proj_",
        .out = (o->heads + 2 * o->kv_heads) * o->head_size,
        .bias = s->bias,
        .parts = o->heads / o->kv_heads +
                 2, // of kv_heads heads each: q, more than once when heads share keys; k; v
    };
    return s->projections == PROJECT_NOTHING ? x : builder_linear(b, x, in_proj);
}

static tensor *build_attention(builder *b, const component_choice *choice, tensor *x) {
    const attention_settings *s = choice->settings;
    int width = x->shape[2], heads = (int)s->heads, kv_heads = s->kv_heads ? (int)s->kv_heads : heads;
    if (heads % kv_heads != 0)
        return builder_fail(b, choice, "kv_heads", "choose a divisor of heads",
                            "%d query heads cannot share %d key heads evenly", heads, kv_heads);
    if (s->head_size == 0 && width % heads != 0)
        return builder_fail(b, choice, "heads", "choose a divisor of the width, or set head_size",
                            "%d heads do not divide the width %d", heads, width);
    if (s->learned_scale && s->qk_norm)
        return builder_fail(b, choice, "learned_scale", "leave one of the two out",
                            "qk_norm would divide by what learned_scale multiplies with");
    int head_size = s->head_size ? (int)s->head_size : width / heads;
    int rope_dim = !s->rope ? 0 : s->rope_dim ? (int)s->rope_dim : head_size;
    if (rope_dim % 2 != 0 || rope_dim > head_size)
        return builder_fail(b, choice, s->rope_dim ? "rope_dim" : "rope",
                            "set rope_dim to an even number no larger than the head, or change heads",
                            "rotary positions turn pairs: %d elements of a head of %d cannot be turned",
                            rope_dim, head_size);
    if (s->projections == PROJECT_NOTHING && (kv_heads != heads || heads * head_size != width))
        return builder_fail(
            b, choice, "projections", "leave kv_heads and head_size out, or project",
            "without projections, %d heads of %d must be the input's width, %d, and have keys each", heads,
            head_size, width);
    attention_options options = {
        .heads = heads,
        .kv_heads = kv_heads,
        .head_size = head_size,
        .window = (int)s->window,
        .dropout = s->dropout,
        .rope_dim = rope_dim,
        .rope_base = s->rope_base,
        .block_size = b->block_size,
        .shared_qkv = s->projections == PROJECT_NOTHING,
    };
    const linear_map out_proj = {.name = "out_proj.", .out = width, .bias = s->bias, .to_residual = true};
    const parameter_declaration ones = {.rank = 1, .shape = {head_size}, .init_value = 1};
    const parameter_declaration number = {
        .rank = 1, .shape = {1}, .init_value = 1 / sqrt((double)head_size)};
    tensor *qkv = project(b, s, &options, x);
    if (s->learned_scale) options.scale = builder_parameter(b, "scale", number);
    linear_parameters out = {0};
    if (s->projections == PROJECT_ALL) out = builder_linear_parameters(b, heads * head_size, out_proj);
    if (s->qk_norm) {
        options.q_gamma = builder_parameter(b, "q_norm.weight", ones);
        options.k_gamma = builder_parameter(b, "k_norm.weight", ones);
    }
    tensor *y = op_attention(b->graph, qkv, &options);
    if (out.weight) y = op_linear(b->graph, y, out.weight, out.bias, ACTIVATION_NONE);
    return op_dropout(b->graph, y, s->output_dropout);
}

const layer_type layer_attention = {
    .about =
        {
            .name = "attention",
            .kind = "layer",
            .summary = "multi-head causal self-attention",
            .paper = "Vaswani et al., Attention is all you need, arXiv 1706.03762",
            .details =
                "Parameters as in torch.nn.MultiheadAttention: in_proj_weight (q, k and v stacked), in_proj_bias, out_proj.weight, out_proj.bias; with qk_norm also q_norm.weight and k_norm.weight, with learned_scale also scale (1). Generation keeps keys and values in a cache of `window` tokens, at most block_size. On a stream (dataset.batches) attention sees its block alone and begins anew with each, whatever recurrent layers carry on; it does not begin anew with a document (dataset.document_separator) within the block.",
            .example = "- residual: [rmsnorm, {attention: {heads: 8, kv_heads: 2, rope: true}}]\n",
            .options = attention_layer_options,
            .settings_size = sizeof(attention_settings),
        },
    .build = build_attention,
};
