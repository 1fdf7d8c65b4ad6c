// The loss in chunks against the loss of all logits at once, on every instruction set, and over threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/numbers.h"
#include "support/small_operators.h"

#include "graph/ops.h"

#include <cmocka.h>

enum { BATCH = 4, TIME = 77, WIDTH = 67, VOCABULARY = 1003, TARGETS = BATCH * TIME };

typedef struct outcome {
    size_t count;
    real losses[TARGETS], *gradients; // of x, W and b, after two micro-batches
} outcome;

// chunk 0: the two operators, a linear and a loss.
static outcome run(int chunk, double smoothing) {
    static int32_t targets[TARGETS];
    error err = {0};
    outcome made = {0};
    parameter_set *set = parameters_new();
    const parameter_declaration abouts[] = {{.rank = 3, .shape = {BATCH, TIME, WIDTH}},
                                            {.rank = 2, .shape = {VOCABULARY, WIDTH}},
                                            {.rank = 1, .shape = {VOCABULARY}}};
    parameter *p[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            parameters_declare(set, (const char *[]){"x", "w", "b"}[i], &abouts[i], &p[i], &err), OK);
    assert_int_equal(parameters_allocate(set, true, &err), OK);
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < p[k]->count; i++)
            parameters_write(set)[p[k]->offset + i] = (real)((k ? 0.3 : 1) * test_normal((uint32_t)k, i));
    test_tokens(8, TARGETS, VOCABULARY, targets);
    for (int i = 0; i < TARGETS; i += 17) targets[i] = -1;
    graph *g = graph_new(&(graph_options){.batch = BATCH, .time = TIME, .gradients = true}, set);
    tensor *t = graph_tensor(g, TENSOR_TOKENS, 2, (int[]){BATCH, TIME}), *losses;
    t->ids = targets;
    tensor *x = test_copy(g, graph_parameter(g, p[0])), *w = graph_parameter(g, p[1]),
           *b = graph_parameter(g, p[2]);
    if (chunk)
        losses = op_linear_cross_entropy(g, x, w, b, t, smoothing, chunk);
    else // a copy in between keeps them two
        losses = op_cross_entropy(g, test_copy(g, op_linear(g, x, w, b, ACTIVATION_NONE)), t, smoothing);
    assert_int_equal(graph_finish(g, (tensor *[]){losses, NULL}, &err), OK);
    assert_int_equal(graph_place(g, NULL, &err), OK);
    for (uint32_t micro = 0; micro < 2; micro++) {
        const run_context c = {.micro = micro, .accumulate = micro > 0, .gradient_scale = 0.5 / TARGETS};
        graph_forward(g, &c);
        graph_backward(g, &c);
    }
    memcpy(made.losses, losses->data, sizeof made.losses);
    made.count = set->total;
    made.gradients = malloc(set->total * sizeof(real));
    memcpy(made.gradients, set->gradients, set->total * sizeof(real));
    graph_free(g);
    parameters_free(set);
    return made;
}

static void test_chunks_make_the_whole(void **state) {
    (void)state;
    error err = {0};
    const int chunks[] = {TARGETS, 100, 192};
    for (const char *const *name = kernels_available(); *name; name++) {
        assert_int_equal(kernels_select(*name, &err), OK);
        for (int k = 0; k < 2; k++) {
            outcome whole = run(0, 0.1 * k);
            for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
                outcome parts = run(chunks[i], 0.1 * k);
                assert_true(relative_difference(TARGETS, parts.losses, whole.losses) <= 1e-6);
                assert_true(relative_difference(whole.count, parts.gradients, whole.gradients) <= 2e-6);
                free(parts.gradients);
            }
            free(whole.gradients);
        }
    }
    assert_int_equal(kernels_select("auto", &err), OK);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    outcome one = run(100, 0.1);
    for (int threads = 2; threads <= 4; threads++) {
        kernels_set_threads(threads);
        outcome more = run(100, 0.1);
        assert_memory_equal(one.losses, more.losses, sizeof one.losses);
        assert_memory_equal(one.gradients, more.gradients, one.count * sizeof(real));
        free(more.gradients);
    }
    kernels_set_threads(1);
    free(one.gradients);
}

// Which of the two operators a model's logits become, by shape alone.
static int operators_of(int rows, int vocabulary, activation act, bool read_again) {
    error err = {0};
    parameter_set *set = parameters_new();
    parameter *p[2];
    const parameter_declaration x_about = {.rank = 3, .shape = {1, rows, 4}},
                                w_about = {.rank = 2, .shape = {vocabulary, 4}};
    assert_int_equal(parameters_declare(set, "x", &x_about, &p[0], &err), OK);
    assert_int_equal(parameters_declare(set, "w", &w_about, &p[1], &err), OK);
    graph *g = graph_new(&(graph_options){.batch = 1, .time = rows}, set);
    tensor *targets = graph_tensor(g, TENSOR_TOKENS, 2, (int[]){1, rows});
    tensor *logits = op_linear(g, graph_parameter(g, p[0]), graph_parameter(g, p[1]), NULL, act);
    if (read_again) test_copy(g, logits);
    const int before = g->op_count;
    op_cross_entropy(g, logits, targets, 0);
    const int added = g->op_count - before;
    assert_true((logits->producer == NULL) == (added == 0));
    graph_free(g);
    parameters_free(set);
    return added;
}

static void test_only_large_linear_logits_are_made_in_chunks(void **state) {
    (void)state;
    assert_int_equal(operators_of(768, 65, ACTIVATION_NONE, false), 1);
    assert_int_equal(operators_of(192, 30000, ACTIVATION_NONE, false), 1);
    assert_int_equal(operators_of(4096, 30000, ACTIVATION_NONE, false), 0);
    assert_int_equal(operators_of(20000, 65, ACTIVATION_NONE, false), 0);
    assert_int_equal(operators_of(4096, 30000, ACTIVATION_TANH, false), 1);
    assert_int_equal(operators_of(4096, 30000, ACTIVATION_NONE, true), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_make_the_whole),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_only_large_linear_logits_are_made_in_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
