// A run from its beginning to its end: steps, evaluations, samples, checkpoints, early stopping.
#include "base/clock.h"
#include "base/log.h"
#include "train/progress.h"
#include "train/trainer_parts.h"

#include <math.h>
#include <stdio.h>

enum { LINES_IN_A_PIPE = 20, LIVE_LINES_PER_SECOND = 5 };

// --- evaluation

// With averaged weights: exchanges them with the trained ones, so that graphs see the average. Call again
// to undo.
static void exchange_average(trainer *t) {
    if (!t->average) return;
    real *values = parameters_write(t->model->parameters);
    for (size_t i = 0; i < t->model->parameters->total; i++) {
        real kept = values[i];
        values[i] = t->average[i];
        t->average[i] = kept;
    }
}

// Metrics that cannot be written (a full disk) are kept and written with a later row: a reason to warn,
// once, not to stop.
static void warn_of_metrics(trainer *t, const error *why) {
    if (!t->metrics_warned)
        log_warning("%s; training continues, the rows are kept for later", why->message);
    t->metrics_warned = true;
}

static void record(trainer *t, split part, const evaluation *e) {
    const eval_row row = {t->state.step, t->state.tokens,  t->state.seconds, e->loss,
                          e->perplexity, e->bits_per_char, e->bits_per_byte};
    error why;
    if (metrics_add_eval(t->metrics, part, &row, &why) != OK) warn_of_metrics(t, &why);
}

static void collect(void *to, uint32_t stream, const char *bytes, size_t count) {
    (void)stream;
    text_add_bytes(to, bytes, count);
}

static status add_sample(trainer *t, int64_t tokens, bool logged, text *sample, error *err) {
    const experiment *e = t->request.experiment;
    generated made;
    char heading[64];
    if (!t->generator) {
        TRY(generator_new(t->model, &e->sampling, 1, &t->generator, err));
        generator_separate_documents(t->generator, t->request.dataset->splits[SPLIT_TRAIN].separator);
    }
    text_add(sample, "%s", t->opening.text);
    generate(t->generator, t->request.dataset->tokenizer, t->opening.tokens.ids, t->opening.tokens.count,
             (size_t)tokens, 0, 1, collect, sample, NULL, &made);
    if (!made.finite) return fail(err, ERR_DATA, "the model gives no finite logit");
    snprintf(heading, sizeof heading, logged ? "finished, weights of step %lld" : "step %lld",
             (long long)t->state.step);
    TRY(run_folder_add_sample(&t->request.folder, heading, sample->bytes, err));
    if (!logged) return OK;
    text visible = {0};
    text_add_visible(&visible, sample->bytes, sample->length);
    log_line("sample (%.0f tokens/s):\n%s", (double)made.tokens / made.seconds, visible.bytes);
    text_free(&visible);
    return OK;
}

// Generates text from the current weights into samples.txt, and into the log too with `logged`. A sample is
// a by-product: what keeps it from being made is a warning, given once. A request to stop waits for its
// end, as it does for an evaluation's: half a sample would differ from that of a run which was not
// interrupted.
static void write_sample(trainer *t, int64_t tokens, bool logged) {
    text sample = {0};
    error why;
    if (tokens == 0) return;
    if (add_sample(t, tokens, logged, &sample, &why) != OK) {
        if (!t->sample_warned)
            log_warning("no sample at step %lld: %s", (long long)t->state.step, why.message);
        t->sample_warned = true;
    }
    text_free(&sample);
}

static double epoch_of(const trainer *t) {
    return (double)t->state.step / (double)t->steps_per_epoch;
}

// "step 600" and, where the run's length is in epochs, " (epoch 2.50)".
static const char *step_in_words(const trainer *t, char *words, size_t size) {
    const bool in_epochs = t->request.experiment->training.max_steps.epochs > 0;
    snprintf(words, size, in_epochs ? "step %lld (epoch %.2f)" : "step %lld", (long long)t->state.step,
             epoch_of(t));
    return words;
}

// Appends what users read of an evaluation.
static void add_result(text *line, const char *part, const evaluation *e) {
    text_add(line, "%s loss %.4f, perplexity %.3f", part, e->loss, e->perplexity);
    if (!isnan(e->bits_per_char)) text_add(line, ", %.3f bits/char", e->bits_per_char);
    // Those of ASCII are the same.
    if (!isnan(e->bits_per_byte) && e->bits_per_byte != e->bits_per_char)
        text_add(line, ", %.3f bits/byte", e->bits_per_byte);
}

// ERR_DIVERGED when the loss of a split is not finite.
static status check_loss(const trainer *t, split part, const evaluation *e, error *err) {
    if (isfinite(e->loss)) return OK;
    char what[32];
    snprintf(what, sizeof what, "the %s loss", split_names[part]);
    return trainer_diverged(t, what, t->state.step, "", err);
}

static status evaluate(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    const dataset *d = t->request.dataset;
    evaluation train = {.loss = NAN}, val = {.loss = NAN};
    char step[64];
    exchange_average(t);
    if (e->evaluation.train_tokens)
        evaluate_sample(t->evaluator, &d->splits[SPLIT_TRAIN], d->tokenizer,
                        (size_t)e->evaluation.train_tokens, &train);
    if (d->splits[SPLIT_VAL].count) evaluate_split(t->evaluator, &d->splits[SPLIT_VAL], d->tokenizer, &val);
    status result = e->evaluation.train_tokens ? check_loss(t, SPLIT_TRAIN, &train, err) : OK;
    if (result == OK && d->splits[SPLIT_VAL].count) result = check_loss(t, SPLIT_VAL, &val, err);
    if (result == OK) write_sample(t, e->evaluation.sample_tokens, false);
    exchange_average(t);
    TRY(result);
    if (e->evaluation.train_tokens) record(t, SPLIT_TRAIN, &train);
    if (!d->splits[SPLIT_VAL].count) {
        if (e->evaluation.train_tokens)
            log_line("%s: train loss %.4f, perplexity %.3f", step_in_words(t, step, sizeof step),
                     train.loss, train.perplexity);
        return OK;
    }
    record(t, SPLIT_VAL, &val);
    bool better = val.loss < t->state.best_loss - e->evaluation.min_delta;
    t->state.evaluations_without_improvement = better ? 0 : t->state.evaluations_without_improvement + 1;
    if (better) t->state.best_loss = val.loss, t->state.best_step = t->state.step;
    schedule_observe(&t->schedule, val.loss);
    text line = {0};
    text_add(&line, "%s: ", step_in_words(t, step, sizeof step));
    if (e->evaluation.train_tokens) text_add(&line, "train loss %.4f, ", train.loss);
    add_result(&line, "val", &val);
    if (better) text_add(&line, "  (best)");
    log_line("%s", line.bytes);
    text_free(&line);
    return better ? trainer_save(t, t->request.folder.best, err) : OK;
}

// --- the loop

static void report_progress(trainer *t, const train_row *row) {
    const duration *length = &t->request.experiment->training.max_steps;
    int64_t max_steps = length->steps;
    double now = clock_seconds();
    int64_t every = max_steps / LINES_IN_A_PIPE ? max_steps / LINES_IN_A_PIPE : 1;
    bool live = log_is_terminal();
    if (live ? now - t->last_line < 1.0 / LIVE_LINES_PER_SECOND : row->step % every != 0) return;
    double per_step = (now - t->started) / (double)(row->step - t->step_at_start);
    const progress p = {
        .step = row->step,
        .max_steps = max_steps,
        .epoch = epoch_of(t),
        .epochs = length->epochs,
        .loss = row->loss,
        .lr = row->lr,
        .grad_norm = row->grad_norm,
        .tokens_per_second =
            (double)(row->tokens - t->tokens_at_start) / (t->state.seconds - t->seconds_at_start),
        .seconds_left = per_step * (double)(max_steps - row->step),
    };
    text line = {0};
    progress_line(&p, log_columns(), &line);
    (live ? log_live : log_line)("%s", line.bytes ? line.bytes : "");
    text_free(&line);
    t->last_line = now;
}

static bool out_of_patience(const trainer *t) {
    int64_t patience = t->request.experiment->evaluation.patience;
    return patience && t->state.evaluations_without_improvement >= patience;
}

static bool due(int64_t now, int64_t interval) {
    return interval && now % interval == 0;
}

static status save_last(trainer *t, error *err) {
    t->last_saved = clock_seconds();
    return trainer_save(t, t->request.folder.last, err);
}

static bool save_due(const trainer *t) {
    const checkpoint_settings *s = &t->request.experiment->checkpoint;
    return due(t->state.step, s->interval.steps) ||
           (s->minutes > 0 && clock_seconds() - t->last_saved >= 60 * s->minutes);
}

static status loop(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    while (t->state.step < e->training.max_steps.steps && !out_of_patience(t)) {
        if (*t->request.stop) {
            TRY(save_last(t, err));
            fail(err, ERR_INTERRUPTED, "interrupted at step %lld; the checkpoint is written",
                 (long long)t->state.step);
            return error_hint(err, "run the same command again to resume");
        }
        train_row row = {0};
        TRY(trainer_step(t, &row, err));
        error why;
        if (due(row.step, e->training.log_interval.steps) &&
            metrics_add_train(t->metrics, &row, &why) != OK)
            warn_of_metrics(t, &why);
        report_progress(t, &row);
        bool last = row.step == e->training.max_steps.steps;
        if (due(row.step, e->evaluation.interval.steps) || last) TRY(evaluate(t, err));
        if (!last && save_due(t)) TRY(save_last(t, err));
    }
    if (out_of_patience(t))
        log_line("stopped at step %lld: no better validation loss in %lld evaluations (best at step %lld)",
                 (long long)t->state.step, (long long)e->evaluation.patience,
                 (long long)t->state.best_step);
    return save_last(t, err);
}

static status test(trainer *t, error *err) {
    const dataset *d = t->request.dataset;
    evaluation result;
    evaluate_split(t->evaluator, &d->splits[SPLIT_TEST], d->tokenizer, &result);
    TRY(check_loss(t, SPLIT_TEST, &result, err));
    text line = {0};
    add_result(&line, "test", &result);
    log_line("%s (weights of step %lld)", line.bytes, (long long)t->state.step);
    text_free(&line);
    record(t, SPLIT_TEST, &result);
    return OK;
}

// What is done once at the end, with the best weights: the test split and a sample.
static status conclude(trainer *t, error *err) {
    const experiment *e = t->request.experiment;
    const dataset *d = t->request.dataset;
    int64_t last_step = t->state.step;
    if (d->splits[SPLIT_VAL].count && t->state.best_step != last_step) {
        TRY(trainer_load_best(t, err));
        t->state.step = t->state.best_step;
    }
    exchange_average(t);
    status result = d->splits[SPLIT_TEST].count ? test(t, err) : OK;
    if (result == OK) write_sample(t, e->sampling.max_tokens, true);
    exchange_average(t);
    t->state.step = last_step;
    return result;
}

static status begin(trainer *t, bool resume, error *err) {
    if (resume) {
        TRY(trainer_load(t, err));
        TRY(metrics_resume(t->request.folder.path, &t->request.facts, t->state.step, &t->metrics, err));
    } else {
        trainer_initialise(t);
        TRY(metrics_create(t->request.folder.path, &t->request.facts, t->config_text.bytes, &t->metrics,
                           err));
    }
    // What follows the checkpoint is generated again.
    error uncut;
    if (run_folder_cut_samples(&t->request.folder, t->state.sample_bytes, &uncut) != OK)
        log_warning("%s", uncut.message);
    t->started = t->last_line = t->last_saved = clock_seconds();
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
