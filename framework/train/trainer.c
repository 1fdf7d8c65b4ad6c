#include "train/trainer.h"

#include "train/trainer_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The activations of one pass are kept within this much memory, for the sake of the caches: a constant, and
// a multiple of the weights.
#define PASS_BYTES (64.0 * (1 << 20))
#define PASS_BYTES_BY_WEIGHTS 3.0

// Builds the training graph of a step in `passes` passes, without memory yet.
static status build(trainer *t, int passes, error *err) {
    t->passes = passes;
    const graph_options options = {.batch = t->rows / passes,
                                   .time = t->model->block_size,
                                   .gradients = true,
                                   .packs_weights = passes > 1,
                                   .states = t->states,
                                   .attention_restarts = true};
    return model_build(t->model, &options, true, &t->built, err);
}

// Builds it for the fewest passes whose micro-batches are as small as the experiment says or, where it
// leaves the choice, whose activations keep within PASS_BYTES. That depends on shapes alone: sums of
// gradients must not depend on the machine. With more weights a pass may be larger, since each reads all
// weights and adds to all gradients; and so it may where an operator needs many sequences at once.
static status build_for_shapes(trainer *t, error *err) {
    const training_settings *s = &t->request.experiment->training;
    const int batch_size = (int)s->batch_size;
    TRY(build(t, (int)s->accumulation, err));
    double most = (double)s->micro_batch_size; // sequences
    if (most == 0)
        most = fmax(graph_least_batch(t->built.graph),
                    (PASS_BYTES + PASS_BYTES_BY_WEIGHTS * (double)t->model->parameters->block_bytes) /
                        ((double)t->built.graph->plan_bytes / batch_size));
    int parts = 1; // of a batch
    while (parts < batch_size && (batch_size % parts || batch_size > most * parts)) parts++;
    if (parts == 1) return OK;
    graph_free(t->built.graph);
    t->built = (model_graph){0};
    return build(t, parts * (int)s->accumulation, err);
}

// Everything that joins settings and data, so that nothing of it can fail after the first step.
static status check_settings(trainer *t, error *err) {
    const trainer_request *r = &t->request;
    const sampling_settings *sampling = &r->experiment->sampling;
    TRY(generator_check(t->model, sampling, err));
    const place where = problem_place(node_get(r->config->root, "sampling"), "prompt");
    return opening_encode(r->dataset->tokenizer, sampling->prompt, where, t->memory, &t->opening, err);
}

static status place_memory(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    int block_size = (int)e->dataset.block_size;
    TRY(model_new(&e->model, tokenizer_vocabulary(t->request.dataset->tokenizer), block_size, &t->model,
                  err));
    TRY(check_settings(t, err));
    TRY(parameters_allocate(t->model->parameters, true, err));
    TRY(optimizer_new(&e->optimizer, t->model->parameters, &t->optimizer, err));
    t->schedule = schedule_begin(&e->schedule, optimizer_lr(&e->optimizer));
    t->rows = (int)(e->training.batch_size * e->training.accumulation);
    if (batches_carry_state(&e->dataset.batches)) t->states = states_new(t->rows);
    TRY(build_for_shapes(t, err));
    if (t->states) t->states_before = states_twin(t->states);
    TRY(graph_place(t->built.graph, NULL, err));
    const int groups = gradient_tree_groups(t->passes, (size_t)t->rows * (size_t)block_size);
    TRY(gradient_tree_open(&t->tree, t->passes, groups, t->built.graph->gradient_reals, err));
    t->pass_losses = memory_alloc((size_t)t->passes * sizeof *t->pass_losses);
    const evaluator_options scoring = evaluator_options_of(e, t->rows / t->passes, 0);
    TRY(evaluator_new(t->model, &scoring, t->built.graph, &t->evaluator, err));
    if (e->training.average_decay > 0)
        TRY(memory_planned_alloc((void **)&t->average, t->model->parameters->block_bytes,
                                 "averaged weights", err));
    size_t tokens = (size_t)t->rows * (size_t)block_size;
    t->batch.ids = memory_alloc(tokens * sizeof *t->batch.ids);
    t->batch.targets = memory_alloc(tokens * sizeof *t->batch.targets);
    if (t->request.dataset->splits[SPLIT_TRAIN].separator)
        t->batch.begins = memory_alloc(tokens * sizeof *t->batch.begins);
    t->steps_per_epoch = experiment_steps_per_epoch(e, t->request.dataset);
    return OK;
}

status trainer_new(const trainer_request *request, trainer **out, error *err) {
    trainer *t = memory_alloc(sizeof *t);
    t->request = *request;
    t->memory = arena_new();
    *out = NULL;
    status result = place_memory(t, err);
    if (result != OK) {
        trainer_free(t);
        return result;
    }
    t->request.facts.parameters = (int64_t)t->model->parameters->learned;
    t->request.facts.steps_per_epoch = t->steps_per_epoch;
    tokenizer_save(request->dataset->tokenizer, &t->tokenizer_text);
    config_write(request->config, false, 0, &t->config_text);
    *out = t;
    return OK;
}

void trainer_free(trainer *t) {
    if (!t) return;
    if (t->average) memory_planned_free(t->average, t->model->parameters->block_bytes);
    evaluator_free(t->evaluator);
    gradient_tree_free(&t->tree);
    free(t->pass_losses);
    graph_free(t->built.graph);
    states_free(t->states);
    states_free(t->states_before);
    optimizer_free(t->optimizer);
    model_free(t->model);
    free(t->batch.ids);
    free(t->batch.targets);
    free(t->batch.begins);
    text_free(&t->tokenizer_text);
    text_free(&t->config_text);
    arena_free(t->memory);
    free(t);
}

void trainer_initialise(trainer *t) {
    const parameter_set *parameters = t->model->parameters;
    t->state = (run_state){.best_loss = INFINITY};
    parameters_initialise(t->model->parameters, (uint64_t)t->request.experiment->seed);
    if (t->average) memcpy(t->average, parameters->values, parameters->block_bytes);
}
