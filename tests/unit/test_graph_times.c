// The timing of operators: every step of every operator is timed once a run, the results stay what they
// are, and the work that goes with the times is counted from the shapes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"
#include "support/model_texts.h"

#include <cmocka.h>

enum { VOCABULARY = 11, BATCH = 3, TIME = 12, RUNS = 2 };

typedef struct tokens {
    int32_t ids[BATCH * TIME], targets[BATCH * TIME];
} tokens;

static void run(const model_graph *built, tokens *t) {
    const run_context context = {.seed = 5, .gradient_scale = 1.0 / (BATCH * TIME)};
    test_tokens(1, BATCH * TIME, VOCABULARY, t->ids);
    test_tokens(2, BATCH * TIME, VOCABULARY, t->targets);
    tokens_bind(built->ids, t->ids);
    tokens_bind(built->targets, t->targets);
    parameters_write(built->graph->parameters); // so that derived operators run again
    test_step(built->graph, &context);
}

static void check_times(const model_text *described) {
    test_model m = test_model_new(described->yaml, VOCABULARY, TIME, 0.1);
    const parameter_set *set = m.model->parameters;
    model_graph built = test_model_build(&m, test_training(BATCH, TIME));
    graph *g = built.graph;
    tokens t;
    real *gradients = malloc(set->block_bytes);
    op_time *times = calloc((size_t)g->op_count, sizeof *times);
    run(&built, &t);
    const double loss = test_loss(&built);
    memcpy(gradients, set->gradients, set->block_bytes);
    g->times = times;
    for (int i = 0; i < RUNS; i++) run(&built, &t);
    g->times = NULL;
    assert_true(loss == test_loss(&built));
    assert_memory_equal(gradients, set->gradients, set->block_bytes);
    for (int k = 0; k < g->op_count; k++) {
        const bool learns = g->ops[k]->out[0]->gradient || g->ops[k]->kind->is_loss;
        assert_int_equal(times[k].forward_runs, RUNS);
        assert_int_equal(times[k].backward_runs, learns ? RUNS : 0);
        assert_true(times[k].forward > 0);
        assert_true(learns ? times[k].backward > 0 : times[k].backward == 0);
    }
    const op_time first = times[0];
    run(&built, &t);
    assert_memory_equal(&first, &times[0], sizeof first);
    free(gradients);
    free(times);
    graph_free(g);
    test_model_free(&m);
}

static void test_every_step_is_timed_and_changes_nothing(void **state) {
    (void)state;
    for (int i = 0; i < MODEL_TEXTS; i++) check_times(&model_texts[i]);
}

static const op *find(const graph *g, const char *path, const char *kind) {
    for (int k = 0; k < g->op_count; k++)
        if (strcmp(g->ops[k]->path, path) == 0 && strcmp(g->ops[k]->kind->name, kind) == 0)
            return g->ops[k];
    fail_msg("there is no %s of %s", kind, path);
    return NULL;
}

static void assert_work(const op *o, double forward_flops, double backward_flops, double forward_reals,
                        double backward_reals) {
    assert_true(op_flops(o, false) == forward_flops);
    assert_true(op_flops(o, true) == backward_flops);
    assert_true(op_bytes(o, false) == forward_reals * (double)sizeof(real));
    assert_true(op_bytes(o, true) == backward_reals * (double)sizeof(real));
}

// With W = 8 and rows = BATCH * TIME; ids count as the reals that have as many bytes.
static void test_work_is_counted_from_shapes(void **state) {
    (void)state;
    static const char yaml[] = "model:\n"
                               "  width: 8\n"
                               "  layers: [embedding, {residual: [{linear: {out: 8}}]}, layernorm, "
                               "{unembedding: {tied: false}}]\n";
    enum { W = 8, ROWS = BATCH * TIME };
    const double x = ROWS * W, logits = ROWS * VOCABULARY, id = (double)sizeof(int32_t) / sizeof(real);
    test_model m = test_model_new(yaml, VOCABULARY, TIME, 0.1);
    model_graph built = test_model_build(&m, test_training(BATCH, TIME));
    const graph *g = built.graph;
    // The table has fewer rows than there are tokens, so it is read whole at most; its gradient is written.
    assert_work(find(g, "embedding", "embedding"), 0, 0, ROWS * id + VOCABULARY * W + x,
                ROWS * id + x + VOCABULARY * W);
    // x, weight, bias, the residual (x again) and y; then dy, x and the weight are read, the gradients of
    // x, weight and bias written, and the residual's is added to that of x.
    assert_work(find(g, "residual/linear", "linear"), 2.0 * ROWS * W * W, 4.0 * ROWS * W * W,
                3 * x + W * W + W, 2 * x + W * W + x + W * W + W + 2 * x);
    // gain and bias, two statistics a row; dy, x, gain and statistics, the gradients of x, gain and bias
    assert_work(find(g, "layernorm", "layernorm"), 0, 0, 2 * x + 2 * W + 2 * ROWS,
                3 * x + W + 2 * ROWS + 2 * W);
    // The gradient of the logits is written by the forward step.
    assert_work(find(g, "loss", "cross_entropy"), 5 * logits, 0, 2 * logits + ROWS * id + ROWS, 0);
    assert_true(graph_flops(g, false) == 2.0 * ROWS * W * W + 2 * x * VOCABULARY + 5 * logits);
    graph_free(built.graph);
    test_model_free(&m);
}

static void test_a_large_table_is_not_read_whole(void **state) {
    (void)state;
    enum { MANY = 5000, W = 8, ROWS = BATCH * TIME };
    test_model m =
        test_model_new("model:\n  width: 8\n  layers: [embedding, unembedding]\n", MANY, TIME, 0);
    model_graph built = test_model_build(&m, test_training(BATCH, TIME));
    const op *o = find(built.graph, "embedding", "embedding");
    assert_true(op_bytes(o, false) ==
                (double)ROWS * sizeof(int32_t) + 2.0 * (double)(ROWS * W * sizeof(real)));
    graph_free(built.graph);
    test_model_free(&m);
}

// A loss in chunks is a product and its gradients, all in the forward step.
static void test_a_loss_in_chunks_counts_its_gradients(void **state) {
    (void)state;
    enum { MANY = 5000, W = 8, LENGTH = 300 };
    const double x = LENGTH * W, weight = (double)MANY * W, id = (double)sizeof(int32_t) / sizeof(real);
    test_model m = test_model_new(
        "model:\n  width: 8\n  layers: [embedding, {unembedding: {tied: false}}]\n", MANY, LENGTH, 0);
    model_graph built = test_model_build(&m, test_training(1, LENGTH));
    const double forward = (2.0 * W + 5) * LENGTH * MANY;
    assert_work(find(built.graph, "loss", "linear_cross_entropy"), 3 * forward, 0,
                2 * x + 2 * weight + LENGTH * id + LENGTH, 0);
    assert_true(graph_flops(built.graph, false) == forward);
    graph_free(built.graph);
    test_model_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step_is_timed_and_changes_nothing),
        cmocka_unit_test(test_work_is_counted_from_shapes),
        cmocka_unit_test(test_a_large_table_is_not_read_whole),
        cmocka_unit_test(test_a_loss_in_chunks_counts_its_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
