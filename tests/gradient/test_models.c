// Whole models in double precision: every parameter's gradient against central differences of the loss, and
// two micro-batches against one batch of twice the size; on every instruction set.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/central_differences.h"
#include "support/model.h"
#include "support/model_texts.h"

#include "kernels/kernels.h"

#include <cmocka.h>

typedef struct model_shape {
    int batch, time, block_size, vocabulary;
} model_shape;

// The second is too large for the logits to exist all at once: its loss is made in chunks, a ragged one
// last.
static const model_shape shapes[] = {{3, 13, 15, 29}, {5, 61, 61, 1000}};
enum { SHAPES = 2, MOST_TOKENS = 5 * 61 };

typedef struct model_run {
    test_model t;
    model_graph built;
    const model_shape *shape;
    int tokens;
    int32_t ids[MOST_TOKENS], targets[MOST_TOKENS];
    run_context context;
} model_run;

// Across the kink of relu a difference is no derivative, and among many tokens one is always near it: so
// its units go well to one side or the other.
static void keep_off_kinks(parameter_set *set) {
    for (int k = 0; k < set->count; k++) {
        const parameter *p = set->items[k];
        if (!strstr(p->name, "conv_gate") || !strstr(p->name, "fc1.bias")) continue;
        for (size_t i = 0; i < p->count; i++) parameters_write(set)[p->offset + i] += i % 2 ? 6 : -6;
    }
}

// A run whose graph is still to be built.
static void run_prepare(const char *yaml, const model_shape *shape, model_run *r) {
    const int tokens = shape->batch * shape->time;
    *r = (model_run){.t = test_model_new(yaml, shape->vocabulary, shape->block_size, 0.1),
                     .shape = shape,
                     .tokens = tokens,
                     .context = {.seed = 3, .step = 17, .gradient_scale = 1.0 / tokens}};
    keep_off_kinks(r->t.model->parameters);
    test_tokens(1, (size_t)tokens, shape->vocabulary, r->ids);
    test_tokens(2, (size_t)tokens, shape->vocabulary, r->targets);
    r->targets[4] = r->targets[20] = -1;
}

static void run_bind(model_run *r) {
    tokens_bind(r->built.ids, r->ids);
    tokens_bind(r->built.targets, r->targets);
}

// packs: the weights, as for a step of several passes.
static void run_open(const char *yaml, const model_shape *shape, bool packs, model_run *r) {
    run_prepare(yaml, shape, r);
    graph_options options = test_training(shape->batch, shape->time);
    options.packs_weights = packs;
    r->built = test_model_build(&r->t, options);
    run_bind(r);
}

static void run_close(model_run *r) {
    graph_free(r->built.graph);
    test_model_free(&r->t);
}

// Of each parameter; test_operators.c checks all of them, operator by operator.
enum { ENTRIES = 12 };

static double loss_of(void *with) {
    model_run *r = with;
    graph_forward(r->built.graph, &r->context);
    return test_loss(&r->built) * r->context.gradient_scale;
}

static int check_model(const char *name, const char *yaml, const model_shape *shape) {
    model_run r;
    run_open(yaml, shape, false, &r);
    assert_true((r.built.logits == NULL) == (shape == &shapes[1]));
    test_step(r.built.graph, &r.context);
    const bool agree = gradients_agree(name, r.t.model->parameters, ENTRIES, 1e-6, loss_of, &r);
    run_close(&r);
    return !agree;
}

static void test_gradients_agree_with_differences(void **state) {
    (void)state;
    int wrong = 0;
    for (int k = 0; k < SHAPES; k++)
        for (int i = 0; i < MODEL_TEXTS; i++)
            wrong += check_model(model_texts[i].name, model_texts[i].yaml, &shapes[k]);
    assert_int_equal(wrong, 0);
}

static void test_gradients_agree_with_differences_under_dropout(void **state) {
    (void)state;
    int wrong = 0;
    arena *a = arena_new();
    for (int i = 0; i < MODEL_TEXTS; i++) {
        const char *inside = model_texts[i].yaml + strlen("model:\n");
        wrong += check_model(arena_format(a, "%s, with dropout", model_texts[i].name),
                             arena_format(a, "model:\n  dropout: 0.2\n%s", inside), &shapes[0]);
    }
    arena_free(a);
    assert_int_equal(wrong, 0);
}

// --- with carried state

typedef struct carried_run {
    model_run r;
    state_set *states;
    real *before; // what the states hold when the block begins
} carried_run;

static void copy_states(carried_run *k, bool back) {
    real *at = k->before;
    for (const carried_state *s = states_first(k->states); s; s = s->next) {
        const size_t count = (size_t)s->shape[0] * (size_t)s->shape[1];
        memcpy(back ? s->data : at, back ? at : s->data, count * sizeof *at);
        at += count;
    }
}

static double loss_of_block(void *with) {
    carried_run *k = with;
    copy_states(k, true);
    return loss_of(&k->r);
}

// The gradients of a block that goes on where another has ended, and ends there; -1: the model cannot be
// trained so.
static int check_carried(const char *name, const char *yaml) {
    error err = {0};
    carried_run k = {.states = states_new(shapes[0].batch)};
    run_prepare(yaml, &shapes[0], &k.r);
    graph_options options = test_training(shapes[0].batch, shapes[0].time);
    options.states = k.states;
    options.attention_restarts = true;
    int wrong = -1;
    if (model_build(k.r.t.model, &options, true, &k.r.built, &err) == OK) {
        test_ok(graph_place(k.r.built.graph, NULL, &err), &err);
        run_bind(&k.r);
        loss_of(&k.r);
        k.before = malloc(states_bytes(k.states) + 1);
        copy_states(&k, false);
        loss_of_block(&k);
        graph_backward(k.r.built.graph, &k.r.context);
        graph_backward_derived(k.r.built.graph, &k.r.context);
        wrong = !gradients_agree(name, k.r.t.model->parameters, ENTRIES, 1e-6, loss_of_block, &k);
        free(k.before);
    }
    run_close(&k.r);
    states_free(k.states);
    return wrong;
}

static void test_gradients_agree_with_differences_with_carried_state(void **state) {
    (void)state;
    int trained = 0;
    for (int i = 0; i < MODEL_TEXTS; i++) {
        const int wrong = check_carried(model_texts[i].name, model_texts[i].yaml);
        assert_int_not_equal(wrong, 1);
        trained += wrong == 0;
    }
    assert_true(trained > 0);
}

// --- documents

// Adds up loss and gradients of tokens begin .. end - 1 of a row, read by themselves.
static double add_document(const model_run *r, int row, int begin, int end, real *gradients) {
    const parameter_set *set = r->t.model->parameters;
    model_graph alone = test_model_build(&r->t, test_training(1, end - begin));
    tokens_bind(alone.ids, r->ids + row * r->shape->time + begin);
    tokens_bind(alone.targets, r->targets + row * r->shape->time + begin);
    test_step(alone.graph, &r->context);
    const double loss = test_loss(&alone);
    for (size_t i = 0; i < set->total; i++) gradients[i] += set->gradients[i];
    graph_free(alone.graph);
    return loss;
}

// A block of documents, the first of which go on from no state, against each document as a text of its own.
static void check_documents(const char *yaml) {
    static const int starts[3][4] = {{0, 5, 13}, {0, 1, 12, 13}, {0, 13}}; // of the rows; then their end
    error err = {0};
    model_run r;
    run_prepare(yaml, &shapes[0], &r);
    parameter_set *set = r.t.model->parameters;
    state_set *states = states_new(shapes[0].batch);
    graph_options options = test_training(shapes[0].batch, shapes[0].time);
    options.states = states;
    test_ok(model_build(r.t.model, &options, true, &r.built, &err), &err);
    test_ok(graph_place(r.built.graph, NULL, &err), &err);
    run_bind(&r);
    loss_of(&r); // leaves states that the documents do not see

    bool begins[MOST_TOKENS] = {false};
    double expected = 0;
    real *sums = calloc(set->total, sizeof *sums);
    for (int row = 0; row < shapes[0].batch; row++)
        for (int i = 0; starts[row][i] < shapes[0].time; i++) {
            begins[row * shapes[0].time + starts[row][i]] = true;
            expected += add_document(&r, row, starts[row][i], starts[row][i + 1], sums);
        }
    r.context.begins = begins;
    test_step(r.built.graph, &r.context);
    const double loss = test_loss(&r.built);
    assert_true(fabs(loss - expected) <= 1e-13 * expected);
    for (int k = 0; k < set->count; k++) {
        const parameter *p = set->items[k];
        const double off = relative_difference(p->count, set->gradients + p->offset, sums + p->offset);
        if (!(off <= 1e-11)) fail_msg("%s differs by %.3g", p->name, off);
    }
    free(sums);
    run_close(&r);
    states_free(states);
}

static void test_documents_are_texts_of_their_own(void **state) {
    (void)state;
    check_documents("model:\n  width: 12\n  layers:\n    - embedding: {init_std: 1.0}\n"
                    "    - lstm: {hidden: 21, layers: 2}\n    - unembedding: {tied: false}\n");
    check_documents("model:\n  width: 12\n  layers:\n    - embedding: {init_std: 1.0}\n"
                    "    - residual: [{gru: {layers: 2}}]\n    - unembedding\n");
    check_documents("model:\n  width: 12\n  layers:\n    - embedding: {init_std: 1.0}\n"
                    "    - residual: [{conv_gate: {kernel: 4, hidden: 9}}]\n"
                    "    - conv_gate: {kernel: 2, hidden: 7}\n    - unembedding: {tied: false}\n");
    check_documents(
        "model:\n  width: 12\n  layers:\n    - embedding: {init_std: 1.0}\n"
        "    - residual: [{cfc: {backbone_units: 17}}]\n"
        "    - cfc: {mode: pure, backbone_layers: 2, backbone_units: 9, mixed_memory: true}\n    - unembedding\n");
}

static void check_micro_batches(const model_shape *shape, bool packs) {
    for (int i = 0; i < MODEL_TEXTS; i++) {
        int32_t ids[2 * MOST_TOKENS], targets[2 * MOST_TOKENS];
        model_run r;
        run_open(model_texts[i].yaml, shape, packs, &r);
        parameter_set *set = r.t.model->parameters;
        test_tokens(5, 2 * (size_t)r.tokens, shape->vocabulary, ids);
        test_tokens(6, 2 * (size_t)r.tokens, shape->vocabulary, targets);
        r.context.gradient_scale = 0.5 / r.tokens;
        double loss = 0;
        for (size_t k = 0; k < set->total; k++) set->gradients[k] = NAN;
        for (uint32_t micro = 0; micro < 2; micro++) {
            r.context.micro = micro;
            r.context.accumulate = micro > 0;
            tokens_bind(r.built.ids, ids + (int)micro * r.tokens);
            tokens_bind(r.built.targets, targets + (int)micro * r.tokens);
            loss += loss_of(&r);
            graph_backward(r.built.graph, &r.context);
        }
        graph_backward_derived(r.built.graph, &r.context);
        real *gradients = malloc(set->total * sizeof *gradients);
        memcpy(gradients, set->gradients, set->total * sizeof *gradients);

        model_graph whole = test_model_build(&r.t, test_training(2 * shape->batch, shape->time));
        tokens_bind(whole.ids, ids);
        tokens_bind(whole.targets, targets);
        r.context.micro = 0;
        r.context.accumulate = false;
        test_step(whole.graph, &r.context);
        const double whole_loss = test_loss(&whole) * r.context.gradient_scale;
        assert_true(fabs(loss - whole_loss) <= 1e-13 * whole_loss);
        for (int k = 0; k < set->count; k++) {
            const parameter *p = set->items[k];
            const double off =
                relative_difference(p->count, gradients + p->offset, set->gradients + p->offset);
            if (!(off <= 1e-11)) fail_msg("%s: %s differs by %.3g", model_texts[i].name, p->name, off);
        }
        free(gradients);
        graph_free(whole.graph);
        run_close(&r);
    }
}

static void test_micro_batches_make_a_batch(void **state) {
    (void)state;
    for (int k = 0; k < SHAPES; k++)
        for (int packs = 0; packs < 2; packs++) check_micro_batches(&shapes[k], packs);
}

static void check_evaluation(const model_shape *shape) {
    for (int i = 0; i < MODEL_TEXTS; i++) {
        model_run r;
        run_open(model_texts[i].yaml, shape, false, &r);
        model_graph evaluation = test_model_build(&r.t, test_evaluation(shape->batch, shape->time));
        tokens_bind(evaluation.ids, r.ids);
        tokens_bind(evaluation.targets, r.targets);
        graph_forward(r.built.graph, &r.context);
        graph_forward(evaluation.graph, &r.context);
        assert_memory_equal(r.built.losses->data, evaluation.losses->data, (size_t)r.tokens * sizeof(real));
        graph_free(evaluation.graph);
        run_close(&r);
    }
}

// Training and evaluation graphs compute the same losses.
static void test_evaluation_is_training_without_gradients(void **state) {
    (void)state;
    for (int k = 0; k < SHAPES; k++) check_evaluation(&shapes[k]);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_agree_with_differences),
        cmocka_unit_test(test_gradients_agree_with_differences_under_dropout),
        cmocka_unit_test(test_gradients_agree_with_differences_with_carried_state),
        cmocka_unit_test(test_documents_are_texts_of_their_own),
        cmocka_unit_test(test_micro_batches_make_a_batch),
        cmocka_unit_test(test_evaluation_is_training_without_gradients),
    };
    error err;
    int failed = 0;
    for (const char *const *set = kernels_available(); *set; set++) {
        kernels_select(*set, &err);
        failed += cmocka_run_group_tests_name(*set, tests, NULL, NULL);
    }
    return failed;
}
