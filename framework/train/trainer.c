#include "train/trainer.h"

#include "base/clock.h"
#include "base/log.h"
#include "data/batches.h"
#include "kernels/kernels.h"
#include "train/evaluate.h"
#include "train/generate.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/trainer_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// How much memory counts as near: so much, and so much for each byte of weights.
#define NEAR_BYTES (64.0 * (1 << 20))
#define NEAR_WEIGHTS 3.0

enum { LINES_IN_A_PIPE = 20, LIVE_LINES_PER_SECOND = 5 };

// Builds the training graph, without memory yet, for a step of so many passes.
static status build(trainer *t, int passes, error *err) {
    t->passes = passes;
    t->model->passes = passes;
    return model_build(t->model, GRAPH_TRAIN, t->rows / passes, t->model->block_size, NULL, false,
                       &t->built, err);
}

// Builds it for the fewest passes whose micro-batches the experiment allows, or whose activations stay near
// the processor. That depends on shapes alone: sums of gradients must not depend on the machine. With more
// weights more activations are worth having, since every pass reads all weights and adds to all gradients.
static status build_for_shapes(trainer *t, error *err) {
    const training_settings *s = &t->request.experiment->training;
    const int batch_size = (int)s->batch_size;
    TRY(build(t, (int)s->accumulation, err));
    double most = (double)s->micro_batch_size; // sequences
    if (most == 0)
        most = (NEAR_BYTES + NEAR_WEIGHTS * (double)t->model->parameters->block_bytes) /
               ((double)t->built.graph->plan_bytes / batch_size);
    int parts = 1; // of a batch
    while (parts < batch_size && (batch_size % parts || batch_size > most * parts)) parts++;
    if (parts == 1) return OK;
    graph_free(t->built.graph);
    t->built = (model_graph){0};
    return build(t, parts * (int)s->accumulation, err);
}

static status place_memory(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    int block_size = (int)e->dataset.block_size;
    int stride = e->evaluation.stride ? (int)e->evaluation.stride : block_size;
    TRY(model_new(&e->model, tokenizer_vocabulary(t->request.dataset->tokenizer), block_size, &t->model,
                  err));
    TRY(parameters_allocate(t->model->parameters, true, err));
    TRY(optimizer_new(&e->optimizer, t->model->parameters, &t->optimizer, err));
    t->rows = (int)(e->training.batch_size * e->training.accumulation);
    TRY(build_for_shapes(t, err));
    TRY(graph_place(t->built.graph, NULL, err));
    TRY(evaluator_new(t->model, t->rows / t->passes, stride < block_size ? stride : block_size,
                      t->built.graph, &t->evaluator, err));
    if (e->training.average_decay > 0)
        TRY(memory_planned_alloc((void **)&t->average, t->model->parameters->block_bytes,
                                 "averaged weights", err));
    size_t tokens = (size_t)t->rows * (size_t)block_size;
    t->ids = memory_alloc(tokens * sizeof *t->ids);
    t->targets = memory_alloc(tokens * sizeof *t->targets);
    t->steps_per_epoch = batches_steps_per_epoch(
        &e->dataset.batches, &t->request.dataset->splits[SPLIT_TRAIN], block_size, t->rows);
    return OK;
}

status trainer_new(const trainer_request *request, trainer **out, error *err) {
    trainer *t = memory_alloc(sizeof *t);
    t->request = *request;
    *out = NULL;
    status result = place_memory(t, err);
    if (result != OK) {
        trainer_free(t);
        return result;
    }
    t->request.facts.parameters = (int64_t)t->model->parameters->learned;
    tokenizer_save(request->dataset->tokenizer, &t->tokenizer_text);
    config_write(request->config, &experiment_component, false, &t->config_text);
    *out = t;
    return OK;
}

void trainer_free(trainer *t) {
    if (!t) return;
    if (t->average) memory_planned_free(t->average, t->model->parameters->block_bytes);
    evaluator_free(t->evaluator);
    graph_free(t->built.graph);
    optimizer_free(t->optimizer);
    model_free(t->model);
    free(t->ids);
    free(t->targets);
    text_free(&t->tokenizer_text);
    text_free(&t->config_text);
    free(t);
}

// --- checkpoints

static void fill_batch(trainer *t, int64_t step) {
    const experiment *e = t->request.experiment;
    batches_fill(&e->dataset.batches, &t->request.dataset->splits[SPLIT_TRAIN], (int)e->dataset.block_size,
                 t->rows, (uint64_t)e->seed, step, t->ids, t->targets);
}

// Digest of the batch of the coming step: a resumed run compares it, and so notices data that changed.
static uint32_t next_batch_digest(trainer *t) {
    fill_batch(t, t->state.step);
    return batches_digest(t->ids, t->targets, (size_t)t->rows * (size_t)t->model->block_size);
}

static checkpoint_arrays weights_of(const trainer *t) {
    return (checkpoint_arrays){
        .parameters = t->model->parameters, .values = t->model->parameters->values, .average = t->average};
}

static checkpoint_arrays arrays_of(const trainer *t) {
    checkpoint_arrays arrays = weights_of(t);
    for (int i = 0; i < optimizer_moments(t->optimizer); i++) {
        arrays.moments[i] = optimizer_moment(t->optimizer, i);
        arrays.moment_names[i] = optimizer_moment_name(t->optimizer, i);
    }
    return arrays;
}

static status save(trainer *t, const char *path, error *err) {
    t->state.batch_digest = next_batch_digest(t);
    checkpoint_arrays arrays = arrays_of(t);
    return checkpoint_write(path, &arrays, &t->state, t->tokenizer_text.bytes, t->config_text.bytes,
                            &t->request.facts, err);
}

static status load(trainer *t, error *err) {
    arena *a = arena_new();
    checkpoint_info info;
    const char *path = t->request.folder.last;
    status result = checkpoint_read_info(path, a, &info, err);
    arena_free(a);
    TRY(result);
    t->state = info.state;
    checkpoint_arrays arrays = arrays_of(t);
    TRY(checkpoint_read_arrays(path, &arrays, err));
    if (next_batch_digest(t) == info.state.batch_digest) return OK;
    fail(err, ERR_DATA,
         "cannot resume %s: the next batch is not the one that the interrupted run would have trained on",
         path);
    return error_hint(err, "the training text has changed since; restore it, or add --fresh to start anew");
}

// --- evaluation

// With averaged weights: exchanges them with the trained ones, so that graphs see the average. Call again
// to undo.
static void exchange_average(trainer *t) {
    if (!t->average) return;
    real *values = t->model->parameters->values;
    for (size_t i = 0; i < t->model->parameters->total; i++) {
        real kept = values[i];
        values[i] = t->average[i];
        t->average[i] = kept;
    }
}

// Metrics that cannot be written (a full disk) are kept and written with a later row: a reason to warn,
// once, not to stop.
static void warn_of_metrics(trainer *t, const error *why) {
    if (!t->metrics_warned) log_warning("%s; training goes on, the rows are kept for later", why->message);
    t->metrics_warned = true;
}

static void record(trainer *t, split part, const evaluation *e) {
    const eval_row row = {t->state.step, t->state.tokens, t->state.seconds,
                          e->loss,       e->perplexity,   e->bits_per_char};
    error why;
    if (metrics_add_eval(t->metrics, part, &row, &why) != OK) warn_of_metrics(t, &why);
}

static void collect(void *to, uint32_t stream, const char *bytes, size_t count) {
    (void)stream;
    text_add_bytes(to, bytes, count);
}

// Generates text from the weights as they are into samples.txt; with aloud also into the log.
static status write_sample(trainer *t, int64_t tokens, bool aloud, error *err) {
    const experiment *e = t->request.experiment;
    if (tokens == 0) return OK;
    if (!t->generator) TRY(generator_new(t->model, &e->sampling, 1, &t->generator, err));
    arena *a = arena_new();
    encoding prompt;
    text sample = {0};
    generated made;
    const tokenizer *tok = t->request.dataset->tokenizer;
    status result = generate_encode_prompt(tok, e->sampling.prompt, a, &prompt, err);
    if (result == OK) {
        text_add(&sample, "%s", e->sampling.prompt ? e->sampling.prompt : "");
        generate(t->generator, tok, prompt.ids, prompt.count, (size_t)tokens, 0, 1, collect, &sample,
                 t->request.stop, &made);
        char *heading = arena_format(a, "step %lld", (long long)t->state.step);
        result = run_folder_add_sample(&t->request.folder, heading, sample.bytes, err);
        if (aloud) {
            text visible = {0};
            text_add_visible(&visible, sample.bytes, sample.length);
            log_line("sample (%.0f tokens/s):\n%s", (double)made.tokens / made.seconds, visible.bytes);
            text_free(&visible);
        }
    }
    text_free(&sample);
    arena_free(a);
    return result;
}

static status evaluate(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    const dataset *d = t->request.dataset;
    evaluation train = {.loss = NAN}, val = {.loss = NAN};
    exchange_average(t);
    if (e->evaluation.train_tokens)
        evaluate_sample(t->evaluator, &d->splits[SPLIT_TRAIN], d->tokenizer,
                        (size_t)e->evaluation.train_tokens, &train);
    if (d->splits[SPLIT_VAL].count) evaluate_split(t->evaluator, &d->splits[SPLIT_VAL], d->tokenizer, &val);
    status result = write_sample(t, e->evaluation.sample_tokens, false, err);
    exchange_average(t);
    TRY(result);
    if (e->evaluation.train_tokens) record(t, SPLIT_TRAIN, &train);
    if (!d->splits[SPLIT_VAL].count) {
        if (e->evaluation.train_tokens)
            log_line("step %lld: train loss %.4f, perplexity %.3f", (long long)t->state.step, train.loss,
                     train.perplexity);
        return OK;
    }
    record(t, SPLIT_VAL, &val);
    bool better = val.loss < t->state.best_loss - e->evaluation.min_delta;
    t->state.evaluations_without_improvement = better ? 0 : t->state.evaluations_without_improvement + 1;
    if (better) t->state.best_loss = val.loss, t->state.best_step = t->state.step;
    schedule_observe(&e->schedule, optimizer_lr(&e->optimizer), val.loss, &t->state);
    text line = {0};
    text_add(&line, "step %lld: ", (long long)t->state.step);
    if (e->evaluation.train_tokens) text_add(&line, "train loss %.4f, ", train.loss);
    text_add(&line, "val loss %.4f, perplexity %.3f, %.3f bits/char", val.loss, val.perplexity,
             val.bits_per_char);
    if (better) text_add(&line, "  (best)");
    log_line("%s", line.bytes);
    text_free(&line);
    return better ? save(t, t->request.folder.best, err) : OK;
}

// --- one step

static size_t tokens_of_a_pass(const trainer *t) {
    return (size_t)(t->rows / t->passes) * (size_t)t->model->block_size;
}

// Points the graph at the tokens of a pass of the coming step; returns the context to run it in.
static run_context enter_pass(trainer *t, int micro, double gradient_scale) {
    size_t first = (size_t)micro * tokens_of_a_pass(t);
    tokens_bind(t->built.ids, t->ids + first);
    tokens_bind(t->built.targets, t->targets + first);
    return (run_context){(uint64_t)t->request.experiment->seed, (uint32_t)t->state.step, (uint32_t)micro, 0,
                         gradient_scale};
}

// Runs the failing passes again, looking at every tensor, to name where the first bad value appeared.
static status diverged(trainer *t, int failing_micro, double gradient_scale, const char *what, error *err) {
    const tensor *bad = NULL;
    const op *maker = NULL;
    size_t index = 0;
    bool is_gradient = false;
    for (int micro = 0; micro <= failing_micro && !bad; micro++) {
        const run_context c = enter_pass(t, micro, gradient_scale);
        bad = graph_find_not_finite(t->built.graph, &c, &index, &is_gradient, &maker);
    }
    char where[512] = "";
    if (bad && is_gradient)
        snprintf(
            where, sizeof where,
            "; the first bad value is in the gradient of %s, element %zu, as the %s of %s passes it back",
            bad->name, index, maker->kind->name, maker->path);
    else if (bad && bad->kind == TENSOR_PARAMETER)
        snprintf(where, sizeof where, "; the first bad value is in the weight %s, element %zu", bad->name,
                 index);
    else if (bad)
        snprintf(where, sizeof where, "; the first bad value is in the output of the %s of %s, element %zu",
                 maker->kind->name, maker->path, index);
    fail(err, ERR_DIVERGED, "training diverged at step %lld: %s is not finite%s",
         (long long)t->state.step + 1, what, where);
    return error_hint(
        err,
        "lower optimizer.lr, add schedule.warmup_steps or set training.grad_clip; the last good checkpoint has been kept");
}

// Adds the seconds since the end of the last part to this one.
static void part_ends(trainer *t, step_part part) {
    if (!t->parts) return;
    const double now = clock_seconds();
    t->parts[part] += now - t->part_began;
    t->part_began = now;
}

status trainer_step(trainer *t, train_row *row, error *err) {
    const experiment *e = t->request.experiment;
    size_t tokens = tokens_of_a_pass(t);
    double started = clock_seconds(), nll = 0;
    t->part_began = started;
    fill_batch(t, t->state.step);
    part_ends(t, STEP_BATCH);
    int64_t scored = 0;
    for (size_t i = 0; i < (size_t)t->rows * (size_t)t->model->block_size; i++)
        scored += t->targets[i] >= 0;
    double gradient_scale = 1.0 / (double)scored;
    for (int micro = 0; micro < t->passes; micro++) {
        const run_context c = enter_pass(t, micro, gradient_scale);
        graph_forward(t->built.graph, &c);
        for (size_t i = 0; i < tokens; i++) nll += (double)t->built.losses->data[i];
        if (!isfinite(nll)) return diverged(t, micro, gradient_scale, "the loss", err);
        graph_backward(t->built.graph, &c);
    }
    part_ends(t, STEP_PASSES);
    double norm = gradient_norm(t->model->parameters);
    part_ends(t, STEP_NORM);
    if (!isfinite(norm)) return diverged(t, t->passes - 1, gradient_scale, "the gradient", err);
    const schedule_progress progress = {t->state.step, e->training.max_steps, t->steps_per_epoch,
                                        &t->state};
    double lr = schedule_rate(&e->schedule, optimizer_lr(&e->optimizer), &progress);
    optimizer_step(t->optimizer, lr, gradient_clip_factor(norm, e->training.grad_clip), t->state.step + 1);
    if (t->average) {
        double warm = (1.0 + (double)t->state.step) / (10.0 + (double)t->state.step);
        double decay = e->training.average_decay < warm ? e->training.average_decay : warm;
        kernels->update_average(t->model->parameters->total, (real)decay, t->model->parameters->values,
                                t->average);
    }
    part_ends(t, STEP_UPDATE);
    double seconds = clock_seconds() - started;
    t->state.step++;
    t->state.tokens += scored;
    t->state.seconds += seconds;
    *row = (train_row){t->state.step, t->state.tokens,         t->state.seconds, nll / (double)scored, lr,
                       norm,          (double)scored / seconds};
    return OK;
}

// --- the loop

static void report_progress(trainer *t, const train_row *row) {
    int64_t max_steps = t->request.experiment->training.max_steps;
    double now = clock_seconds();
    int64_t every = max_steps / LINES_IN_A_PIPE ? max_steps / LINES_IN_A_PIPE : 1;
    bool live = log_is_terminal();
    if (live ? now - t->last_line < 1.0 / LIVE_LINES_PER_SECOND : row->step % every != 0) return;
    char rate[32], left[32];
    text_count((double)(row->tokens - t->tokens_at_start) / (t->state.seconds - t->seconds_at_start), rate,
               sizeof rate);
    double per_step = (now - t->started) / (double)(row->step - t->step_at_start);
    text_duration(per_step * (double)(max_steps - row->step), left, sizeof left);
    (live ? log_live : log_line)("step %lld/%lld  loss %.4f  lr %.3g  grad_norm %.3g  %s tokens/s  %s left",
                                 (long long)row->step, (long long)max_steps, row->loss, row->lr,
                                 row->grad_norm, rate, left);
    t->last_line = now;
}

static bool out_of_patience(const trainer *t) {
    int64_t patience = t->request.experiment->evaluation.patience;
    return patience && t->state.evaluations_without_improvement >= patience;
}

static bool due(int64_t now, int64_t interval) {
    return interval && now % interval == 0;
}

static status loop(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    while (t->state.step < e->training.max_steps && !out_of_patience(t)) {
        if (*t->request.stop) {
            TRY(save(t, t->request.folder.last, err));
            fail(err, ERR_INTERRUPTED, "interrupted at step %lld; the checkpoint is written",
                 (long long)t->state.step);
            return error_hint(err, "the same command goes on from there");
        }
        train_row row = {0};
        TRY(trainer_step(t, &row, err));
        error why;
        if (due(row.step, e->training.log_interval) && metrics_add_train(t->metrics, &row, &why) != OK)
            warn_of_metrics(t, &why);
        report_progress(t, &row);
        bool last = row.step == e->training.max_steps;
        if (due(row.step, e->evaluation.interval) || last) TRY(evaluate(t, err));
        if (due(row.step, e->checkpoint.interval) && !last) TRY(save(t, t->request.folder.last, err));
    }
    if (out_of_patience(t))
        log_line("stopped at step %lld: no better validation loss in %lld evaluations (best at step %lld)",
                 (long long)t->state.step, (long long)e->evaluation.patience,
                 (long long)t->state.best_step);
    return save(t, t->request.folder.last, err);
}

// What is done once at the end, with the best weights: the test split and a sample.
static status conclude(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    const dataset *d = t->request.dataset;
    int64_t last_step = t->state.step;
    if (d->splits[SPLIT_VAL].count && t->state.best_step != last_step) {
        const checkpoint_arrays weights = weights_of(t);
        TRY(checkpoint_read_arrays(t->request.folder.best, &weights, err));
        t->state.step = t->state.best_step;
    }
    exchange_average(t);
    if (d->splits[SPLIT_TEST].count) {
        evaluation test;
        evaluate_split(t->evaluator, &d->splits[SPLIT_TEST], d->tokenizer, &test);
        log_line("test loss %.4f, perplexity %.3f, %.3f bits/char (weights of step %lld)", test.loss,
                 test.perplexity, test.bits_per_char, (long long)t->state.step);
        record(t, SPLIT_TEST, &test);
    }
    status result = write_sample(t, e->sampling.max_tokens, true, err);
    exchange_average(t);
    t->state.step = last_step;
    return result;
}

void trainer_initialise(trainer *t) {
    const uint64_t seed = (uint64_t)t->request.experiment->seed;
    const parameter_set *parameters = t->model->parameters;
    t->state =
        (run_state){.best_loss = INFINITY, .plateau_factor = 1, .plateau_best = INFINITY, .seed = seed};
    parameters_initialise(t->model->parameters, seed);
    if (t->average) memcpy(t->average, parameters->values, parameters->block_bytes);
}

static status begin(trainer *t, bool resume, error *err) {
    if (resume) {
        TRY(load(t, err));
        TRY(metrics_resume(t->request.folder.path, &t->request.facts, t->state.step, &t->metrics, err));
    } else {
        trainer_initialise(t);
        TRY(metrics_create(t->request.folder.path, &t->request.facts, t->config_text.bytes, &t->metrics,
                           err));
    }
    t->started = t->last_line = clock_seconds();
    t->step_at_start = t->state.step;
    t->tokens_at_start = t->state.tokens;
    t->seconds_at_start = t->state.seconds;
    return OK;
}

status trainer_run(trainer *t, bool resume, error *err) {
    status result = begin(t, resume, err);
    if (result == OK && resume) log_line("resuming at step %lld", (long long)t->state.step);
    if (result == OK) result = loop(t, err);
    if (result == OK) result = conclude(t, err);
    generator_free(t->generator);
    t->generator = NULL;
    const char *outcome = result == OK                ? "finished"
                          : result == ERR_INTERRUPTED ? "interrupted"
                          : result == ERR_DIVERGED    ? "diverged"
                                                      : "failed";
    error closing;
    status closed = metrics_close(t->metrics, outcome, &closing);
    t->metrics = NULL;
    if (result == OK && closed != OK) {
        *err = closing;
        return closed;
    }
    if (result == OK) {
        char took[32];
        text_duration(t->state.seconds, took, sizeof took);
        log_line("finished: %lld steps, %s of training, results in %s", (long long)t->state.step, took,
                 t->request.folder.path);
    }
    return result;
}
