// A small program's worth of tables for the tests of config/: layers with containers, optimizers, sections.
#ifndef RUNEXP_TESTS_SUPPORT_CONFIG_TABLES_H
#define RUNEXP_TESTS_SUPPORT_CONFIG_TABLES_H

#include "config/config.h"

#include <math.h>
#include <stddef.h>

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

static const option norm_options[] = {
    {.key = "eps",
     .type = OPTION_REAL,
     .offset = offsetof(norm_settings, eps),
     .fallback = "1e-5",
     .flags = OPTION_ABOVE_MIN,
     .doc = "added to the variance"},
    {.key = "bias",
     .type = OPTION_BOOL,
     .offset = offsetof(norm_settings, bias),
     .fallback = "true",
     .doc = "learn a shift as well as a scale"},
    {.key = NULL},
};

static const option mlp_options[] = {
    {.key = "hidden",
     .type = OPTION_INT,
     .offset = offsetof(mlp_settings, hidden),
     .min = 0,
     .max = 65536,
     .fallback = "0",
     .unit = "units",
     .doc = "width of the hidden layer; 0 is four times the width of the model"},
    {.key = "activation",
     .type = OPTION_CHOICE,
     .offset = offsetof(mlp_settings, activation),
     .choices = activations,
     .fallback = "gelu",
     .doc = "what stands between the two linear maps"},
    {.key = "dropout",
     .type = OPTION_REAL,
     .offset = offsetof(mlp_settings, dropout),
     .max = 1,
     .flags = OPTION_BELOW_MAX,
     .fallback = "${model.dropout}",
     .doc = "share of the outputs that is dropped in training"},
    {.key = NULL},
};

static const option repeat_options[] = {
    {.key = "times",
     .type = OPTION_INT,
     .offset = offsetof(repeat_settings, times),
     .min = 1,
     .max = 1000,
     .flags = OPTION_REQUIRED,
     .doc = "how many copies, each with weights of its own"},
    {.key = "layers",
     .type = OPTION_COMPONENTS,
     .offset = offsetof(repeat_settings, layers),
     .registry = test_layers,
     .flags = OPTION_REQUIRED,
     .doc = "what is repeated"},
    {.key = NULL},
};

static const option residual_options[] = {
    {.key = "layers",
     .type = OPTION_COMPONENTS,
     .offset = offsetof(residual_settings, layers),
     .registry = test_layers,
     .flags = OPTION_REQUIRED,
     .min_count = 1,
     .doc = "the layers whose output is added to their input"},
    {.key = NULL},
};

static const option parallel_options[] = {
    {.key = "combine",
     .type = OPTION_CHOICE,
     .offset = offsetof(parallel_settings, combine),
     .choices = combinations,
     .fallback = "sum",
     .doc = "how the outputs become one"},
    {.key = "branches",
     .type = OPTION_BRANCHES,
     .offset = offsetof(parallel_settings, branches),
     .registry = test_layers,
     .flags = OPTION_REQUIRED,
     .min_count = 2,
     .doc = "lists of layers that all get the same input"},
    {.key = NULL},
};

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

static const option adam_options[] = {
    {.key = "lr",
     .type = OPTION_REAL,
     .offset = offsetof(adam_settings, lr),
     .fallback = "6.0e-4",
     .flags = OPTION_ABOVE_MIN,
     .doc = "peak learning rate"},
    {.key = "betas",
     .type = OPTION_REALS,
     .offset = offsetof(adam_settings, betas),
     .fallback = "[0.9, 0.95]",
     .max = 1,
     .flags = OPTION_BELOW_MAX,
     .min_count = 2,
     .max_count = 2,
     .doc = "decay of the two moments"},
    {.key = "weight_decay",
     .type = OPTION_REAL,
     .offset = offsetof(adam_settings, weight_decay),
     .fallback = "0.1",
     .max = INFINITY,
     .doc = "decay of the weights"},
    {.key = NULL},
};

static const option sgd_options[] = {
    {.key = "lr",
     .type = OPTION_REAL,
     .offset = offsetof(sgd_settings, lr),
     .fallback = "0.1",
     .flags = OPTION_ABOVE_MIN,
     .doc = "learning rate"},
    {.key = "momentum",
     .type = OPTION_REAL,
     .offset = offsetof(sgd_settings, momentum),
     .fallback = "0",
     .max = 1,
     .flags = OPTION_BELOW_MAX,
     .doc = "share of the last step that goes into the next"},
    {.key = NULL},
};

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

static const option dataset_options[] = {
    {.key = "source",
     .type = OPTION_STRINGS,
     .offset = offsetof(dataset_settings, source),
     .flags = OPTION_REQUIRED | OPTION_MAYBE_PATH,
     .min_count = 1,
     .doc = "names of the catalogue, or paths"},
    {.key = "labels",
     .type = OPTION_STRINGS,
     .offset = offsetof(dataset_settings, labels),
     .flags = OPTION_NO_DEFAULT,
     .doc = "any texts"},
    {.key = "cache",
     .type = OPTION_PATH,
     .offset = offsetof(dataset_settings, cache),
     .doc = "folder of the cache"},
    {.key = "split",
     .type = OPTION_REALS,
     .offset = offsetof(dataset_settings, split),
     .fallback = "[0.9, 0.05, 0.05]",
     .max = 1,
     .min_count = 3,
     .max_count = 3,
     .doc = "shares of train, val and test"},
    {.key = NULL},
};

static const option model_options[] = {
    {.key = "width",
     .type = OPTION_INT,
     .offset = offsetof(model_settings, width),
     .min = 1,
     .max = 65536,
     .fallback = "128",
     .unit = "units",
     .doc = "width of the stream between layers"},
    {.key = "depth",
     .type = OPTION_INT,
     .offset = offsetof(model_settings, depth),
     .min = 1,
     .max = 1000,
     .fallback = "4",
     .doc = "for ${model.depth}"},
    {.key = "dropout",
     .type = OPTION_REAL,
     .offset = offsetof(model_settings, dropout),
     .max = 1,
     .flags = OPTION_BELOW_MAX,
     .fallback = "0.0",
     .doc = "default of every dropout"},
    {.key = "layers",
     .type = OPTION_COMPONENTS,
     .offset = offsetof(model_settings, layers),
     .registry = test_layers,
     .fallback = "[embedding, {residual: [layernorm, mlp]}, layernorm]",
     .min_count = 1,
     .doc = "the layers, in order"},
    {.key = NULL},
};

static const option training_options[] = {
    {.key = "batch_size",
     .type = OPTION_INT,
     .offset = offsetof(training_settings, batch_size),
     .min = 1,
     .fallback = "32",
     .unit = "sequences",
     .doc = "sequences in a step"},
    {.key = "max_steps",
     .type = OPTION_INT,
     .offset = offsetof(training_settings, max_steps),
     .min = 1,
     .max = 1e9,
     .fallback = "2000",
     .unit = "steps",
     .doc = "steps of the optimizer"},
    {.key = "grad_clip",
     .type = OPTION_REAL,
     .offset = offsetof(training_settings, grad_clip),
     .max = INFINITY,
     .fallback = "1.0",
     .doc = "largest norm of the gradient"},
    {.key = "shuffle",
     .type = OPTION_BOOL,
     .offset = offsetof(training_settings, shuffle),
     .fallback = "false",
     .doc = "shuffle the windows"},
    {.key = NULL},
};

static const option sampling_options[] = {
    {.key = "prompt",
     .type = OPTION_STRING,
     .offset = offsetof(sampling_settings, prompt),
     .fallback = "\n",
     .doc = "what generated text begins with"},
    {.key = "temperature",
     .type = OPTION_REAL,
     .offset = offsetof(sampling_settings, temperature),
     .min = 0,
     .max = 10,
     .flags = OPTION_ABOVE_MIN,
     .fallback = "1.0",
     .doc = "how bold sampling is"},
    {.key = NULL},
};

static const component section_dataset = {.name = "dataset", .kind = "section", .options = dataset_options};
static const component section_model = {.name = "model", .kind = "section", .options = model_options};
static const component section_training = {
    .name = "training", .kind = "section", .options = training_options};
static const component section_sampling = {
    .name = "sampling", .kind = "section", .options = sampling_options};

static const option experiment_options[] = {
    {.key = "name",
     .type = OPTION_STRING,
     .offset = offsetof(experiment_settings, name),
     .flags = OPTION_REQUIRED,
     .doc = "name of the run"},
    {.key = "description",
     .type = OPTION_STRING,
     .offset = offsetof(experiment_settings, description),
     .flags = OPTION_NO_DEFAULT,
     .doc = "a line about it"},
    {.key = "seed",
     .type = OPTION_INT,
     .offset = offsetof(experiment_settings, seed),
     .min = 0,
     .max = 1e12,
     .fallback = "1337",
     .doc = "of all random numbers"},
    {.key = "vars", .type = OPTION_VARIABLES, .doc = "values for ${vars.name}"},
    {.key = "dataset",
     .type = OPTION_SECTION,
     .offset = offsetof(experiment_settings, dataset),
     .section = &section_dataset,
     .doc = "what is read"},
    {.key = "model",
     .type = OPTION_SECTION,
     .offset = offsetof(experiment_settings, model),
     .section = &section_model,
     .doc = "what is trained"},
    {.key = "optimizer",
     .type = OPTION_COMPONENT,
     .offset = offsetof(experiment_settings, optimizer),
     .registry = test_optimizers,
     .fallback = "{type: adamw, weight_decay: 0.2}",
     .doc = "how it is trained"},
    {.key = "second",
     .type = OPTION_COMPONENT,
     .offset = offsetof(experiment_settings, second),
     .registry = test_optimizers,
     .flags = OPTION_NO_DEFAULT,
     .doc = "for what the first one leaves"},
    {.key = "training",
     .type = OPTION_SECTION,
     .offset = offsetof(experiment_settings, training),
     .section = &section_training,
     .doc = "how long"},
    {.key = "sampling",
     .type = OPTION_SECTION,
     .offset = offsetof(experiment_settings, sampling),
     .section = &section_sampling,
     .doc = "what is generated"},
    {.key = NULL},
};

static const component test_root = {.name = "experiment",
                                    .kind = "section",
                                    .summary = "An experiment",
                                    .options = experiment_options,
                                    .settings_size = sizeof(experiment_settings)};

#endif
