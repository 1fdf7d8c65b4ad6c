// One update: the passes of a batch through the model, the norm of the gradients, the optimizer.
#include "base/clock.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "train/trainer_parts.h"

#include <math.h>
#include <stdio.h>

void trainer_fill_batch(trainer *t, int64_t step) {
    const experiment *e = t->request.experiment;
    batches_fill(&e->dataset.batches, &t->request.dataset->splits[SPLIT_TRAIN], (int)e->dataset.block_size,
                 t->rows, (uint64_t)e->seed, step, &t->batch);
}

static size_t tokens_of_a_pass(const trainer *t) {
    return (size_t)(t->rows / t->passes) * (size_t)t->model->block_size;
}

// Points the graph at the tokens of a pass of the coming step; returns the context to run it in.
static run_context enter_pass(trainer *t, int pass, double gradient_scale) {
    size_t first = (size_t)pass * tokens_of_a_pass(t);
    tokens_bind(t->built.ids, t->batch.ids + first);
    tokens_bind(t->built.targets, t->batch.targets + first);
    return (run_context){.seed = (uint64_t)t->request.experiment->seed,
                         .step = (uint32_t)t->state.step,
                         .micro = (uint32_t)pass,
                         .lane = pass * (t->rows / t->passes),
                         .gradient_scale = gradient_scale,
                         .begins = t->batch.begins ? t->batch.begins + first : NULL};
}

// Where a bad value appeared, as the end of a sentence.
static void describe_place(const tensor *bad, const op *maker, size_t index, bool is_gradient, char *where,
                           size_t size) {
    const char *why = !is_gradient && bad->kind != TENSOR_PARAMETER && maker->kind->why_not_finite
                          ? maker->kind->why_not_finite(maker)
                          : NULL;
    if (is_gradient)
        snprintf(
            where, size,
            "; the first bad value is in the gradient of %s, element %zu, as the %s of %s passes it back",
            bad->name, index, maker->kind->name, maker->path);
    else if (bad->kind == TENSOR_PARAMETER)
        snprintf(where, size, "; the first bad value is in the weight %s, element %zu", bad->name, index);
    else
        snprintf(where, size, "; the first bad value is in the output of the %s of %s, element %zu%s%s",
                 maker->kind->name, maker->path, index, why ? ": " : "", why ? why : "");
}

// Whether the run has a checkpoint; timing has no folder.
static bool has_checkpoint(const trainer *t) {
    const run_folder *folder = &t->request.folder;
    return folder->path && file_exists(run_folder_best(folder));
}

status trainer_diverged(const trainer *t, const char *what, int64_t step, const char *where, error *err) {
    fail(err, ERR_DIVERGED, "training diverged at step %lld: %s is not finite%s", (long long)step, what,
         where);
    return error_hint(err, "lower optimizer.lr, add schedule.warmup_steps or set training.grad_clip%s",
                      has_checkpoint(t) ? "; the last good checkpoint has been kept" : "");
}

// Runs the failing passes of the coming step again, looking at every tensor, to name where the first bad
// value appeared. step: the one that the message names.
static status diverged(trainer *t, int failing_pass, double gradient_scale, const char *what, int64_t step,
                       error *err) {
    const tensor *bad = NULL;
    const op *maker = NULL;
    size_t index = 0;
    bool is_gradient = false;
    graph_bind_gradients(t->built.graph, t->model->parameters->gradients);
    if (t->states) states_copy(t->states_before, t->states);
    for (int pass = 0; pass <= failing_pass && !bad; pass++) {
        run_context c = enter_pass(t, pass, gradient_scale);
        c.accumulate = pass > 0;
        bad = graph_find_not_finite(t->built.graph, &c, &index, &is_gradient, &maker);
    }
    char where[512] = "";
    if (bad) describe_place(bad, maker, index, is_gradient, where, sizeof where);
    return trainer_diverged(t, what, step, where, err);
}

// Adds the seconds since the end of the last part to this one.
static void part_ends(trainer *t, step_part part) {
    if (!t->parts) return;
    const double now = clock_seconds();
    t->parts[part] += now - t->part_began;
    t->part_began = now;
}

// The number of targets of the batch that count.
static int64_t count_scored(const trainer *t) {
    const size_t tokens = (size_t)t->rows * (size_t)t->model->block_size;
    int64_t scored = 0;
    for (size_t i = 0; i < tokens; i++) scored += t->batch.targets[i] >= 0;
    return scored;
}

// Forward pass over the tokens that the graph points at; returns the sum of their losses.
static double forward(trainer *t, const run_context *c) {
    const size_t tokens = tokens_of_a_pass(t);
    graph_forward(t->built.graph, c);
    double nll = 0;
    for (size_t i = 0; i < tokens; i++) nll += (double)t->built.losses->data[i];
    return nll;
}

status trainer_check_weights(trainer *t, error *err) {
    const double scale = 1.0 / (double)count_scored(t);
    const run_context c = enter_pass(t, 0, scale);
    if (t->states) states_copy(t->states, t->states_before);
    const double nll = forward(t, &c);
    if (t->states) states_copy(t->states_before, t->states);
    if (isfinite(nll)) return OK;
    return diverged(t, 0, scale, "the loss with its weights", t->state.step, err);
}

typedef struct passes {
    trainer *trainer;
    double gradient_scale;
} passes;

// Forward and backward passes over a group of micro-batches.
static status run_group(void *with, int group, real *into, error *err) {
    const passes *p = with;
    trainer *t = p->trainer;
    const int first = gradient_tree_first_pass(&t->tree, group);
    graph_bind_gradients(t->built.graph, into);
    for (int pass = first; pass < gradient_tree_first_pass(&t->tree, group + 1); pass++) {
        run_context c = enter_pass(t, pass, p->gradient_scale);
        c.accumulate = pass > first;
        const double nll = forward(t, &c);
        if (!isfinite(nll)) return diverged(t, pass, p->gradient_scale, "the loss", t->state.step + 1, err);
        t->pass_losses[pass] = nll;
        graph_backward(t->built.graph, &c);
    }
    return OK;
}

// The gradients of the whole batch, and the sum of the losses of its tokens.
static status run_passes(trainer *t, double gradient_scale, double *nll, error *err) {
    real *gradients = t->model->parameters->gradients;
    passes p = {t, gradient_scale};
    TRY(gradient_tree_sum(&t->tree, 0, t->tree.groups, run_group, &p, gradients, err));
    graph_bind_gradients(t->built.graph, gradients);
    graph_backward_derived(t->built.graph, &(run_context){.gradient_scale = gradient_scale});
    *nll = 0;
    for (int pass = 0; pass < t->passes; pass++) *nll += t->pass_losses[pass];
    return OK;
}

// Moves the averaged weights towards the new ones, faster in the beginning, when the old ones are noise.
static void update_average(trainer *t) {
    if (!t->average) return;
    const double decay = t->request.experiment->training.average_decay;
    const double warm = (1.0 + (double)t->state.step) / (10.0 + (double)t->state.step);
    kernels->update_average(t->model->parameters->total, (real)(decay < warm ? decay : warm),
                            t->model->parameters->values, t->average);
}

// Applies the gradients to the weights; returns the learning rate.
static double update_weights(trainer *t, double norm) {
    const experiment *e = t->request.experiment;
    const schedule_progress progress = {t->state.step, e->training.max_steps.steps, t->steps_per_epoch};
    const double lr = schedule_rate(&t->schedule, &progress);
    optimizer_step(t->optimizer, lr, gradient_clip_factor(norm, e->training.grad_clip), t->state.step + 1);
    update_average(t);
    return lr;
}

// An epoch begins with states of zero, every other step with those that the one before has left.
static void enter_step(trainer *t) {
    if (!t->states) return;
    if (t->state.step % t->steps_per_epoch == 0) states_reset(t->states);
    states_copy(t->states, t->states_before);
}

status trainer_step(trainer *t, train_row *row, error *err) {
    const double started = clock_seconds();
    t->part_began = started;
    trainer_fill_batch(t, t->state.step);
    enter_step(t);
    part_ends(t, STEP_BATCH);
    const int64_t scored = count_scored(t);
    const double gradient_scale = 1.0 / (double)scored;
    double nll;
    TRY(run_passes(t, gradient_scale, &nll, err));
    part_ends(t, STEP_PASSES);
    const double norm = gradient_norm(t->model->parameters);
    part_ends(t, STEP_NORM);
    if (!isfinite(norm))
        return diverged(t, t->passes - 1, gradient_scale, "the gradient", t->state.step + 1, err);
    const double lr = update_weights(t, norm);
    part_ends(t, STEP_UPDATE);
    const double seconds = clock_seconds() - started;
    t->state.step++;
    t->state.tokens += scored;
    t->state.seconds += seconds;
    *row = (train_row){t->state.step, t->state.tokens,         t->state.seconds, nll / (double)scored, lr,
                       norm,          (double)scored / seconds};
    return OK;
}
