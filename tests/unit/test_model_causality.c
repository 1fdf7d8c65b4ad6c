// What a model says about a token depends on that token and those before it, and on no other row of the
// batch: changing anything else leaves the logits as they are, to the last bit, or as far as the model
// says.
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

enum { BATCH = 3, TIME = 77, TOKENS = BATCH * TIME, VOCABULARY = 29 };

typedef struct model_run {
    test_model t;
    model_graph built;
    int32_t ids[TOKENS], targets[TOKENS];
    real *before;
    size_t row; // bytes of the logits of one token
} model_run;

static void run(model_run *r) {
    graph_forward(r->built.graph, &(run_context){.gradient_scale = 1});
}

static void run_open(const char *yaml, model_run *r) {
    *r = (model_run){.t = test_model_new(yaml, VOCABULARY, TIME, 0.1), .row = VOCABULARY * sizeof(real)};
    test_tokens(1, TOKENS, VOCABULARY, r->ids);
    test_tokens(2, TOKENS, VOCABULARY, r->targets);
    r->built = test_model_build(&r->t, test_evaluation(BATCH, TIME));
    tokens_bind(r->built.ids, r->ids);
    tokens_bind(r->built.targets, r->targets);
    run(r);
    r->before = malloc(TOKENS * r->row);
    memcpy(r->before, r->built.logits->data, TOKENS * r->row);
}

static void run_close(model_run *r) {
    free(r->before);
    graph_free(r->built.graph);
    test_model_free(&r->t);
}

static bool unchanged(const model_run *r, int from, int to) {
    const size_t at = (size_t)from * VOCABULARY;
    return memcmp(r->before + at, r->built.logits->data + at, (size_t)(to - from) * r->row) == 0;
}

// The same up to rounding.
static bool hardly_changed(const model_run *r, int from, int to, double rounding) {
    const size_t at = (size_t)from * VOCABULARY;
    const double limit = rounding * largest((size_t)TOKENS * VOCABULARY, r->before);
    return largest_difference((size_t)(to - from) * VOCABULARY, r->before + at,
                              r->built.logits->data + at) <= limit;
}

static void test_the_past_does_not_see_the_future(void **state) {
    (void)state;
    const int cuts[] = {0, 1, 2, 30, 47, 48, 63, 64, 75};
    for (int i = 0; i < MODEL_TEXTS; i++) {
        model_run r;
        run_open(model_texts[i].yaml, &r);
        for (size_t n = 0; n < sizeof cuts / sizeof *cuts; n++) {
            const int cut = cuts[n];
            for (int b = 0; b < BATCH; b++)
                for (int t = cut + 1; t < TIME; t++)
                    r.ids[b * TIME + t] = (r.ids[b * TIME + t] + 1 + t % 5) % VOCABULARY;
            run(&r);
            for (int b = 0; b < BATCH; b++) {
                if (!hardly_changed(&r, b * TIME, b * TIME + cut + 1, model_text_rounding(&model_texts[i])))
                    fail_msg("%s: tokens after %d change what comes before", model_texts[i].name, cut);
                if (hardly_changed(&r, b * TIME + cut + 1, b * TIME + cut + 2,
                                   model_text_rounding(&model_texts[i])))
                    fail_msg("%s: token %d changes nothing", model_texts[i].name, cut + 1);
            }
            test_tokens(1, TOKENS, VOCABULARY, r.ids);
        }
        run_close(&r);
    }
}

static void test_sequences_of_a_batch_do_not_see_each_other(void **state) {
    (void)state;
    for (int i = 0; i < MODEL_TEXTS; i++) {
        model_run r;
        run_open(model_texts[i].yaml, &r);
        for (int t = 0; t < TIME; t++) r.ids[TIME + t] = (r.ids[TIME + t] + 1) % VOCABULARY;
        run(&r);
        assert_true(unchanged(&r, 0, TIME));
        assert_false(unchanged(&r, TIME, TIME + 1));
        assert_true(unchanged(&r, 2 * TIME, 3 * TIME));
        run_close(&r);
    }
}

// With L layers of window W a token reaches L (W - 1) tokens ahead, no further.
static void test_windows_end_where_they_say(void **state) {
    (void)state;
    enum { WINDOW = 5, LAYERS = 2, REACH = LAYERS * (WINDOW - 1), CHANGED = 20 };
    model_run r;
    run_open("model:\n"
             "  width: 16\n"
             "  init_std: 0.3\n"
             "  layers:\n"
             "    - embedding\n"
             "    - repeat:\n"
             "        times: 2\n"
             "        layers: [{residual: [{attention: {heads: 2, window: 5}}]}]\n"
             "    - unembedding\n",
             &r);
    r.ids[CHANGED] = (r.ids[CHANGED] + 1) % VOCABULARY;
    run(&r);
    assert_true(unchanged(&r, 0, CHANGED));
    for (int t = CHANGED; t <= CHANGED + REACH; t++) assert_false(unchanged(&r, t, t + 1));
    assert_true(unchanged(&r, CHANGED + REACH + 1, TIME));
    run_close(&r);
}

// Convolutions of kernel K reach K - 1 tokens ahead each.
static void test_kernels_end_where_they_say(void **state) {
    (void)state;
    enum { REACH = (4 - 1) + (6 - 1) + (1 - 1), CHANGED = 20 };
    model_run r;
    run_open("model:\n"
             "  width: 16\n"
             "  init: torch\n"
             "  layers:\n"
             "    - embedding: {init_std: 1.0}\n"
             "    - conv_gate: {hidden: 40}\n"
             "    - residual: [layernorm, {conv_gate: {kernel: 6, hidden: 40}}]\n"
             "    - conv_gate: {kernel: 1, hidden: 40}\n"
             "    - unembedding\n",
             &r);
    r.ids[CHANGED] = (r.ids[CHANGED] + 1) % VOCABULARY;
    run(&r);
    assert_true(unchanged(&r, 0, CHANGED));
    for (int t = CHANGED; t <= CHANGED + REACH; t++) assert_false(unchanged(&r, t, t + 1));
    assert_true(unchanged(&r, CHANGED + REACH + 1, TIME));
    run_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_past_does_not_see_the_future),
        cmocka_unit_test(test_sequences_of_a_batch_do_not_see_each_other),
        cmocka_unit_test(test_windows_end_where_they_say),
        cmocka_unit_test(test_kernels_end_where_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
