// Every layer, in a small model around it, against PyTorch in double precision: logits, losses, all
// gradients. Where every token occurs once the gradient of the embedding table is the gradient of the
// layer's input.
#include "support/model_fixture.h"

#include "kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *prefix;
    double forward, gradient; // relative to the largest magnitude of each tensor
} limits[] = {
    // The gradient of its scale is one number, in which large terms cancel.
    {"attention_of_inputs", 2e-6, 1e-5},
    {"attention", 2e-6, 5e-6},
    {"linear", 2e-6, 4e-6},
    {"mlp", 2e-6, 4e-6},
    {"blocks", 2e-5, 5e-5},
    {"hyena", 5e-6, 1e-5},
    {"conv_gate", 5e-6, 1e-5},
    {"ltc", 3e-6, 1e-5},
    {"cfc", 3e-6, 1e-5},
    {"", 2e-6, 5e-6},
};

static double gradient_limit;

static void check_gradient(model_fixture *m, const parameter *p, const double *expected) {
    const double off = relative_error(p->count, m->model->parameters->gradients + p->offset, expected);
    if (!(off <= gradient_limit))
        fail_msg("%s: gradient of %s is off by %.2g of its largest value", m->name, p->name, off);
}

static void run_case(const fixture *f, const char *name) {
    const char *folder = arena_format(f->memory, "cases/%s", name);
    int kind = 0;
    while (strncmp(name, limits[kind].prefix, strlen(limits[kind].prefix)) != 0) kind++;
    gradient_limit = limits[kind].gradient;
    const int batch = strstr(name, "long") ? 1 : 2;

    model_fixture m = model_fixture_open(f, folder, batch, false);
    const double loss = model_fixture_run(&m);
    const double off = relative_error(m.built.logits->count, m.built.logits->data, m.logits);
    if (!(off <= limits[kind].forward)) fail_msg("%s: logits are off by %.2g of the largest", name, off);
    if (!(fabs(loss - m.loss) <= 2e-6 * m.loss))
        fail_msg("%s: loss %.9g instead of %.9g", name, loss, m.loss);
    model_fixture_close(&m);

    m = model_fixture_open(f, folder, batch, true);
    model_fixture_run(&m);
    const double loss_off = relative_error(m.built.losses->count, m.built.losses->data, m.losses);
    if (!(loss_off <= limits[kind].forward)) fail_msg("%s: losses are off by %.2g", name, loss_off);
    each_parameter(f, folder, "gradients", &m, check_gradient);
    model_fixture_close(&m);
}

static void run_cases(const char *file, int least) {
    fixture f = fixture_open(file);
    int count;
    char **names = fixture_names(&f, "cases", &count);
    assert_true(count >= least);
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        error err;
        assert_int_equal(kernels_select(*isa, &err), OK);
        for (int i = 0; i < count; i++) run_case(&f, names[i]);
    }
    fixture_close(&f);
}

static void test_layers(void **state) {
    (void)state;
    run_cases("layers.h5", 46);
}

static void test_liquid_networks(void **state) {
    (void)state;
    run_cases("ltc.h5", 10);
    run_cases("cfc.h5", 15);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers),
                                       cmocka_unit_test(test_liquid_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
