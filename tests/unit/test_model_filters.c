// The filters of a model are those that its convolutions read, computed from the weights as they are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"

#include "models/filters.h"

#include <cmocka.h>

enum { VOCABULARY = 29, BLOCK = 23, WIDTH = 10 };

static const char *const hyenas = "model:\n"
                                  "  width: 10\n"
                                  "  init_std: 0.2\n"
                                  "  layers:\n"
                                  "    - embedding\n"
                                  "    - residual: [layernorm, {hyena: {l_max: 40, filter_width: 7}}]\n"
                                  "    - residual: [{attention: {heads: 2}}]\n"
                                  "    - residual: [layernorm, {hyena: {order: 3, filter_width: 9}}]\n"
                                  "    - unembedding\n";

// What the operator that makes filters makes of the weights in a training graph: its number-th, counted
// from 0.
static const tensor *made_in_training(const model_graph *built, int number) {
    const graph *g = built->graph;
    for (int k = 0; k < g->op_count; k++)
        if (strcmp(g->ops[k]->kind->name, "implicit_filter") == 0 && number-- == 0) {
            g->ops[k]->kind->forward(g, &(run_context){0}, g->ops[k]);
            return g->ops[k]->out[0];
        }
    fail();
    return NULL;
}

static void test_filters_are_those_of_the_operators(void **state) {
    (void)state;
    error err = {0};
    arena *a = arena_new();
    test_model t = test_model_new(hyenas, VOCABULARY, BLOCK, 0.1);
    model_graph built = test_model_build(&t, test_training(2, BLOCK));
    // Layer, number of its maker, first column.
    const struct {
        const char *layer;
        int maker, column;
    } expected[] = {{"residual1/hyena", 0, 0}, {"residual3/hyena", 1, 0}, {"residual3/hyena", 1, WIDTH}};
    for (int round = 0; round < 2; round++) {
        model_filter *filters;
        int count;
        test_ok(model_filters(t.model, a, &filters, &count, &err), &err);
        assert_int_equal(count, 3);
        for (int i = 0; i < count; i++) {
            const tensor *made = made_in_training(&built, expected[i].maker);
            const int width = made->shape[1];
            assert_string_equal(filters[i].layer, expected[i].layer);
            assert_int_equal(filters[i].lags, BLOCK);
            assert_int_equal(filters[i].channels, WIDTH);
            assert_int_equal(made->shape[0], BLOCK);
            assert_true(largest(BLOCK * WIDTH, filters[i].taps) > 0);
            for (int k = 0; k < BLOCK; k++)
                assert_memory_equal(filters[i].taps + k * WIDTH,
                                    made->data + k * width + expected[i].column, WIDTH * sizeof(real));
        }
        for (size_t i = 0; i < t.model->parameters->total; i++)
            parameters_write(t.model->parameters)[i] *= (real)0.5;
    }
    graph_free(built.graph);
    test_model_free(&t);
    arena_free(a);
}

static void test_other_models_have_none(void **state) {
    (void)state;
    error err = {0};
    arena *a = arena_new();
    test_model t =
        test_model_new("model: {width: 8, layers: [embedding, {attention: {heads: 2}}, unembedding]}",
                       VOCABULARY, BLOCK, 0.1);
    model_filter *filters;
    int count = -1;
    test_ok(model_filters(t.model, a, &filters, &count, &err), &err);
    assert_int_equal(count, 0);
    test_model_free(&t);
    arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_are_those_of_the_operators),
        cmocka_unit_test(test_other_models_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
