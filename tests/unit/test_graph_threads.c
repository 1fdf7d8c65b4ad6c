// Results do not depend on the number of threads, to the last bit, and hardly on the instruction set.
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

// Large enough that most kernels share their work out.
static const model_text wide[] = {
    {"gpt", "model:\n"
            "  width: 96\n"
            "  depth: 1\n"
            "  dropout: 0.1\n"
            "  layers:\n"
            "    - embedding\n"
            "    - positions\n"
            "    - dropout\n"
            "    - repeat:\n"
            "        layers:\n"
            "          - residual: [layernorm, {attention: {heads: 3}}]\n"
            "          - residual: [layernorm, mlp]\n"
            "    - layernorm\n"
            "    - unembedding\n"},
    {"rotary",
     "model:\n"
     "  width: 90\n"
     "  depth: 1\n"
     "  layers:\n"
     "    - embedding\n"
     "    - repeat:\n"
     "        layers:\n"
     "          - residual: [rmsnorm, {attention: {heads: 6, head_size: 18, kv_heads: 2, rope: true, qk_norm: true, window: 50}}]\n"
     "          - residual: [rmsnorm, {mlp: {activation: swiglu}}]\n"
     "    - rmsnorm\n"
     "    - unembedding: {tied: false, bias: true}\n"},
    {"parallel",
     "model:\n"
     "  width: 72\n"
     "  init: torch\n"
     "  layers:\n"
     "    - embedding: {init_std: 0.5}\n"
     "    - positions: {type: sinusoidal}\n"
     "    - parallel:\n"
     "        combine: concat\n"
     "        branches: [[{attention: {heads: 8, dropout: 0.2}}], [{linear: {out: 100}}, {activation: {type: silu}}], []]\n"
     "    - layernorm\n"
     "    - mlp: {hidden: 200, activation: gelu_tanh}\n"
     "    - unembedding: {tied: false}\n"},
    {"hyena",
     "model:\n"
     "  width: 96\n"
     "  dropout: 0.1\n"
     "  layers:\n"
     "    - embedding\n"
     "    - residual: [layernorm, {hyena: {order: 3, l_max: 300, normalize: time_l1, positions_lr_multiplier: 1.0, decay_lr_multiplier: 1.0}}]\n"
     "    - residual: [layernorm, {hyena: {variant: paper, emb_dim: 17}}]\n"
     "    - layernorm\n"
     "    - unembedding\n"},
    {"convolutions", "model:\n"
                     "  width: 80\n"
                     "  init: torch\n"
                     "  layers:\n"
                     "    - embedding: {init_std: 1.0}\n"
                     "    - residual: [layernorm, {conv_gate: {hidden: 150, dropout: 0.1}}]\n"
                     "    - conv_gate: {kernel: 3, hidden: 100}\n"
                     "    - unembedding: {tied: false}\n"},
};

enum { WIDE = sizeof wide / sizeof *wide, BATCH = 4, TIME = 72, TOKENS = BATCH * TIME, VOCABULARY = 61 };

typedef struct outcome {
    real *losses, *logits, *gradients;
    size_t logit_count, gradient_count;
    double loss;
} outcome;

// Two micro-batches of training and an evaluation on as many threads.
static outcome run(const char *yaml, int threads) {
    static int32_t ids[TOKENS], targets[TOKENS];
    outcome result = {0};
    test_tokens(1, TOKENS, VOCABULARY, ids);
    test_tokens(2, TOKENS, VOCABULARY, targets);
    kernels_set_threads(threads);
    test_model t = test_model_new(yaml, VOCABULARY, TIME, 0.05);
    parameter_set *set = t.model->parameters;
    graph_options options = test_training(BATCH, TIME);
    options.packs_weights = true;
    model_graph training = test_model_build(&t, options);
    tokens_bind(training.ids, ids);
    tokens_bind(training.targets, targets);
    for (uint32_t micro = 0; micro < 2; micro++) {
        const run_context c = {
            .seed = 9, .step = 4, .micro = micro, .accumulate = micro > 0, .gradient_scale = 0.5 / TOKENS};
        graph_forward(training.graph, &c);
        graph_backward(training.graph, &c);
    }
    graph_backward_derived(training.graph, &(run_context){.seed = 9, .step = 4});
    model_graph evaluation = test_model_build(&t, test_evaluation(BATCH, TIME));
    tokens_bind(evaluation.ids, ids);
    tokens_bind(evaluation.targets, targets);
    graph_forward(evaluation.graph, &(run_context){.gradient_scale = 1});
    result.loss = test_loss(&evaluation) / TOKENS;
    result.losses = malloc(TOKENS * sizeof(real));
    memcpy(result.losses, training.losses->data, TOKENS * sizeof(real));
    result.logit_count = evaluation.logits->count;
    result.logits = malloc(result.logit_count * sizeof(real));
    memcpy(result.logits, evaluation.logits->data, result.logit_count * sizeof(real));
    result.gradient_count = set->total;
    result.gradients = malloc(set->total * sizeof(real));
    memcpy(result.gradients, set->gradients, set->total * sizeof(real));
    graph_free(training.graph);
    graph_free(evaluation.graph);
    test_model_free(&t);
    kernels_set_threads(1);
    return result;
}

static void outcome_free(outcome *o) {
    free(o->losses);
    free(o->logits);
    free(o->gradients);
}

static void threads_change_nothing(const char *isa) {
    for (int i = 0; i < WIDE; i++) {
        outcome one = run(wide[i].yaml, 1);
        assert_true(isfinite(one.loss));
        for (int threads = 2; threads <= 4; threads++) {
            outcome more = run(wide[i].yaml, threads);
            if (memcmp(one.losses, more.losses, TOKENS * sizeof(real)) != 0 ||
                memcmp(one.logits, more.logits, one.logit_count * sizeof(real)) != 0 ||
                memcmp(one.gradients, more.gradients, one.gradient_count * sizeof(real)) != 0)
                fail_msg("%s (%s): %d threads give other results than one", wide[i].name, isa, threads);
            outcome_free(&more);
        }
        outcome_free(&one);
    }
}

static void test_results_do_not_depend_on_threads(void **state) {
    (void)state;
    error err = {0};
    for (const char *const *name = kernels_available(); *name; name++) {
        assert_int_equal(kernels_select(*name, &err), OK);
        threads_change_nothing(*name);
    }
    assert_int_equal(kernels_select("auto", &err), OK);
}

static void test_instruction_sets_agree(void **state) {
    (void)state;
    error err = {0};
    for (int i = 0; i < WIDE; i++) {
        assert_int_equal(kernels_select("plain", &err), OK);
        outcome plain = run(wide[i].yaml, 1);
        for (const char *const *name = kernels_available(); *name; name++) {
            if (strcmp(*name, "plain") == 0) continue;
            assert_int_equal(kernels_select(*name, &err), OK);
            outcome other = run(wide[i].yaml, 2);
            assert_true(fabs(other.loss - plain.loss) <= 1e-5 * plain.loss);
            assert_true(relative_difference(plain.logit_count, other.logits, plain.logits) <= 1e-4);
            assert_true(relative_difference(plain.gradient_count, other.gradients, plain.gradients) <=
                        1e-3);
            outcome_free(&other);
        }
        outcome_free(&plain);
    }
    assert_int_equal(kernels_select("auto", &err), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_do_not_depend_on_threads),
        cmocka_unit_test(test_instruction_sets_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
