// Training graphs that carry state from block to block of a text: each lane of the batch has its own,
// whichever pass it is in, and a checkpoint brings it back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/model.h"
#include "support/small_operators.h"

#include "graph/ops.h"
#include "train/run_state.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { LANES = 6, TIME = 5, BLOCKS = 4, WIDTH = 9, TOKENS = LANES * TIME };

// --- an operator with a state: h_t = h_t-1 / 2 + x_t, and y_t = h_t. The gradient stops at the first token
// of a block.

static void leak_forward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    for (int b = 0; b < g->batch; b++) {
        real *h = o->in[1]->data + b * WIDTH;
        for (int t = 0; t < g->time; t++)
            for (int i = 0; i < WIDTH; i++) {
                const int at = (b * g->time + t) * WIDTH + i;
                o->out[0]->data[at] = h[i] = h[i] / 2 + o->in[0]->data[at];
            }
    }
}

static void leak_backward(const graph *g, const run_context *c, const op *o) {
    (void)c;
    const real *dy = o->out[0]->gradient->data;
    real *dx = o->in[0]->gradient->data;
    for (int b = 0; b < g->batch; b++)
        for (int t = g->time - 1; t >= 0; t--)
            for (int i = 0; i < WIDTH; i++) {
                const int at = (b * g->time + t) * WIDTH + i;
                dx[at] = dy[at] + (t + 1 < g->time ? dx[at + WIDTH] / 2 : 0);
            }
}

static const op_kind leak_kind = {
    .name = "leak", .forward = leak_forward, .backward = leak_backward, .overwrites = INPUT(0)};

// --- a model of an embedding and that operator, whose width is the vocabulary

typedef struct run {
    parameter_set *set;
    parameter *table;
    state_set *states;
    graph *g;
    tensor *ids, *targets, *losses;
} run;

static run run_open(int rows) {
    error err = {0};
    run r = {.set = parameters_new(), .states = states_new(LANES)};
    const parameter_declaration about = {
        .rank = 2, .shape = {WIDTH, WIDTH}, .init = INIT_NORMAL, .init_value = 1};
    test_ok(parameters_declare(r.set, "table", &about, &r.table, &err), &err);
    test_ok(parameters_allocate(r.set, true, &err), &err);
    parameters_initialise(r.set, 5);
    const graph_options options = {.batch = rows, .time = TIME, .gradients = true, .states = r.states};
    r.g = graph_new(&options, r.set);
    r.g->path = "layer";
    r.ids = graph_tensor(r.g, TENSOR_TOKENS, 2, (int[]){rows, TIME});
    r.targets = graph_tensor(r.g, TENSOR_TOKENS, 2, (int[]){rows, TIME});
    tensor *x = op_embedding(r.g, r.ids, graph_parameter(r.g, r.table), 1);
    tensor *h = graph_state(r.g, "h", 2, (int[]){rows, WIDTH});
    tensor *y = graph_tensor(r.g, TENSOR_ACTIVATION, 3, (int[]){rows, TIME, WIDTH});
    graph_append(r.g, &leak_kind, (tensor *[]){x, h}, 2, y, NULL);
    r.losses = op_cross_entropy(r.g, y, r.targets, 0);
    test_ok(graph_finish(r.g, (tensor *[]){r.losses, NULL}, &err), &err);
    test_ok(graph_place(r.g, NULL, &err), &err);
    return r;
}

static void run_close(run *r) {
    graph_free(r->g);
    states_free(r->states);
    parameters_free(r->set);
}

// All lanes' tokens of one block, in passes of the graph's rows. Losses: LANES x TIME.
static void run_block(run *r, int block, real *losses) {
    int32_t ids[TOKENS], targets[TOKENS];
    test_tokens((uint32_t)block, TOKENS, WIDTH, ids);
    test_tokens((uint32_t)(block + 100), TOKENS, WIDTH, targets);
    for (int lane = 0; lane < LANES; lane += r->g->batch) {
        const run_context c = {.lane = lane, .gradient_scale = 1.0 / TOKENS, .accumulate = lane > 0};
        tokens_bind(r->ids, ids + lane * TIME);
        tokens_bind(r->targets, targets + lane * TIME);
        graph_forward(r->g, &c);
        graph_backward(r->g, &c);
        memcpy(losses + lane * TIME, r->losses->data, (size_t)(r->g->batch * TIME) * sizeof *losses);
    }
}

static void test_lanes_are_the_same_in_any_passes(void **state) {
    (void)state;
    real whole[TOKENS], parts[TOKENS], first[TOKENS];
    run one = run_open(LANES), several = run_open(2);
    for (int block = 0; block < BLOCKS; block++) {
        run_block(&one, block, whole);
        run_block(&several, block, parts);
        if (block == 0) memcpy(first, whole, sizeof first);
        assert_memory_equal(whole, parts, sizeof whole);
        assert_true(relative_difference(one.set->total, several.set->gradients, one.set->gradients) <=
                    1e-6);
    }
    // The state counts: the first block again gives other losses, and the same after a reset.
    run_block(&one, 0, whole);
    assert_memory_not_equal(whole, first, sizeof whole);
    states_reset(one.states);
    run_block(&one, 0, whole);
    assert_memory_equal(whole, first, sizeof whole);
    run_close(&one);
    run_close(&several);
}

static void test_a_checkpoint_brings_the_states_back(void **state) {
    (void)state;
    char path[] = "/tmp/runexp-states-XXXXXX";
    close(mkstemp(path));
    error err = {0};
    arena *a = arena_new();
    real losses[TOKENS], again[TOKENS];
    run r = run_open(3);
    for (int block = 0; block < 2; block++) run_block(&r, block, losses);
    checkpoint_group group = run_state_lanes(r.states, a);
    const checkpoint_texts texts = {"{type: char}", "name: x\n", 12, 8};
    const run_facts facts = {.name = "x"};
    test_ok(checkpoint_write(path, &(checkpoint_contents){.groups = &group, .group_count = 1}, &texts,
                             &facts, &err),
            &err);
    run_block(&r, 2, losses);
    run resumed = run_open(3);
    group = run_state_lanes(resumed.states, a);
    test_ok(checkpoint_read(path, &(checkpoint_contents){.groups = &group, .group_count = 1}, &err), &err);
    run_block(&resumed, 2, again);
    assert_memory_equal(losses, again, sizeof losses);
    run_close(&r);
    run_close(&resumed);
    arena_free(a);
    unlink(path);
}

static void test_states_can_be_put_back(void **state) {
    (void)state;
    real losses[TOKENS], again[TOKENS];
    run r = run_open(3);
    state_set *kept = states_twin(r.states);
    run_block(&r, 0, losses);
    states_copy(r.states, kept);
    run_block(&r, 1, losses);
    states_copy(kept, r.states);
    run_block(&r, 1, again);
    assert_memory_equal(losses, again, sizeof losses);
    states_free(kept);
    run_close(&r);
}

// Two operators of one layer that name their states alike have each its own, and another graph finds both.
static void test_states_of_one_name_are_told_apart(void **state) {
    (void)state;
    parameter_set *set = parameters_new();
    state_set *states = states_new(LANES);
    const carried_state *found[2][2];
    for (int k = 0; k < 2; k++) {
        graph *g = graph_new(&(graph_options){.batch = LANES, .time = TIME, .states = states}, set);
        g->path = "layer";
        for (int i = 0; i < 2; i++) found[k][i] = graph_state(g, "h", 2, (int[]){LANES, WIDTH})->state;
        graph_free(g);
    }
    assert_ptr_not_equal(found[0][0], found[0][1]);
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    assert_int_equal(states_bytes(states), 2 * LANES * WIDTH * sizeof(real));
    states_free(states);
    parameters_free(set);
}

static const char recurrent_and_attention[] =
    "model:\n"
    "  width: 12\n"
    "  layers: [embedding, positions, {lstm: {}}, {residual: [{attention: {heads: 2, rope: true}}]}, unembedding]\n";

static void logits_of(const model_graph *built, const int32_t *ids, size_t count, real *logits) {
    tokens_bind(built->ids, ids);
    graph_forward(built->graph, &(run_context){0});
    memcpy(logits, built->logits->data, count * sizeof *logits);
}

// What recurrent layers carry, attention and positions do not see: a block after others is a block by
// itself that begins with the same state.
static void test_attention_begins_anew_with_each_block(void **state) {
    (void)state;
    enum { BATCH = 2, VOCABULARY = 11, LOGITS = BATCH * TIME * VOCABULARY };
    int32_t ids[2][BATCH * TIME];
    real after[LOGITS], alone[LOGITS], fresh[LOGITS];
    test_model t = test_model_new(recurrent_and_attention, VOCABULARY, TIME, 0.3);
    state_set *states = states_new(BATCH), *kept;
    graph_options options = test_decoding(BATCH, TIME, states);
    options.attention_restarts = true;
    model_graph built = test_model_build(&t, options);
    for (uint32_t k = 0; k < 2; k++) test_tokens(k, BATCH * TIME, VOCABULARY, ids[k]);
    kept = states_twin(states);
    for (const carried_state *s = states_first(states); s; s = s->next)
        assert_non_null(strstr(s->name, "lstm/"));

    logits_of(&built, ids[1], LOGITS, fresh);
    states_reset(states);
    logits_of(&built, ids[0], LOGITS, after);
    states_copy(states, kept);
    logits_of(&built, ids[1], LOGITS, after);
    states_copy(kept, states);
    logits_of(&built, ids[1], LOGITS, alone);
    assert_memory_equal(after, alone, sizeof after);
    assert_memory_not_equal(after, fresh, sizeof after);
    graph_free(built.graph);
    states_free(kept);
    states_free(states);
    test_model_free(&t);
}

static void test_what_cannot_be_trained_with_state_is_refused(void **state) {
    (void)state;
    error err = {0};
    model_graph built;
    test_model t = test_model_declare(
        "model:\n  width: 8\n  layers: [embedding, lstm, {residual: [layernorm, hyena]}, unembedding]\n",
        11, 8);
    state_set *states = states_new(2);
    graph_options options = {.batch = 2, .time = 4, .gradients = true, .states = states};
    assert_int_equal(model_build(t.model, &options, true, &built, &err), ERR_CONFIG);
    assert_string_equal(err.message,
                        "hyena: cannot be trained on a stream, with state carried from block to block");
    options.gradients = false; // decoding
    test_ok(model_build(t.model, &options, true, &built, &err), &err);
    graph_free(built.graph);
    states_free(states);
    test_model_free(&t);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_are_the_same_in_any_passes),
        cmocka_unit_test(test_a_checkpoint_brings_the_states_back),
        cmocka_unit_test(test_states_can_be_put_back),
        cmocka_unit_test(test_states_of_one_name_are_told_apart),
        cmocka_unit_test(test_attention_begins_anew_with_each_block),
        cmocka_unit_test(test_what_cannot_be_trained_with_state_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
