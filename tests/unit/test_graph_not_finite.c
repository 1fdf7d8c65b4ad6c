// graph_find_not_finite names the tensor in which the first NaN or infinite value appears.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/model.h"

#include <cmocka.h>

enum { BATCH = 2, TIME = 9, TOKENS = BATCH * TIME, VOCABULARY = 13 };

typedef struct search {
    test_model t;
    model_graph built;
    int32_t ids[TOKENS], targets[TOKENS];
    const tensor *found;
    size_t index;
    bool is_gradient;
    const op *maker;
} search;

static search opened;

static int open_model(void **state) {
    search *s = &opened;
    *s = (search){.t = test_model_new("model:\n"
                                      "  width: 12\n"
                                      "  depth: 2\n"
                                      "  layers:\n"
                                      "    - embedding\n"
                                      "    - positions\n"
                                      "    - repeat:\n"
                                      "        layers:\n"
                                      "          - residual: [layernorm, {attention: {heads: 2}}]\n"
                                      "          - residual: [layernorm, {mlp: {activation: relu2}}]\n"
                                      "    - unembedding: {tied: false}\n",
                                      VOCABULARY, TIME, 0.1)};
    test_tokens(1, TOKENS, VOCABULARY, s->ids);
    test_tokens(2, TOKENS, VOCABULARY, s->targets);
    s->ids[7] = 3;
    s->built = test_model_build(&s->t, test_training(BATCH, TIME));
    tokens_bind(s->built.ids, s->ids);
    tokens_bind(s->built.targets, s->targets);
    *state = s;
    return 0;
}

static int close_model(void **state) {
    search *s = *state;
    graph_free(s->built.graph);
    test_model_free(&s->t);
    return 0;
}

static real *values_of(search *s, const char *name) {
    const parameter *p = parameters_find(s->t.model->parameters, name);
    if (!p) fail_msg("no parameter %s", name);
    return parameters_write(s->t.model->parameters) + p->offset;
}

static void find(search *s, double gradient_scale) {
    const run_context c = {.gradient_scale = gradient_scale};
    s->found = graph_find_not_finite(s->built.graph, &c, &s->index, &s->is_gradient, &s->maker);
}

static void test_nothing_is_found_when_all_is_finite(void **state) {
    search *s = *state;
    find(s, 1);
    assert_null(s->found);
}

static void test_a_nan_in_a_weight_is_found_there(void **state) {
    search *s = *state;
    values_of(s, "repeat/1/residual2/mlp/fc1.weight")[100] = (real)NAN;
    find(s, 1);
    assert_non_null(s->found);
    assert_string_equal(s->found->name, "repeat/1/residual2/mlp/fc1.weight");
    assert_int_equal(s->index, 100);
    assert_false(s->is_gradient);
    assert_string_equal(s->maker->kind->name, "linear");
    assert_string_equal(s->maker->path, "repeat/1/residual2/mlp");
}

static void test_an_infinity_in_a_norm_is_found_there(void **state) {
    search *s = *state;
    values_of(s, "repeat/0/residual1/layernorm/weight")[3] = -(real)INFINITY;
    find(s, 1);
    assert_non_null(s->found);
    assert_string_equal(s->found->name, "repeat/0/residual1/layernorm/weight");
    assert_int_equal(s->index, 3);
    assert_false(s->is_gradient);
}

// Finite weights whose product is not: the activation is named, by the layer that made it.
static void test_an_overflow_is_found_where_it_happens(void **state) {
    search *s = *state;
    real *weight = values_of(s, "repeat/0/residual2/mlp/fc1.weight");
    for (int i = 0; i < 12; i++) weight[i] = (real)1e30; // relu2 squares it
    find(s, 1);
    assert_non_null(s->found);
    assert_string_equal(s->found->name, "repeat/0/residual2/mlp");
    assert_string_equal(s->maker->path, "repeat/0/residual2/mlp");
    assert_string_equal(s->maker->kind->name, "linear");
    assert_int_equal(s->found->kind, TENSOR_ACTIVATION);
    assert_false(s->is_gradient);
    assert_int_equal(s->index % 48, 0); // the first hidden unit
}

// The forward pass is finite, the backward pass is not.
static void test_an_overflowing_gradient_is_found(void **state) {
    search *s = *state;
    real *weight = values_of(s, "unembedding/weight");
    const parameter *p = parameters_find(s->t.model->parameters, "unembedding/weight");
    for (size_t i = 0; i < p->count; i++) weight[i] *= (real)1e4;
    find(s, 1e38);
    assert_non_null(s->found);
    assert_true(s->is_gradient);
    assert_string_equal(s->maker->path, "unembedding");
}

static void test_evaluation_graphs_are_searched_too(void **state) {
    search *s = *state;
    model_graph evaluation = test_model_build(&s->t, test_evaluation(BATCH, TIME));
    tokens_bind(evaluation.ids, s->ids);
    tokens_bind(evaluation.targets, s->targets);
    const run_context c = {.gradient_scale = 1};
    assert_null(graph_find_not_finite(evaluation.graph, &c, &s->index, &s->is_gradient, &s->maker));
    values_of(s, "embedding/weight")[3 * 12 + 5] = (real)NAN;
    const tensor *found =
        graph_find_not_finite(evaluation.graph, &c, &s->index, &s->is_gradient, &s->maker);
    assert_non_null(found);
    assert_string_equal(found->name, "embedding/weight");
    assert_int_equal(s->index, 3 * 12 + 5);
    graph_free(evaluation.graph);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_model, close_model)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_found_when_all_is_finite),  TEST(test_a_nan_in_a_weight_is_found_there),
        TEST(test_an_infinity_in_a_norm_is_found_there), TEST(test_an_overflow_is_found_where_it_happens),
        TEST(test_an_overflowing_gradient_is_found),     TEST(test_evaluation_graphs_are_searched_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
