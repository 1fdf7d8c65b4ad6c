// Initial weights: their distributions, what scales them, and that they do not depend on the layers that
// come after them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/model.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { VOCABULARY = 101, BLOCK = 40, WIDTH = 96, DEPTH = 3 };

typedef struct moments {
    double mean, deviation, least, most;
    size_t count;
} moments;

static test_model initialised(const char *yaml, uint64_t seed) {
    test_model t = test_model_declare(yaml, VOCABULARY, BLOCK);
    parameters_initialise(t.model->parameters, seed);
    return t;
}

static const real *values_of(const test_model *t, const char *name, size_t *count) {
    const parameter *p = parameters_find(t->model->parameters, name);
    if (!p) fail_msg("no parameter %s", name);
    *count = p->count;
    return t->model->parameters->values + p->offset;
}

static moments moments_of(const test_model *t, const char *name) {
    moments m = {.least = INFINITY, .most = -INFINITY};
    const real *x = values_of(t, name, &m.count);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < m.count; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        m.least = fmin(m.least, (double)x[i]);
        m.most = fmax(m.most, (double)x[i]);
    }
    m.mean = sum / (double)m.count;
    m.deviation = sqrt(squares / (double)m.count - m.mean * m.mean);
    return m;
}

// Mean 0 and the given deviation, each within five standard errors; nothing further out than Box-Muller of
// 24 bits can go.
static void is_normal(const test_model *t, const char *name, double deviation) {
    const moments m = moments_of(t, name);
    const double n = (double)m.count;
    if (!(fabs(m.mean) < 5 * deviation / sqrt(n) &&
          fabs(m.deviation - deviation) < 5 * deviation / sqrt(2 * n)))
        fail_msg("%s: mean %g, deviation %g instead of %g", name, m.mean, m.deviation, deviation);
    assert_true(m.most < 5.8 * deviation && m.least > -5.8 * deviation);
    assert_true(m.most > 2 * deviation && m.least < -2 * deviation);
}

static void is_uniform(const test_model *t, const char *name, double bound) {
    const moments m = moments_of(t, name);
    const double n = (double)m.count, deviation = bound / sqrt(3);
    assert_true(m.least >= -bound && m.most <= bound);
    if (!(fabs(m.mean) < 5 * deviation / sqrt(n) &&
          fabs(m.deviation - deviation) < 3 * deviation / sqrt(n)))
        fail_msg("%s: mean %g, deviation %g instead of %g", name, m.mean, m.deviation, deviation);
    assert_true(m.most > 0.9 * bound && m.least < -0.9 * bound);
}

static void is_constant(const test_model *t, const char *name, double value) {
    const moments m = moments_of(t, name);
    assert_true(m.least == value && m.most == value);
}

static const char gpt[] = "model:\n"
                          "  width: 96\n"
                          "  depth: 3\n"
                          "  layers:\n"
                          "    - embedding\n"
                          "    - positions: {init_std: 0.05}\n"
                          "    - repeat:\n"
                          "        layers:\n"
                          "          - residual: [layernorm, {attention: {heads: 4, qk_norm: true}}]\n"
                          "          - residual: [rmsnorm, mlp]\n"
                          "    - layernorm\n"
                          "    - unembedding: {tied: false, bias: true}\n";

static void test_gpt2_weights_are_normal(void **state) {
    (void)state;
    const double into_residual = 0.02 / sqrt(2.0 * DEPTH);
    test_model t = initialised(gpt, 1337);
    is_normal(&t, "embedding/weight", 0.02);
    is_normal(&t, "positions/weight", 0.05);
    is_normal(&t, "repeat/0/residual1/attention/in_proj_weight", 0.02);
    is_normal(&t, "repeat/1/residual1/attention/out_proj.weight", into_residual);
    is_normal(&t, "repeat/2/residual2/mlp/fc1.weight", 0.02);
    is_normal(&t, "repeat/2/residual2/mlp/fc2.weight", into_residual);
    is_normal(&t, "unembedding/weight", 0.02);
    is_constant(&t, "repeat/0/residual1/attention/in_proj_bias", 0);
    is_constant(&t, "repeat/0/residual1/attention/out_proj.bias", 0);
    is_constant(&t, "repeat/0/residual2/mlp/fc1.bias", 0);
    is_constant(&t, "unembedding/bias", 0);
    is_constant(&t, "repeat/0/residual1/layernorm/weight", 1);
    is_constant(&t, "repeat/0/residual1/layernorm/bias", 0);
    is_constant(&t, "repeat/0/residual2/rmsnorm/weight", 1);
    is_constant(&t, "repeat/0/residual1/attention/q_norm.weight", 1);
    is_constant(&t, "repeat/0/residual1/attention/k_norm.weight", 1);
    test_model_free(&t);
}

static void test_torch_weights_are_uniform(void **state) {
    (void)state;
    test_model t = initialised("model:\n"
                               "  width: 96\n"
                               "  init: torch\n"
                               "  layers:\n"
                               "    - embedding: {init_std: 1.0}\n"
                               "    - residual: [layernorm, {attention: {heads: 4}}]\n"
                               "    - residual: [layernorm, {mlp: {hidden: 200}}]\n"
                               "    - linear: {out: 150}\n"
                               "    - unembedding: {tied: false}\n",
                               1337);
    is_normal(&t, "embedding/weight", 1);
    is_uniform(&t, "residual1/attention/in_proj_weight", 1 / sqrt(WIDTH));
    is_uniform(&t, "residual1/attention/in_proj_bias", 1 / sqrt(WIDTH));
    is_uniform(&t, "residual1/attention/out_proj.weight", 1 / sqrt(WIDTH)); // not scaled down
    is_uniform(&t, "residual2/mlp/fc1.weight", 1 / sqrt(WIDTH));
    is_uniform(&t, "residual2/mlp/fc2.weight", 1 / sqrt(200));
    is_uniform(&t, "residual2/mlp/fc2.bias", 1 / sqrt(200));
    is_uniform(&t, "linear/weight", 1 / sqrt(WIDTH));
    is_uniform(&t, "unembedding/weight", 1 / sqrt(150));
    test_model_free(&t);
}

// As torch.nn.Conv1d, whatever the model's initialisation: it counts what a window holds.
static void test_convolutions_are_as_in_torch(void **state) {
    (void)state;
    const char *const inits[] = {"torch", "gpt2"};
    for (int i = 0; i < 2; i++) {
        arena *a = arena_new();
        test_model t = initialised(arena_format(a,
                                                "model:\n"
                                                "  width: 96\n"
                                                "  init: %s\n"
                                                "  layers:\n"
                                                "    - embedding\n"
                                                "    - conv_gate: {kernel: 5, hidden: 150}\n"
                                                "    - residual: [conv_gate]\n"
                                                "    - unembedding\n",
                                                inits[i]),
                                   1337);
        is_uniform(&t, "conv_gate/conv.weight", 1 / sqrt(5 * WIDTH));
        is_uniform(&t, "conv_gate/conv.bias", 1 / sqrt(5 * WIDTH));
        is_uniform(&t, "residual/conv_gate/conv.weight", 1 / sqrt(4 * WIDTH));
        const parameter *p = parameters_find(t.model->parameters, "conv_gate/conv.weight");
        assert_int_equal(p->about.rank, 3);
        assert_int_equal(p->about.shape[0] * 10000 + p->about.shape[1] * 10 + p->about.shape[2],
                         WIDTH * 10000 + WIDTH * 10 + 5);
        if (i == 0) {
            is_uniform(&t, "conv_gate/gate.weight", 1 / sqrt(WIDTH));
            is_uniform(&t, "conv_gate/fc1.bias", 1 / sqrt(WIDTH));
            is_uniform(&t, "residual/conv_gate/fc2.weight", 1 / sqrt(2048));
        } else {
            is_normal(&t, "conv_gate/gate.weight", 0.02);
            is_normal(&t, "residual/conv_gate/fc2.weight", 0.02);
            is_constant(&t, "conv_gate/gate.bias", 0);
        }
        test_model_free(&t);
        arena_free(a);
    }
}

// Rows of length 1/2 at right angles.
static void is_half_orthogonal(const test_model *t, const char *name) {
    size_t count;
    const real *values = values_of(t, name, &count);
    const size_t n = (size_t)sqrt((double)count);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b <= a; b++) {
            double product = 0;
            for (size_t i = 0; i < n; i++) product += (double)values[a * n + i] * (double)values[b * n + i];
            assert_true(fabs(product - (a == b ? 0.25 : 0)) < 1e-6);
        }
}

// Values above `least` that softplus makes of a parameter.
static void is_positive_range(const test_model *t, const char *name, double least, double low,
                              double high) {
    size_t count;
    const real *values = values_of(t, name, &count);
    double lowest = INFINITY, highest = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = least + log1p(exp((double)values[i]));
        lowest = fmin(lowest, value), highest = fmax(highest, value);
    }
    const double tenth = (high - low) / 10;
    assert_true(lowest > low - 1e-6 && lowest < low + tenth);
    assert_true(highest < high + 1e-6 && highest > high - tenth);
}

static void is_range(const test_model *t, const char *name, double low, double high) {
    const moments m = moments_of(t, name);
    const double tenth = (high - low) / 10;
    assert_true(m.least >= low && m.least < low + tenth);
    assert_true(m.most <= high && m.most > high - tenth);
}

static void test_liquid_networks(void **state) {
    (void)state;
    test_model t = initialised("model:\n"
                               "  width: 96\n"
                               "  layers:\n"
                               "    - embedding\n"
                               "    - ltc: {hidden: 50, tau: 2.0}\n"
                               "    - ltc: {form: synapses, hidden: 40}\n"
                               "    - unembedding: {tied: false}\n",
                               1337);
    is_uniform(&t, "ltc1/input.weight", sqrt(6.0 / (96 + 50)));
    is_constant(&t, "ltc1/input.bias", 0);
    is_half_orthogonal(&t, "ltc1/recurrent.weight");
    is_range(&t, "ltc1/amplitude", -1, 1);
    is_constant(&t, "ltc1/tau_raw", (double)(real)log(expm1(2 - 0.05)));
    is_positive_range(&t, "ltc2/sensory_w_raw", 1e-5, 0.001, 1);
    is_positive_range(&t, "ltc2/w_raw", 1e-5, 0.001, 1);
    is_positive_range(&t, "ltc2/gleak_raw", 1e-5, 0.001, 1);
    is_positive_range(&t, "ltc2/cm_raw", 1e-6, 0.4, 0.6);
    is_range(&t, "ltc2/sensory_sigma", 3, 8);
    is_range(&t, "ltc2/mu", 0.3, 0.8);
    is_range(&t, "ltc2/vleak", -0.2, 0.2);
    const moments signs = moments_of(&t, "ltc2/erev");
    assert_true(signs.least == -1 && signs.most == 1 && fabs(signs.mean) < 0.1);
    assert_true(fabs(signs.deviation - 1) < 0.01);
    test_model_free(&t);
}

// As torch.nn.LSTM and torch.nn.GRU, but for the forget gate.
static void test_recurrent_layers_are_as_in_torch(void **state) {
    (void)state;
    test_model t = initialised("model:\n"
                               "  width: 96\n"
                               "  layers:\n"
                               "    - embedding\n"
                               "    - lstm: {hidden: 40, layers: 2}\n"
                               "    - lstm: {forget_bias: 0}\n"
                               "    - gru: {hidden: 50}\n"
                               "    - unembedding: {tied: false}\n",
                               1337);
    const double bound = 1 / sqrt(40);
    const char *const names[] = {"lstm1/weight_ih_l0", "lstm1/weight_hh_l0", "lstm1/weight_ih_l1",
                                 "lstm1/weight_hh_l1"};
    for (int i = 0; i < 4; i++) is_uniform(&t, names[i], bound);
    is_uniform(&t, "lstm2/bias_ih_l0", bound);
    is_uniform(&t, "lstm2/bias_hh_l0", bound);
    is_uniform(&t, "gru/weight_ih_l0", 1 / sqrt(50));
    is_uniform(&t, "gru/bias_hh_l0", 1 / sqrt(50));
    size_t count;
    for (int layer = 0; layer < 2; layer++) {
        const real *b_ih = values_of(&t, layer ? "lstm1/bias_ih_l1" : "lstm1/bias_ih_l0", &count);
        const real *b_hh = values_of(&t, layer ? "lstm1/bias_hh_l1" : "lstm1/bias_hh_l0", &count);
        assert_int_equal(count, 160);
        for (int k = 0; k < 160; k++) {
            const bool forget = k >= 40 && k < 80;
            assert_true((b_ih[k] == 1) == forget && (b_hh[k] == 0) == forget);
        }
    }
    test_model_free(&t);
}

// As ncps, but for A.
static void test_cfc_is_as_in_ncps(void **state) {
    (void)state;
    test_model t = initialised("model:\n"
                               "  width: 96\n"
                               "  layers:\n"
                               "    - embedding\n"
                               "    - cfc: {hidden: 40, backbone_layers: 2, backbone_units: 50}\n"
                               "    - cfc: {mode: pure, backbone_layers: 0}\n"
                               "    - unembedding: {tied: false}\n",
                               1337);
    is_uniform(&t, "cfc1/backbone.0.weight", sqrt(6.0 / (50 + 96 + 40)));
    is_uniform(&t, "cfc1/backbone.0.bias", 1 / sqrt(96 + 40));
    is_uniform(&t, "cfc1/backbone.2.weight", sqrt(6.0 / (50 + 50)));
    is_uniform(&t, "cfc1/ff2.weight", sqrt(6.0 / (40 + 50)));
    is_uniform(&t, "cfc1/time_a.weight", sqrt(6.0 / (40 + 50)));
    is_uniform(&t, "cfc1/time_b.bias", 1 / sqrt(50));
    is_uniform(&t, "cfc2/ff1.weight", sqrt(6.0 / (40 + 40 + 40)));
    is_uniform(&t, "cfc2/w_tau", sqrt(6.0 / (1 + 40)));
    is_constant(&t, "cfc2/A", 1);
    test_model_free(&t);
}

// Residuals are counted wherever they stand; layers outside of them are not scaled.
static void test_only_what_is_added_is_scaled(void **state) {
    (void)state;
    test_model t =
        initialised("model:\n"
                    "  width: 96\n"
                    "  init_std: 0.1\n"
                    "  layers:\n"
                    "    - embedding\n"
                    "    - mlp\n"
                    "    - repeat:\n"
                    "        times: 2\n"
                    "        layers:\n"
                    "          - residual: [mlp, {residual: [attention]}]\n"
                    "    - parallel:\n"
                    "        branches: [[{residual: [mlp]}], [{sequential: [{residual: [mlp]}]}]]\n"
                    "    - repeat: {times: 0, layers: [{residual: [mlp]}]}\n"
                    "    - unembedding\n",
                    1337);
    const double scaled = 0.1 / sqrt(2 * 2 + 2);
    is_normal(&t, "mlp/fc2.weight", 0.1);
    is_normal(&t, "repeat1/0/residual/mlp/fc2.weight", scaled);
    is_normal(&t, "repeat1/1/residual/residual/attention/out_proj.weight", scaled);
    is_normal(&t, "parallel/0/residual/mlp/fc2.weight", scaled);
    is_normal(&t, "parallel/1/sequential/residual/mlp/fc2.weight", scaled);
    is_normal(&t, "parallel/1/sequential/residual/mlp/fc1.weight", 0.1);
    test_model_free(&t);
}

static void test_weights_are_a_function_of_the_seed(void **state) {
    (void)state;
    test_model a = initialised(gpt, 1337), b = initialised(gpt, 1337), c = initialised(gpt, 1338);
    const parameter_set *set = a.model->parameters;
    assert_memory_equal(set->values, b.model->parameters->values, set->total * sizeof(real));
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        if (p->about.init == INIT_CONSTANT) continue;
        assert_memory_not_equal(set->values + p->offset, c.model->parameters->values + p->offset,
                                p->count * sizeof(real));
    }
    test_model_free(&a);
    test_model_free(&b);
    test_model_free(&c);
}

// Every parameter draws from a stream of its own: no two are alike, nor correlated.
static void test_parameters_are_independent(void **state) {
    (void)state;
    test_model t = initialised(gpt, 1337);
    const char *const names[] = {"embedding/weight",
                                 "repeat/0/residual1/attention/in_proj_weight",
                                 "repeat/0/residual2/mlp/fc1.weight",
                                 "repeat/1/residual1/attention/in_proj_weight",
                                 "repeat/1/residual2/mlp/fc1.weight",
                                 "unembedding/weight"};
    enum { NAMES = sizeof names / sizeof *names };
    for (int i = 0; i < NAMES; i++)
        for (int k = 0; k < i; k++) {
            size_t m, n;
            const real *x = values_of(&t, names[i], &m), *y = values_of(&t, names[k], &n);
            if (n < m) m = n;
            double product = 0;
            for (size_t e = 0; e < m; e++) product += (double)x[e] * (double)y[e];
            if (!(fabs(product) < 5 * 0.02 * 0.02 * sqrt((double)m)))
                fail_msg("%s and %s are correlated", names[i], names[k]);
        }
    test_model_free(&t);
}

static void test_layers_added_at_the_end_change_nothing_before(void **state) {
    (void)state;
    const char *const start = "model:\n"
                              "  width: 96\n"
                              "  init: torch\n"
                              "  layers:\n"
                              "    - embedding\n"
                              "    - mlp\n"
                              "    - residual: [attention]\n";
    arena *a = arena_new();
    test_model less = initialised(arena_format(a, "%s    - unembedding\n", start), 5);
    test_model more = initialised(
        arena_format(a, "%s    - linear\n    - layernorm\n    - unembedding: {bias: true}\n", start), 5);
    const parameter_set *set = less.model->parameters;
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        size_t count;
        const real *other = values_of(&more, p->name, &count);
        assert_int_equal(count, p->count);
        assert_memory_equal(set->values + p->offset, other, count * sizeof(real));
    }
    test_model_free(&less);
    test_model_free(&more);
    arena_free(a);
}

// An untrained model knows nothing: its loss is about the logarithm of the vocabulary.
static void test_an_untrained_gpt_guesses(void **state) {
    (void)state;
    int32_t ids[4 * BLOCK], targets[4 * BLOCK];
    test_tokens(1, 4 * BLOCK, VOCABULARY, ids);
    test_tokens(2, 4 * BLOCK, VOCABULARY, targets);
    test_model t = initialised(gpt, 1337);
    model_graph built = test_model_build(&t, test_evaluation(4, BLOCK));
    tokens_bind(built.ids, ids);
    tokens_bind(built.targets, targets);
    graph_forward(built.graph, &(run_context){.gradient_scale = 1});
    const double expected = log(VOCABULARY) + 0.5 * WIDTH * 0.02 * 0.02;
    assert_true(fabs(test_loss(&built) / (4 * BLOCK) - expected) < 0.1);
    graph_free(built.graph);
    test_model_free(&t);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2_weights_are_normal),
        cmocka_unit_test(test_torch_weights_are_uniform),
        cmocka_unit_test(test_convolutions_are_as_in_torch),
        cmocka_unit_test(test_recurrent_layers_are_as_in_torch),
        cmocka_unit_test(test_cfc_is_as_in_ncps),
        cmocka_unit_test(test_liquid_networks),
        cmocka_unit_test(test_only_what_is_added_is_scaled),
        cmocka_unit_test(test_weights_are_a_function_of_the_seed),
        cmocka_unit_test(test_parameters_are_independent),
        cmocka_unit_test(test_layers_added_at_the_end_change_nothing_before),
        cmocka_unit_test(test_an_untrained_gpt_guesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
