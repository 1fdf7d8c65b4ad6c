// Sampling: every mode against a reference that sorts the whole vocabulary, and the corner cases.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "train/sampling.h"

#include <cmocka.h>

static const sampling_settings plain = {
    .mode = SAMPLE_PROB,
    .k = 4,
    .p = 0.7,
    .min_p = 0.1,
    .temperature = 1,
    .repetition_penalty = 1,
    .seed = 7,
};

static void random_logits(uint32_t site, int count, double spread, real *logits) {
    const rng_stream stream = {99, RNG_INIT, site, 0, 0};
    for (int i = 0; i < count; i++) {
        double normals[4];
        rng_normal_block(&stream, (uint64_t)i, normals);
        logits[i] = (real)(spread * normals[0]);
    }
}

static int32_t pick_once(const sampling_settings *settings, const real *logits, int vocabulary,
                         const int32_t *context, size_t context_count) {
    sampler *s = sampler_new(settings, vocabulary);
    int32_t id = sampler_pick(s, logits, context, context_count, 0, 0);
    sampler_free(s);
    return id;
}

// --- the reference: sort everything, then filter by the definitions

typedef struct ranked {
    double p;
    int id;
} ranked;

static int by_probability(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? -1 : 1;
    return x->id - y->id;
}

static void reference(const sampling_settings *s, int vocabulary, const real *logits,
                      double *probabilities) {
    ranked *all = memory_alloc((size_t)vocabulary * sizeof *all);
    double top = -INFINITY, sum = 0, cumulative = 0;
    for (int i = 0; i < vocabulary; i++) top = fmax(top, logits[i]);
    for (int i = 0; i < vocabulary; i++) {
        all[i] = (ranked){exp((logits[i] - top) / s->temperature), i};
        sum += all[i].p;
    }
    for (int i = 0; i < vocabulary; i++) all[i].p /= sum;
    qsort(all, (size_t)vocabulary, sizeof *all, by_probability);
    int kept = vocabulary;
    if (s->mode == SAMPLE_TOP_K && s->k < kept) kept = (int)s->k;
    if (s->mode == SAMPLE_TOP5 && kept > 5) kept = 5;
    if (s->mode == SAMPLE_TOP_P)
        for (kept = 0; kept < vocabulary && cumulative < s->p;) cumulative += all[kept++].p;
    if (s->mode == SAMPLE_MIN_P)
        for (kept = 0; kept < vocabulary && all[kept].p >= s->min_p * all[0].p;) kept++;
    sum = 0;
    for (int i = 0; i < kept; i++) sum += all[i].p;
    memset(probabilities, 0, (size_t)vocabulary * sizeof *probabilities);
    for (int i = 0; i < kept; i++) probabilities[all[i].id] = all[i].p / sum;
    free(all);
}

// Wilson and Hilferty's approximation of the 0.999 quantile of chi-squared.
static double chi_squared_limit(int degrees) {
    const double d = degrees, z = 3.09;
    const double root = 1 - 2 / (9 * d) + z * sqrt(2 / (9 * d));
    return d * root * root * root;
}

static void check_frequencies(const sampling_settings *settings) {
    enum { VOCABULARY = 20, DRAWS = 100000 };
    real logits[VOCABULARY], before[VOCABULARY];
    double probabilities[VOCABULARY];
    int counts[VOCABULARY] = {0}, degrees = -1;
    random_logits((uint32_t)settings->mode, VOCABULARY, 1.2, logits);
    memcpy(before, logits, sizeof logits);
    reference(settings, VOCABULARY, logits, probabilities);
    sampler *s = sampler_new(settings, VOCABULARY);
    for (uint32_t n = 0; n < DRAWS; n++) counts[sampler_pick(s, logits, NULL, 0, 3, n)]++;
    sampler_free(s);
    assert_memory_equal(before, logits, sizeof logits);
    double statistic = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        if (probabilities[i] == 0) {
            assert_int_equal(counts[i], 0);
            continue;
        }
        const double expected = DRAWS * probabilities[i];
        statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
        degrees++;
    }
    assert_true(degrees >= 1);
    if (statistic > chi_squared_limit(degrees))
        fail_msg("mode %d: chi-squared %g with %d degrees of freedom", settings->mode, statistic, degrees);
}

static void test_frequencies(void **state) {
    (void)state;
    for (int mode = SAMPLE_PROB; mode <= SAMPLE_MIN_P; mode++)
        for (int i = 0; i < 3; i++) {
            sampling_settings settings = plain;
            settings.mode = mode;
            settings.temperature = (const double[]){1, 0.6, 1.7}[i];
            check_frequencies(&settings);
        }
}

// 50000 tokens: what is picked is in the reference set, and varies.
static void test_large_vocabulary(void **state) {
    (void)state;
    enum { VOCABULARY = 50257 };
    real *logits = memory_alloc(VOCABULARY * sizeof *logits);
    double *probabilities = memory_alloc(VOCABULARY * sizeof *probabilities);
    random_logits(1, VOCABULARY, 3, logits);
    for (int mode = SAMPLE_TOP_K; mode <= SAMPLE_MIN_P; mode++) {
        sampling_settings settings = plain;
        settings.mode = mode;
        settings.k = 200;
        settings.p = 0.5;
        reference(&settings, VOCABULARY, logits, probabilities);
        int kept = 0, hit = 0;
        for (int i = 0; i < VOCABULARY; i++) kept += probabilities[i] > 0;
        sampler *s = sampler_new(&settings, VOCABULARY);
        bool *seen = memory_alloc(VOCABULARY);
        for (uint32_t n = 0; n < 40; n++) {
            const int32_t id = sampler_pick(s, logits, NULL, 0, 0, n);
            assert_true(probabilities[id] > 0);
            hit += !seen[id];
            seen[id] = true;
        }
        assert_true(hit >= (kept < 10 ? 2 : 8));
        free(seen);
        sampler_free(s);
    }
    free(logits);
    free(probabilities);
}

static void test_determinism(void **state) {
    (void)state;
    enum { VOCABULARY = 100 };
    real logits[VOCABULARY] = {0}; // all equally likely
    sampler *one = sampler_new(&plain, VOCABULARY), *two = sampler_new(&plain, VOCABULARY);
    sampling_settings reseeded = plain;
    reseeded.seed = 8;
    sampler *three = sampler_new(&reseeded, VOCABULARY);
    int other_number = 0, other_stream = 0, other_seed = 0;
    for (uint32_t n = 0; n < 200; n++) {
        const int32_t id = sampler_pick(one, logits, NULL, 0, 5, n);
        sampler_pick(two, logits, NULL, 0, 6, n + 1000); // what it did before must not matter
        assert_int_equal(sampler_pick(two, logits, NULL, 0, 5, n), id);
        other_number += sampler_pick(one, logits, NULL, 0, 5, n + 1) != id;
        other_stream += sampler_pick(one, logits, NULL, 0, 6, n) != id;
        other_seed += sampler_pick(three, logits, NULL, 0, 5, n) != id;
    }
    assert_true(other_number > 180 && other_stream > 180 && other_seed > 180);
    sampler_free(one);
    sampler_free(two);
    sampler_free(three);
}

static void test_argmax_takes_the_smallest_of_equals(void **state) {
    (void)state;
    const real logits[] = {1, 3, 2, 3, -1};
    sampling_settings settings = plain;
    settings.mode = SAMPLE_ARGMAX;
    assert_int_equal(pick_once(&settings, logits, 5, NULL, 0), 1);
    settings = plain;
    settings.temperature = 0;
    assert_int_equal(pick_once(&settings, logits, 5, NULL, 0), 1);
    settings.temperature = 1e-300; // overflows when divided by, unless the largest is subtracted first
    const int32_t id = pick_once(&settings, logits, 5, NULL, 0);
    assert_true(id == 1 || id == 3);
}

static void test_ties_at_the_edge_of_top_k(void **state) {
    (void)state;
    const real logits[] = {1, 1, 1, 1, 1, 1, 1};
    sampling_settings settings = plain;
    settings.mode = SAMPLE_TOP_K;
    settings.k = 3;
    sampler *s = sampler_new(&settings, 7);
    int counts[7] = {0};
    for (uint32_t n = 0; n < 300; n++) counts[sampler_pick(s, logits, NULL, 0, 0, n)]++;
    for (int i = 0; i < 7; i++) assert_true(i < 3 ? counts[i] > 60 : counts[i] == 0);
    sampler_free(s);
}

static void test_k_beyond_the_vocabulary_is_no_filter(void **state) {
    (void)state;
    real logits[12];
    random_logits(4, 12, 1, logits);
    sampling_settings settings = plain;
    settings.mode = SAMPLE_TOP_K;
    settings.k = 1000000000;
    sampler *all = sampler_new(&plain, 12), *k = sampler_new(&settings, 12);
    for (uint32_t n = 0; n < 100; n++)
        assert_int_equal(sampler_pick(k, logits, NULL, 0, 0, n), sampler_pick(all, logits, NULL, 0, 0, n));
    sampler_free(all);
    sampler_free(k);
}

// The token that crosses p is kept, and there is always at least one.
static void test_top_p_keeps_the_crossing_token(void **state) {
    (void)state;
    const real logits[] = {(real)log(0.5), (real)log(0.3), (real)log(0.15), (real)log(0.05)};
    const double ps[] = {0.01, 0.49, 0.6, 0.9, 0.97, 1};
    const int kept[] = {1, 1, 2, 3, 4, 4};
    for (int i = 0; i < 6; i++) {
        sampling_settings settings = plain;
        settings.mode = SAMPLE_TOP_P;
        settings.p = ps[i];
        sampler *s = sampler_new(&settings, 4);
        int counts[4] = {0};
        for (uint32_t n = 0; n < 1000; n++) counts[sampler_pick(s, logits, NULL, 0, 0, n)]++;
        for (int t = 0; t < 4; t++) assert_int_equal(counts[t] > 0, t < kept[i]);
        sampler_free(s);
    }
}

static void test_values_that_are_not_finite(void **state) {
    (void)state;
    const real logits[] = {NAN, 1, INFINITY, 2, -INFINITY, NAN};
    const real nothing[] = {NAN, INFINITY, -INFINITY};
    for (int mode = SAMPLE_ARGMAX; mode <= SAMPLE_MIN_P; mode++) {
        sampling_settings settings = plain;
        settings.mode = mode;
        settings.repetition_penalty = 2;
        const int32_t context[] = {0, 2, 4};
        sampler *s = sampler_new(&settings, 6);
        for (uint32_t n = 0; n < 50; n++) {
            const int32_t id = sampler_pick(s, logits, context, 3, 0, n);
            assert_true(id == 1 || id == 3);
        }
        sampler_free(s);
        assert_int_equal(pick_once(&settings, nothing, 3, context, 3), 0);
    }
}

static void test_repetition_penalty(void **state) {
    (void)state;
    sampling_settings settings = plain;
    settings.mode = SAMPLE_ARGMAX;
    settings.repetition_penalty = 2;
    // Divided once, however often the token occurs: 4 -> 2, still above 1.5.
    assert_int_equal(pick_once(&settings, (const real[]){4, 1.5, 0}, 3, (const int32_t[]){0, 0, 0}, 3), 0);
    assert_int_equal(pick_once(&settings, (const real[]){4, 2.5, 0}, 3, (const int32_t[]){0}, 1), 1);
    // A negative logit is multiplied.
    assert_int_equal(pick_once(&settings, (const real[]){-1, -1.5, -9}, 3, (const int32_t[]){0}, 1), 1);
    // Only the last tokens count when there is a window; ids outside the vocabulary are passed over.
    const int32_t context[] = {1, -5, 77, 0};
    const real logits[] = {1, 4, 3};
    assert_int_equal(pick_once(&settings, logits, 3, context, 4), 2);
    settings.repetition_window = 3;
    assert_int_equal(pick_once(&settings, logits, 3, context, 4), 1);
    settings.repetition_window = 100;
    assert_int_equal(pick_once(&settings, logits, 3, context, 4), 2);
    // The marks of one call are gone in the next.
    sampler *s = sampler_new(&settings, 3);
    assert_int_equal(sampler_pick(s, logits, context, 4, 0, 0), 2);
    assert_int_equal(sampler_pick(s, logits, NULL, 0, 0, 0), 1);
    assert_int_equal(sampler_pick(s, logits, context, 4, 0, 0), 2);
    sampler_free(s);
}

static void test_vocabulary_of_one(void **state) {
    (void)state;
    const real logits[] = {-3};
    for (int mode = SAMPLE_ARGMAX; mode <= SAMPLE_MIN_P; mode++) {
        sampling_settings settings = plain;
        settings.mode = mode;
        assert_int_equal(pick_once(&settings, logits, 1, NULL, 0), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_determinism),
        cmocka_unit_test(test_argmax_takes_the_smallest_of_equals),
        cmocka_unit_test(test_ties_at_the_edge_of_top_k),
        cmocka_unit_test(test_k_beyond_the_vocabulary_is_no_filter),
        cmocka_unit_test(test_top_p_keeps_the_crossing_token),
        cmocka_unit_test(test_values_that_are_not_finite),
        cmocka_unit_test(test_repetition_penalty),
        cmocka_unit_test(test_vocabulary_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
