// runexp sample RUN: generates text.
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/compute.h"
#include "cli/input.h"
#include "cli/runs.h"
#include "config/overrides.h"
#include "train/experiment_checks.h"
#include "train/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sample_options {
    compute_options compute;
    const char *runs, *checkpoint, *prompt_file;
    int64_t tokens, count;
    bool raw, quiet;
} sample_options;

#define SETTINGS sample_options
static const option options[] = {
    INT(tokens, "0", 0, 1e9, "number of tokens to generate, like --max-tokens; 0: as the experiment says"),
    INT(count, "1", 1, 100000, "number of continuations of the prompt, generated together"),
    STRING(checkpoint, "auto", "best, last, or a checkpoint file; auto: best if there is one, else last"),
    STRING(prompt_file, OPTIONAL,
           "a file with the text to continue, less its last newline; -: standard input"),
    BOOL(raw, OPTIONAL,
         "write the bytes of the tokens as they are; else U+FFFD stands for what is not UTF-8"),
    RUNS_OPTION,
    COMPUTE_OPTIONS,
    BOOL(quiet, OPTIONAL, "do not print the speed at the end"),
    {0},
};
#undef SETTINGS

// Texts that are generated together: the first is printed as it comes, the others wait for it.
typedef struct texts {
    int64_t first; // number of the first, from 0
    text *waiting;
    bool raw;
    double flushed;            // when the output was, by clock_seconds
    const volatile int *asked; // whether a signal asks to stop
    volatile int stop;         // it does, or the output cannot be written
} texts;

// On a terminal control characters are made visible: a model may have learned to ring the bell.
static void print_piece(const char *bytes, size_t count, bool raw) {
    text visible = {0};
    if (log_is_terminal() && !raw) {
        text_add_visible(&visible, bytes, count);
        fwrite(visible.bytes, 1, visible.length, stdout);
    } else {
        fwrite(bytes, 1, count, stdout);
    }
    text_free(&visible);
}

// At most PER_SECOND times a second: a flush for each token would cost as much as generating it, and wakes
// a terminal that needs a core, too.
static void flush_now_and_then(double *flushed) {
    enum { PER_SECOND = 60 };
    const double now = clock_seconds();
    if (now - *flushed < 1.0 / PER_SECOND) return;
    fflush(stdout);
    *flushed = now;
}

static void take_piece(void *to, uint32_t stream, const char *bytes, size_t count) {
    texts *t = to;
    const int64_t i = stream - t->first;
    if (i == 0) {
        print_piece(bytes, count, t->raw);
        flush_now_and_then(&t->flushed);
    } else {
        text_add_bytes(&t->waiting[i], bytes, count);
    }
    t->stop = *t->asked || ferror(stdout);
}

static void print_begin(const opening *from, const sample_options *o, int64_t number) {
    if (o->count > 1) printf("%s--- %lld\n", number > 0 ? "\n" : "", (long long)number + 1);
    print_piece(from->text, strlen(from->text), o->raw);
}

static void print_end(const sample_options *o) {
    if (!o->raw || o->count > 1) printf("\n");
}

static void print_speed(int64_t made, size_t tokens, double seconds, const generated *last) {
    fprintf(stderr, "%zu tokens, %.0f tokens/s (", tokens, seconds > 0 ? (double)tokens / seconds : 0);
    if (made > 1) fprintf(stderr, "%lld texts; ", (long long)made);
    fprintf(stderr, "prompt: %zu tokens, %.1f ms)\n", last->prompt_tokens, 1e3 * last->prompt_seconds);
}

static status not_finite(const trained *from, error *err) {
    fail(err, ERR_DATA, "the model in %s gives no finite logit", from->path);
    return error_hint(
        err, "the run diverged; use its other checkpoint (--checkpoint best or last) or train again "
             "with a lower optimizer.lr");
}

typedef struct prompt_text {
    const char *text;
    place where;
} prompt_text;

// Editors end a file with a newline that is not meant.
static status read_prompt(const command_call *call, const char *file, prompt_text *out, error *err) {
    char *bytes;
    size_t length;
    TRY(read_input(call, file, &bytes, &length, err));
    *out = (prompt_text){bytes, {.file = input_name(file)}};
    if (memchr(bytes, '\0', length)) {
        fail_at(err, ERR_DATA, out->where, "the prompt has a NUL byte");
        return error_hint(err, "give a file of text");
    }
    if (length > 0 && bytes[length - 1] == '\n') bytes[length - 1] = '\0';
    return OK;
}

// The file's, or the settings'.
static status find_prompt(const trained *from, const sample_options *o, const command_call *call,
                          prompt_text *out, error *err) {
    *out = (prompt_text){from->experiment->sampling.prompt,
                         problem_place(node_get(from->config.root, "sampling"), "prompt")};
    if (!o->prompt_file) return OK;
    if (!overrides_give(&call->overrides, "sampling.prompt"))
        return read_prompt(call, o->prompt_file, out, err);
    fail(err, ERR_USAGE, "--prompt and --prompt-file both give a prompt");
    return error_hint(err, "leave one of the two out");
}

static status sample(const trained *from, const sample_options *o, const command_call *call, error *err) {
    const sampling_settings *s = &from->experiment->sampling;
    generator *g;
    opening begin;
    prompt_text prompt;
    TRY(find_prompt(from, o, call, &prompt, err));
    TRY(opening_encode(from->tokenizer, prompt.text, prompt.where, call->memory, &begin, err));
    if (begin.replaced)
        log_note("the model knows no newline to begin with: the text begins with \"%s\"", begin.text);
    const encoding *separator;
    TRY(dataset_separator(&from->experiment->dataset, from->tokenizer, call->memory, &separator, err));
    TRY(generator_new(from->model, s, (int)o->count, &g, err));
    generator_separate_documents(g, separator);
    if (o->raw) generator_emit_bytes(g);
    status result = OK;
    // In the fewest groups there can be, of equal size.
    const int64_t most = generator_streams(g), groups = (o->count + most - 1) / most;
    const int64_t together = (o->count + groups - 1) / groups;
    texts t = {
        .waiting = memory_alloc((size_t)together * sizeof *t.waiting), .raw = o->raw, .asked = call->stop};
    generated made = {0};
    size_t tokens = 0;
    double seconds = 0;
    for (; result == OK && t.first < o->count && !t.stop; t.first += together) {
        const int64_t left = o->count - t.first, streams = left < together ? left : together;
        print_begin(&begin, o, t.first);
        generate(g, from->tokenizer, begin.tokens.ids, begin.tokens.count, (size_t)s->max_tokens,
                 (uint32_t)t.first, (int)streams, take_piece, &t, &t.stop, &made);
        print_end(o);
        for (int64_t i = 1; i < streams; i++) {
            print_begin(&begin, o, t.first + i);
            print_piece(t.waiting[i].bytes ? t.waiting[i].bytes : "", t.waiting[i].length, o->raw);
            print_end(o);
            text_clear(&t.waiting[i]);
        }
        fflush(stdout);
        if (!made.finite) result = not_finite(from, err);
        if (*call->stop) result = err->code = ERR_INTERRUPTED; // which needs no words
        tokens += (size_t)streams * made.tokens;
        seconds += made.seconds;
    }
    if (result == OK && !o->quiet && log_is_terminal()) print_speed(o->count, tokens, seconds, &made);
    for (int64_t i = 0; i < together; i++) text_free(&t.waiting[i]);
    free(t.waiting);
    generator_free(g);
    return result;
}

static status run(const command_call *call, error *err) {
    const sample_options *o = call->options;
    arena *a = call->memory;
    trained from;
    const char **overrides = arena_alloc(a, (size_t)(call->overrides.count + 1) * sizeof *overrides);
    int count = call->overrides.count;
    if (count) memcpy(overrides, call->overrides.values, (size_t)count * sizeof *overrides);
    if (o->tokens) overrides[count++] = arena_format(a, "sampling.max_tokens=%lld", (long long)o->tokens);
    log_set_quiet(o->quiet);
    TRY(compute_begin(&o->compute, err));
    TRY(open_trained(call, call->arguments[0], o->runs, o->checkpoint, &(string_list){overrides, count},
                     &from, err));
    problems none = {0}; // of settings alone there are none that the run had not
    experiment_check(&from.config, CHECK_OVERRIDES, a, &none);
    problems_free(&none);
    for (int i = 0; i < from.config.notes.count; i++) log_note("%s", from.config.notes.values[i]);
    status result = sample(&from, o, call, err);
    trained_free(&from);
    return result;
}

const command command_sample = {
    .about =
        {
            .name = "sample",
            .kind = "command",
            .summary = "Generates text from a run",
            .details =
                "RUN is a run's folder, or its name under runs/. Everything not given here is as the experiment's `sampling` section says.",
            .example =
                "  runexp sample quickstart --prompt \"A man\" --mode top_k --k 5 --temperature 0.8 --tokens 500\n"
                "  echo \"A man\" | runexp sample quickstart --prompt-file - --seed 2\n",
            .options = options,
            .settings_size = sizeof(sample_options),
        },
    .usage = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .section = &sampling_section,
    .section_key = "sampling",
    .run = run,
};
