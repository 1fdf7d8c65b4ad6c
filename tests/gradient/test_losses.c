// Cross-entropy in double precision, of logits and of a linear map in chunks: the losses against their
// definition, the gradients against central differences, the adding up of gradients over micro-batches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "support/central_differences.h"
#include "support/small_operators.h"

#include "graph/ops.h"

#include <cmocka.h>

enum { BATCH = 3, TIME = 13, VOCABULARY = 23, WIDTH = 9, TARGETS = BATCH * TIME };

typedef struct loss_case {
    const char *name;
    double smoothing;
    int ignored_each;
    int chunk; // of the linear map; 0: of logits
    bool bias;
    bool saved;  // another operator's gradient step reads the input of the linear map
    bool direct; // that input is the parameter itself
} loss_case;

static const loss_case cases[] = {
    {.name = "cross-entropy"},
    {.name = "ignored targets", .ignored_each = 4},
    {.name = "smoothing", .smoothing = 0.1},
    {.name = "smoothing and ignored targets", .smoothing = 0.25, .ignored_each = 3},
    {.name = "nothing", .smoothing = 0.1, .ignored_each = 1},
    {.name = "in one chunk", .chunk = 100},
    {.name = "in equal chunks", .chunk = 13, .bias = true},
    {.name = "in ragged chunks", .chunk = 7, .bias = true},
    {.name = "in chunks, ignored targets", .ignored_each = 4, .chunk = 16},
    {.name = "in chunks, all of it", .smoothing = 0.25, .ignored_each = 3, .chunk = 11, .bias = true},
    {.name = "nothing in chunks", .smoothing = 0.1, .ignored_each = 1, .chunk = 10, .bias = true},
    {.name = "row by row", .chunk = 1, .bias = true},
    {.name = "in chunks, of what another operator reads", .chunk = 7, .saved = true},
    {.name = "in chunks, of a parameter", .chunk = 7, .direct = true},
};

typedef struct loss_run {
    const loss_case *about;
    parameter_set *set;
    parameter *input, *weight, *bias; // logits, or x, W and b
    graph *g;
    tensor *losses;
    int32_t targets[TARGETS];
    run_context context;
} loss_run;

static parameter *declare(loss_run *r, const char *name, int rank, int rows, int columns) {
    error err = {0};
    parameter *p;
    const parameter_declaration about = {
        .rank = rank, .shape = {rank == 3 ? BATCH : rows, rank == 3 ? TIME : columns, columns}};
    assert_int_equal(parameters_declare(r->set, name, &about, &p, &err), OK);
    return p;
}

static void loss_open(const loss_case *about, loss_run *r) {
    error err = {0};
    *r = (loss_run){.about = about, .set = parameters_new(), .context = {.gradient_scale = 0.37}};
    r->input = declare(r, "input", 3, 0, about->chunk ? WIDTH * (about->saved ? 3 : 1) : VOCABULARY);
    if (about->chunk) r->weight = declare(r, "weight", 2, VOCABULARY, WIDTH);
    if (about->bias) r->bias = declare(r, "bias", 1, VOCABULARY, 0);
    assert_int_equal(parameters_allocate(r->set, true, &err), OK);
    for (int k = 0; k < r->set->count; k++)
        for (size_t i = 0; i < r->set->items[k]->count; i++)
            parameters_write(r->set)[r->set->items[k]->offset + i] =
                (real)((about->chunk ? 1 : 3) * test_normal((uint32_t)(3 + k), i));
    if (!about->chunk)
        parameters_write(r->set)[r->input->offset + 5] = (real)800; // its exponential would overflow
    test_tokens(4, TARGETS, VOCABULARY, r->targets);
    for (int i = 0; i < TARGETS; i++)
        if (about->ignored_each && i % about->ignored_each == 0) r->targets[i] = -1 - i;
    r->g = graph_new(&(graph_options){.batch = BATCH, .time = TIME, .gradients = true}, r->set);
    tensor *targets = graph_tensor(r->g, TENSOR_TOKENS, 2, (int[]){BATCH, TIME});
    targets->ids = r->targets;
    tensor *x = graph_parameter(r->g, r->input);
    if (!about->direct) x = test_copy(r->g, x);
    if (about->saved)
        x = op_attention(
            r->g, x,
            &(attention_options){.heads = 3, .kv_heads = 3, .head_size = WIDTH / 3, .block_size = TIME});
    if (about->chunk)
        r->losses = op_linear_cross_entropy(r->g, x, graph_parameter(r->g, r->weight),
                                            r->bias ? graph_parameter(r->g, r->bias) : NULL, targets,
                                            about->smoothing, about->chunk);
    else
        r->losses = op_cross_entropy(r->g, x, targets, about->smoothing);
    assert_int_equal(graph_finish(r->g, (tensor *[]){r->losses, NULL}, &err), OK);
    assert_int_equal(graph_place(r->g, NULL, &err), OK);
}

static void loss_close(loss_run *r) {
    graph_free(r->g);
    parameters_free(r->set);
}

static double scaled_loss(void *with) {
    loss_run *r = with;
    double sum = 0;
    graph_forward(r->g, &r->context);
    for (int i = 0; i < TARGETS; i++) sum += (double)r->losses->data[i];
    return sum * r->context.gradient_scale;
}

// Runs both passes into gradients that are NaN wherever nobody writes.
static void backward(loss_run *r, uint32_t micro) {
    for (int k = 0; micro == 0 && k < r->set->count; k++)
        for (size_t i = 0; i < r->set->items[k]->count; i++)
            r->set->gradients[r->set->items[k]->offset + i] = (real)NAN;
    r->context.micro = micro;
    r->context.accumulate = micro > 0;
    graph_forward(r->g, &r->context);
    graph_backward(r->g, &r->context);
}

static double logit(const loss_run *r, int row, int v) {
    const real *input = r->set->values + r->input->offset;
    if (!r->weight) return (double)input[row * VOCABULARY + v];
    double z = r->bias ? (double)r->set->values[r->bias->offset + (size_t)v] : 0;
    for (int i = 0; i < WIDTH; i++)
        z += (double)input[row * WIDTH + i] *
             (double)r->set->values[r->weight->offset + (size_t)(v * WIDTH + i)];
    return z;
}

static double reference_cross_entropy(const loss_run *r, int row) {
    const double smoothing = r->about->smoothing;
    double top = -INFINITY, sum = 0, mean = 0;
    if (r->targets[row] < 0) return 0;
    for (int v = 0; v < VOCABULARY; v++) top = fmax(top, logit(r, row, v));
    for (int v = 0; v < VOCABULARY; v++) {
        sum += exp(logit(r, row, v) - top);
        mean += logit(r, row, v) / VOCABULARY;
    }
    return top + log(sum) - (1 - smoothing) * logit(r, row, r->targets[row]) - smoothing * mean;
}

enum { CASES = sizeof cases / sizeof *cases };

static void test_losses_are_as_defined(void **state) {
    (void)state;
    error err = {0};
    for (const char *const *name = kernels_available(); *name; name++) {
        assert_int_equal(kernels_select(*name, &err), OK);
        for (int i = 0; i < CASES; i++) {
            loss_run r;
            if (cases[i].saved) continue;
            loss_open(&cases[i], &r);
            graph_forward(r.g, &r.context);
            for (int row = 0; row < TARGETS; row++) {
                const double expected = reference_cross_entropy(&r, row);
                if (!(fabs((double)r.losses->data[row] - expected) <= 1e-12 * fmax(1, expected)))
                    fail_msg("%s, %s: loss %d is %.17g instead of %.17g", *name, cases[i].name, row,
                             (double)r.losses->data[row], expected);
            }
            loss_close(&r);
        }
    }
    assert_int_equal(kernels_select("auto", &err), OK);
}

static void test_gradients_agree_with_differences(void **state) {
    (void)state;
    int wrong = 0;
    for (int i = 0; i < CASES; i++) {
        loss_run r;
        loss_open(&cases[i], &r);
        backward(&r, 0);
        if (cases[i].ignored_each == 1) assert_true(largest(r.set->total, r.set->gradients) == 0);
        wrong += !gradients_agree(cases[i].name, r.set, 200, 1e-7, scaled_loss, &r);
        loss_close(&r);
    }
    assert_int_equal(wrong, 0);
}

static void test_micro_batches_add_up(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        loss_run r;
        loss_open(&cases[i], &r);
        const size_t total = r.set->total;
        real *first = malloc(total * sizeof *first);
        backward(&r, 0);
        memcpy(first, r.set->gradients, total * sizeof *first);
        backward(&r, 1);
        for (size_t k = 0; k < total; k++) first[k] *= 2;
        if (!(largest_difference(total, r.set->gradients, first) <= 1e-13 * largest(total, first)))
            fail_msg("%s: gradients do not add up", cases[i].name);
        free(first);
        loss_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_are_as_defined),
        cmocka_unit_test(test_gradients_agree_with_differences),
        cmocka_unit_test(test_micro_batches_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
