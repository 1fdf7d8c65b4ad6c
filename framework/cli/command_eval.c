// runexp eval RUN: loss of a whole split, or of any text.
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/compute.h"
#include "cli/runs.h"
#include "train/evaluate.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct eval_options {
    compute_options compute;
    const char *runs, *checkpoint, *data;
    int split;
    int64_t stride, batch_size;
} eval_options;

#define SETTINGS eval_options
static const option options[] = {
    CHOICE(split, "val", split_names, "which split of the run's data to evaluate"),
    STRING(data, OPTIONAL, "a text file to evaluate instead, as a whole"),
    STRING(checkpoint, "auto", "best, last, or a checkpoint file; auto: best if there is one, else last"),
    INT(stride, "0", 0, 1 << 30, "distance between windows in tokens; 0: the experiment's"),
    INT(batch_size, "0", 0, 1 << 20,
        "windows per pass, which does not change the result; 0: the experiment's"),
    RUNS_OPTION,
    COMPUTE_OPTIONS,
    {0},
};
#undef SETTINGS

// The dataset to evaluate: the run's own, or one file that is all `val`.
static status open_data(const trained *from, const eval_options *o, const command_call *call, dataset **out,
                        split *part, error *err) {
    dataset_settings settings = from->experiment->dataset;
    *part = (split)o->split;
    static double whole[] = {0, 1, 0};
    if (o->data) {
        const char **files = arena_alloc(call->memory, sizeof *files);
        files[0] = path_absolute(call->memory, o->data);
        settings.source = (string_list){files, 1};
        settings.val_source = settings.test_source = (string_list){NULL, 0};
        settings.split = (real_list){whole, 3};
        *part = SPLIT_VAL;
    }
    TRY(dataset_open(&settings, &call->places, from->tokenizer, call->memory, out, err));
    if ((*out)->splits[*part].count > 1) return OK;
    fail(err, ERR_DATA, "there is no text in the %s split", split_names[*part]);
    return error_hint(err, "choose another --split, or give a file with --data");
}

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

// A line that fits the terminal.
static void print_name(const char *what, const char *name, const char *rest) {
    const int columns = log_columns();
    text fitting = {0};
    text_add_shortened(&fitting, name, columns ? columns - (int)(strlen(what) + strlen(rest)) : INT_MAX);
    printf("%s%s%s\n", what, fitting.bytes ? fitting.bytes : "", rest);
    text_free(&fitting);
}

static status evaluate_and_print(const trained *from, const eval_options *o, const dataset *data,
                                 split part, error *err) {
    const experiment *e = from->experiment;
    int64_t stride = o->stride ? o->stride : e->evaluation.stride, block_size = e->dataset.block_size;
    if (stride == 0 || stride > block_size) stride = block_size;
    evaluator *scorer;
    evaluation result;
    TRY(evaluator_new(from->model, (int)(o->batch_size ? o->batch_size : e->training.batch_size),
                      (int)stride, NULL, &scorer, err));
    evaluate_split(scorer, &data->splits[part], from->tokenizer, &result);
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
    print_name("text            ", o->data ? o->data : split_names[part], "");
    printf("tokens          %zu\n", result.tokens);
    printf("loss            %.6f nats per token\n", result.loss);
    printf("perplexity      %.4f per token\n", result.perplexity);
    if (!isnan(result.bits_per_char)) printf("bits per char   %.4f\n", result.bits_per_char);
    if (result.unknown_rate > 0)
        printf("unknown         %.3f %% of the tokens are outside the vocabulary\n",
               100 * result.unknown_rate);
    return OK;
}

static status run(const command_call *call, error *err) {
    const eval_options *o = call->options;
    trained from;
    TRY(compute_begin(&o->compute, err));
    TRY(open_trained(call->arguments[0], o->runs, o->checkpoint, &call->overrides, call->memory, &from,
                     err));
    dataset *data;
    split part;
    status result = open_data(&from, o, call, &data, &part, err);
    if (result == OK && !o->data) compare_text(&from, data, part, call->memory);
    if (result == OK) result = evaluate_and_print(&from, o, data, part, err);
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
                "last one is shifted back to end with the text, where it scores only what is left. RUN is a run's folder,\n"
                "or its name under runs/.",
            .example =
                "  runexp eval gpt_nano --split val\n  runexp eval gpt_nano --data other.txt --stride 32\n",
            .options = options,
            .settings_size = sizeof(eval_options),
        },
    .usage = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
