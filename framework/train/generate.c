// Two decoding graphs share one set of states: `chunk` takes many tokens at once (prompts, refills), `step`
// takes one.
//
// When the context outgrows block_size:
//   ring  the caches forget their oldest entries; positions go on. For models without absolute positions.
//   hop   the last half of the context is read again from position 0, which makes room for block_size/2
//   more tokens. crop  the last block_size tokens are read again for every new token: the exact, slow
//   reference.
#include "train/generate.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_TOKENS = 64, PIECE_BYTES = 64 };

struct generator {
    const sampling_settings *settings;
    state_set *states;
    model_graph chunk, step;
    sampler *sampler;
    int block_size, vocabulary, chunk_tokens;
    overflow_mode overflow;
    int position; // tokens in the states
    real *logits; // of the last token read
};

static status choose_overflow(const model *m, const sampling_settings *s, overflow_mode *out, error *err) {
    *out = (overflow_mode)s->overflow;
    if (*out == OVERFLOW_AUTO) *out = m->absolute_positions ? OVERFLOW_HOP : OVERFLOW_RING;
    if (*out != OVERFLOW_RING || !m->absolute_positions) return OK;
    fail(err, ERR_CONFIG,
         "sampling.overflow: ring does not work with a `positions` layer, which ends at block_size %d",
         m->block_size);
    return error_hint(err, "use hop or crop, or train with rotary positions (attention: {rope: true})");
}

status generator_new(model *m, const sampling_settings *settings, generator **out, error *err) {
    overflow_mode overflow;
    TRY(choose_overflow(m, settings, &overflow, err));
    generator *g = memory_alloc(sizeof *g);
    *g = (generator){
        .settings = settings,
        .states = states_new(),
        .block_size = m->block_size,
        .vocabulary = m->vocabulary,
        .chunk_tokens = m->block_size < CHUNK_TOKENS ? m->block_size : CHUNK_TOKENS,
        .overflow = overflow,
    };
    status result = model_build(m, GRAPH_DECODE, 1, 1, g->states, true, &g->step, err);
    if (result == OK)
        result = model_build(m, GRAPH_DECODE, 1, g->chunk_tokens, g->states, true, &g->chunk, err);
    if (result != OK) {
        generator_free(g);
        return result;
    }
    g->sampler = sampler_new(settings, m->vocabulary);
    *out = g;
    return OK;
}

void generator_free(generator *g) {
    if (!g) return;
    graph_free(g->chunk.graph);
    graph_free(g->step.graph);
    states_free(g->states);
    sampler_free(g->sampler);
    free(g);
}

static void run(generator *g, const model_graph *built, const int32_t *ids, int count) {
    tokens_bind(built->ids, ids);
    graph_forward(built->graph, &(run_context){.position = g->position});
    g->position += count;
    g->logits = built->logits->data + (size_t)(count - 1) * (size_t)g->vocabulary;
}

// Reads tokens on top of what the states hold.
static void take(generator *g, const int32_t *ids, size_t count) {
    size_t chunk = (size_t)g->chunk_tokens;
    for (; count >= chunk && chunk > 1; ids += chunk, count -= chunk)
        run(g, &g->chunk, ids, g->chunk_tokens);
    for (; count > 0; ids++, count--) run(g, &g->step, ids, 1);
}

static void restart(generator *g, const int32_t *ids, size_t count) {
    states_reset(g->states);
    g->position = 0;
    take(g, ids, count);
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// Reads the newest token of a context that has grown by one.
static void advance(generator *g, const int32_t *context, size_t count) {
    size_t block = (size_t)g->block_size;
    bool full = (size_t)g->position >= block;
    if (full && g->overflow == OVERFLOW_CROP) {
        restart(g, context + count - block, block);
    } else if (full && g->overflow == OVERFLOW_HOP) {
        size_t keep = block > 1 ? block / 2 : 1;
        restart(g, context + count - keep, keep);
    } else {
        take(g, context + count - 1, 1);
    }
}

// Reads a whole context; the part that cannot be seen any more is left out.
static void begin(generator *g, const int32_t *context, size_t count) {
    size_t seen = g->overflow == OVERFLOW_RING ? count : smaller(count, (size_t)g->block_size);
    restart(g, context + count - seen, seen);
}

const real *generator_logits(generator *g, const int32_t *context, size_t count) {
    begin(g, context, count);
    return g->logits;
}

// Passes on the complete UTF-8 sequences of `pending`; what cannot become one is replaced by U+FFFD.
static void emit_complete(text *pending, bool all, void (*emit)(void *, const char *, size_t), void *to) {
    size_t at = 0;
    while (at < pending->length) {
        uint32_t code_point;
        size_t left = pending->length - at;
        int length = utf8_decode(pending->bytes + at, left, &code_point);
        unsigned char lead = (unsigned char)pending->bytes[at];
        size_t expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
        if (length == 0 && !all && left < expected) break; // the rest may come with the next token
        if (emit) emit(to, length ? pending->bytes + at : "\xEF\xBF\xBD", length ? (size_t)length : 3);
        at += length ? (size_t)length : 1;
    }
    memmove(pending->bytes, pending->bytes + at, pending->length - at + 1);
    pending->length -= at;
}

void generate(generator *g, const tokenizer *t, const int32_t *prompt, size_t prompt_count,
              size_t max_tokens, uint32_t stream, void (*emit)(void *to, const char *bytes, size_t count),
              void *to, const volatile int *stop, generated *out) {
    int32_t *context = memory_alloc((prompt_count + max_tokens) * sizeof *context);
    memcpy(context, prompt, prompt_count * sizeof *context);
    size_t count = prompt_count, produced = 0;
    text pending = {0};
    double started = clock_seconds();
    begin(g, context, count);
    out->prompt_seconds = clock_seconds() - started;
    started = clock_seconds();
    while (produced < max_tokens && !(stop && *stop)) {
        int32_t next = sampler_pick(g->sampler, g->logits, context, count, stream, (uint32_t)produced);
        context[count++] = next;
        produced++;
        tokenizer_decode(t, next, &pending);
        if (pending.length) emit_complete(&pending, false, emit, to);
        if (produced < max_tokens) advance(g, context, count);
    }
    if (pending.length) emit_complete(&pending, true, emit, to);
    out->seconds = clock_seconds() - started;
    out->prompt_tokens = prompt_count;
    out->tokens = produced;
    text_free(&pending);
    free(context);
}

status generate_encode_prompt(const tokenizer *t, const char *prompt, arena *a, encoding *out, error *err) {
    if (!prompt || !prompt[0]) prompt = "\n";
    TRY(tokenizer_encode(t, "the prompt", prompt, strlen(prompt), a, out, err));
    if (out->unknown) {
        text characters = {0};
        tokenizer_unknown_characters(t, prompt, strlen(prompt), &characters);
        log_warning("the model has never seen these characters of the prompt: %s", characters.bytes);
        text_free(&characters);
    }
    if (out->count == 0) {
        out->ids = arena_alloc(a, sizeof *out->ids);
        out->count = 1;
    }
    return OK;
}
