// What becomes of a model whose building fails in the middle of a layer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/model.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { VOCABULARY = 13, BLOCK = 16 };

static const char *const frame = "model:\n  width: 12\n  layers: [embedding, %s, unembedding]\n";

static const model_settings *settings_with(const char *layer, arena *a) {
    char yaml[512];
    snprintf(yaml, sizeof yaml, frame, layer);
    return test_model_settings(yaml, a);
}

// Every layer composes its operators although its parameters cannot be declared, the weights having been
// placed without them; the error is that of the first parameter.
static void test_failure_in_a_layer_is_kept(void **state) {
    (void)state;
    static const struct {
        const char *layer, *parameter;
    } cases[] = {
        {"positions", "positions/weight"},
        {"{attention: {qk_norm: true}}", "attention/in_proj_weight"},
        {"conv_gate", "conv_gate/conv.weight"},
        {"{hyena: {positions_lr_multiplier: 1.0, decay_lr_multiplier: 1.0}}", "hyena/in_proj.weight"},
        {"long_conv", "long_conv/filter"},
        {"lstm", "lstm/weight_ih_l0"},
        {"ltc", "ltc/input.weight"},
        {"{ltc: {form: synapses}}", "ltc/sensory_w_raw"},
        {"{gru: {layers: 2, hidden: 7}}", "gru/weight_ih_l0"},
        {"{cfc: {backbone_layers: 2, hidden: 7}}", "cfc/backbone.0.weight"},
        {"{cfc: {backbone_layers: 0, mode: pure}}", "cfc/ff1.weight"},
        {"{attention: {heads: 1, projections: none, learned_scale: true}}", "attention/scale"},
        {"linear", "linear/weight"},
        {"{mlp: {activation: swiglu}}", "mlp/fc1.weight"},
        {"layernorm", "layernorm/weight"},
        {"rmsnorm", "rmsnorm/weight"},
        {"{sequential: [rmsnorm, linear]}", "sequential/rmsnorm/weight"},
        {"{residual: [rmsnorm, {linear: {out: 5}}]}", "residual/rmsnorm/weight"},
        {"{repeat: {times: 2, layers: [{linear: {out: 5}}]}}", "repeat/0/linear/weight"},
        {"{parallel: {branches: [[], [{linear: {out: 5}}]]}}", "parallel/1/linear/weight"},
        {"{parallel: {combine: concat, branches: [[linear], [linear]]}}", "parallel/0/linear/weight"},
    };
    state_set *states = states_new(2);
    const graph_options options[] = {test_training(2, 3), test_evaluation(2, 3),
                                     test_decoding(2, 3, states)};
    test_model t =
        test_model_declare("model:\n  width: 12\n  layers: [embedding, unembedding]\n", VOCABULARY, BLOCK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
            error err = {0};
            model_graph built;
            char expected[128];
            snprintf(expected, sizeof expected, "parameter %s was declared after the weights were placed",
                     cases[i].parameter);
            t.model->settings = settings_with(cases[i].layer, t.memory);
            assert_int_equal(model_build(t.model, &options[k], true, &built, &err), ERR_INTERNAL);
            assert_string_equal(err.message, expected);
            assert_null(built.graph);
        }
    states_free(states);
    test_model_free(&t);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure_in_a_layer_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
