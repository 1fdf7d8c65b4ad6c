// A small program's worth of tables for the tests of config/: layers with containers, optimizers, sections.
#ifndef RUNEXP_TESTS_SUPPORT_CONFIG_TABLES_H
#define RUNEXP_TESTS_SUPPORT_CONFIG_TABLES_H

#include "config/config.h"
#include "config/settings.h"

// --- layers

typedef struct norm_settings {
    double eps;
    bool bias;
} norm_settings;

typedef struct mlp_settings {
    int64_t hidden;
    int activation;
    double dropout;
} mlp_settings;

typedef struct repeat_settings {
    int64_t times;
    component_list layers;
} repeat_settings;

typedef struct residual_settings {
    component_list layers;
} residual_settings;

typedef struct parallel_settings {
    int combine;
    component_branches branches;
} parallel_settings;

extern const component *const test_layers[];

static const char *const activations[] = {"gelu", "relu", "silu", NULL};
static const char *const combinations[] = {"sum", "product", "concat", NULL};

#define SETTINGS norm_settings
static const option norm_options[] = {
    REAL(eps, "1e-5", ABOVE(0), INFINITY, "added to the variance"),
    BOOL(bias, "true", "learn a shift as well as a scale"),
    {0},
};
#undef SETTINGS

#define SETTINGS mlp_settings
static const option mlp_options[] = {
    INT(hidden, "0", 0, 65536, "width of the hidden layer; 0 is four times the width of the model",
        .unit = "units"),
    CHOICE(activation, "gelu", activations, "what stands between the two linear maps"),
    REAL(dropout, "${model.dropout}", 0, BELOW(1), "share of the outputs that is dropped in training"),
    {0},
};
#undef SETTINGS

#define SETTINGS repeat_settings
static const option repeat_options[] = {
    INT(times, REQUIRED, 1, 1000, "how many copies, each with weights of its own"),
    COMPONENTS(layers, REQUIRED, test_layers, "what is repeated"),
    {0},
};
#undef SETTINGS

#define SETTINGS residual_settings
static const option residual_options[] = {
    COMPONENTS(layers, REQUIRED, test_layers, "the layers whose output is added to their input",
               .min_count = 1),
    {0},
};
#undef SETTINGS

#define SETTINGS parallel_settings
static const option parallel_options[] = {
    CHOICE(combine, "sum", combinations, "how the outputs become one"),
    BRANCHES(branches, REQUIRED, test_layers, "lists of layers that all get the same input",
             .min_count = 2),
    {0},
};
#undef SETTINGS

static const option no_options[] = {{.key = NULL}};

static const component layer_embedding = {
    .name = "embedding", .kind = "layer", .summary = "A vector for every token", .options = no_options};
static const component layer_norm = {.name = "layernorm",
                                     .kind = "layer",
                                     .summary = "Zero mean and unit variance over the width",
                                     .paper = "arXiv 1607.06450",
                                     .options = norm_options,
                                     .settings_size = sizeof(norm_settings)};
static const component layer_mlp = {
    .name = "mlp",
    .kind = "layer",
    .summary = "Two linear maps with a nonlinearity between them",
    .details =
        "Every position is treated alike: nothing moves along the sequence. The hidden layer is usually "
        "four times as wide as the model, which makes this the place where most of the weights of a "
        "Transformer are.\n\nDropout applies to the output.",
    .example = "- mlp:\n    hidden: 512\n    activation: relu",
    .options = mlp_options,
    .settings_size = sizeof(mlp_settings)};
static const component layer_repeat = {.name = "repeat",
                                       .kind = "layer",
                                       .summary = "Layers, several times",
                                       .options = repeat_options,
                                       .settings_size = sizeof(repeat_settings)};
static const component layer_residual = {.name = "residual",
                                         .kind = "layer",
                                         .summary = "Layers with a path around them",
                                         .options = residual_options,
                                         .settings_size = sizeof(residual_settings)};
static const component layer_parallel = {.name = "parallel",
                                         .kind = "layer",
                                         .summary = "Branches side by side",
                                         .options = parallel_options,
                                         .settings_size = sizeof(parallel_settings)};

const component *const test_layers[] = {&layer_embedding, &layer_norm,     &layer_mlp, &layer_repeat,
                                        &layer_residual,  &layer_parallel, NULL};

// --- optimizers

typedef struct adam_settings {
    double lr;
    real_list betas;
    double weight_decay;
} adam_settings;

typedef struct sgd_settings {
    double lr, momentum;
} sgd_settings;

#define SETTINGS adam_settings
static const option adam_options[] = {
    REAL(lr, "6.0e-4", ABOVE(0), INFINITY, "peak learning rate"),
    REALS(betas, "[0.9, 0.95]", 0, BELOW(1), "decay of the two moments", .min_count = 2, .max_count = 2),
    REAL(weight_decay, "0.1", 0, INFINITY, "decay of the weights"),
    {0},
};
#undef SETTINGS

#define SETTINGS sgd_settings
static const option sgd_options[] = {
    REAL(lr, "0.1", ABOVE(0), INFINITY, "learning rate"),
    REAL(momentum, "0", 0, BELOW(1), "share of the last step that goes into the next"),
    {0},
};
#undef SETTINGS

static const component optimizer_adamw = {.name = "adamw",
                                          .kind = "optimizer",
                                          .summary = "Adam with decoupled weight decay",
                                          .paper = "arXiv 1711.05101",
                                          .options = adam_options,
                                          .settings_size = sizeof(adam_settings)};
static const component optimizer_sgd = {.name = "sgd",
                                        .kind = "optimizer",
                                        .summary = "Steepest descent",
                                        .options = sgd_options,
                                        .settings_size = sizeof(sgd_settings)};
static const component *const test_optimizers[] = {&optimizer_adamw, &optimizer_sgd, NULL};

// --- sections

typedef struct dataset_settings {
    string_list labels;
    string_list source;
    const char *cache;
    real_list split;
} dataset_settings;

typedef struct model_settings {
    int64_t width, depth;
    double dropout;
    component_list layers;
} model_settings;

typedef struct training_settings {
    int64_t batch_size, max_steps;
    double grad_clip;
    bool shuffle;
} training_settings;

typedef struct sampling_settings {
    const char *prompt;
    double temperature;
} sampling_settings;

typedef struct experiment_settings {
    const char *name, *description;
    int64_t seed;
    dataset_settings dataset;
    model_settings model;
    component_choice optimizer, second;
    training_settings training;
    sampling_settings sampling;
} experiment_settings;

#define SETTINGS dataset_settings
static const option dataset_options[] = {
    STRINGS(source, REQUIRED, "names of the catalogue, or paths", .may_be_path = true, .min_count = 1),
    STRINGS(labels, OPTIONAL, "any texts"),
    STRING(cache, OPTIONAL, "folder of the cache", .may_be_path = true),
    REALS(split, "[0.9, 0.05, 0.05]", 0, 1, "shares of train, val and test", .min_count = 3,
          .max_count = 3),
    {0},
};
#undef SETTINGS

#define SETTINGS model_settings
static const option model_options[] = {
    INT(width, "128", 1, 65536, "width of the stream between layers", .unit = "units"),
    INT(depth, "4", 1, 1000, "for ${model.depth}"),
    REAL(dropout, "0.0", 0, BELOW(1), "default of every dropout"),
    COMPONENTS(layers, "[embedding, {residual: [layernorm, mlp]}, layernorm]", test_layers,
               "the layers, in order", .min_count = 1),
    {0},
};
#undef SETTINGS

#define SETTINGS training_settings
static const option training_options[] = {
    INT(batch_size, "32", 1, INFINITY, "sequences in a step", .unit = "sequences"),
    INT(max_steps, "2000", 1, 1e9, "steps of the optimizer", .unit = "steps"),
    REAL(grad_clip, "1.0", 0, INFINITY, "largest norm of the gradient"),
    BOOL(shuffle, "false", "shuffle the windows"),
    {0},
};
#undef SETTINGS

#define SETTINGS sampling_settings
static const option sampling_options[] = {
    STRING(prompt, "\n", "what generated text begins with"),
    REAL(temperature, "1.0", ABOVE(0), 10, "how bold sampling is"),
    {0},
};
#undef SETTINGS

static const component dataset_section = {.name = "dataset", .kind = "section", .options = dataset_options};
static const component model_section = {.name = "model", .kind = "section", .options = model_options};
static const component training_section = {
    .name = "training", .kind = "section", .options = training_options};
static const component sampling_section = {
    .name = "sampling", .kind = "section", .options = sampling_options};

#define SETTINGS experiment_settings
static const option experiment_options[] = {
    STRING(name, REQUIRED, "name of the run"),
    STRING(description, OPTIONAL, "a line about it"),
    INT(seed, "1337", 0, 1e12, "of all random numbers"),
    VARIABLES(vars, "values for ${vars.name}"),
    SECTION(dataset, "what is read"),
    SECTION(model, "what is trained"),
    COMPONENT(optimizer, "{type: adamw, weight_decay: 0.2}", test_optimizers, "how it is trained"),
    COMPONENT(second, OPTIONAL, test_optimizers, "for what the first one leaves"),
    SECTION(training, "how long"),
    SECTION(sampling, "what is generated"),
    {0},
};
#undef SETTINGS

static const component test_root = {.name = "experiment",
                                    .kind = "section",
                                    .summary = "An experiment",
                                    .options = experiment_options,
                                    .settings_size = sizeof(experiment_settings)};

#endif
