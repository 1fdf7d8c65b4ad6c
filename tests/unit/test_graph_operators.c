// Every operator in single precision: outputs and gradients against the definitions in double precision, on
// every instruction set that runs here.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "support/operator_cases.h"

#include <cmocka.h>

enum { PROBES = 8 };

// An element of a leaf, and the derivative of the loss with respect to it by central differences of the
// definition, which are exact to about 1e-9.
typedef struct probe {
    size_t index;
    double derivative;
} probe;

static void differentiate(case_run *r, int leaf, probe *out) {
    const rng_stream draw = {2024, RNG_DATA, (uint32_t)leaf, 9, 0};
    for (int n = 0; n < PROBES; n++) {
        const size_t i = (size_t)rng_below(&draw, (uint64_t)n, r->leaf[leaf]->count);
        double *x = &r->exact_leaf[leaf][i];
        const double before = *x, h = 1e-5;
        *x = before + h;
        const double above = case_exact_loss(r);
        *x = before - h;
        const double below = case_exact_loss(r);
        *x = before;
        out[n] = (probe){i, (above - below) / (2 * h)};
    }
}

static bool output_is_close(const case_run *r, const char *set) {
    const double off = case_output_error(r);
    if (off <= r->c->forward_limit) return true;
    fprintf(stderr, "%s on %s: relative error %.3g exceeds %.3g\n", r->c->name, set, off,
            r->c->forward_limit);
    return false;
}

static bool gradient_is_close(const case_run *r, const char *set, int leaf, const probe *probes) {
    const parameter *p = r->leaf[leaf];
    const real *gradient = r->set->gradients + p->offset;
    const double limit = r->c->gradient_limit * largest(p->count, gradient) + 1e-8;
    for (int n = 0; n < PROBES; n++) {
        const double got = (double)gradient[probes[n].index];
        if (fabs(probes[n].derivative - got) <= limit) continue;
        fprintf(stderr, "%s on %s: leaf %d[%zu]: gradient %.9g, should be %.9g\n", r->c->name, set, leaf,
                probes[n].index, got, probes[n].derivative);
        return false;
    }
    return true;
}

// Runs the case on an instruction set; exact holds the right output.
static bool is_right_on(const char *set, const case_run *exact, probe probes[CASE_LEAVES][PROBES]) {
    error err = {0};
    case_run r;
    assert_int_equal(kernels_select(set, &err), OK);
    case_open(exact->c, &r);
    graph_forward(r.g, &r.context);
    graph_backward(r.g, &r.context);
    graph_backward_derived(r.g, &r.context);
    memcpy(r.exact_y, exact->exact_y, r.y->count * sizeof *r.exact_y);
    bool right = output_is_close(&r, set);
    for (int l = 0; l < CASE_LEAVES; l++)
        if (r.leaf[l]) right = gradient_is_close(&r, set, l, probes[l]) && right;
    case_close(&r);
    return right;
}

static void test_operators_are_as_defined(void **state) {
    (void)state;
    error err = {0};
    int wrong = 0;
    for (int i = 0; i < OPERATOR_CASES; i++) {
        probe probes[CASE_LEAVES][PROBES];
        case_run exact;
        case_open(&operator_cases[i], &exact);
        for (int l = 0; l < CASE_LEAVES; l++)
            if (exact.leaf[l]) differentiate(&exact, l, probes[l]);
        case_exact_loss(&exact);
        for (const char *const *set = kernels_available(); *set; set++)
            wrong += !is_right_on(*set, &exact, probes);
        case_close(&exact);
    }
    assert_int_equal(kernels_select("auto", &err), OK);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators_are_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
