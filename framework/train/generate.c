// Two decoding graphs share one set of states: `chunk` reads many tokens of each text at once (prompts, and
// contexts read again), `step` reads one. Several texts are decoded together, so that each weight is read
// once for all of them; their common prompt is read once, by graphs for a single text.
//
// When the context outgrows block_size:
//   ring  the caches overwrite their oldest entries and positions go on; for models without absolute
//         positions.
//   hop   the last half of the context is read again from position 0, which makes room for block_size/2
//         more tokens.
//   crop  the last block_size tokens are read again for every new token: exact, and slow.
#include "train/generate.h"

#include "base/clock.h"
#include "base/log.h"
#include "data/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_TOKENS = 64,
    CHUNK_ROWS = 512,        // tokens of all texts in a chunk
    MOST_STREAMS = 64,       // beyond this, arithmetic takes longer than reading the weights
    STATE_BYTES = 256 << 20, // limit for all texts together; one text is always allowed
};

// Graphs and states that decode a number of texts together.
typedef struct reader {
    int streams, chunk_tokens;
    state_set *states;
    model_graph chunk, step;
    int32_t *ids; // streams x chunk_tokens
    bool *begins; // the same: tokens that begin a document
} reader;

struct generator {
    const sampling_settings *settings;
    reader one, many; // many: of more than one text, or empty
    sampler *sampler;
    int block_size, vocabulary;
    overflow_mode overflow;
    bool emits_bytes;
    const encoding *separator; // of documents, or NULL
    int position;              // tokens in the states
    const real *logits;        // of the last token read of the first text
    size_t logits_apart;       // stride of the logits from text to text
};

// The texts being generated: tokens of text i from i * room on.
typedef struct contexts {
    int32_t *ids;
    size_t room, count; // of each
    int streams;
} contexts;

static status choose_overflow(const model *m, const sampling_settings *s, overflow_mode *out, error *err) {
    *out = (overflow_mode)s->overflow;
    if (*out == OVERFLOW_AUTO) *out = m->absolute_positions ? OVERFLOW_HOP : OVERFLOW_RING;
    if (*out != OVERFLOW_RING || !m->absolute_positions) return OK;
    fail(err, ERR_CONFIG,
         "sampling.overflow: ring does not work with a `positions` layer, which ends at block_size %d",
         m->block_size);
    return error_hint(err, "use hop or crop, or train with rotary positions (attention: {rope: true})");
}

// A hop reads half a block: in whole chunks where possible.
static int chunk_tokens(int block_size, int streams) {
    int tokens = block_size > 1 ? block_size / 2 : 1;
    if (tokens > CHUNK_TOKENS) tokens = CHUNK_TOKENS;
    while (tokens > 1 && tokens * streams > CHUNK_ROWS) tokens /= 2;
    return tokens;
}

static status open_graph(model *m, const reader *r, int tokens, model_graph *out, error *err) {
    const graph_options options = {
        .batch = r->streams, .time = tokens, .packs_weights = true, .states = r->states};
    TRY(model_build(m, &options, false, out, err));
    return graph_place(out->graph, NULL, err);
}

static status reader_open(reader *r, model *m, int streams, error *err) {
    r->streams = streams;
    r->chunk_tokens = chunk_tokens(m->block_size, streams);
    r->states = states_new(streams);
    const size_t tokens = (size_t)streams * (size_t)r->chunk_tokens;
    r->ids = memory_alloc(tokens * sizeof *r->ids);
    r->begins = memory_alloc(tokens * sizeof *r->begins);
    TRY(open_graph(m, r, 1, &r->step, err));
    return open_graph(m, r, r->chunk_tokens, &r->chunk, err);
}

static void reader_close(reader *r) {
    graph_free(r->chunk.graph);
    graph_free(r->step.graph);
    states_free(r->states);
    free(r->ids);
    free(r->begins);
}

static status open_readers(generator *g, model *m, int streams, error *err) {
    TRY(reader_open(&g->one, m, 1, err));
    const size_t each = states_bytes(g->one.states) + 1;
    if (streams > MOST_STREAMS) streams = MOST_STREAMS;
    if ((size_t)streams > STATE_BYTES / each) streams = (int)(STATE_BYTES / each);
    return streams > 1 ? reader_open(&g->many, m, streams, err) : OK;
}

status generator_check(const model *m, const sampling_settings *settings, error *err) {
    overflow_mode overflow;
    return choose_overflow(m, settings, &overflow, err);
}

status generator_new(model *m, const sampling_settings *settings, int streams, generator **out,
                     error *err) {
    overflow_mode overflow;
    TRY(choose_overflow(m, settings, &overflow, err));
    generator *g = memory_alloc(sizeof *g);
    *g = (generator){
        .settings = settings,
        .block_size = m->block_size,
        .vocabulary = m->vocabulary,
        .overflow = overflow,
    };
    status result = open_readers(g, m, streams, err);
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
    reader_close(&g->one);
    reader_close(&g->many);
    sampler_free(g->sampler);
    free(g);
}

void generator_emit_bytes(generator *g) {
    g->emits_bytes = true;
}

void generator_separate_documents(generator *g, const encoding *separator) {
    g->separator = separator;
}

int generator_streams(const generator *g) {
    return g->many.streams ? g->many.streams : 1;
}

// Reads `count` tokens of each text from token `from` on, with one run of a graph.
static void run(generator *g, reader *r, const model_graph *built, const contexts *c, size_t from,
                size_t count) {
    for (int i = 0; i < r->streams; i++) {
        const size_t source = i < c->streams ? (size_t)i : 0; // spare streams repeat the first
        const split_tokens whole = {
            .tokens = c->ids + source * c->room, .count = c->count, .separator = g->separator};
        memcpy(r->ids + (size_t)i * count, whole.tokens + from, count * sizeof *r->ids);
        for (size_t k = 0; k < count; k++)
            r->begins[(size_t)i * count + k] = split_begins_document(&whole, from + k);
    }
    tokens_bind(built->ids, r->ids);
    graph_forward(built->graph,
                  &(run_context){.position = g->position, .begins = g->separator ? r->begins : NULL});
    g->position += (int)count;
    g->logits_apart = count * (size_t)g->vocabulary;
    g->logits = built->logits->data + g->logits_apart - (size_t)g->vocabulary;
}

// Reads the last `count` tokens of each text; the states hold those before them.
static void take(generator *g, reader *r, const contexts *c, size_t count) {
    const size_t chunk = (size_t)r->chunk_tokens;
    for (; count >= chunk && chunk > 1; count -= chunk) run(g, r, &r->chunk, c, c->count - count, chunk);
    for (; count > 0; count--) run(g, r, &r->step, c, c->count - count, 1);
}

static void restart(generator *g, reader *r, const contexts *c, size_t count) {
    states_reset(r->states);
    g->position = 0;
    take(g, r, c, count);
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// Reads the newest token of texts that have grown by one.
static void advance(generator *g, reader *r, const contexts *c) {
    size_t block = (size_t)g->block_size;
    bool full = (size_t)g->position >= block;
    if (full && g->overflow == OVERFLOW_CROP)
        restart(g, r, c, block);
    else if (full && g->overflow == OVERFLOW_HOP)
        restart(g, r, c, block > 1 ? block / 2 : 1);
    else
        take(g, r, c, 1);
}

// Reads a whole text with the current weights, without what has left the context.
static void begin(generator *g, const contexts *c) {
    restart(g, &g->one, c,
            g->overflow == OVERFLOW_RING ? c->count : smaller(c->count, (size_t)g->block_size));
}

const real *generator_logits(generator *g, const int32_t *context, size_t count) {
    begin(g, &(contexts){(int32_t *)context, count, count, 1});
    return g->logits;
}

// Passes on the complete UTF-8 sequences of `pending`; what cannot become one is replaced by U+FFFD.
static void emit_complete(text *pending, bool all, uint32_t stream, generate_emit *emit, void *to) {
    size_t at = 0;
    while (at < pending->length) {
        uint32_t code_point;
        size_t left = pending->length - at;
        int length = utf8_decode(pending->bytes + at, left, &code_point);
        unsigned char lead = (unsigned char)pending->bytes[at];
        size_t expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
        if (length == 0 && !all && left < expected) break; // the rest may come with the next token
        if (emit)
            emit(to, stream, length ? pending->bytes + at : "\xEF\xBF\xBD", length ? (size_t)length : 3);
        at += length ? (size_t)length : 1;
    }
    memmove(pending->bytes, pending->bytes + at, pending->length - at + 1);
    pending->length -= at;
}

static void emit_bytes(text *pending, uint32_t stream, generate_emit *emit, void *to) {
    if (emit) emit(to, stream, pending->bytes, pending->length);
    text_clear(pending);
}

// Reads the prompt once; all texts continue from there.
static void read_prompt(generator *g, const contexts *c) {
    begin(g, c);
    g->logits_apart = 0;
    if (c->streams > 1) states_spread(g->one.states, g->many.states);
}

// Stops at the first one, as a rule.
static bool any_finite(const real *logits, int count) {
    for (int i = 0; i < count; i++)
        if (isfinite(logits[i])) return true;
    return false;
}

void generate(generator *g, const tokenizer *t, const int32_t *prompt, size_t prompt_count,
              size_t max_tokens, uint32_t first_stream, int streams, generate_emit *emit, void *to,
              const volatile int *stop, generated *out) {
    contexts c = {.room = prompt_count + max_tokens, .count = prompt_count, .streams = streams};
    c.ids = memory_alloc((size_t)streams * c.room * sizeof *c.ids);
    for (int i = 0; i < streams; i++)
        memcpy(c.ids + (size_t)i * c.room, prompt, prompt_count * sizeof *prompt);
    text *pending = memory_alloc((size_t)streams * sizeof *pending);
    double started = clock_seconds();
    read_prompt(g, &c);
    out->prompt_seconds = clock_seconds() - started;
    started = clock_seconds();
    size_t produced = 0;
    out->finite = true;
    while (produced < max_tokens && !(stop && *stop)) {
        for (int i = 0; i < streams && out->finite; i++)
            out->finite = any_finite(g->logits + (size_t)i * g->logits_apart, g->vocabulary);
        if (!out->finite) break;
        for (int i = 0; i < streams; i++) {
            int32_t *ids = c.ids + (size_t)i * c.room;
            const uint32_t stream = first_stream + (uint32_t)i;
            ids[c.count] = sampler_pick(g->sampler, g->logits + (size_t)i * g->logits_apart, ids, c.count,
                                        stream, (uint32_t)produced);
            tokenizer_decode(t, ids[c.count], &pending[i]);
            if (pending[i].length && g->emits_bytes)
                emit_bytes(&pending[i], stream, emit, to);
            else if (pending[i].length)
                emit_complete(&pending[i], false, stream, emit, to);
        }
        c.count++;
        produced++;
        if (produced < max_tokens) advance(g, streams > 1 ? &g->many : &g->one, &c);
    }
    for (int i = 0; i < streams; i++) {
        if (pending[i].length) emit_complete(&pending[i], true, first_stream + (uint32_t)i, emit, to);
        text_free(&pending[i]);
    }
    out->seconds = clock_seconds() - started;
    out->prompt_tokens = prompt_count;
    out->tokens = produced;
    free(pending);
    free(c.ids);
}

static const char default_prompt[] = "\n";

static status encode(const tokenizer *t, const char *prompt, arena *a, opening *out, error *err) {
    *out = (opening){.text = prompt};
    TRY(tokenizer_encode(t, "the prompt", prompt, strlen(prompt), a, &out->tokens, err));
    if (out->tokens.count) return OK;
    return fail(err, ERR_DATA, "the vocabulary has none of its characters");
}

// The text of the first token that is a known character by itself and can be seen, else of any known one.
static const char *first_character(const tokenizer *t, arena *a) {
    const char *found = NULL;
    for (int32_t id = 0; id < tokenizer_vocabulary(t); id++) {
        uint32_t c;
        text piece = {0};
        if (id != tokenizer_unknown(t)) tokenizer_decode(t, id, &piece);
        const bool whole = piece.length && piece.bytes[0] &&
                           utf8_decode(piece.bytes, piece.length, &c) == (int)piece.length;
        const bool visible = whole && c > ' ' && c != 0x7F;
        if (visible || (whole && !found)) found = arena_copy_text(a, piece.bytes);
        text_free(&piece);
        if (visible) break;
    }
    return found;
}

static bool is_known(const tokenizer *t, const char *prompt, arena *a, opening *out) {
    error unknown;
    return prompt && encode(t, prompt, a, out, &unknown) == OK && out->tokens.unknown == 0;
}

// A place in an argument has a column but no line.
static bool is_on_command_line(place where) {
    return where.line == 0 && where.column > 0;
}

status opening_encode(const tokenizer *t, const char *prompt, place where, arena *a, opening *out,
                      error *err) {
    const bool is_default = prompt && strcmp(prompt, default_prompt) == 0 && !is_on_command_line(where);
    if (!prompt || !prompt[0] || is_default) {
        if (is_known(t, default_prompt, a, out)) return OK;
        if (is_known(t, " ", a, out) || is_known(t, first_character(t, a), a, out)) {
            out->replaced = true;
            return OK;
        }
        prompt = default_prompt;
    }
    error why;
    if (encode(t, prompt, a, out, &why) != OK) {
        if (where.line == 0 && where.column == 0) // a file that is the prompt
            where = (place){.file = where.file, .line = why.line, .column = why.column};
        fail_at(err, ERR_CONFIG, where, "the prompt cannot be encoded: %s", why.message);
        return error_hint(err, "choose a prompt of characters that the training text has");
    }
    text characters = {0};
    if (out->tokens.unknown && tokenizer_unknown_characters(t, prompt, strlen(prompt), &characters))
        log_warning("the model has never seen these characters of the prompt: %s", characters.bytes);
    text_free(&characters);
    return OK;
}
