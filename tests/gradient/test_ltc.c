// Liquid time-constant networks in double precision, beyond what every operator is tested for: the order of
// each solver, the steps that dopri5 chooses, and checkpointing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "support/central_differences.h"
#include "support/operator_cases.h"

#include "kernels/kernels.h"

#include <cmocka.h>

enum { WIDTH = 7, LENGTHS = 2 }; // LENGTHS: the output of op_ltc

static const ltc_options options = {
    .steps = 1, .act = ACTIVATION_SIGMOID, .adaptive = true, .abs_gate = true};

// --- order

// How far x is from the solution of the equation over 2 units of time, in steps of 2 / steps. One token
// each, all with the same input, in which dopri5 takes two steps, one three times as long as the other.
static double error_at(ode_solver solver, int steps, bool is_exact, double *exact) {
    operator_case c = {
        .name = "order",
        .batch = 1,
        .time = steps,
        .leaf = {{3, {1, steps, WIDTH}, false, 0, 0}, NETWORK(WIDTH), {2, {1, WIDTH}, false, 0, 0.5}},
        MAKES(ltc),
        .ltc = options};
    c.ltc.solver = solver, c.ltc.step = 2.0 / steps, c.ltc.atol = 1e9;
    case_run r;
    case_open(&c, &r);
    graph_forward(r.g, &r.context);
    const real *last = r.y->data + (steps - 1) * WIDTH;
    double most = 0;
    for (int i = 0; i < WIDTH; i++) {
        if (is_exact) exact[i] = (double)last[i];
        most = fmax(most, fabs((double)last[i] - exact[i]));
    }
    case_close(&r);
    return most;
}

static void test_solvers_have_their_orders(void **state) {
    (void)state;
    static const struct {
        ode_solver solver;
        double order;
        int steps;
    } cases[] = {
        {SOLVER_SEMI_IMPLICIT, 1, 64}, {SOLVER_EULER, 1, 64}, {SOLVER_RK4, 4, 8}, {SOLVER_DOPRI5, 5, 12}};
    double exact[WIDTH];
    error_at(SOLVER_DOPRI5, 200, true, exact);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double coarse = error_at(cases[i].solver, cases[i].steps, false, exact),
                     fine = error_at(cases[i].solver, 2 * cases[i].steps, false, exact);
        const double order = log2(coarse / fine);
        if (!(fabs(order - cases[i].order) < 0.5))
            fail_msg("solver %d has order %.2f, not %g", (int)cases[i].solver, order, cases[i].order);
    }
}

// --- dopri5

// Some networks are stiffer than others, so that rows and tokens take different numbers of steps.
static operator_case adaptive_case(double rtol) {
    operator_case c = {.name = "dopri5",
                       .batch = 5,
                       .time = 9,
                       .leaf = {{3, {5, 9, WIDTH}, false, 0, 3}, NETWORK(WIDTH)},
                       MAKES(ltc),
                       .documents = true,
                       .ltc = options};
    c.ltc.solver = SOLVER_DOPRI5, c.ltc.step = 4, c.ltc.rtol = rtol, c.ltc.atol = rtol / 10;
    return c;
}

static const real *lengths_of(const case_run *r, int at) {
    return r->y->producer->out[LENGTHS]->data + at * LTC_ADAPTIVE_STEPS;
}

static int steps_taken(const case_run *r, int at) {
    int taken = 0;
    while (taken < LTC_ADAPTIVE_STEPS && lengths_of(r, at)[taken] != 0) taken++;
    return taken;
}

static void test_dopri5_chooses_steps(void **state) {
    (void)state;
    const operator_case c = adaptive_case(1e-5);
    case_run r;
    case_open(&c, &r);
    graph_forward(r.g, &r.context);
    case_exact_loss(&r);
    assert_true(case_output_error(&r) <= 1e-9);
    int fewest = LTC_ADAPTIVE_STEPS, most = 0;
    for (int at = 0; at < c.batch * c.time; at++) {
        const int taken = steps_taken(&r, at);
        double sum = 0;
        for (int i = 0; i < taken; i++) sum += (double)lengths_of(&r, at)[i];
        assert_true(fabs(sum - c.ltc.step) < 1e-8);
        if (taken < fewest) fewest = taken;
        if (taken > most) most = taken;
    }
    assert_true(fewest > 2 && most > fewest);
    case_close(&r);
}

// Tighter tolerances, smaller errors.
static void test_dopri5_keeps_its_tolerance(void **state) {
    (void)state;
    double results[3][5 * 9 * WIDTH];
    for (int i = 0; i < 3; i++) {
        const operator_case c = adaptive_case((double[]){1e-8, 1e-5, 1e-3}[i]);
        case_run r;
        case_open(&c, &r);
        graph_forward(r.g, &r.context);
        for (size_t k = 0; k < r.y->count; k++) {
            assert_true(isfinite(r.y->data[k]));
            results[i][k] = (double)r.y->data[k];
        }
        case_close(&r);
    }
    double off[3] = {0};
    for (int i = 1; i < 3; i++)
        for (int k = 0; k < 5 * 9 * WIDTH; k++) off[i] = fmax(off[i], fabs(results[i][k] - results[0][k]));
    assert_true(off[1] > 0 && off[1] < 1e-4);
    assert_true(off[2] > off[1] && off[2] < 1e-2);
}

// The loss by the reference, in the steps that dopri5 took before.
static double loss_in_steps(void *with) {
    case_run *r = with;
    const operator_case *c = r->c;
    double loss = 0;
    for (int l = 0; l < 4; l++)
        for (size_t i = 0; i < r->leaf[l]->count; i++)
            r->exact_leaf[l][i] = (double)r->set->values[r->leaf[l]->offset + i];
    for (int b = 0; b < c->batch; b++) {
        double x[LTC_WIDTH_MAX] = {0};
        for (int t = 0; t < c->time; t++) {
            const int at = b * c->time + t;
            const reference_token k = {c, r->exact_leaf, reference_neural, at, WIDTH};
            for (int i = 0; r->begins[at] && i < WIDTH; i++) x[i] = 0;
            for (int s = 0; s < steps_taken(r, at); s++)
                reference_dopri5(&k, (double)lengths_of(r, at)[s], x, NULL);
            for (int i = 0; i < WIDTH; i++) loss += x[i] * (double)r->factors[at * WIDTH + i];
        }
    }
    return loss;
}

static void test_gradients_of_dopri5_are_those_of_its_steps(void **state) {
    (void)state;
    const operator_case c = adaptive_case(1e-4);
    case_run r;
    case_open(&c, &r);
    graph_forward(r.g, &r.context);
    graph_backward(r.g, &r.context);
    assert_true(gradients_agree(c.name, r.set, 150, 1e-7, loss_in_steps, &r));
    case_close(&r);
}

// Where 64 steps do not reach the end of a token, its x is not a number, nor those after it.
static void test_too_many_steps_are_not_a_number(void **state) {
    (void)state;
    operator_case c = adaptive_case(1e-12);
    c.documents = false;
    c.ltc.step = 1000;
    case_run r;
    case_open(&c, &r);
    graph_forward(r.g, &r.context);
    graph_backward(r.g, &r.context);
    for (size_t i = 0; i < r.y->count; i++) assert_true(isnan(r.y->data[i]));
    case_close(&r);
}

// --- checkpointing

static void test_checkpointing_gives_the_same_gradients(void **state) {
    (void)state;
    static const ode_solver solvers[] = {SOLVER_SEMI_IMPLICIT, SOLVER_EULER, SOLVER_RK4};
    for (int i = 0; i < 3; i++) {
        real *kept = NULL;
        for (int again = 0; again < 2; again++) {
            operator_case c = {.name = "checkpointing",
                               .batch = 3,
                               .time = 150,
                               .leaf = {{3, {3, 150, 40}, false, 0, 1}, NETWORK(40)},
                               MAKES(ltc),
                               .documents = true,
                               .ltc = options};
            c.ltc.solver = solvers[i], c.ltc.steps = 20, c.ltc.step = 0.05, c.ltc.checkpointing = again;
            case_run r;
            case_open(&c, &r);
            graph_forward(r.g, &r.context);
            graph_backward(r.g, &r.context);
            if (!again) {
                kept = malloc(r.set->total * sizeof *kept);
                memcpy(kept, r.set->gradients, r.set->total * sizeof *kept);
            } else {
                assert_true(relative_difference(r.set->total, r.set->gradients, kept) <= 1e-13);
            }
            case_close(&r);
        }
        free(kept);
    }
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_solvers_have_their_orders),
        cmocka_unit_test(test_dopri5_chooses_steps),
        cmocka_unit_test(test_dopri5_keeps_its_tolerance),
        cmocka_unit_test(test_gradients_of_dopri5_are_those_of_its_steps),
        cmocka_unit_test(test_too_many_steps_are_not_a_number),
        cmocka_unit_test(test_checkpointing_gives_the_same_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
