// The memory plan: tensors that are alive at the same time lie apart, nothing reads bytes that are dead or
// were never written, and what cannot be planned is refused.
//
// The plan's claims are checked by running a graph one operator at a time and filling every byte that the
// plan calls dead with NaN in between: a lifetime that is too short turns some result into NaN.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"
#include "support/model_texts.h"
#include "support/small_operators.h"

#include "graph/ops.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { BATCH = 3, TIME = 13, BLOCK = 15, TOKENS = BATCH * TIME, VOCABULARY = 29 };
// So many tokens that the logits of a large vocabulary are made in chunks.
enum { MANY_TIMES = 97, MANY_TOKENS = BATCH * MANY_TIMES, LARGE_VOCABULARY = 1000 };

static const run_context context = {.seed = 3, .step = 17, .gradient_scale = 1.0 / TOKENS};

static int32_t ids[MANY_TOKENS], targets[MANY_TOKENS];

static int draw_tokens(void **state) {
    (void)state;
    test_tokens(1, MANY_TOKENS, VOCABULARY, ids);
    test_tokens(2, MANY_TOKENS, VOCABULARY, targets);
    return 0;
}

static void bind_tokens(const model_graph *built) {
    tokens_bind(built->ids, ids);
    if (built->targets) tokens_bind(built->targets, targets);
}

static size_t size_of(const tensor *t) {
    return t->count * sizeof(real);
}

static bool is_placed(const tensor *t) {
    return t->kind == TENSOR_ACTIVATION && !t->shares && t->born >= 0;
}

static void tensors_lie_apart(const char *name, const graph *g) {
    int placed = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        const tensor *a = g->tensors[i];
        if (!is_placed(a)) continue;
        placed++;
        assert_int_equal((size_t)((char *)a->data - (char *)g->plan_memory), a->offset);
        assert_true(a->offset + size_of(a) <= g->plan_bytes);
        assert_int_equal(a->offset % 64, 0);
        assert_true(a->born < a->dies);
        for (int k = 0; k < i; k++) {
            const tensor *b = g->tensors[k];
            if (!is_placed(b) || a->dies <= b->born || b->dies <= a->born) continue;
            if (a->offset < b->offset + size_of(b) && b->offset < a->offset + size_of(a))
                fail_msg("%s: two tensors, of %s and of %s, share bytes", name, a->name, b->name);
        }
    }
    assert_true(placed > 0);
}

static void test_living_tensors_lie_apart(void **state) {
    (void)state;
    for (int i = 0; i < MODEL_TEXTS; i++)
        for (int kind = 0; kind < 3; kind++) {
            test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, BLOCK, 0.1);
            state_set *states = states_new(BATCH);
            const graph_options options[] = {test_training(BATCH, TIME), test_evaluation(BATCH, TIME),
                                             test_decoding(BATCH, TIME, states)};
            model_graph built = test_model_build(&t, options[kind]);
            tensors_lie_apart(model_texts[i].name, built.graph);
            graph_free(built.graph);
            states_free(states);
            test_model_free(&t);
        }
}

// Memory is worth planning: the activations of an evaluation come and go.
static void test_dead_bytes_are_used_again(void **state) {
    (void)state;
    test_model t = test_model_new(model_texts[0].yaml, VOCABULARY, BLOCK, 0.1);
    model_graph built = test_model_build(&t, test_evaluation(BATCH, TIME));
    size_t all = 0, largest_one = 0;
    for (int i = 0; i < built.graph->tensor_count; i++) {
        if (!is_placed(built.graph->tensors[i])) continue;
        const size_t size = size_of(built.graph->tensors[i]);
        all += size;
        if (size > largest_one) largest_one = size;
    }
    assert_true(built.graph->plan_bytes < all / 2);
    assert_true(built.graph->plan_bytes >= largest_one);
    graph_free(built.graph);
    test_model_free(&t);
}

// --- NaN in dead bytes

static void poison(real *from, size_t bytes) {
    for (size_t i = 0; i < bytes / sizeof(real); i++) from[i] = (real)NAN;
}

// Fills what is not alive both before and at `time`, and the workspace.
static void poison_dead(const graph *g, int time) {
    char *dead = malloc(g->plan_bytes);
    memset(dead, 1, g->plan_bytes);
    for (int i = 0; i < g->tensor_count; i++) {
        const tensor *t = g->tensors[i];
        if (is_placed(t) && t->born < time && time < t->dies) memset(dead + t->offset, 0, size_of(t));
    }
    for (size_t at = 0; at < g->plan_bytes; at += sizeof(real))
        if (dead[at]) *(real *)((char *)g->plan_memory + at) = (real)NAN;
    free(dead);
    poison(g->workspace, g->workspace_bytes);
}

// A graph of the one operator.
static graph only(const graph *g, int k) {
    graph one = *g;
    one.ops = &g->ops[k];
    one.op_count = 1;
    return one;
}

static void run_poisoned(const graph *g) {
    const int n = g->op_count;
    for (int k = 0; k < n; k++) {
        graph one = only(g, k);
        poison_dead(g, k);
        graph_forward(&one, &context);
    }
    if (g->options.gradients)
        for (int k = n - 1; k >= 0; k--) {
            graph one = only(g, k);
            poison_dead(g, 2 * n - 1 - k);
            graph_backward(&one, &context);
        }
    poison_dead(g, g->options.gradients ? 2 * n : n);
    for (int k = n - 1; k >= 0 && g->options.gradients; k--) {
        graph one = only(g, k);
        graph_backward_derived(&one, &context);
    }
}

static void check_training_poisoned(const char *name, const char *yaml, int time, int vocabulary) {
    test_model t = test_model_new(yaml, vocabulary, time, 0.1);
    parameter_set *set = t.model->parameters;
    model_graph built = test_model_build(&t, test_training(BATCH, time));
    bind_tokens(&built);
    test_step(built.graph, &context);
    real losses[MANY_TOKENS], *gradients = malloc(set->total * sizeof(real));
    memcpy(losses, built.losses->data, size_of(built.losses));
    memcpy(gradients, set->gradients, set->total * sizeof(real));
    for (int k = 0; k < set->count; k++)
        poison(set->gradients + set->items[k]->offset, set->items[k]->count * sizeof(real));
    run_poisoned(built.graph);
    assert_true(isfinite(losses[0]));
    if (memcmp(losses, built.losses->data, size_of(built.losses)) != 0)
        fail_msg("%s: losses depend on dead bytes", name);
    for (int k = 0; k < set->count; k++) {
        const parameter *p = set->items[k];
        if (memcmp(gradients + p->offset, set->gradients + p->offset, p->count * sizeof(real)) != 0)
            fail_msg("%s: the gradient of %s depends on dead bytes", name, p->name);
    }
    free(gradients);
    graph_free(built.graph);
    test_model_free(&t);
}

static void test_training_reads_only_living_bytes(void **state) {
    (void)state;
    arena *a = arena_new();
    for (int i = 0; i < MODEL_TEXTS; i++) {
        const char *inside = model_texts[i].yaml + strlen("model:\n");
        const char *dropping = arena_format(a, "model:\n  dropout: 0.2\n%s", inside);
        check_training_poisoned(model_texts[i].name, model_texts[i].yaml, TIME, VOCABULARY);
        check_training_poisoned(model_texts[i].name, dropping, TIME, VOCABULARY);
        check_training_poisoned(model_texts[i].name, dropping, MANY_TIMES, LARGE_VOCABULARY);
    }
    arena_free(a);
}

static void test_evaluation_reads_only_living_bytes(void **state) {
    (void)state;
    for (int i = 0; i < MODEL_TEXTS; i++) {
        test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, BLOCK, 0.1);
        model_graph built = test_model_build(&t, test_evaluation(BATCH, TIME));
        bind_tokens(&built);
        graph_forward(built.graph, &context);
        real losses[TOKENS], *logits = malloc(size_of(built.logits));
        memcpy(losses, built.losses->data, sizeof losses);
        memcpy(logits, built.logits->data, size_of(built.logits));
        run_poisoned(built.graph);
        assert_true(isfinite(losses[0]));
        assert_memory_equal(losses, built.losses->data, sizeof losses);
        assert_memory_equal(logits, built.logits->data, size_of(built.logits));
        free(logits);
        graph_free(built.graph);
        test_model_free(&t);
    }
}

static void test_decoding_reads_only_living_bytes(void **state) {
    (void)state;
    for (int i = 0; i < MODEL_TEXTS; i++) {
        test_model t = test_model_new(model_texts[i].yaml, VOCABULARY, BLOCK, 0.1);
        state_set *states = states_new(BATCH);
        model_graph built = test_model_build(&t, test_decoding(BATCH, TIME, states));
        bind_tokens(&built);
        graph_forward(built.graph, &context);
        real *logits = malloc(size_of(built.logits));
        memcpy(logits, built.logits->data, size_of(built.logits));
        states_reset(states); // the same text again
        run_poisoned(built.graph);
        assert_true(isfinite(logits[0]));
        assert_memory_equal(logits, built.logits->data, size_of(built.logits));
        free(logits);
        graph_free(built.graph);
        states_free(states);
        test_model_free(&t);
    }
}

// --- what is refused

typedef struct refused {
    parameter_set *set;
    graph *g;
    tensor *x;
} refused;

static refused refused_open(int width) {
    error err = {0};
    parameter *p;
    const parameter_declaration about = {.rank = 3, .shape = {BATCH, TIME, width}};
    refused r = {.set = parameters_new()};
    assert_int_equal(parameters_declare(r.set, "x", &about, &p, &err), OK);
    assert_int_equal(parameters_allocate(r.set, true, &err), OK);
    r.g = graph_new(&(graph_options){.batch = BATCH, .time = TIME, .gradients = true}, r.set);
    r.x = test_copy(r.g, graph_parameter(r.g, p));
    return r;
}

static void refused_close(refused *r) {
    error err = {0};
    assert_int_equal(graph_finish(r->g, NULL, &err), ERR_INTERNAL);
    assert_true(strlen(err.message) > 0);
    graph_free(r->g);
    parameters_free(r->set);
}

static void test_gradients_that_would_be_lost_are_refused(void **state) {
    (void)state;
    enum { HALF = 6 };
    static real factors[TOKENS * 3 * HALF];
    refused r = refused_open(2 * HALF); // a gated unit whose input is read again
    tensor *y = op_gated(r.g, r.x, ACTIVATION_SILU);
    test_project(r.g, op_concat(r.g, (tensor *[]){y, r.x}, 2), factors);
    refused_close(&r);

    r = refused_open(3 * HALF); // a loss on a tensor that attention needs for its gradient
    const attention_options options = {
        .heads = 2, .kv_heads = 2, .head_size = HALF / 2, .block_size = TIME};
    tensor *ids_of = graph_tensor(r.g, TENSOR_TOKENS, 2, (int[]){BATCH, TIME});
    op_cross_entropy(r.g, op_attention(r.g, r.x, &options), ids_of, 0);
    refused_close(&r);

    r = refused_open(3 * HALF); // two losses
    ids_of = graph_tensor(r.g, TENSOR_TOKENS, 2, (int[]){BATCH, TIME});
    op_cross_entropy(r.g, r.x, ids_of, 0);
    op_cross_entropy(r.g, r.x, ids_of, 0);
    refused_close(&r);
}

// --- losses of large vocabularies

// The bytes of all the logits are not among those that are planned, whatever the graph is for.
static void test_logits_of_large_vocabularies_are_not_held(void **state) {
    (void)state;
    enum { MANY = 30000, SEQUENCES = 16, LENGTH = 128 };
    const graph_options options[] = {test_training(SEQUENCES, LENGTH), test_evaluation(SEQUENCES, LENGTH)};
    for (int i = 0; i < MODEL_TEXTS; i++)
        for (int k = 0; k < 2; k++) {
            error err = {0};
            model_graph built;
            test_model t = test_model_declare(model_texts[i].yaml, MANY, LENGTH);
            test_ok(model_build(t.model, &options[k], true, &built, &err), &err);
            assert_null(built.logits);
            const size_t all = (size_t)SEQUENCES * LENGTH * MANY * sizeof(real);
            assert_true(built.graph->plan_bytes + built.graph->workspace_bytes < all / 4);
            graph_free(built.graph);
            test_model_free(&t);
        }
}

static int count_ops(const graph *g, const char *kind) {
    int count = 0;
    for (int k = 0; k < g->op_count; k++) count += strcmp(g->ops[k]->kind->name, kind) == 0;
    return count;
}

// With fewer different tokens than tokens, a recurrent layer multiplies the embedding's table, and the
// embedding is left out unless something else reads it.
static void test_recurrent_layers_look_up_products(void **state) {
    (void)state;
    enum { FEW = TOKENS / 2, MANY = TOKENS / 2 + 1 };
    static const struct {
        const char *layers;
        int vocabulary, embeddings, linears;
    } cases[] = {{"lstm, unembedding: {tied: false}", FEW, 0, 2},
                 {"lstm, unembedding: {tied: false}", MANY, 1, 1},
                 {"residual: [gru], unembedding: {tied: false}", FEW, 1, 2},
                 {"dropout: {p: 0.5}, gru, unembedding: {tied: false}", FEW, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error err = {0};
        model_graph built;
        char yaml[200];
        snprintf(yaml, sizeof yaml, "model:\n  width: 8\n  layers: [embedding, %s]\n", cases[i].layers);
        test_model t = test_model_declare(yaml, cases[i].vocabulary, TIME);
        const graph_options options = test_training(BATCH, TIME);
        test_ok(model_build(t.model, &options, true, &built, &err), &err);
        assert_int_equal(count_ops(built.graph, "embedding"), cases[i].embeddings);
        assert_int_equal(count_ops(built.graph, "linear"), cases[i].linears);
        graph_free(built.graph);
        test_model_free(&t);
    }
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_living_tensors_lie_apart),
        cmocka_unit_test(test_dead_bytes_are_used_again),
        cmocka_unit_test(test_training_reads_only_living_bytes),
        cmocka_unit_test(test_evaluation_reads_only_living_bytes),
        cmocka_unit_test(test_decoding_reads_only_living_bytes),
        cmocka_unit_test(test_gradients_that_would_be_lost_are_refused),
        cmocka_unit_test(test_logits_of_large_vocabularies_are_not_held),
        cmocka_unit_test(test_recurrent_layers_look_up_products),
    };
    return cmocka_run_group_tests(tests, draw_tokens, NULL);
}
