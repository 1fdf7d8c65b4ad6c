// runexp eval RUN: loss of a whole split, or of any text.
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/compute.h"
#include "cli/input.h"
#include "cli/runs.h"
#include "data/sources.h"
#include "train/evaluate.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct eval_options {
    compute_options compute;
    const char *runs, *checkpoint, *data;
    int split;
    int64_t stride, warmup_tokens, batch_size;
} eval_options;

#define SETTINGS eval_options
static const option options[] = {
    CHOICE(split, "val", split_names,
           "which split of the run's data to evaluate, or of a corpus that comes in parts"),
    STRING(
        data, OPTIONAL,
        "a text to evaluate instead, as a whole: a file, folder, glob or name of the catalogue; -: standard input"),
    STRING(checkpoint, "auto", "best, last, or a checkpoint file; auto: best if there is one, else last"),
    INT(stride, "0", 0, 1 << 30,
        "distance between windows in tokens, which a stream has none of; 0: the experiment's"),
    INT(warmup_tokens, "-1", -1, 1 << 30,
        "on a stream: tokens that each lane reads before the first one it is scored on; -1: the experiment's"),
    INT(batch_size, "0", 0, 1 << 20,
        "windows or lanes per pass, which does not change the result; 0: the experiment's"),
    RUNS_OPTION,
    COMPUTE_OPTIONS,
    {0},
};
#undef SETTINGS

// The text to evaluate.
typedef struct evaluated {
    const char *name; // as the output has it
    split_tokens tokens;
} evaluated;

// Says so when a split of the run's own data is not the text that the run had.
static void compare_text(const trained *from, const dataset *data, split part, arena *a) {
    run_facts facts;
    error unreadable;
    if (checkpoint_read_facts(from->path, a, &facts, &unreadable) != OK || !facts.texts.of[SPLIT_TRAIN])
        return;
    const char *then = facts.texts.of[part], *now = data->digests.of[part];
    if (!then || !now || strcmp(then, now) != 0)
        log_warning("the %s text is not the one that the run had: it has changed since", split_names[part]);
}

// A split of the run's own data.
static status open_split(const trained *from, const command_call *call, split part, evaluated *out,
                         error *err) {
    dataset *data;
    TRY(dataset_open(&from->experiment->dataset, &call->places, from->tokenizer, call->memory, &data, err));
    *out = (evaluated){split_names[part], data->splits[part]};
    if (out->tokens.count == 0) {
        fail(err, ERR_DATA, "there is no text in the %s split", split_names[part]);
        return error_hint(err, "choose another --split, or give a text with --data");
    }
    compare_text(from, data, part, call->memory);
    return OK;
}

static bool is_corpus(const char *name, const command_call *call) {
    catalogue c;
    error unknown;
    const catalogue_entry *corpus;
    return catalogue_load(call->places.catalogue, call->memory, &c, &unknown) == OK &&
           catalogue_need(&c, name, &corpus, &unknown) == OK;
}

// Any text as a whole: standard input, or what dataset.source takes, or any other file that is there.
static status open_text(const trained *from, const command_call *call, const char *data, split part,
                        evaluated *out, error *err) {
    bool is_whole = true;
    *out = (evaluated){.name = input_name(data)};
    if (is_standard_input(data)) {
        char *bytes;
        size_t length;
        encoding e;
        TRY(read_input(call, data, &bytes, &length, err));
        TRY(tokenizer_encode(from->tokenizer, out->name, bytes, length, call->memory, &e, err));
        out->tokens = split_tokens_of(&e, NULL);
    } else {
        const bool is_file = !source_is_path(data) && file_exists(data) && !is_corpus(data, call);
        const char *item = is_file ? arena_format(call->memory, "./%s", data) : data;
        TRY(dataset_open_text(item, part, &call->places, from->tokenizer, call->memory, &out->tokens,
                              &out->name, err));
        is_whole = strcmp(out->name, item) == 0;
    }
    TRY(dataset_separator(&from->experiment->dataset, from->tokenizer, call->memory, &out->tokens.separator,
                          err));
    if (is_whole && part != SPLIT_VAL) // val is the default
        log_note("--split %s has no effect: %s is evaluated as a whole", split_names[part], out->name);
    if (out->tokens.count > 1) return OK;
    fail(err, ERR_DATA, "%s has %s: there is nothing to predict", out->name,
         out->tokens.count ? "a single token" : "no text");
    return error_hint(err, "give a longer text with --data");
}

// A line that fits the terminal.
static void print_name(const char *what, const char *name, const char *rest) {
    const int columns = log_columns();
    text fitting = {0};
    text_add_shortened(&fitting, name, columns ? columns - (int)(strlen(what) + strlen(rest)) : INT_MAX);
    printf("%s%s%s\n", what, fitting.bytes ? fitting.bytes : "", rest);
    text_free(&fitting);
}

// The experiment's, but for what the command line gives.
static evaluator_options options_for(const experiment *e, const eval_options *o) {
    const int64_t batch = o->batch_size ? o->batch_size : e->training.batch_size;
    evaluator_options options_of_run = evaluator_options_of(e, (int)batch, o->stride);
    if (o->stride > e->dataset.block_size)
        log_note("--stride %lld is above block_size: %lld is used instead", (long long)o->stride,
                 (long long)e->dataset.block_size);
    if (o->warmup_tokens >= 0 && !options_of_run.carries_state)
        log_note("--warmup-tokens has no effect: the run did not train on a stream");
    if (o->warmup_tokens >= 0) options_of_run.warmup_tokens = (int)o->warmup_tokens;
    return options_of_run;
}

static status evaluate_and_print(const trained *from, const eval_options *o, const evaluated *what,
                                 error *err) {
    const evaluator_options how = options_for(from->experiment, o);
    evaluator *scorer;
    evaluation result;
    TRY(evaluator_new(from->model, &how, NULL, &scorer, err));
    evaluate_split(scorer, &what->tokens, from->tokenizer, &result);
    evaluator_free(scorer);
    if (!isfinite(result.loss)) {
        fail(err, ERR_DATA, "the loss of the weights in %s is not finite", from->path);
        return error_hint(err,
                          "the run diverged; use its other checkpoint (--checkpoint best or last) or train "
                          "again with a lower optimizer.lr");
    }
    char step[32];
    snprintf(step, sizeof step, " (step %lld)", (long long)from->state.step);
    print_name("checkpoint      ", from->path, step);
    print_name("text            ", what->name, "");
    printf("tokens          %zu\n", result.tokens);
    if (how.carries_state)
        printf("warm-up         %d tokens of each lane but the first\n", how.warmup_tokens);
    printf("loss            %.6f nats per token\n", result.loss);
    printf("perplexity      %.4f per token\n", result.perplexity);
    if (!isnan(result.bits_per_char)) printf("bits per char   %.4f\n", result.bits_per_char);
    if (!isnan(result.bits_per_byte)) printf("bits per byte   %.4f\n", result.bits_per_byte);
    if (result.unknown_rate > 0)
        printf(
            "unknown         %.3f %% of the tokens are outside the vocabulary: in bits per byte each costs %.1f "
            "more, to say which it is\n",
            100 * result.unknown_rate, tokenizer_unknown_nats(from->tokenizer) / log(2));
    return OK;
}

static status run(const command_call *call, error *err) {
    const eval_options *o = call->options;
    trained from;
    TRY(compute_begin(&o->compute, err));
    TRY(open_trained(call, call->arguments[0], o->runs, o->checkpoint, &call->overrides, &from, err));
    evaluated what;
    status result = o->data ? open_text(&from, call, o->data, (split)o->split, &what, err)
                            : open_split(&from, call, (split)o->split, &what, err);
    if (result == OK) result = evaluate_and_print(&from, o, &what, err);
    trained_free(&from);
    return result;
}

const command command_eval = {
    .about =
        {
            .name = "eval",
            .kind = "command",
            .summary = "Evaluates a run on a whole split, or on any text",
            .details =
                "Every token but the first is scored exactly once: windows of block_size tokens are stride apart, and the\n"
                "last one is shifted back to end with the text, where it scores only what is left. A run on a stream\n"
                "(dataset.batches) carries its state through the text instead, in up to 32 lanes, each of which first reads\n"
                "evaluation.warmup_tokens (--warmup-tokens) that are not scored. RUN is a run's folder, or its name under runs/.",
            .example = "  runexp eval gpt_nano --split val\n"
                       "  runexp eval gpt_nano --data other.txt --stride 32\n"
                       "  zcat other.txt.gz | runexp eval gpt_nano --data -\n",
            .options = options,
            .settings_size = sizeof(eval_options),
        },
    .usage = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
