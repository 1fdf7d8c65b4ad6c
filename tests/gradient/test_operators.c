// Every operator in double precision: its output against its definition, its gradients against central
// differences, and the adding up of gradients over micro-batches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "support/central_differences.h"
#include "support/operator_cases.h"

#include <cmocka.h>

static double graph_loss(void *with) {
    case_run *r = with;
    double loss = 0;
    graph_forward(r->g, &r->context);
    for (size_t i = 0; i < r->y->count; i++) loss += (double)r->y->data[i] * (double)r->factors[i];
    return loss;
}

static void backward(case_run *r, uint32_t micro) {
    r->context.micro = micro;
    graph_forward(r->g, &r->context);
    graph_backward(r->g, &r->context);
}

static void outputs_are_as_defined(void **state) {
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

static void gradients_agree_with_differences(void **state) {
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
static void micro_batches_add_up(void **state) {
    (void)state;
    for (int i = 0; i < OPERATOR_CASES; i++) {
        case_run r;
        case_open(&operator_cases[i], &r);
        const size_t total = r.set->total;
        real *first = malloc(total * sizeof *first), *second = malloc(total * sizeof *second);
        backward(&r, 0);
        memcpy(first, r.set->gradients, total * sizeof *first);
        memset(r.set->gradients, 0, total * sizeof *first);
        backward(&r, 1);
        memcpy(second, r.set->gradients, total * sizeof *second);
        backward(&r, 0);
        assert_memory_equal(r.set->gradients, first, total * sizeof *first);
        backward(&r, 1);
        for (size_t k = 0; k < total; k++) second[k] += first[k];
        if (!(relative_difference(total, r.set->gradients, second) <= 1e-13))
            fail_msg("%s: gradients do not add up", operator_cases[i].name);
        free(first);
        free(second);
        case_close(&r);
    }
}

// --- the loss

enum { BATCH = 3, TIME = 13, VOCABULARY = 23, TARGETS = BATCH * TIME };

typedef struct loss_run {
    parameter_set *set;
    graph *g;
    tensor *losses;
    int32_t targets[TARGETS];
    double smoothing;
} loss_run;

static const run_context loss_context = {.gradient_scale = 0.37};

static void loss_open(double smoothing, int ignored_each, loss_run *r) {
    error err = {0};
    parameter *p;
    const parameter_declaration about = {.rank = 3, .shape = {BATCH, TIME, VOCABULARY}};
    *r = (loss_run){.set = parameters_new(), .smoothing = smoothing};
    assert_int_equal(parameters_declare(r->set, "logits", &about, &p, &err), OK);
    assert_int_equal(parameters_allocate(r->set, true, &err), OK);
    for (size_t i = 0; i < p->count; i++) r->set->values[p->offset + i] = (real)(3 * test_normal(3, i));
    r->set->values[p->offset + 5] = (real)800; // an exponential of it would overflow
    test_tokens(4, TARGETS, VOCABULARY, r->targets);
    for (int i = 0; i < TARGETS; i++)
        if (ignored_each && i % ignored_each == 0) r->targets[i] = -1 - i;
    r->g = graph_new(GRAPH_TRAIN, BATCH, TIME, r->set, NULL);
    tensor *targets = graph_tensor(r->g, TENSOR_TOKENS, 2, (int[]){BATCH, TIME});
    targets->ids = r->targets;
    r->losses = op_cross_entropy(r->g, test_copy(r->g, graph_parameter(r->g, p)), targets, smoothing);
    assert_int_equal(graph_finish(r->g, (tensor *[]){r->losses, NULL}, true, &err), OK);
}

static void loss_close(loss_run *r) {
    graph_free(r->g);
    parameters_free(r->set);
}

static double scaled_loss(void *with) {
    loss_run *r = with;
    double sum = 0;
    graph_forward(r->g, &loss_context);
    for (int i = 0; i < TARGETS; i++) sum += (double)r->losses->data[i];
    return sum * loss_context.gradient_scale;
}

static double reference_cross_entropy(const loss_run *r, int row) {
    const real *z = r->set->values + (size_t)row * VOCABULARY;
    double top = -INFINITY, sum = 0, mean = 0;
    if (r->targets[row] < 0) return 0;
    for (int v = 0; v < VOCABULARY; v++) top = fmax(top, (double)z[v]);
    for (int v = 0; v < VOCABULARY; v++) {
        sum += exp((double)z[v] - top);
        mean += (double)z[v] / VOCABULARY;
    }
    return top + log(sum) - (1 - r->smoothing) * (double)z[r->targets[row]] - r->smoothing * mean;
}

static void cross_entropy_is_as_defined(void **state) {
    (void)state;
    const struct {
        const char *name;
        double smoothing;
        int ignored_each;
    } cases[] = {{"cross-entropy", 0, 0},
                 {"cross-entropy with ignored targets", 0, 4},
                 {"cross-entropy with smoothing", 0.1, 0},
                 {"cross-entropy with smoothing and ignored targets", 0.25, 3},
                 {"cross-entropy of nothing", 0.1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loss_run r;
        loss_open(cases[i].smoothing, cases[i].ignored_each, &r);
        graph_forward(r.g, &loss_context);
        for (int row = 0; row < TARGETS; row++) {
            const double expected = reference_cross_entropy(&r, row);
            assert_true(fabs((double)r.losses->data[row] - expected) <= 1e-12 * fmax(1, expected));
        }
        graph_backward(r.g, &loss_context);
        if (cases[i].ignored_each == 1) assert_true(largest(r.set->total, r.set->gradients) == 0);
        assert_true(gradients_agree(cases[i].name, r.set, 200, 1e-7, scaled_loss, &r));
        loss_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_as_defined),
        cmocka_unit_test(gradients_agree_with_differences),
        cmocka_unit_test(micro_batches_add_up),
        cmocka_unit_test(cross_entropy_is_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
