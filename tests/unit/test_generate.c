// Decoding gives the logits of the training graph, for every way of attending, of cutting a prompt into
// chunks, and of going on when the context is full.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/alphabet.h"
#include "support/model.h"
#include "support/model_texts.h"

#include "data/dataset.h"
#include "train/generate.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { VOCABULARY = 29, LONGEST = 160 };

static const double LIMIT = 2e-5; // of the largest logit

static int32_t context[LONGEST];

static int draw_tokens(void **state) {
    (void)state;
    test_tokens(1, LONGEST, VOCABULARY, context);
    return 0;
}

static sampling_settings sampling(overflow_mode overflow) {
    return (sampling_settings){
        .mode = SAMPLE_PROB, .temperature = 1, .repetition_penalty = 1, .seed = 7, .overflow = overflow};
}

// The logits after `count` tokens by the graph that reads them all at once (VOCABULARY values in out).
static void block_logits(const test_model *t, const int32_t *ids, size_t count, real *out) {
    model_graph built = test_model_build(t, test_evaluation(1, (int)count));
    int32_t *targets = calloc(count, sizeof *targets);
    tokens_bind(built.ids, ids);
    tokens_bind(built.targets, targets);
    graph_forward(built.graph, &(run_context){.gradient_scale = 1});
    memcpy(out, built.logits->data + (count - 1) * VOCABULARY, VOCABULARY * sizeof(real));
    free(targets);
    graph_free(built.graph);
}

static generator *open_generator(const test_model *t, const sampling_settings *settings) {
    error err = {0};
    generator *g = NULL;
    test_ok(generator_new(t->model, settings, 1, &g, &err), &err);
    return g;
}

// --- decoding graphs

static void test_each_token_has_the_logits_of_the_block(void **state) {
    (void)state;
    enum { BATCH = 3, TIME = 45, CHUNK = 7 };
    for (int i = 0; i < MODEL_TEXTS; i++) {
        int32_t ids[BATCH * TIME], targets[BATCH * TIME] = {0}, part[BATCH * CHUNK];
        test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, TIME, 0.1);
        test_tokens(2, BATCH * TIME, VOCABULARY, ids);
        model_graph block = test_model_build(&t, test_evaluation(BATCH, TIME));
        tokens_bind(block.ids, ids);
        tokens_bind(block.targets, targets);
        graph_forward(block.graph, &(run_context){.gradient_scale = 1});
        const double limit = LIMIT * largest(block.logits->count, block.logits->data);

        state_set *states = states_new(BATCH);
        model_graph chunk = test_model_build(&t, test_decoding(BATCH, CHUNK, states));
        model_graph step = test_model_build(&t, test_decoding(BATCH, 1, states));
        for (int round = 0; round < 2; round++) { // the second begins a new text with the same states
            states_reset(states);
            for (int at = 0, taken; at < TIME; at += taken) {
                // Chunks and single tokens in turn.
                taken = at / CHUNK % 2 == 0 && at + CHUNK <= TIME ? CHUNK : 1;
                const model_graph *built = taken == CHUNK ? &chunk : &step;
                for (int b = 0; b < BATCH; b++)
                    memcpy(part + b * taken, ids + b * TIME + at, (size_t)taken * sizeof *part);
                tokens_bind(built->ids, part);
                graph_forward(built->graph, &(run_context){.position = at});
                for (int b = 0; b < BATCH; b++) {
                    const double off = largest_difference(
                        (size_t)taken * VOCABULARY, built->logits->data + b * taken * VOCABULARY,
                        block.logits->data + (b * TIME + at) * VOCABULARY);
                    if (!(off <= limit))
                        fail_msg("%s: tokens from %d on differ by %.3g", model_texts[i].name, at, off);
                }
            }
        }
        graph_free(block.graph);
        graph_free(chunk.graph);
        graph_free(step.graph);
        states_free(states);
        test_model_free(&t);
    }
}

// The workspace has room for a score for each slot of the cache, however short the graph.
static void test_a_long_cache_has_room_for_its_scores(void **state) {
    (void)state;
    enum { LONG = 1 << 20, THREADS = 3 };
    kernels_set_threads(THREADS);
    test_model t =
        test_model_new("model: {width: 2, layers: [embedding, {attention: {heads: 1}}, unembedding]}",
                       VOCABULARY, LONG, 0.1);
    state_set *states = states_new(1);
    model_graph step = test_model_build(&t, test_decoding(1, 1, states));
    assert_true(step.graph->workspace_bytes >= THREADS * LONG * sizeof(real));
    graph_free(step.graph);
    states_free(states);
    test_model_free(&t);
    kernels_set_threads(1);
}

// A window that reaches beyond the block needs no cache beyond the block.
static void test_caches_end_with_the_block(void **state) {
    (void)state;
    test_model t = test_model_new(
        "model: {width: 6, layers: [embedding, {attention: {heads: 2, kv_heads: 1, window: 1000000000}}, unembedding]}",
        VOCABULARY, 20, 0.1);
    state_set *states = states_new(1);
    model_graph step = test_model_build(&t, test_decoding(1, 1, states));
    assert_int_equal(states_bytes(states), 2 * 20 * 3 * sizeof(real));
    graph_free(step.graph);
    states_free(states);
    test_model_free(&t);
}

// --- generators

static void test_contexts_of_any_length_agree(void **state) {
    (void)state;
    const struct {
        int block_size;
        size_t counts[10];
    } cases[] = {{150, {1, 5, 63, 64, 65, 127, 128, 130, 150}}, {20, {1, 19, 20}}, {1, {1}}};
    for (int i = 0; i < MODEL_TEXTS; i++)
        for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
            const sampling_settings settings = sampling(OVERFLOW_AUTO);
            test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, cases[n].block_size, 0.1);
            generator *g = open_generator(&t, &settings);
            for (const size_t *count = cases[n].counts; *count; count++) {
                real expected[VOCABULARY];
                block_logits(&t, context, *count, expected);
                const double off =
                    relative_difference(VOCABULARY, generator_logits(g, context, *count), expected);
                if (!(off <= LIMIT))
                    fail_msg("%s: after %zu tokens logits are off by %.3g", model_texts[i].name, *count,
                             off);
            }
            generator_free(g);
            test_model_free(&t);
        }
}

// --- documents

static int32_t separator_ids[] = {3, 5};
static const encoding separator = {.ids = separator_ids, .count = 2};

// Text in which documents begin, also where chunks do and right behind one another.
static void draw_documents(int32_t ids[LONGEST], bool begins[LONGEST]) {
    static const int ends[] = {1, 2, 17, 62, 63, 66, 68, 69, 127, 140};
    memcpy(ids, context, LONGEST * sizeof *ids);
    memset(begins, 0, LONGEST * sizeof *begins);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        memcpy(ids + ends[i] - 1, separator_ids, sizeof separator_ids);
    const split_tokens all = {.tokens = ids, .count = LONGEST, .separator = &separator};
    for (size_t at = 0; at < LONGEST; at++) begins[at] = split_begins_document(&all, at);
}

static void test_documents_begin_as_in_training(void **state) {
    (void)state;
    int32_t ids[LONGEST], targets[LONGEST] = {0};
    bool begins[LONGEST];
    int differ = 0;
    draw_documents(ids, begins);
    for (int i = 0; i < MODEL_TEXTS; i++) {
        const sampling_settings settings = sampling(OVERFLOW_AUTO);
        test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, LONGEST, 0.1);
        generator *g = open_generator(&t, &settings);
        model_graph block = test_model_build(&t, test_evaluation(1, LONGEST));
        tokens_bind(block.ids, ids);
        tokens_bind(block.targets, targets);
        graph_forward(block.graph, &(run_context){.gradient_scale = 1, .begins = begins});
        for (size_t count = 1; count <= LONGEST; count += 1 + count / 30) {
            const real *expected = block.logits->data + (count - 1) * VOCABULARY;
            generator_separate_documents(g, NULL);
            const double one_text =
                relative_difference(VOCABULARY, generator_logits(g, ids, count), expected);
            generator_separate_documents(g, &separator);
            const double off = relative_difference(VOCABULARY, generator_logits(g, ids, count), expected);
            if (!(off <= LIMIT))
                fail_msg("%s: after %zu tokens logits are off by %.3g", model_texts[i].name, count, off);
            differ += one_text > LIMIT;
        }
        graph_free(block.graph);
        generator_free(g);
        test_model_free(&t);
    }
    assert_true(differ > 0);
}

// Where nothing mixes documents, one is the same behind others as by itself.
static void test_documents_are_texts_of_their_own(void **state) {
    (void)state;
    static const char *const layers[] = {"{lstm: {layers: 2}}", "{residual: [gru]}",
                                         "{conv_gate: {kernel: 4, hidden: 9}}"};
    int32_t ids[LONGEST];
    bool begins[LONGEST];
    draw_documents(ids, begins);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char yaml[200];
        snprintf(yaml, sizeof yaml,
                 "model: {width: 8, layers: [{embedding: {init_std: 1.0}}, %s, unembedding]}", layers[i]);
        const sampling_settings settings = sampling(OVERFLOW_AUTO);
        test_model t = test_model_new(yaml, VOCABULARY, 150, 0.1);
        generator *g = open_generator(&t, &settings);
        generator_separate_documents(g, &separator);
        for (size_t count = 1, first = 0; count <= LONGEST; count++) {
            real expected[VOCABULARY];
            if (begins[count - 1]) first = count - 1;
            memcpy(expected, generator_logits(g, ids + first, count - first), sizeof expected);
            assert_true(relative_difference(VOCABULARY, generator_logits(g, ids, count), expected) <=
                        LIMIT);
        }
        generator_free(g);
        test_model_free(&t);
    }
}

static void test_cropping_reads_the_last_block(void **state) {
    (void)state;
    enum { BLOCK = 20 };
    const sampling_settings settings = sampling(OVERFLOW_CROP);
    for (int i = 0; i < MODEL_TEXTS; i++) {
        test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, BLOCK, 0.1);
        generator *g = open_generator(&t, &settings);
        for (size_t count = BLOCK; count < 4 * BLOCK; count += 13) {
            real expected[VOCABULARY];
            block_logits(&t, context + count - BLOCK, BLOCK, expected);
            assert_true(relative_difference(VOCABULARY, generator_logits(g, context, count), expected) <=
                        LIMIT);
        }
        generator_free(g);
        test_model_free(&t);
    }
}

// Caches that forget their oldest tokens are attention through a window of their size, at any depth.
static void test_a_ring_is_a_window(void **state) {
    (void)state;
    enum { BLOCK = 20 };
    const char *const layers =
        "  layers:\n"
        "    - embedding\n"
        "    - repeat:\n"
        "        layers:\n"
        "          - residual: [rmsnorm, {attention: {heads: 3, rope: true, window: %d}}]\n"
        "          - residual: [rmsnorm, mlp]\n"
        "    - unembedding\n";
    const struct {
        int depth, window; // of the model that decodes
    } cases[] = {{1, 0}, {3, 0}, {1, 7}, {3, 7}, {2, 50}};
    arena *a = arena_new();
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        const sampling_settings settings = sampling(OVERFLOW_RING);
        const int window = cases[n].window;
        const char *const head =
            arena_format(a, "model:\n  width: 24\n  depth: %d\n  init_std: 0.2\n", cases[n].depth);
        const char *const tail = arena_format(a, layers, window);
        const char *const tail_window = arena_format(a, layers, window && window < BLOCK ? window : BLOCK);
        test_model ring = test_model_new(arena_format(a, "%s%s", head, tail), VOCABULARY, BLOCK, 0.1);
        test_model windowed =
            test_model_new(arena_format(a, "%s%s", head, tail_window), VOCABULARY, LONGEST, 0.1);
        generator *g = open_generator(&ring, &settings);
        for (size_t count = 5; count <= LONGEST; count += 31) {
            real expected[VOCABULARY];
            block_logits(&windowed, context, count, expected);
            const double off =
                relative_difference(VOCABULARY, generator_logits(g, context, count), expected);
            if (!(off <= LIMIT)) fail_msg("case %zu, %zu tokens: off by %.3g", n, count, off);
        }
        generator_free(g);
        test_model_free(&ring);
        test_model_free(&windowed);
    }
    arena_free(a);
}

// Convolutions remember all that they see, so that no context is too long for them.
static void test_convolutions_do_not_end_with_the_block(void **state) {
    (void)state;
    const char *const yaml =
        "model:\n"
        "  width: 22\n"
        "  depth: 3\n"
        "  layers:\n"
        "    - embedding: {init_std: 1.0}\n"
        "    - repeat:\n"
        "        layers: [{residual: [rmsnorm, {conv_gate: {kernel: 9, hidden: 40}}]}]\n"
        "    - unembedding\n";
    const sampling_settings settings = sampling(OVERFLOW_AUTO);
    test_model shorter = test_model_new(yaml, VOCABULARY, 12, 0.1);
    test_model longer = test_model_new(yaml, VOCABULARY, LONGEST, 0.1);
    generator *g = open_generator(&shorter, &settings);
    for (size_t count = 1; count <= LONGEST; count += 19) {
        real expected[VOCABULARY];
        block_logits(&longer, context, count, expected);
        assert_true(relative_difference(VOCABULARY, generator_logits(g, context, count), expected) <=
                    LIMIT);
    }
    generator_free(g);
    test_model_free(&shorter);
    test_model_free(&longer);
}

static void test_rings_and_positions_do_not_mix(void **state) {
    (void)state;
    const sampling_settings settings = sampling(OVERFLOW_RING);
    test_model t = test_model_new(model_texts[0].yaml, VOCABULARY, 20, 0.1);
    error err = {0};
    generator *g = NULL;
    assert_int_equal(generator_new(t.model, &settings, 1, &g, &err), ERR_CONFIG);
    assert_non_null(strstr(err.message, "ring"));
    assert_true(strlen(err.hint) > 0);
    test_model_free(&t);
}

// --- texts

static void append(void *to, uint32_t stream, const char *bytes, size_t count) {
    (void)stream;
    assert_true(count > 0);
    text_add_bytes(to, bytes, count);
}

// What generate should write, by reading the visible part of the context anew for every token.
static void slow_generate(const test_model *t, const tokenizer *letters, const sampling_settings *settings,
                          size_t prompt, size_t tokens, uint32_t stream, text *out) {
    int32_t ids[LONGEST];
    sampler *s = sampler_new(settings, VOCABULARY);
    const size_t block = (size_t)t->model->block_size;
    size_t visible = prompt < block ? prompt : block;
    memcpy(ids, context, prompt * sizeof *ids);
    for (size_t n = 0; n < tokens; n++) {
        real logits[VOCABULARY];
        const size_t count = prompt + n;
        block_logits(t, ids + count - visible, visible, logits);
        ids[count] = sampler_pick(s, logits, ids, count, stream, (uint32_t)n);
        tokenizer_decode(letters, ids[count], out);
        if (visible < block)
            visible++;
        else if (settings->overflow == OVERFLOW_HOP)
            visible = block > 1 ? block / 2 : 1;
    }
    sampler_free(s);
}

static void test_texts_are_those_of_the_slow_way(void **state) {
    (void)state;
    enum { TOKENS = 45 };
    const overflow_mode modes[] = {OVERFLOW_CROP, OVERFLOW_HOP};
    const struct {
        int block_size;
        size_t prompt;
    } cases[] = {{150, 3}, {150, 70}, {20, 1}, {20, 19}, {20, 20}, {20, 50}, {7, 3}, {1, 2}};
    arena *a = arena_new();
    const tokenizer *letters = test_alphabet(a);
    assert_int_equal(tokenizer_vocabulary(letters), VOCABULARY);
    for (int i = 0; i < 3; i++)
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
            for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
                const sampling_settings settings = sampling(modes[m]);
                test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, cases[n].block_size, 0.1);
                generator *g = open_generator(&t, &settings);
                for (uint32_t stream = 0; stream < 2; stream++) {
                    text expected = {0}, got = {0};
                    generated done;
                    slow_generate(&t, letters, &settings, cases[n].prompt, TOKENS, stream, &expected);
                    generate(g, letters, context, cases[n].prompt, TOKENS, stream, 1, append, &got, NULL,
                             &done);
                    if (strcmp(got.bytes, expected.bytes) != 0)
                        fail_msg("%s, overflow %d, block %d, prompt %zu: \"%s\" instead of \"%s\"",
                                 model_texts[i].name, modes[m], cases[n].block_size, cases[n].prompt,
                                 got.bytes, expected.bytes);
                    assert_int_equal(done.tokens, TOKENS);
                    assert_int_equal(done.prompt_tokens, cases[n].prompt);
                    text_free(&expected);
                    text_free(&got);
                }
                generator_free(g);
                test_model_free(&t);
            }
    arena_free(a);
}

// A model without absolute positions goes on for ever, and the same way every time.
// Where a text is longer than its filters, a hyena layer looks back at their length, and at what the short
// convolution adds before it, however far the text has gone.
static void test_filters_end_where_they_say(void **state) {
    (void)state;
    enum { BLOCK = 20, TAPS = 23, SHORT = 3, REACH = TAPS - 1 + SHORT };
    const sampling_settings settings = sampling(OVERFLOW_AUTO);
    test_model t =
        test_model_new("model:\n"
                       "  width: 12\n"
                       "  init_std: 0.3\n"
                       "  layers:\n"
                       "    - embedding\n"
                       "    - hyena: {l_max: 23, emb_dim: 5, filter_width: 8, frequency: 3.0, shift: 0.3}\n"
                       "    - unembedding\n",
                       VOCABULARY, BLOCK, 0.2);
    generator *g = open_generator(&t, &settings);
    for (size_t count = REACH; count <= LONGEST; count += 13) {
        int32_t changed[LONGEST];
        real expected[VOCABULARY];
        memcpy(expected, generator_logits(g, context + count - REACH, REACH), sizeof expected);
        assert_true(relative_difference(VOCABULARY, generator_logits(g, context, count), expected) <=
                    LIMIT);
        // The farthest token that it sees.
        memcpy(changed, context, sizeof changed);
        changed[count - REACH] = (changed[count - REACH] + 1) % VOCABULARY;
        assert_true(relative_difference(VOCABULARY, generator_logits(g, changed, count), expected) >
                    10 * LIMIT);
    }
    generator_free(g);
    test_model_free(&t);
}

static void test_rings_go_on(void **state) {
    (void)state;
    enum { TOKENS = 300 };
    const sampling_settings settings = sampling(OVERFLOW_AUTO);
    arena *a = arena_new();
    const tokenizer *letters = test_alphabet(a);
    test_model t = test_model_new(model_texts[2].yaml, VOCABULARY, 20, 0.1);
    generator *g = open_generator(&t, &settings);
    text texts[4] = {{0}};
    for (int i = 0; i < 4; i++) {
        generated done;
        generate(g, letters, context, 3, TOKENS, (uint32_t)(i / 2), 1, append, &texts[i], NULL, &done);
        assert_int_equal(done.tokens, TOKENS);
    }
    assert_string_equal(texts[0].bytes, texts[1].bytes);
    assert_string_equal(texts[2].bytes, texts[3].bytes);
    assert_string_not_equal(texts[0].bytes, texts[2].bytes);
    for (int i = 0; i < 4; i++) text_free(&texts[i]);
    generator_free(g);
    test_model_free(&t);
    arena_free(a);
}

enum { TOGETHER = 5 };

static void append_to_stream(void *to, uint32_t stream, const char *bytes, size_t count) {
    assert_in_range(stream, 0, TOGETHER - 1);
    append((text *)to + stream, stream, bytes, count);
}

// A text is the same to the last character whichever others are made with it, and whether there is room for
// more; across the end of the block too.
static void test_texts_together_are_those_alone(void **state) {
    (void)state;
    enum { TOKENS = 70 };
    static const int groups[][TOGETHER + 1] = {{5}, {3, 2}, {1, 4}, {2, 2, 1}};
    const overflow_mode modes[] = {OVERFLOW_AUTO, OVERFLOW_CROP};
    const encoding letter = {.ids = separator_ids, .count = 1}; // of documents, in each text elsewhere
    arena *a = arena_new();
    const tokenizer *letters = test_alphabet(a);
    for (int i = 0; i < MODEL_TEXTS; i++)
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            const sampling_settings settings = sampling(modes[m]);
            test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, 20, 0.1);
            text alone[TOGETHER] = {{0}};
            generated done;
            generator *g = open_generator(&t, &settings);
            assert_int_equal(generator_streams(g), 1);
            generator_separate_documents(g, &letter);
            for (uint32_t stream = 0; stream < TOGETHER; stream++)
                generate(g, letters, context, 12, TOKENS, stream, 1, append_to_stream, alone, NULL, &done);
            generator_free(g);
            error err = {0};
            test_ok(generator_new(t.model, &settings, TOGETHER, &g, &err), &err);
            assert_int_equal(generator_streams(g), TOGETHER);
            generator_separate_documents(g, &letter);
            for (size_t n = 0; n < sizeof groups / sizeof *groups; n++) {
                text together[TOGETHER] = {{0}};
                uint32_t first = 0;
                for (const int *count = groups[n]; *count; first += (uint32_t)*count++)
                    generate(g, letters, context, 12, TOKENS, first, *count, append_to_stream, together,
                             NULL, &done);
                assert_int_equal(done.tokens, TOKENS);
                for (int k = 0; k < TOGETHER; k++) {
                    if (strcmp(alone[k].bytes, together[k].bytes) != 0)
                        fail_msg("%s, overflow %d, grouping %zu, text %d: \"%s\" instead of \"%s\"",
                                 model_texts[i].name, modes[m], n, k, together[k].bytes, alone[k].bytes);
                    text_free(&together[k]);
                }
            }
            assert_string_not_equal(alone[0].bytes, alone[1].bytes);
            for (int k = 0; k < TOGETHER; k++) text_free(&alone[k]);
            generator_free(g);
            test_model_free(&t);
        }
    arena_free(a);
}

// Caches of 2 x 65536 x 256 values: two of them fit into the memory for texts in step.
static void test_long_texts_are_made_a_few_at_a_time(void **state) {
    (void)state;
    const sampling_settings settings = sampling(OVERFLOW_AUTO);
    test_model t =
        test_model_new("model: {width: 256, layers: [embedding, {attention: {heads: 1}}, unembedding]}",
                       VOCABULARY, 1 << 16, 0.1);
    error err = {0};
    generator *g = NULL;
    test_ok(generator_new(t.model, &settings, 40, &g, &err), &err);
    assert_in_range(generator_streams(g), 1, 2);
    generator_free(g);
    test_model_free(&t);
}

static volatile int stop_now;

static void stop_after_five(void *seen, uint32_t stream, const char *bytes, size_t count) {
    (void)stream, (void)bytes, (void)count;
    if (++*(int *)seen == 5) stop_now = 1;
}

static void test_generation_can_be_stopped(void **state) {
    (void)state;
    const sampling_settings settings = sampling(OVERFLOW_AUTO);
    arena *a = arena_new();
    const tokenizer *letters = test_alphabet(a);
    test_model t = test_model_new(model_texts[0].yaml, VOCABULARY, 20, 0.1);
    generator *g = open_generator(&t, &settings);
    generated done;
    int seen = 0;
    stop_now = 0;
    generate(g, letters, context, 3, 100, 0, 1, stop_after_five, &seen, &stop_now, &done);
    assert_in_range(done.tokens, 5, 99); // tokens that stand for no text are not emitted
    assert_int_equal(seen, 5);
    generate(g, letters, context, 3, 0, 0, 1, NULL, NULL, NULL, &done);
    assert_int_equal(done.tokens, 0);
    generator_free(g);
    test_model_free(&t);
    arena_free(a);
}

// A generator reads the weights as they are at the time.
static void test_new_weights_count_at_once(void **state) {
    (void)state;
    const sampling_settings settings = sampling(OVERFLOW_AUTO);
    test_model t = test_model_new(model_texts[2].yaml, VOCABULARY, 20, 0.1);
    generator *g = open_generator(&t, &settings);
    real expected[VOCABULARY];
    generator_logits(g, context, 9);
    for (size_t i = 0; i < t.model->parameters->total; i++)
        parameters_write(t.model->parameters)[i] *= (real)0.5;
    block_logits(&t, context, 9, expected);
    assert_true(relative_difference(VOCABULARY, generator_logits(g, context, 9), expected) <= LIMIT);
    generator_free(g);
    test_model_free(&t);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_token_has_the_logits_of_the_block),
        cmocka_unit_test(test_a_long_cache_has_room_for_its_scores),
        cmocka_unit_test(test_caches_end_with_the_block),
        cmocka_unit_test(test_contexts_of_any_length_agree),
        cmocka_unit_test(test_documents_begin_as_in_training),
        cmocka_unit_test(test_documents_are_texts_of_their_own),
        cmocka_unit_test(test_cropping_reads_the_last_block),
        cmocka_unit_test(test_a_ring_is_a_window),
        cmocka_unit_test(test_convolutions_do_not_end_with_the_block),
        cmocka_unit_test(test_rings_and_positions_do_not_mix),
        cmocka_unit_test(test_texts_are_those_of_the_slow_way),
        cmocka_unit_test(test_filters_end_where_they_say),
        cmocka_unit_test(test_rings_go_on),
        cmocka_unit_test(test_texts_together_are_those_alone),
        cmocka_unit_test(test_long_texts_are_made_a_few_at_a_time),
        cmocka_unit_test(test_generation_can_be_stopped),
        cmocka_unit_test(test_new_weights_count_at_once),
    };
    return cmocka_run_group_tests(tests, draw_tokens, NULL);
}
