// The sum of gradients over passes: the same bits whoever computes which group, in whatever order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"

#include "train/gradient_tree.h"

#include <cmocka.h>

enum { VOCABULARY = 13, ROWS = 2, TIME = 12, PASSES = 7, TOKENS = ROWS * TIME };

static const char yaml[] =
    "model:\n"
    "  width: 12\n"
    "  dropout: 0.1\n"
    "  layers: [embedding, {residual: [layernorm, {hyena: {}}]}, {residual: [{attention: {heads: 2}}]}, unembedding]\n";

typedef struct step {
    test_model t;
    model_graph built;
    gradient_tree tree;
    int32_t ids[PASSES * TOKENS], targets[PASSES * TOKENS];
    real **groups; // computed before, or NULL
    int computed;  // groups
} step;

static status compute(void *with, int group, real *into, error *err) {
    step *s = with;
    (void)err;
    s->computed++;
    if (s->groups) {
        memcpy(into, s->groups[group], s->tree.reals * sizeof *into);
        return OK;
    }
    const int first = gradient_tree_first_pass(&s->tree, group);
    graph_bind_gradients(s->built.graph, into);
    for (int pass = first; pass < gradient_tree_first_pass(&s->tree, group + 1); pass++) {
        const run_context c = {
            .micro = (uint32_t)pass, .gradient_scale = 1.0 / (PASSES * TOKENS), .accumulate = pass > first};
        tokens_bind(s->built.ids, s->ids + pass * TOKENS);
        tokens_bind(s->built.targets, s->targets + pass * TOKENS);
        graph_forward(s->built.graph, &c);
        graph_backward(s->built.graph, &c);
    }
    return OK;
}

static void open_step(step *s, int groups) {
    error err = {0};
    graph_options options = test_training(ROWS, TIME);
    options.packs_weights = true;
    *s = (step){.t = test_model_new(yaml, VOCABULARY, TIME, 0.1)};
    s->built = test_model_build(&s->t, options);
    test_tokens(1, PASSES * TOKENS, VOCABULARY, s->ids);
    test_tokens(2, PASSES * TOKENS, VOCABULARY, s->targets);
    test_ok(gradient_tree_open(&s->tree, PASSES, groups, s->built.graph->gradient_reals, &err), &err);
    assert_true(s->tree.reals > s->t.model->parameters->total); // the filters are derived
}

static void close_step(step *s) {
    gradient_tree_free(&s->tree);
    graph_free(s->built.graph);
    test_model_free(&s->t);
}

// Sums the whole step into the parameters' block, and returns a copy of their gradients.
static real *sum(step *s) {
    error err = {0};
    parameter_set *set = s->t.model->parameters;
    s->computed = 0;
    test_ok(gradient_tree_sum(&s->tree, 0, s->tree.groups, compute, s, set->gradients, &err), &err);
    assert_int_equal(s->computed, s->tree.groups);
    graph_bind_gradients(s->built.graph, set->gradients);
    graph_backward_derived(s->built.graph, &(run_context){.gradient_scale = 1});
    real *copy = malloc(set->total * sizeof *copy);
    memcpy(copy, set->gradients, set->total * sizeof *copy);
    return copy;
}

static void test_groups_may_be_computed_in_any_order(void **state) {
    (void)state;
    for (int groups = 1; groups <= PASSES; groups++) {
        step s;
        error err = {0};
        open_step(&s, groups);
        const size_t bytes = s.t.model->parameters->total * sizeof(real);
        real *expected = sum(&s);
        for (int stride = 1; stride <= 2; stride++) { // backwards; every second, then the others
            real **made = calloc((size_t)groups, sizeof *made);
            for (int n = 0; n < groups; n++) {
                const int half = (groups + 1) / 2;
                const int group = stride == 1 ? groups - 1 - n : n < half ? 2 * n : 2 * (n - half) + 1;
                made[group] = calloc(s.tree.reals, sizeof(real));
                test_ok(compute(&s, group, made[group], &err), &err);
            }
            s.groups = made;
            real *got = sum(&s);
            s.groups = NULL;
            assert_memory_equal(got, expected, bytes);
            free(got);
            for (int group = 0; group < groups; group++) free(made[group]);
            free(made);
        }
        free(expected);
        close_step(&s);
    }
}

// A subtree gives what the whole tree takes from it: so ranks may share the groups out.
static void test_subtrees_add_up(void **state) {
    (void)state;
    step s;
    error err = {0};
    open_step(&s, PASSES);
    const size_t total = s.t.model->parameters->total;
    real *expected = sum(&s), *left = calloc(s.tree.reals, sizeof(real)),
         *right = calloc(s.tree.reals, sizeof(real));
    test_ok(gradient_tree_sum(&s.tree, 0, 4, compute, &s, left, &err), &err);
    test_ok(gradient_tree_sum(&s.tree, 4, 3, compute, &s, right, &err), &err);
    kernels->add(s.tree.reals, left, right, s.t.model->parameters->gradients);
    graph_bind_gradients(s.built.graph, s.t.model->parameters->gradients);
    graph_backward_derived(s.built.graph, &(run_context){.gradient_scale = 1});
    assert_memory_equal(s.t.model->parameters->gradients, expected, total * sizeof(real));
    free(expected);
    free(left);
    free(right);
    close_step(&s);
}

static void test_groups_differ_by_rounding_only(void **state) {
    (void)state;
    step one, several;
    open_step(&one, 1);
    open_step(&several, 4);
    real *whole = sum(&one), *tree = sum(&several);
    assert_true(relative_difference(one.t.model->parameters->total, tree, whole) <= 2e-5);
    free(whole);
    free(tree);
    close_step(&one);
    close_step(&several);
}

static void test_memory_grows_with_the_logarithm(void **state) {
    (void)state;
    static const int levels[] = {0, 0, 1, 2, 2, 3, 3, 3, 3, 4};
    error err = {0};
    for (int groups = 1; groups <= 9; groups++) {
        gradient_tree t;
        test_ok(gradient_tree_open(&t, 9, groups, 1000, &err), &err);
        assert_int_equal(gradient_tree_bytes(&t), (size_t)levels[groups] * 1000 * sizeof(real));
        gradient_tree_free(&t);
    }
}

static void test_small_steps_are_one_group(void **state) {
    (void)state;
    assert_int_equal(gradient_tree_groups(1, 1 << 20), 1);
    assert_int_equal(gradient_tree_groups(8, 2048), 1);
    assert_int_equal(gradient_tree_groups(8, 8192), 4);
    assert_int_equal(gradient_tree_groups(3, 1 << 20), 3);
    assert_int_equal(gradient_tree_groups(1000, 1 << 20), GRADIENT_TREE_MOST_GROUPS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_may_be_computed_in_any_order),
        cmocka_unit_test(test_subtrees_add_up),
        cmocka_unit_test(test_groups_differ_by_rounding_only),
        cmocka_unit_test(test_memory_grows_with_the_logarithm),
        cmocka_unit_test(test_small_steps_are_one_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
