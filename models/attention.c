// Multi-head causal self-attention.
#include "models/registry.h"

typedef struct attention_settings {
    int64_t heads, kv_heads, head_size, window, rope_dim;
    bool bias, rope, qk_norm;
    double dropout, output_dropout, rope_base;
} attention_settings;

#define SETTINGS attention_settings
static const option attention_layer_options[] = {
    INT(heads, "4", 1, 1024, "number of query heads"),
    INT(kv_heads, "0", 0, 1024,
        "number of key and value heads, a divisor of heads (arXiv 2305.13245); 0: heads; 1: multi-query"),
    INT(head_size, "0", 0, 4096, "width of a head; 0: width / heads"),
    BOOL(bias, "true", "biases in the projections"),
    INT(window, "0", 0, 1 << 30, "how far back a token sees, itself included; 0: the whole block",
        .unit = "tokens"),
    BOOL(rope, "false", "rotary positions (arXiv 2104.09864); element i is paired with i + rope_dim / 2"),
    INT(rope_dim, "0", 0, 4096, "number of elements of a head that are rotated, even; 0: all"),
    REAL(rope_base, "10000.0", ABOVE(1), 1e12, "base of the rotation frequencies"),
    BOOL(qk_norm, "false", "RMSNorm of queries and keys over each head, before rotation"),
    DROPOUT(dropout, "dropout of the attention probabilities"),
    DROPOUT(output_dropout, "dropout of the output"),
    {0},
};
#undef SETTINGS

static tensor *build_attention(builder *b, const component_choice *choice, tensor *x) {
    const attention_settings *s = choice->settings;
    int width = x->shape[2], heads = (int)s->heads, kv_heads = s->kv_heads ? (int)s->kv_heads : heads;
    if (heads % kv_heads != 0)
        return builder_fail(b, choice, "kv_heads", "choose a divisor of heads",
                            "%d query heads cannot share %d key heads evenly", heads, kv_heads);
    if (s->head_size == 0 && width % heads != 0)
        return builder_fail(b, choice, "heads", "choose a divisor of the width, or set head_size",
                            "%d heads do not divide the width %d", heads, width);
    int head_size = s->head_size ? (int)s->head_size : width / heads;
    int rope_dim = !s->rope ? 0 : s->rope_dim ? (int)s->rope_dim : head_size;
    if (rope_dim % 2 != 0 || rope_dim > head_size)
        return builder_fail(b, choice, s->rope_dim ? "rope_dim" : "rope",
                            "set rope_dim to an even number no larger than the head, or change heads",
                            "rotary positions turn pairs: %d elements of a head of %d cannot be turned",
                            rope_dim, head_size);
    attention_options options = {
        .heads = heads,
        .kv_heads = kv_heads,
        .head_size = head_size,
        .window = (int)s->window,
        .dropout = s->dropout,
        .rope_dim = rope_dim,
        .rope_base = s->rope_base,
        .block_size = b->block_size,
    };
    const linear_map in_proj = {
        .name = "in_proj_",
        .out = (heads + 2 * kv_heads) * head_size,
        .bias = s->bias,
        .parts =
            heads / kv_heads + 2, // of kv_heads heads each: q, more than once when heads share keys; k; v
    };
    const linear_map out_proj = {.name = "out_proj.", .out = width, .bias = s->bias, .to_residual = true};
    const parameter_declaration ones = {.rank = 1, .shape = {head_size}, .init_value = 1};
    tensor *qkv = builder_linear(b, x, in_proj);
    const linear_parameters out = builder_linear_parameters(b, heads * head_size, out_proj);
    if (s->qk_norm) {
        options.q_gamma = builder_parameter(b, "q_norm.weight", ones);
        options.k_gamma = builder_parameter(b, "k_norm.weight", ones);
    }
    tensor *y = op_attention(b->graph, qkv, &options);
    y = op_linear(b->graph, y, out.weight, out.bias, ACTIVATION_NONE);
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
                "Parameters as in torch.nn.MultiheadAttention: in_proj_weight (q, k and v stacked), in_proj_bias, out_proj.weight, out_proj.bias; with qk_norm also q_norm.weight and k_norm.weight. Generation keeps keys and values in a cache of `window` tokens, at most block_size.",
            .example = "- residual: [rmsnorm, {attention: {heads: 8, kv_heads: 2, rope: true}}]\n",
            .options = attention_layer_options,
            .settings_size = sizeof(attention_settings),
        },
    .build = build_attention,
};
