// Whole-split evaluation against a direct computation that scores each target by itself.
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

enum { VOCABULARY = 29, BLOCK = 12, LONGEST = 200 };

typedef evaluated_text fixture;

static int open_fixture(void **state) {
    static const char yaml[] = "model:\n"
                               "  width: 16\n"
                               "  init_std: 0.4\n"
                               "  layers:\n"
                               "    - embedding\n"
                               "    - positions\n"
                               "    - residual: [layernorm, {attention: {heads: 2}}]\n"
                               "    - residual: [layernorm, {hyena: {emb_dim: 5, filter_width: 8}}]\n"
                               "    - residual: [layernorm, mlp]\n"
                               "    - unembedding\n";
    return evaluated_text_open(state, yaml, VOCABULARY, BLOCK, LONGEST);
}

static evaluation evaluate(fixture *f, size_t count, int batch, int stride) {
    error err = {0};
    evaluator *e;
    evaluation result;
    const split_tokens part = {.tokens = f->tokens, .count = count};
    const evaluator_options options = {.batch = batch, .stride = stride};
    test_ok(evaluator_new(f->t.model, &options, NULL, &e, &err), &err);
    evaluate_split(e, &part, f->letters, &result);
    evaluator_free(e);
    return result;
}

// What the model loses on target `at` (the token after it) when it reads tokens from `first` on.
static double direct_loss(const fixture *f, size_t first, size_t at) {
    const int time = (int)(at - first + 1);
    model_graph built = test_model_build(&f->t, test_evaluation(1, time));
    tokens_bind(built.ids, f->tokens + first);
    tokens_bind(built.targets, f->tokens + first + 1);
    graph_forward(built.graph, &(run_context){.gradient_scale = 1});
    const double loss = (double)built.losses->data[time - 1];
    graph_free(built.graph);
    return loss;
}

// The sum over all targets, each read from the start of the window that scores it: 0 for the first block's,
// then the first window, in steps of stride or at the end, that reaches it.
static double direct_sum(const fixture *f, size_t count, size_t stride) {
    const size_t targets = count - 1;
    double sum = 0;
    for (size_t at = 0; at < targets; at++) {
        size_t end = BLOCK;
        while (end <= at) end += stride;
        if (end > targets) end = targets;
        sum += direct_loss(f, end > BLOCK ? end - BLOCK : 0, at);
    }
    return sum;
}

static void test_every_target_is_scored_once(void **state) {
    fixture *f = *state;
    const size_t counts[] = {2, 3, 11, 12, 13, 14, 24, 25, 26, 60, 61};
    const int strides[] = {1, 5, 11, 12};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (size_t k = 0; k < sizeof strides / sizeof *strides; k++) {
            const evaluation result = evaluate(f, counts[i], 3, strides[k]);
            const double loss = direct_sum(f, counts[i], (size_t)strides[k]) / (double)(counts[i] - 1);
            assert_int_equal(result.tokens, counts[i] - 1);
            if (!(fabs(result.loss - loss) <= 1e-6 * fmax(1, loss)))
                fail_msg("%zu tokens, stride %d: %.9g instead of %.9g", counts[i], strides[k], result.loss,
                         loss);
            assert_true(fabs(result.perplexity - exp(result.loss)) <= 1e-12 * result.perplexity);
        }
}

static void test_batches_make_no_difference(void **state) {
    fixture *f = *state;
    const int batches[] = {2, 3, 7, 16, 40};
    for (int stride = 5; stride <= BLOCK; stride += 7) {
        const evaluation one = evaluate(f, 150, 1, stride);
        for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
            const evaluation more = evaluate(f, 150, batches[i], stride);
            assert_int_equal(more.tokens, one.tokens);
            assert_true(more.loss == one.loss);
            assert_true(more.bits_per_char == one.bits_per_char);
        }
    }
}

static void test_strides_change_the_context(void **state) {
    fixture *f = *state;
    assert_true(evaluate(f, 150, 4, 1).loss != evaluate(f, 150, 4, BLOCK).loss);
}

// Bits count the characters that the targets stand for, as the loss does: an unknown token stands for one.
static void test_bits_are_counted_by_character(void **state) {
    fixture *f = *state;
    const int32_t unknown = tokenizer_unknown(f->letters);
    assert_true(unknown >= 0);
    for (int i = 0; i < LONGEST; i++)
        if (f->tokens[i] == unknown) f->tokens[i] = unknown + 1;
    evaluation result = evaluate(f, 101, 4, BLOCK);
    assert_true(result.unknown_rate == 0);
    assert_true(fabs(result.bits_per_char - result.loss / log(2)) <= 1e-12 * result.bits_per_char);
    for (int i = 1; i <= 25; i++) f->tokens[4 * i] = unknown;
    result = evaluate(f, 101, 4, BLOCK);
    assert_true(fabs(result.unknown_rate - 0.25) <= 1e-12);
    assert_true(fabs(result.bits_per_char - result.loss / log(2)) <= 1e-12 * result.bits_per_char);
    for (int i = 0; i < LONGEST; i++) f->tokens[i] = unknown;
    result = evaluate(f, 30, 4, BLOCK);
    assert_true(result.unknown_rate == 1);
    assert_true(fabs(result.bits_per_char - result.loss / log(2)) <= 1e-12 * result.bits_per_char);
}

// Bits per byte are those of a code without loss: an unknown token also says which of the other code points
// it is, and has as many bytes as the unknown characters of the text on average.
static void test_bits_are_counted_by_byte(void **state) {
    fixture *f = *state;
    enum { COUNT = 101, UNKNOWN = 25 };
    const int32_t unknown = tokenizer_unknown(f->letters);
    for (int i = 0; i < LONGEST; i++)
        if (f->tokens[i] == unknown) f->tokens[i] = unknown + 1;
    evaluation result = evaluate(f, COUNT, 4, BLOCK); // ASCII
    assert_true(result.bits_per_byte == result.bits_per_char);
    for (int i = 1; i <= UNKNOWN; i++) f->tokens[4 * i] = unknown;
    error err = {0};
    evaluator *e;
    const evaluator_options options = {.batch = 4, .stride = BLOCK};
    const split_tokens part = {
        .tokens = f->tokens, .count = COUNT, .unknown = UNKNOWN, .unknown_bytes = 2 * UNKNOWN};
    test_ok(evaluator_new(f->t.model, &options, NULL, &e, &err), &err);
    evaluate_split(e, &part, f->letters, &result);
    evaluator_free(e);
    const double known = COUNT - 1 - UNKNOWN, others = 1114112 - 28;
    const double nats = result.loss * (COUNT - 1) + UNKNOWN * log(others);
    assert_true(fabs(result.bits_per_byte - nats / log(2) / (known + 2 * UNKNOWN)) <= 1e-12);
}

static void test_splits_without_targets_have_no_loss(void **state) {
    fixture *f = *state;
    for (size_t count = 0; count < 2; count++) {
        const evaluation result = evaluate(f, count, 3, BLOCK);
        assert_int_equal(result.tokens, 0);
        assert_true(isnan(result.loss));
    }
}

// A lender's memory changes nothing, whatever stands in it.
static void test_memory_can_be_borrowed(void **state) {
    fixture *f = *state;
    error err = {0};
    const split_tokens part = {.tokens = f->tokens, .count = 100};
    const evaluation alone = evaluate(f, 100, 2, BLOCK);
    model_graph training = test_model_build(&f->t, test_training(8, BLOCK));
    evaluator *e;
    evaluation result;
    evaluator_options options = {.batch = 2, .stride = BLOCK};
    test_ok(evaluator_new(f->t.model, &options, training.graph, &e, &err), &err);
    assert_int_equal(evaluator_bytes(e), 0);
    memset(training.graph->plan_memory, 0xff, training.graph->plan_bytes);
    evaluate_split(e, &part, f->letters, &result);
    assert_true(result.loss == alone.loss);
    evaluator_free(e);
    options.batch = 64; // too large for it
    test_ok(evaluator_new(f->t.model, &options, training.graph, &e, &err), &err);
    assert_true(evaluator_bytes(e) > 0);
    evaluate_split(e, &part, f->letters, &result);
    assert_true(result.loss == alone.loss);
    evaluator_free(e);
    graph_free(training.graph);
}

// What is made of weights once lasts for one evaluation.
static void test_weights_may_change(void **state) {
    fixture *f = *state;
    error err = {0};
    const split_tokens part = {.tokens = f->tokens, .count = 100};
    parameter_set *set = f->t.model->parameters;
    evaluator *e;
    evaluation before, after;
    const evaluator_options options = {.batch = 2, .stride = BLOCK};
    test_ok(evaluator_new(f->t.model, &options, NULL, &e, &err), &err);
    evaluate_split(e, &part, f->letters, &before);
    for (size_t i = 0; i < set->total; i++) parameters_write(set)[i] *= (real)1.25;
    evaluate_split(e, &part, f->letters, &after);
    assert_true(after.loss != before.loss);
    assert_true(after.loss == evaluate(f, 100, 2, BLOCK).loss);
    evaluator_free(e);
}

// --- samples

static evaluation evaluate_part(fixture *f, size_t count, size_t max_tokens) {
    error err = {0};
    evaluator *e;
    evaluation result;
    const split_tokens part = {.tokens = f->tokens, .count = count};
    const evaluator_options options = {.batch = 4, .stride = 5};
    test_ok(evaluator_new(f->t.model, &options, NULL, &e, &err), &err);
    evaluate_sample(e, &part, f->letters, max_tokens, &result);
    evaluator_free(e);
    return result;
}

static void test_a_sample_of_everything_is_everything(void **state) {
    fixture *f = *state;
    const evaluation whole = evaluate(f, 97, 4, 5);
    for (size_t most = 96; most < 1000; most *= 3) {
        const evaluation sample = evaluate_part(f, 97, most);
        assert_int_equal(sample.tokens, 96);
        assert_true(sample.loss == whole.loss);
    }
}

static void test_samples_are_whole_windows_spread_evenly(void **state) {
    fixture *f = *state;
    const struct {
        size_t count, most, windows;
    } cases[] = {{200, 12, 1}, {200, 5, 1}, {200, 36, 3}, {200, 47, 3}, {200, 190, 15}, {100, 97, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t targets = cases[i].count - 1, windows = cases[i].windows;
        const evaluation sample = evaluate_part(f, cases[i].count, cases[i].most);
        assert_int_equal(sample.tokens, windows * BLOCK);
        double sum = 0;
        size_t end = 0;
        for (size_t w = 0; w < windows; w++) {
            const size_t first = windows > 1 ? w * (targets - BLOCK) / (windows - 1) : 0;
            assert_true(first >= end); // no target twice
            end = first + BLOCK;
            for (size_t at = first; at < end; at++) sum += direct_loss(f, first, at);
        }
        assert_true(windows == 1 || end == targets);
        const double loss = sum / (double)(windows * BLOCK);
        assert_true(fabs(sample.loss - loss) <= 1e-6 * fmax(1, loss));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, evaluated_text_close)

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        TEST(test_every_target_is_scored_once),
        TEST(test_batches_make_no_difference),
        TEST(test_strides_change_the_context),
        TEST(test_bits_are_counted_by_character),
        TEST(test_bits_are_counted_by_byte),
        TEST(test_splits_without_targets_have_no_loss),
        TEST(test_memory_can_be_borrowed),
        TEST(test_weights_may_change),
        TEST(test_a_sample_of_everything_is_everything),
        TEST(test_samples_are_whole_windows_spread_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
