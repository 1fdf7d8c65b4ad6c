// Evaluation of models that carry state, in lanes, against passes over the text of each lane at once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/evaluated_text.h"

#include "train/evaluate.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { VOCABULARY = 29, BLOCK = 12, LONGEST = 40000, WARMUP = 50 };

typedef evaluated_text fixture;

static int open_fixture(void **state) {
    static const char yaml[] = "model:\n"
                               "  width: 16\n"
                               "  layers:\n"
                               "    - embedding: {init_std: 1.0}\n"
                               "    - lstm: {layers: 2}\n"
                               "    - residual: [gru]\n"
                               "    - unembedding\n";
    return evaluated_text_open(state, yaml, VOCABULARY, BLOCK, LONGEST);
}

// most: tokens of a sample; 0: the whole split.
static evaluation evaluate(fixture *f, size_t count, int batch, int warmup, size_t most) {
    error err = {0};
    evaluator *e;
    evaluation result;
    const split_tokens part = {.tokens = f->tokens, .count = count};
    const evaluator_options options = {.batch = batch, .carries_state = true, .warmup_tokens = warmup};
    test_ok(evaluator_new(f->t.model, &options, NULL, &e, &err), &err);
    if (most)
        evaluate_sample(e, &part, f->letters, most, &result);
    else
        evaluate_split(e, &part, f->letters, &result);
    evaluator_free(e);
    return result;
}

// What targets scored .. end - 1 lose in one pass from token `begin` on.
static double direct_loss(const fixture *f, size_t begin, size_t scored, size_t end) {
    model_graph built = test_model_build(&f->t, test_evaluation(1, (int)(end - begin)));
    tokens_bind(built.ids, f->tokens + begin);
    tokens_bind(built.targets, f->tokens + begin + 1);
    graph_forward(built.graph, &(run_context){.gradient_scale = 1});
    double loss = 0;
    for (size_t i = scored; i < end; i++) loss += (double)built.losses->data[i - begin];
    graph_free(built.graph);
    return loss;
}

static void assert_loss(const evaluation *result, size_t tokens, double sum) {
    const double loss = sum / (double)tokens;
    assert_int_equal(result->tokens, tokens);
    if (!(fabs(result->loss - loss) <= 1e-6 * loss))
        fail_msg("%zu tokens: %.9g instead of %.9g", tokens, result->loss, loss);
}

static void test_one_lane_is_one_pass_over_the_split(void **state) {
    fixture *f = *state;
    const size_t counts[] = {2, 12, 13, 14, 100, 2048};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const size_t targets = counts[i] - 1;
        for (int warmup = 0; warmup <= WARMUP; warmup += WARMUP) {
            const evaluation result = evaluate(f, counts[i], 3, warmup, 0);
            assert_loss(&result, targets, direct_loss(f, 0, 0, targets));
        }
    }
}

// Lanes are as many as have 1024 targets, and at most 32.
static void test_lanes_warm_up_and_cover_the_split(void **state) {
    fixture *f = *state;
    const struct { size_t targets, lanes; } cases[] = {{2048, 2}, {3500, 3}, {LONGEST - 1, 32}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int warmup = 0; warmup <= WARMUP; warmup += WARMUP) {
            const size_t targets = cases[k].targets, lanes = cases[k].lanes;
            const evaluation result = evaluate(f, targets + 1, 5, warmup, 0);
            double sum = 0;
            for (size_t i = 0; i < lanes; i++) {
                const size_t scored = i * targets / lanes;
                sum += direct_loss(f, i ? scored - (size_t)warmup : 0, scored, (i + 1) * targets / lanes);
            }
            assert_loss(&result, targets, sum);
        }
    assert_true(evaluate(f, 4000, 5, WARMUP, 0).loss != evaluate(f, 4000, 5, 0, 0).loss);
}

static void test_batches_make_no_difference(void **state) {
    fixture *f = *state;
    const int batches[] = {1, 3, 7, 32, 40};
    const evaluation one = evaluate(f, 9000, 2, WARMUP, 0);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        assert_true(evaluate(f, 9000, batches[i], WARMUP, 0).loss == one.loss);
}

static void test_samples_are_lanes_spread_evenly(void **state) {
    fixture *f = *state;
    const size_t targets = 9000;
    const evaluation some = evaluate(f, targets + 1, 2, WARMUP, 3100);
    double sum = 0;
    for (size_t i = 0; i < 3; i++) {
        const size_t scored = i * (targets - 1033) / 2;
        sum += direct_loss(f, i ? scored - WARMUP : 0, scored, scored + 1033);
    }
    assert_loss(&some, 3 * 1033, sum);
    assert_true(evaluate(f, targets + 1, 2, WARMUP, targets).loss ==
                evaluate(f, targets + 1, 2, WARMUP, 0).loss);
}

// Each document is read by itself, also those that begin in a warm-up.
static void test_documents_begin_anew(void **state) {
    fixture *f = *state;
    error err = {0};
    enum { DOCUMENT = 97, TARGETS = 2500 };
    evaluator *e;
    evaluation result;
    for (int i = 0; i < TARGETS; i++) {
        if (f->tokens[i] == 3) f->tokens[i] = 4;
        if (i % DOCUMENT == DOCUMENT - 1) f->tokens[i] = 3;
    }
    const encoding separator = {.ids = (int32_t[]){3}, .count = 1};
    const split_tokens part = {.tokens = f->tokens, .count = TARGETS + 1, .separator = &separator};
    const evaluator_options options = {.batch = 3, .carries_state = true, .warmup_tokens = 2 * DOCUMENT};
    test_ok(evaluator_new(f->t.model, &options, NULL, &e, &err), &err);
    evaluate_split(e, &part, f->letters, &result);
    evaluator_free(e);
    double sum = 0;
    for (size_t begin = 0; begin < TARGETS; begin += DOCUMENT) {
        const size_t end = begin + DOCUMENT < TARGETS ? begin + DOCUMENT : TARGETS;
        sum += direct_loss(f, begin, begin, end);
    }
    assert_loss(&result, TARGETS, sum);
}

static void test_splits_without_targets_have_no_loss(void **state) {
    fixture *f = *state;
    for (size_t count = 0; count < 2; count++) {
        const evaluation result = evaluate(f, count, 3, WARMUP, 0);
        assert_int_equal(result.tokens, 0);
        assert_true(isnan(result.loss));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, evaluated_text_close)

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        TEST(test_one_lane_is_one_pass_over_the_split),
        TEST(test_lanes_warm_up_and_cover_the_split),
        TEST(test_batches_make_no_difference),
        TEST(test_samples_are_lanes_spread_evenly),
        TEST(test_documents_begin_anew),
        TEST(test_splits_without_targets_have_no_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
