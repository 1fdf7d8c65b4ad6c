// For tests: models from a few lines of YAML, and runs of their graphs.
#ifndef RUNEXP_TESTS_SUPPORT_MODEL_H
#define RUNEXP_TESTS_SUPPORT_MODEL_H

#include "support/settings.h"
#include "support/numbers.h"

#include "kernels/kernels.h"
#include "models/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void test_ok(status code, const error *err) {
    char message[4096];
    if (code == OK) return;
    fprintf(stderr, "%s\n", error_text(err, message, sizeof message));
    abort();
}

// The model section of a text "model: ...", as an experiment file would have it.
static inline const model_settings *test_model_settings(const char *yaml, arena *a) {
    static const option rows[] = {
        {.key = "model", .type = OPTION_SECTION, .section = &model_section, .doc = "the model under test"},
        {0},
    };
    static const component root = {
        .name = "test",
        .kind = "section",
        .summary = "a model under test",
        .options = rows,
        .settings_size = sizeof(model_settings),
    };
    return settings_read(&root, yaml, a);
}

typedef struct test_model {
    arena *memory;
    model *model;
} test_model;

static inline test_model test_model_declare(const char *yaml, int vocabulary, int block_size) {
    error err = {0};
    test_model t = {.memory = arena_new()};
    test_ok(model_new(test_model_settings(yaml, t.memory), vocabulary, block_size, &t.model, &err), &err);
    test_ok(parameters_allocate(t.model->parameters, true, &err), &err);
    return t;
}

// With initial weights, to which normal numbers of this spread are added, so that no bias is 0 and no gain
// 1.
static inline test_model test_model_new(const char *yaml, int vocabulary, int block_size, double spread) {
    test_model t = test_model_declare(yaml, vocabulary, block_size);
    parameter_set *set = t.model->parameters;
    parameters_initialise(set, 4711);
    real *values = parameters_write(set);
    for (int k = 0; k < set->count; k++)
        for (size_t i = 0; i < set->items[k]->count; i++)
            values[set->items[k]->offset + i] += (real)(spread * test_normal((uint32_t)(100 + k), i));
    return t;
}

static inline void test_model_free(test_model *t) {
    model_free(t->model);
    arena_free(t->memory);
}

// What graphs are for: a step in one pass, an evaluation, the next tokens of streams.
static inline graph_options test_training(int batch, int time) {
    return (graph_options){.batch = batch, .time = time, .gradients = true};
}

static inline graph_options test_evaluation(int batch, int time) {
    return (graph_options){.batch = batch, .time = time, .packs_weights = true};
}

static inline graph_options test_decoding(int batch, int time, state_set *states) {
    return (graph_options){.batch = batch, .time = time, .packs_weights = true, .states = states};
}

static inline model_graph test_model_build(const test_model *t, graph_options options) {
    error err = {0};
    model_graph built;
    test_ok(model_build(t->model, &options, !options.states, &built, &err), &err);
    test_ok(graph_place(built.graph, NULL, &err), &err);
    return built;
}

// Both passes of a step that is a single one.
static inline void test_step(graph *g, const run_context *c) {
    graph_forward(g, c);
    graph_backward(g, c);
    graph_backward_derived(g, c);
}

// The sum of the losses of the last run.
static inline double test_loss(const model_graph *built) {
    double sum = 0;
    for (size_t i = 0; i < built->losses->count; i++) sum += (double)built->losses->data[i];
    return sum;
}

#endif
