#include "models/model.h"

#include <stdlib.h>

#include "models/registry.h"

static const char *const init_choices[] = {"gpt2", "torch", NULL};

#define SETTINGS model_settings
static const option model_options[] = {
    INT(width, "128", 1, 1 << 20, "width of the residual stream"),
    INT(depth, "4", 1, 10000, "number of blocks: ${model.depth} in a repeat"),
    REAL(dropout, "0.0", 0, BELOW(1), "dropout probability of layers that do not set their own"),
    CHOICE(init, "gpt2", init_choices,
           "gpt2: N(0, init_std), divided by sqrt(number of residuals) where added to the residual stream; "
           "torch: PyTorch's default for Linear"),
    REAL(init_std, "0.02", ABOVE(0), 10, "standard deviation of the gpt2 initialisation"),
    COMPONENTS(layers, REQUIRED, layer_registry, "the layers, from embedding to unembedding",
               .min_count = 1),
    {0},
};
#undef SETTINGS

const component model_section = {
    .name = "model",
    .kind = "section",
    .summary = "the layers and what they share",
    .details =
        "Layers are applied one after the other. Containers (sequential, residual, repeat, parallel) hold lists of layers. The first layer is an embedding, the last an unembedding.",
    .example =
        "model:\n  width: 128\n  depth: 4\n  layers:\n    - embedding\n    - positions\n    - repeat:\n        times: ${model.depth}\n        layers:\n          - residual: [layernorm, {attention: {heads: 4}}]\n          - residual: [layernorm, {mlp: {activation: gelu}}]\n    - layernorm\n    - unembedding\n",
    .options = model_options,
    .settings_size = sizeof(model_settings),
};

void tokens_bind(tensor *t, const int32_t *ids) {
    t->ids = ids;
}

// Appends the whole model and, when asked, its losses to a graph; fills *out. warnings may be NULL.
static status append_model(model *m, graph *g, bool with_losses, model_graph *out, string_list *warnings,
                           error *err) {
    const model_settings *s = m->settings;
    const int tokens[] = {g->batch, g->time};
    out->graph = g;
    out->ids = graph_tensor(g, TENSOR_TOKENS, 2, tokens);
    builder b = {
        .graph = g,
        .ids = out->ids,
        .vocabulary = m->vocabulary,
        .block_size = m->block_size,
        .init_std = s->init_std,
        .init_torch = s->init == 1,
        .residual_count = m->residuals,
        .warnings = warnings,
        .err = err,
    };
    g->path = b.path;
    out->logits = builder_sequence(&b, &s->layers, NULL);
    g->path = "loss";
    if (b.failed) return err->code;
    m->absolute_positions = b.absolute_positions;
    m->residuals = b.residuals_met;
    if (!out->logits || tensor_width(out->logits) != m->vocabulary) {
        fail_at(err, ERR_CONFIG, s->layers.items[s->layers.count - 1].where,
                "the last layer gives %d values for each token, not one for each entry of the vocabulary",
                out->logits ? tensor_width(out->logits) : 0);
        return error_hint(err, "end the list of layers with `unembedding`");
    }
    if (!with_losses) return OK;
    out->targets = graph_tensor(g, TENSOR_TOKENS, 2, tokens);
    out->losses = op_cross_entropy(g, out->logits, out->targets, 0);
    if (!out->logits->producer) out->logits = NULL;
    return OK;
}

// Builds the smallest graph of the model and throws it away: declares the parameters, counts the residuals,
// and checks that the layers fit.
static status rehearse(model *m, parameter_set *parameters, string_list *warnings, error *err) {
    graph *g = graph_new(&(graph_options){.batch = 1, .time = 1}, parameters);
    model_graph unused = {0};
    status result = append_model(m, g, true, &unused, warnings, err);
    graph_free(g);
    return result;
}

status model_new(const model_settings *settings, int vocabulary, int block_size, model **out, error *err) {
    model *m = memory_alloc(sizeof *m);
    *m = (model){.settings = settings,
                 .parameters = parameters_new(),
                 .vocabulary = vocabulary,
                 .block_size = block_size};
    // Twice: initial values depend on how many residuals there are, which is known at the end.
    parameter_set *first = parameters_new();
    status result = rehearse(m, first, NULL, err);
    parameters_free(first);
    if (result == OK) result = rehearse(m, m->parameters, &m->warnings, err);
    if (result != OK) {
        model_free(m);
        return result;
    }
    *out = m;
    return OK;
}

void model_free(model *m) {
    if (!m) return;
    parameters_free(m->parameters);
    free(m);
}

status model_build(model *m, const graph_options *options, bool with_losses, model_graph *out, error *err) {
    *out = (model_graph){0};
    graph *g = graph_new(options, m->parameters);
    status result = append_model(m, g, with_losses, out, NULL, err);
    tensor *const keep[] = {out->losses ? out->losses : out->logits,
                            options->gradients ? NULL : out->logits, NULL};
    if (result == OK) result = graph_finish(g, keep, err);
    if (result != OK) {
        graph_free(g);
        *out = (model_graph){0};
    }
    return result;
}
