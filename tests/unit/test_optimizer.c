// Optimizers: what they touch and what they leave alone, Muon's orthogonalisation, exactness over threads.
// Their numbers are compared with PyTorch's in tests/parity/test_optimizers.c.
#include "support/settings.h"

#include "base/rng.h"
#include "graph/parameters.h"
#include "train/optimizers/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "kernels/kernels.h"

#include <cmocka.h>

static arena *memory;

static parameter *add(parameter_set *set, const char *name, const parameter_declaration *about) {
    parameter *p;
    error err;
    assert_int_equal(parameters_declare(set, name, about, &p, &err), OK);
    return p;
}

static void fill(const parameter *p, uint32_t site, double scale, real *block) {
    const rng_stream stream = {5, RNG_INIT, site, 0, 0};
    for (size_t i = 0; i < p->count; i++)
        block[p->offset + i] = (real)(scale * (2 * rng_uniform(&stream, i) - 1));
}

// A matrix and a table with decay, a bias without.
static parameter_set *three_parameters(void) {
    parameter_set *set = parameters_new();
    error err;
    add(set, "matrix", &(parameter_declaration){.rank = 2, .shape = {7, 5}, .decay = true, .matrix = true});
    add(set, "table", &(parameter_declaration){.rank = 2, .shape = {3, 5}, .decay = true});
    add(set, "bias", &(parameter_declaration){.rank = 1, .shape = {9}});
    assert_int_equal(parameters_allocate(set, true, &err), OK);
    for (int i = 0; i < set->count; i++) fill(set->items[i], (uint32_t)i, 1, parameters_write(set));
    return set;
}

static optimizer *make(const char *settings, parameter_set *set) {
    component_choice *choice = arena_alloc(memory, sizeof *choice);
    *choice = settings_choose(optimizer_registry, settings, memory);
    optimizer *o;
    error err;
    assert_int_equal(optimizer_new(choice, set, &o, &err), OK);
    return o;
}

static optimizer *make_one_of(const component *type, parameter_set *set) {
    return make(arena_format(memory, "{type: %s, lr: 0.1, weight_decay: 0.5}", type->name), set);
}

static void test_decay_touches_only_what_is_declared_to_decay(void **state) {
    (void)state;
    for (const component *const *type = optimizer_registry; *type; type++) {
        parameter_set *set = three_parameters(), *before = three_parameters();
        optimizer *o = make_one_of(*type, set);
        optimizer_step(o, 0.1, 1, 1); // gradients are zero
        for (int i = 0; i < set->count; i++) {
            const parameter *p = set->items[i];
            for (size_t n = p->offset; n < p->offset + p->count; n++)
                assert_true((set->values[n] != before->values[n]) == p->about.decay);
        }
        optimizer_free(o);
        parameters_free(set);
        parameters_free(before);
    }
}

static void test_padding_stays_zero(void **state) {
    (void)state;
    for (const component *const *type = optimizer_registry; *type; type++) {
        parameter_set *set = three_parameters();
        optimizer *o = make_one_of(*type, set);
        for (int64_t step = 1; step <= 3; step++) {
            for (int i = 0; i < set->count; i++)
                fill(set->items[i], (uint32_t)(10 * step + i), 1, set->gradients);
            optimizer_step(o, 0.1, 1, step);
        }
        size_t at = 0, padding = 0;
        for (int i = 0; i <= set->count; i++) {
            const size_t next = i < set->count ? set->items[i]->offset : set->total;
            for (; at < next; at++, padding++) {
                assert_true(set->values[at] == 0);
                for (int m = 0; m < optimizer_moments(o); m++) assert_true(optimizer_moment(o, m)[at] == 0);
            }
            if (i < set->count) at += set->items[i]->count;
        }
        assert_true(padding > 0);
        optimizer_free(o);
        parameters_free(set);
    }
}

static void test_state(void **state) {
    (void)state;
    parameter_set *set = three_parameters();
    optimizer *o = make("adamw", set);
    assert_int_equal(optimizer_moments(o), 2);
    assert_string_equal(optimizer_moment_name(o, 0), "m");
    assert_string_equal(optimizer_moment_name(o, 1), "v");
    assert_int_equal(optimizer_bytes(o), 2 * set->block_bytes);
    for (size_t i = 0; i < set->total; i++) assert_true(optimizer_moment(o, 1)[i] == 0);
    optimizer_free(o);
    o = make("sgd", set);
    assert_int_equal(optimizer_moments(o), 1);
    assert_int_equal(optimizer_bytes(o), set->block_bytes);
    optimizer_free(o);
    o = make("muon", set);
    assert_true(optimizer_bytes(o) > 2 * set->block_bytes); // and a workspace
    optimizer_free(o);
    optimizer_free(NULL);
    const component_choice choice = settings_choose(optimizer_registry, "{type: lion, lr: 3e-4}", memory);
    assert_true(optimizer_lr(&choice) == 3e-4);
    parameters_free(set);
}

// The quintic of the iteration, on one singular value.
static double newton_schulz(double x, int iterations) {
    for (int i = 0; i < iterations; i++) x = 3.4445 * x - 4.7750 * pow(x, 3) + 2.0315 * pow(x, 5);
    return x;
}

// On a diagonal gradient the iteration acts on each entry by itself, in either orientation.
static void test_muon_acts_on_singular_values(void **state) {
    (void)state;
    const double diagonal[] = {3, 1, 0.3, 0.02};
    for (int wide = 0; wide < 2; wide++) {
        const int rows = wide ? 4 : 6, columns = wide ? 6 : 4;
        parameter_set *set = parameters_new();
        error err;
        add(set, "w", &(parameter_declaration){.rank = 2, .shape = {rows, columns}, .matrix = true});
        assert_int_equal(parameters_allocate(set, true, &err), OK);
        double norm = 0;
        for (int i = 0; i < 4; i++) {
            set->gradients[i * columns + i] = (real)diagonal[i];
            norm += diagonal[i] * diagonal[i];
        }
        optimizer *o = make("{type: muon, lr: 0.5}", set);
        optimizer_step(o, 0.5, 1, 1);
        const double scale = wide ? 1 : sqrt(6.0 / 4.0);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) {
                const double expected =
                    r == c ? -0.5 * scale * newton_schulz(diagonal[r] / sqrt(norm), 5) : 0;
                assert_true(fabs((double)set->values[r * columns + c] - expected) <= 2e-5);
            }
        optimizer_free(o);
        parameters_free(set);
    }
}

static void test_muon_splits_stacked_matrices(void **state) {
    (void)state;
    parameter_set *stacked = parameters_new(), *apart = parameters_new();
    error err;
    enum { ROWS = 16, COLUMNS = 8, PARTS = 3 };
    add(stacked, "w",
        &(parameter_declaration){
            .rank = 2, .shape = {PARTS * ROWS, COLUMNS}, .matrix = true, .parts = PARTS});
    for (int i = 0; i < PARTS; i++)
        add(apart, (const char *[]){"q", "k", "v"}[i],
            &(parameter_declaration){.rank = 2, .shape = {ROWS, COLUMNS}, .matrix = true});
    assert_int_equal(parameters_allocate(stacked, true, &err), OK);
    assert_int_equal(parameters_allocate(apart, true, &err), OK);
    assert_int_equal(stacked->total, apart->total);
    optimizer *one = make("muon", stacked), *three = make("muon", apart);
    for (int64_t step = 1; step <= 3; step++) {
        fill(stacked->items[0], (uint32_t)step, 1, stacked->gradients);
        memcpy(apart->gradients, stacked->gradients, apart->block_bytes);
        optimizer_step(one, 0.02, 1, step);
        optimizer_step(three, 0.02, 1, step);
    }
    assert_memory_equal(stacked->values, apart->values, apart->block_bytes);
    optimizer_free(one);
    optimizer_free(three);
    parameters_free(stacked);
    parameters_free(apart);
}

static void test_parts_that_do_not_divide_the_rows(void **state) {
    (void)state;
    parameter_set *set = parameters_new();
    error err;
    add(set, "layer/w", &(parameter_declaration){.rank = 2, .shape = {8, 4}, .matrix = true, .parts = 3});
    assert_int_equal(parameters_allocate(set, true, &err), OK);
    const component_choice choice = settings_choose(optimizer_registry, "muon", memory);
    optimizer *o;
    assert_int_equal(optimizer_new(&choice, set, &o, &err), ERR_INTERNAL);
    assert_null(o);
    assert_non_null(strstr(err.message, "layer/w"));
    parameters_free(set);
}

static void test_threads_do_not_change_a_bit(void **state) {
    (void)state;
    const int threads_before = kernels_threads();
    for (const component *const *type = optimizer_registry; *type; type++) {
        parameter_set *sets[2];
        double norms[2];
        for (int run = 0; run < 2; run++) {
            kernels_set_threads(run == 0 ? 1 : 4);
            parameter_set *set = sets[run] = parameters_new();
            error err;
            add(set, "w",
                &(parameter_declaration){.rank = 2, .shape = {190, 301}, .decay = true, .matrix = true});
            add(set, "v", &(parameter_declaration){.rank = 1, .shape = {70001}});
            assert_int_equal(parameters_allocate(set, true, &err), OK);
            for (int i = 0; i < 2; i++) fill(set->items[i], (uint32_t)i, 1, parameters_write(set));
            optimizer *o = make_one_of(*type, set);
            for (int64_t step = 1; step <= 3; step++) {
                for (int i = 0; i < 2; i++)
                    fill(set->items[i], (uint32_t)(step * 10 + i), 1, set->gradients);
                norms[run] = gradient_norm(set);
                optimizer_step(o, 0.1, gradient_clip_factor(norms[run], 1), step);
            }
            optimizer_free(o);
        }
        assert_true(norms[0] == norms[1]);
        assert_memory_equal(sets[0]->values, sets[1]->values, sets[0]->block_bytes);
        parameters_free(sets[0]);
        parameters_free(sets[1]);
    }
    kernels_set_threads(threads_before);
}

static void test_norm_and_clipping(void **state) {
    (void)state;
    parameter_set *set = three_parameters();
    set->gradients[set->items[0]->offset + 3] = 3;
    set->gradients[set->items[2]->offset] = -4;
    assert_true(fabs(gradient_norm(set) - 5) < 1e-6);
    set->gradients[set->items[1]->offset] = (real)NAN;
    assert_true(isnan(gradient_norm(set)));
    set->gradients[set->items[1]->offset] = (real)INFINITY;
    assert_false(isfinite(gradient_norm(set)));
    parameters_free(set);
    assert_true(gradient_clip_factor(5, 0) == 1); // no clipping
    assert_true(gradient_clip_factor(0.5, 1) == 1);
    assert_true(gradient_clip_factor(4, 1) == 1 / (4 + 1e-6));
    assert_true(gradient_clip_factor(0, 1) == 1);
}

static int open_arena(void **state) {
    (void)state;
    memory = arena_new();
    return 0;
}

static int close_arena(void **state) {
    (void)state;
    arena_free(memory);
    return 0;
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decay_touches_only_what_is_declared_to_decay),
        cmocka_unit_test(test_padding_stays_zero),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_muon_acts_on_singular_values),
        cmocka_unit_test(test_muon_splits_stacked_matrices),
        cmocka_unit_test(test_parts_that_do_not_divide_the_rows),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_norm_and_clipping),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
