// A small GPT (two pre-norm blocks, exact GELU, learned positions, tied head) against PyTorch in double
// precision: logits, loss, all gradients, and the losses of ten AdamW steps with clipping; with the kernels
// of every instruction set that runs here.
#include "support/model_fixture.h"

#include "train/optimizers/optimizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { BATCH = 3 };

static void check_logits_and_loss(void) {
    fixture f = fixture_open("gpt.h5");
    model_fixture m = model_fixture_open(&f, "", BATCH, false);
    const double loss = model_fixture_run(&m);
    assert_true(fabs(loss - m.loss) <= 1e-5 * m.loss);
    assert_true(relative_error(m.built.logits->count, m.built.logits->data, m.logits) <= 1e-5);
    model_fixture_close(&m);
    fixture_close(&f);
}

static void check_gradient(model_fixture *m, const parameter *p, const double *expected) {
    const double off = relative_error(p->count, m->model->parameters->gradients + p->offset, expected);
    if (!(off <= 1e-4)) fail_msg("gradient of %s is off by %.2g of its largest value", p->name, off);
}

static void check_gradients(void) {
    fixture f = fixture_open("gpt.h5");
    model_fixture m = model_fixture_open(&f, "", BATCH, true);
    model_fixture_run(&m);
    each_parameter(&f, "", "gradients", &m, check_gradient);
    model_fixture_close(&m);
    fixture_close(&f);
}

static void check_training(void) {
    fixture f = fixture_open("gpt.h5");
    size_t count;
    const double *losses = fixture_numbers(&f, &count, "", "trained_losses");
    const double *norms = fixture_numbers(&f, NULL, "", "gradient_norms");
    const component_choice choice =
        settings_choose(optimizer_registry, fixture_text(&f, "", "optimizer"), f.memory);
    model_fixture m = model_fixture_open(&f, "", BATCH, true);
    optimizer *o;
    error err;
    assert_int_equal(optimizer_new(&choice, m.model->parameters, &o, &err), OK);
    assert_int_equal(count, 11);
    for (size_t step = 0; step < count; step++) {
        const double loss = model_fixture_run(&m), norm = gradient_norm(m.model->parameters);
        if (!(fabs(loss - losses[step]) <= 1e-5 * losses[step]))
            fail_msg("after %zu steps: loss %.9g instead of %.9g", step, loss, losses[step]);
        if (!(fabs(norm - norms[step]) <= 1e-4 * norms[step]))
            fail_msg("after %zu steps: gradient norm %.9g instead of %.9g", step, norm, norms[step]);
        optimizer_step(o, optimizer_lr(&choice), gradient_clip_factor(norm, 1.0), (int64_t)step + 1);
    }
    assert_true(losses[count - 1] < 0.9 * losses[0]); // the ten steps do something
    optimizer_free(o);
    model_fixture_close(&m);
    fixture_close(&f);
}

static void on_every_instruction_set(void (*check)(void)) {
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        error err;
        assert_int_equal(kernels_select(*isa, &err), OK);
        check();
    }
}

static void test_logits_and_loss(void **state) {
    (void)state;
    on_every_instruction_set(check_logits_and_loss);
}

static void test_gradients(void **state) {
    (void)state;
    on_every_instruction_set(check_gradients);
}

static void test_training(void **state) {
    (void)state;
    on_every_instruction_set(check_training);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_and_loss),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
