// Every operator in single precision: outputs and gradients against the definitions in double precision, on
// every instruction set that runs here.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "support/operator_cases.h"

#include <cmocka.h>

static int for_each_instruction_set(bool (*holds)(const operator_case *c)) {
    int wrong = 0;
    for (const char *const *name = kernels_available(); *name; name++) {
        error err = {0};
        assert_int_equal(kernels_select(*name, &err), OK);
        for (int i = 0; i < OPERATOR_CASES; i++)
            if (!holds(&operator_cases[i])) {
                fprintf(stderr, "... on %s\n", *name);
                wrong++;
            }
    }
    return wrong;
}

static bool output_is_close(const operator_case *c) {
    case_run r;
    case_open(c, &r);
    const double off = case_forward_error(&r);
    case_close(&r);
    if (off <= c->forward_limit) return true;
    fprintf(stderr, "%s: relative error %.3g exceeds %.3g\n", c->name, off, c->forward_limit);
    return false;
}

static void outputs_are_as_defined(void **state) {
    (void)state;
    assert_int_equal(for_each_instruction_set(output_is_close), 0);
}

// Gradients of the program against central differences of the definition, which are exact to about 1e-9: a
// few elements of every leaf.
static bool gradients_are_close(const operator_case *c) {
    const int elements = c->time > 100 ? 6 : 12;
    bool close = true;
    case_run r;
    case_open(c, &r);
    graph_forward(r.g, &r.context);
    graph_backward(r.g, &r.context);
    for (int l = 0; l < CASE_LEAVES; l++) {
        const parameter *p = r.leaf[l];
        if (!p) continue;
        const real *gradient = r.set->gradients + p->offset;
        const double scale = largest(p->count, gradient);
        const rng_stream draw = {2024, RNG_DATA, (uint32_t)l, 9, 0};
        for (int n = 0; n < elements; n++) {
            const size_t i = (size_t)rng_below(&draw, (uint64_t)n, p->count);
            double *x = &r.exact_leaf[l][i];
            const double before = *x, h = 1e-5;
            *x = before + h;
            const double above = case_exact_loss(&r);
            *x = before - h;
            const double below = case_exact_loss(&r);
            *x = before;
            const double numeric = (above - below) / (2 * h);
            if (fabs(numeric - (double)gradient[i]) <= c->gradient_limit * scale + 1e-8) continue;
            fprintf(stderr, "%s: leaf %d[%zu]: gradient %.9g, should be %.9g\n", c->name, l, i,
                    (double)gradient[i], numeric);
            close = false;
        }
    }
    case_close(&r);
    return close;
}

static void gradients_are_as_defined(void **state) {
    (void)state;
    assert_int_equal(for_each_instruction_set(gradients_are_close), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_as_defined),
        cmocka_unit_test(gradients_are_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
