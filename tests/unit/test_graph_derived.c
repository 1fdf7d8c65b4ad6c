// Derived tensors: made when the parameters have changed and only then, once for all graphs of a model, and
// differentiated once a step.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"

#include <cmocka.h>

enum { VOCABULARY = 11, BATCH = 2, TIME = 16, TOKENS = BATCH * TIME };

static const char yaml[] =
    "model:\n"
    "  width: 8\n"
    "  layers: [embedding, {residual: [layernorm, {hyena: {}}]}, {residual: [mlp]}, unembedding]\n";

static int32_t ids[TOKENS], targets[TOKENS];
static const run_context context = {.gradient_scale = 1.0 / TOKENS};

typedef struct timed {
    model_graph built;
    op_time *times;
} timed;

static timed open_timed(test_model *t, graph_options options) {
    timed r = {.built = test_model_build(t, options)};
    r.times = calloc((size_t)r.built.graph->op_count, sizeof *r.times);
    r.built.graph->times = r.times;
    tokens_bind(r.built.ids, ids);
    if (r.built.targets) tokens_bind(r.built.targets, targets);
    return r;
}

static void close_timed(timed *r) {
    graph_free(r->built.graph);
    free(r->times);
}

// How often each derived operator has run; all of them as often. At least `least` operators are derived.
static int forward_runs(const timed *r, int least) {
    int runs = -1, derived = 0;
    for (int k = 0; k < r->built.graph->op_count; k++) {
        if (!r->built.graph->ops[k]->is_derived) continue;
        if (runs >= 0) assert_int_equal(r->times[k].forward_runs, runs);
        runs = r->times[k].forward_runs;
        derived++;
    }
    assert_true(derived >= least);
    return runs;
}

static void test_derived_operators_run_when_weights_have_changed(void **state) {
    (void)state;
    test_model t = test_model_new(yaml, VOCABULARY, TIME, 0.1);
    graph_options options = test_training(BATCH, TIME);
    options.packs_weights = true;
    timed training = open_timed(&t, options), evaluation = open_timed(&t, test_evaluation(BATCH, TIME));
    // Five weights in both directions but for the first layer's, which needs none; filters and spectra.
    for (int pass = 0; pass < 3; pass++) graph_forward(training.built.graph, &context);
    assert_int_equal(forward_runs(&training, 10), 1);
    graph_forward(evaluation.built.graph, &context); // which finds all of it made
    assert_int_equal(forward_runs(&evaluation, 6), 0);
    const real before = evaluation.built.losses->data[TOKENS - 1];
    for (size_t i = 0; i < t.model->parameters->total; i++) parameters_write(t.model->parameters)[i] *= 2;
    graph_forward(evaluation.built.graph, &context);
    assert_int_equal(forward_runs(&evaluation, 6), 1);
    assert_true(evaluation.built.losses->data[TOKENS - 1] != before);
    graph_forward(training.built.graph, &context); // finds its part made, and makes the rest
    assert_true(training.built.losses->data[TOKENS - 1] == evaluation.built.losses->data[TOKENS - 1]);
    close_timed(&training);
    close_timed(&evaluation);
    test_model_free(&t);
}

static void test_decoding_reads_what_training_packed(void **state) {
    (void)state;
    test_model t = test_model_new(yaml, VOCABULARY, TIME, 0.1);
    state_set *states = states_new(BATCH);
    timed evaluation = open_timed(&t, test_evaluation(BATCH, TIME));
    const size_t bytes = parameters_derived_bytes(t.model->parameters);
    timed decoding = open_timed(&t, test_decoding(BATCH, 1, states));
    int shared = 0;
    for (int k = 0; k < decoding.built.graph->op_count; k++) {
        const op *o = decoding.built.graph->ops[k];
        if (o->is_derived && strcmp(o->kind->name, "pack_transposed") == 0) shared++;
    }
    assert_int_equal(shared, 5);
    graph_forward(evaluation.built.graph, &context);
    graph_forward(decoding.built.graph, &context);
    for (int k = 0; k < decoding.built.graph->op_count; k++)
        if (strcmp(decoding.built.graph->ops[k]->kind->name, "pack_transposed") == 0)
            assert_int_equal(decoding.times[k].forward_runs, 0);
    assert_true(parameters_derived_bytes(t.model->parameters) > bytes); // what streams need of the filters
    close_timed(&evaluation);
    close_timed(&decoding);
    states_free(states);
    test_model_free(&t);
}

static void test_derived_gradients_are_taken_back_once(void **state) {
    (void)state;
    test_model t = test_model_new(yaml, VOCABULARY, TIME, 0.1);
    timed training = open_timed(&t, test_training(BATCH, TIME));
    for (int pass = 0; pass < 3; pass++) {
        run_context c = context;
        c.accumulate = pass > 0;
        graph_forward(training.built.graph, &c);
        graph_backward(training.built.graph, &c);
    }
    graph_backward_derived(training.built.graph, &context);
    for (int k = 0; k < training.built.graph->op_count; k++) {
        const op *o = training.built.graph->ops[k];
        if (!o->out[0]->gradient && !o->kind->is_loss) continue;
        assert_int_equal(training.times[k].backward_runs, o->is_derived ? 1 : 3);
    }
    close_timed(&training);
    test_model_free(&t);
}

static int draw_tokens(void **state) {
    (void)state;
    test_tokens(1, TOKENS, VOCABULARY, ids);
    test_tokens(2, TOKENS, VOCABULARY, targets);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derived_operators_run_when_weights_have_changed),
        cmocka_unit_test(test_decoding_reads_what_training_packed),
        cmocka_unit_test(test_derived_gradients_are_taken_back_once),
    };
    return cmocka_run_group_tests(tests, draw_tokens, NULL);
}
