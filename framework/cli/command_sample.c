// runexp sample RUN: generates text.
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/compute.h"
#include "cli/load.h"
#include "train/generate.h"
#include "train/trained.h"

#include <stdio.h>
#include <string.h>

typedef struct sample_options {
    compute_options compute;
    const char *checkpoint;
    int64_t tokens, count;
    bool quiet;
} sample_options;

#define OFFSET(member) offsetof(sample_options, member)
static const option options[] = {
    {.key = "tokens",
     .type = OPTION_INT,
     .offset = OFFSET(tokens),
     .fallback = "0",
     .min = 0,
     .max = 1e9,
     .doc = "how many tokens to generate, as --max-tokens; 0: as many as the experiment says"},
    {.key = "count",
     .type = OPTION_INT,
     .offset = OFFSET(count),
     .fallback = "1",
     .min = 1,
     .max = 100000,
     .doc = "how many continuations of the prompt"},
    {.key = "checkpoint",
     .type = OPTION_STRING,
     .offset = OFFSET(checkpoint),
     .fallback = "auto",
     .doc = "best, last, or a checkpoint file; auto: the best there is"},
    COMPUTE_OPTIONS(sample_options),
    {.key = "quiet", .type = OPTION_BOOL, .offset = OFFSET(quiet), .doc = "no closing line about speed"},
    {0},
};
#undef OFFSET

// On a terminal control characters are made visible: a model may have learned to ring the bell.
static void print_piece(void *to, const char *bytes, size_t count) {
    text visible = {0};
    if (log_is_terminal()) {
        text_add_visible(&visible, bytes, count);
        fwrite(visible.bytes, 1, visible.length, to);
    } else {
        fwrite(bytes, 1, count, to);
    }
    text_free(&visible);
    fflush(to);
}

static status sample(const trained *from, const sample_options *o, const command_call *call, error *err) {
    const sampling_settings *s = &from->experiment->sampling;
    generator *g;
    encoding prompt;
    TRY(generator_new(from->model, s, &g, err));
    status result = generate_encode_prompt(from->tokenizer, s->prompt, call->memory, &prompt, err);
    for (int64_t i = 0; result == OK && i < o->count && !*call->stop; i++) {
        generated made;
        if (o->count > 1) printf("%s--- %lld\n", i ? "\n" : "", (long long)i + 1);
        printf("%s", s->prompt ? s->prompt : "");
        generate(g, from->tokenizer, prompt.ids, prompt.count, (size_t)s->max_tokens, (uint32_t)i,
                 print_piece, stdout, call->stop, &made);
        printf("\n");
        fflush(stdout);
        if (!o->quiet && log_is_terminal())
            fprintf(stderr, "%zu tokens, %.0f tokens/s (prompt: %zu tokens, %.1f ms)\n", made.tokens,
                    made.seconds > 0 ? (double)made.tokens / made.seconds : 0, made.prompt_tokens,
                    1e3 * made.prompt_seconds);
    }
    generator_free(g);
    return result;
}

static status run(const command_call *call, error *err) {
    const sample_options *o = call->options;
    arena *a = call->memory;
    trained from;
    problems p = {0};
    const char *checkpoint;
    TRY(compute_begin(&o->compute, err));
    TRY(find_checkpoint(call->arguments[0], o->checkpoint, a, &checkpoint, err));
    const char **overrides = arena_alloc(a, (size_t)(call->overrides.count + 1) * sizeof *overrides);
    int count = call->overrides.count;
    if (count) memcpy(overrides, call->overrides.values, (size_t)count * sizeof *overrides);
    if (o->tokens) overrides[count++] = arena_format(a, "sampling.max_tokens=%lld", (long long)o->tokens);
    status result = trained_open(checkpoint, overrides, count, a, &from, &p, err);
    if (print_problems(&p)) err->message[0] = '\0';
    problems_free(&p);
    TRY(result);
    result = sample(&from, o, call, err);
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
                "  runexp sample quickstart --prompt \"A man\" --mode top_k --k 5 --temperature 0.8 --tokens 500\n",
            .options = options,
            .settings_size = sizeof(sample_options),
        },
    .usage = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .section = &sampling_section,
    .section_key = "sampling",
    .parallel = true,
    .run = run,
};
