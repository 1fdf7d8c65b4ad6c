// Containers: layers that hold lists of layers.
#include "models/registry.h"

// --- sequential

typedef struct sequential_settings {
    component_list layers;
} sequential_settings;

#define SETTINGS sequential_settings
static const option sequential_options[] = {
    COMPONENTS(layers, REQUIRED, layer_registry, "applied one after the other"),
    {0},
};
#undef SETTINGS

static tensor *build_sequential(builder *b, const component_choice *choice, tensor *x) {
    const sequential_settings *s = choice->settings;
    return builder_sequence(b, &s->layers, x);
}

const layer_type layer_sequential = {
    .about =
        {
            .name = "sequential",
            .kind = "layer",
            .summary = "layers one after the other, as one layer",
            .example = "- sequential: [layernorm, {linear: {out: 64}}]\n",
            .options = sequential_options,
            .settings_size = sizeof(sequential_settings),
        },
    .build = build_sequential,
    .may_begin = true,
};

// --- residual

#define SETTINGS sequential_settings
static const option residual_options[] = {
    COMPONENTS(layers, REQUIRED, layer_registry, "the branch f of x + f(x)"),
    {0},
};
#undef SETTINGS

static tensor *build_residual(builder *b, const component_choice *choice, tensor *x) {
    const sequential_settings *s = choice->settings;
    b->residual_depth++;
    tensor *branch = builder_sequence(b, &s->layers, x);
    b->residual_depth--;
    if (branch->shape[2] != x->shape[2])
        return builder_fail(b, choice, NULL, "let the last layer of the branch give the width it was given",
                            "the branch gives width %d, but is added to width %d", branch->shape[2],
                            x->shape[2]);
    b->residuals_met++;
    return op_residual(b->graph, x, branch);
}

const layer_type layer_residual = {
    .about =
        {
            .name = "residual",
            .kind = "layer",
            .summary = "x + f(x), where f is the list of layers",
            .paper = "He et al., Deep residual learning, arXiv 1512.03385",
            .details =
                "With a norm first in the list this is a pre-norm block; for a post-norm block put the norm after the residual.",
            .example = "- residual: [layernorm, {attention: {heads: 4}}]\n",
            .options = residual_options,
            .settings_size = sizeof(sequential_settings),
        },
    .build = build_residual,
};

// --- repeat

typedef struct repeat_settings {
    int64_t times;
    component_list layers;
} repeat_settings;

#define SETTINGS repeat_settings
static const option repeat_options[] = {
    INT(times, "${model.depth}", 0, 10000, "number of repetitions, each with its own weights"),
    COMPONENTS(layers, REQUIRED, layer_registry, "the layers to repeat"),
    {0},
};
#undef SETTINGS

static tensor *build_repeat(builder *b, const component_choice *choice, tensor *x) {
    const repeat_settings *s = choice->settings;
    string_list *const warnings = b->warnings;
    for (int i = 0; i < s->times; i++) {
        x = builder_branch(b, i, &s->layers, x);
        b->warnings = NULL; // once for all of them
    }
    b->warnings = warnings;
    return x;
}

const layer_type layer_repeat = {
    .about =
        {
            .name = "repeat",
            .kind = "layer",
            .summary = "a list of layers several times over, each time with its own weights",
            .example =
                "- repeat:\n    times: ${model.depth}\n    layers:\n      - residual: [layernorm, attention]\n      - residual: [layernorm, mlp]\n",
            .options = repeat_options,
            .settings_size = sizeof(repeat_settings),
        },
    .build = build_repeat,
    .may_begin = true,
};

// --- parallel

enum { COMBINE_SUM, COMBINE_PRODUCT, COMBINE_CONCAT };
static const char *const combine_choices[] = {"sum", "product", "concat", NULL};

typedef struct parallel_settings {
    int combine;
    component_branches branches;
} parallel_settings;

#define SETTINGS parallel_settings
static const option parallel_options[] = {
    CHOICE(combine, "sum", combine_choices,
           "how the outputs of the branches are combined; concat joins them along the width"),
    BRANCHES(branches, REQUIRED, layer_registry,
             "lists of layers, each given the same input; an empty list passes it on", .min_count = 1,
             .max_count = OP_MAX_INPUTS),
    {0},
};
#undef SETTINGS

static tensor *build_parallel(builder *b, const component_choice *choice, tensor *x) {
    const parallel_settings *s = choice->settings;
    tensor *outputs[OP_MAX_INPUTS] = {NULL};
    for (int i = 0; i < s->branches.count; i++) {
        const component_list *branch = &s->branches.lists[i];
        outputs[i] = builder_branch(b, i, branch, x);
        if (s->combine != COMBINE_CONCAT && outputs[i]->shape[2] != outputs[0]->shape[2])
            return builder_fail(b, branch->count ? &branch->items[0] : choice, NULL,
                                "give all branches the same width, or combine them by concat",
                                "this branch of parallel gives width %d, but the first gives %d",
                                outputs[i]->shape[2], outputs[0]->shape[2]);
    }
    if (s->combine == COMBINE_CONCAT) return op_concat(b->graph, outputs, s->branches.count);
    tensor *y = outputs[0];
    for (int i = 1; i < s->branches.count; i++)
        y = s->combine == COMBINE_SUM ? op_add(b->graph, y, outputs[i])
                                      : op_multiply(b->graph, y, outputs[i]);
    return y;
}

const layer_type layer_parallel = {
    .about =
        {
            .name = "parallel",
            .kind = "layer",
            .summary = "branches over the same input, combined by sum, product or concat",
            .example =
                "- parallel:\n    combine: product\n    branches:\n      - [{linear: {out: 64}}, {activation: {type: silu}}]\n      - [{linear: {out: 64}}]\n",
            .options = parallel_options,
            .settings_size = sizeof(parallel_settings),
        },
    .build = build_parallel,
};
