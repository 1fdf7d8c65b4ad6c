// Every operator in double precision: its output against its definition, its gradients against central
// differences, and the adding up of gradients over micro-batches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "support/central_differences.h"
#include "support/operator_cases.h"

#include "kernels/kernels.h"

#include <cmocka.h>

static double graph_loss(void *with) {
    case_run *r = with;
    double loss = 0;
    graph_forward(r->g, &r->context);
    for (size_t i = 0; i < r->y->count; i++) loss += (double)r->y->data[i] * (double)r->factors[i];
    return loss;
}

static void add_pass(case_run *r, uint32_t micro) {
    r->context.micro = micro;
    r->context.accumulate = micro > 0;
    graph_forward(r->g, &r->context);
    graph_backward(r->g, &r->context);
}

// A step of a single micro-batch.
static void backward(case_run *r, uint32_t micro) {
    add_pass(r, micro);
    graph_backward_derived(r->g, &r->context);
}

static void test_outputs_are_as_defined(void **state) {
    (void)state;
    error err = {0};
    int wrong = 0;
    for (const char *const *name = kernels_available(); *name; name++) {
        assert_int_equal(kernels_select(*name, &err), OK);
        for (int i = 0; i < OPERATOR_CASES; i++) {
            case_run r;
            case_open(&operator_cases[i], &r);
            graph_forward(r.g, &r.context);
            case_exact_loss(&r);
            const double off = case_output_error(&r);
            if (!(off <= 1e-12)) {
                fprintf(stderr, "%s, %s: relative error %.3g\n", *name, operator_cases[i].name, off);
                wrong++;
            }
            case_close(&r);
        }
    }
    assert_int_equal(kernels_select("auto", &err), OK);
    assert_int_equal(wrong, 0);
}

static void test_gradients_agree_with_differences(void **state) {
    (void)state;
    int wrong = 0;
    for (int i = 0; i < OPERATOR_CASES; i++) {
        case_run r;
        case_open(&operator_cases[i], &r);
        // What the first micro-batch does not write stays NaN.
        for (size_t k = 0; k < r.set->total; k++) r.set->gradients[k] = NAN;
        backward(&r, 0);
        for (int l = 0; l < r.set->count; l++) { // the padding is nobody's
            const parameter *p = r.set->items[l];
            const size_t end = l + 1 < r.set->count ? r.set->items[l + 1]->offset : r.set->total;
            for (size_t k = p->offset + p->count; k < end; k++) r.set->gradients[k] = 0;
        }
        wrong += !gradients_agree(operator_cases[i].name, r.set, operator_cases[i].time > 100 ? 40 : 150,
                                  1e-7, graph_loss, &r);
        case_close(&r);
    }
    assert_int_equal(wrong, 0);
}

// After the first micro-batch gradients are added to, whichever operator comes first.
static void test_micro_batches_add_up(void **state) {
    (void)state;
    for (int i = 0; i < OPERATOR_CASES; i++) {
        case_run r;
        case_open(&operator_cases[i], &r);
        const size_t total = r.set->total;
        real *first = malloc(total * sizeof *first), *second = malloc(total * sizeof *second);
        backward(&r, 0);
        memcpy(first, r.set->gradients, total * sizeof *first);
        memset(r.set->gradients, 0, r.set->gradient_reals * sizeof *first);
        backward(&r, 1);
        memcpy(second, r.set->gradients, total * sizeof *second);
        backward(&r, 0);
        assert_memory_equal(r.set->gradients, first, total * sizeof *first);
        add_pass(&r, 0);
        add_pass(&r, 1);
        graph_backward_derived(r.g, &r.context);
        for (size_t k = 0; k < total; k++) second[k] += first[k];
        if (!(relative_difference(total, r.set->gradients, second) <= 1e-13))
            fail_msg("%s: gradients do not add up", operator_cases[i].name);
        free(first);
        free(second);
        case_close(&r);
    }
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_are_as_defined),
        cmocka_unit_test(test_gradients_agree_with_differences),
        cmocka_unit_test(test_micro_batches_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
