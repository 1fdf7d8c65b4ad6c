// The vector functions, in units in the last place against long double; and the choice of an instruction
// set.
//
// vec_exp and its kin are inline, so the direct tests see them as this program is compiled; the activations
// take them through every instruction set.
#define KERNEL_ISA test
#include "kernels/vector_math.h"
#include "support/kernels.h"

#include <math.h>

// Distance in units of the last place of the wanted value, as a real.
static double units(real got, long double wanted) {
    int exponent;
    const int digits = sizeof(real) == 8 ? DBL_MANT_DIG : FLT_MANT_DIG;
    if ((long double)got == wanted) return 0;
    frexpl(wanted, &exponent);
    return (double)(fabsl((long double)got - wanted) / ldexpl(1, exponent - digits));
}

// In double precision the normal distribution comes from erfc(-x/sqrt(2)), whose argument is rounded.
static const double limit_near = sizeof(real) == 8 ? 20 : 5, limit_tail = sizeof(real) == 8 ? 300 : 17;

typedef vec vector_function(vec x);
typedef long double wanted_function(long double x);

// Looks at count points spread evenly over [from, to].
static void check_units(const char *what, vector_function *f, wanted_function *wanted, double from,
                        double to, double limit) {
    const int count = 20000;
    double worst = 0;
    real worst_at = 0;
    for (int i = 0; i < count; i += VEC) {
        vec x = {0};
        for (int lane = 0; lane < VEC; lane++) x[lane] = (real)(from + (to - from) * (i + lane) / count);
        const vec y = f(x);
        for (int lane = 0; lane < VEC; lane++) {
            const double d = units(y[lane], wanted((long double)x[lane]));
            if (!(d <= worst)) worst = d, worst_at = x[lane];
        }
    }
    if (!(worst <= limit)) {
        print_error("%s is %.2f units off at %.9g, limit %.2f\n", what, worst, (double)worst_at, limit);
        fail();
    }
}

static vec exp_of(vec x) {
    return vec_exp(x);
}

static vec log_of(vec x) {
    return vec_log(x);
}

static vec tanh_of(vec x) {
    return vec_tanh(x);
}

static vec sigmoid_of(vec x) {
    return vec_sigmoid(x);
}

static vec cdf_of(vec x) {
    vec bell;
    return vec_normal_cdf(x, &bell);
}

static vec bell_of(vec x) {
    vec bell;
    vec_normal_cdf(x, &bell);
    return bell;
}

static long double wanted_sigmoid(long double x) {
    return 1 / (1 + expl(-x));
}

static long double wanted_cdf(long double x) {
    return erfcl(-x * sqrtl(0.5L)) / 2;
}

static long double wanted_bell(long double x) {
    return expl(-x * x / 2);
}

static void test_functions_are_precise(void **state) {
    (void)state;
    check_units("exp", exp_of, expl, -86.9, 88.7, 2);
    check_units("exp", exp_of, expl, -1, 1, 2);
    check_units("log", log_of, logl, 1e-30, 1e-20, 2);
    check_units("log", log_of, logl, 0.4, 3, 2);
    check_units("log", log_of, logl, 1, 1e30, 2);
    check_units("tanh", tanh_of, tanhl, -1, 1, 3);
    check_units("tanh", tanh_of, tanhl, -12, 12, 3);
    check_units("tanh", tanh_of, tanhl, -1e-6, 1e-6, 3);
    check_units("sigmoid", sigmoid_of, wanted_sigmoid, -80, 80, 4);
    check_units("normal distribution", cdf_of, wanted_cdf, -3, 6, limit_near);
    check_units("normal distribution, tail", cdf_of, wanted_cdf, -12.5, -3, limit_tail);
    check_units("bell", bell_of, wanted_bell, -12.5, 12.5, limit_near + 60 * (sizeof(real) == 8));
}

static void test_ends_are_right(void **state) {
    (void)state;
    assert_true(vec_exp(vec_set(-INFINITY))[0] == 0);
    assert_true(vec_exp(vec_set(-1000))[0] == 0);
    assert_true(vec_exp(vec_set(1000))[0] == INFINITY);
    assert_true(vec_exp(vec_set(INFINITY))[0] == INFINITY);
    assert_true(vec_exp(vec_set(0))[0] == 1);
    assert_true(isnan(vec_exp(vec_set(NAN))[0]));
    assert_true(vec_log(vec_set(0))[0] == -INFINITY);
    assert_true(vec_log(vec_set(1))[0] == 0);
    assert_true(vec_log(vec_set(INFINITY))[0] == INFINITY);
    assert_true(isnan(vec_log(vec_set(-1))[0]));
    assert_true(isnan(vec_log(vec_set(NAN))[0]));
    assert_true(vec_tanh(vec_set(50))[0] == 1);
    assert_true(vec_tanh(vec_set(-INFINITY))[0] == -1);
    assert_true(vec_tanh(vec_set(0))[0] == 0);
    assert_true(isnan(vec_tanh(vec_set(NAN))[0]));
    assert_true(vec_sigmoid(vec_set(200))[0] == 1);
    assert_true(vec_sigmoid(vec_set(-200))[0] >= 0 && vec_sigmoid(vec_set(-200))[0] < 1e-37);
    assert_true(isnan(vec_sigmoid(vec_set(NAN))[0]));
    assert_true(cdf_of(vec_set(40))[0] == 1);
    assert_true(cdf_of(vec_set(-40))[0] == 0);
    assert_true(cdf_of(vec_set(0))[0] == (real)0.5);
    assert_true(isnan(cdf_of(vec_set(NAN))[0]));
}

// Activations with their own limits in units, through every instruction set.
static void check_activation(activation act, wanted_function *wanted, double from, double to,
                             double limit) {
    enum { COUNT = 5003 };
    static real x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = (real)(from + (to - from) * i / COUNT);
    kernels->activation_forward(act, COUNT, x, y);
    for (int i = 0; i < COUNT; i++)
        if (!(units(y[i], wanted((long double)x[i])) <= limit)) {
            print_error("activation %d (%s) of %.9g is %.2f units off, limit %.2f\n", (int)act,
                        kernels->name, (double)x[i], units(y[i], wanted((long double)x[i])), limit);
            fail();
        }
}

static long double wanted_gelu(long double x) {
    return x * wanted_cdf(x);
}

static long double wanted_silu(long double x) {
    return x * wanted_sigmoid(x);
}

static void activations_are_precise(void) {
    check_activation(ACTIVATION_TANH, tanhl, -15, 15, 3);
    check_activation(ACTIVATION_SIGMOID, wanted_sigmoid, -80, 80, 4);
    check_activation(ACTIVATION_SILU, wanted_silu, -80, 80, 5);
    check_activation(ACTIVATION_GELU, wanted_gelu, -12, -3, limit_tail);
    check_activation(ACTIVATION_GELU, wanted_gelu, -3, 6, limit_near + 1);
}

static void not_a_number_stays_so(void) {
    for (int act = 0; act < ACTIVATION_COUNT; act++) {
        real x[3] = {NAN, 1, 2}, y[3], dy[3] = {1, 1, 1}, dx[3];
        kernels->activation_forward((activation)act, 3, x, y);
        assert_true(isnan(y[0]) && !isnan(y[1]));
        kernels->activation_backward((activation)act, 3, x, dy, dx, false);
        assert_true(act == ACTIVATION_NONE || act == ACTIVATION_RELU || isnan(dx[0]));
    }
}

static void test_activations(void **state) {
    (void)state;
    on_every_isa(activations_are_precise);
}

static void test_not_a_number(void **state) {
    (void)state;
    on_every_isa(not_a_number_stays_so);
}

static void test_sets_are_chosen_by_name(void **state) {
    (void)state;
    error err = {0};
    const char *const *names = kernels_available();
    int count = 0;
    while (names[count]) count++;
    assert_true(count >= 1);
    assert_string_equal(names[count - 1], "plain"); // runs everywhere
    assert_string_equal(kernels->name, names[0]);   // the best, until another is asked for
    assert_int_equal(kernels_select("plain", &err), OK);
    assert_string_equal(kernels->name, "plain");
    assert_int_equal(kernels_select("nonsense", &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "nonsense"));
    assert_non_null(strstr(err.hint, "plain"));
    assert_string_equal(kernels->name, "plain");
    assert_int_equal(kernels_select("auto", &err), OK);
    assert_string_equal(kernels->name, names[0]);
    kernels_set_threads(3);
    assert_int_equal(kernels_threads(), 3);
    kernels_set_threads(0);
    assert_int_equal(kernels_threads(), 1);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_are_precise),
        cmocka_unit_test(test_ends_are_right),
        cmocka_unit_test(test_sets_are_chosen_by_name),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
