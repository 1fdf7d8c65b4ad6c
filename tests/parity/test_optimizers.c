// Every optimizer against PyTorch (Lion and Muon: against their papers' formulas in double precision) over
// 25 updates that follow a falling rate, with and without clipping by global norm.
#include "support/fixture.h"
#include "support/settings.h"

#include "graph/parameters.h"
#include "train/optimizers/optimizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "kernels/kernels.h"

#include <cmocka.h>

// As in make_fixtures.py.
static const struct {
    const char *name;
    parameter_declaration about;
} declared[] = {
    {"wide", {.rank = 2, .shape = {3, 8}, .decay = true, .matrix = true}},
    {"tall", {.rank = 2, .shape = {8, 3}, .decay = true, .matrix = true}},
    {"stacked", {.rank = 2, .shape = {12, 5}, .decay = true, .matrix = true, .parts = 3}},
    {"table", {.rank = 2, .shape = {5, 4}, .decay = true}},
    {"bias", {.rank = 1, .shape = {6}}},
    {"fast", {.rank = 1, .shape = {4}, .lr_multiplier = 2.5}},
};
enum { DECLARED = sizeof declared / sizeof *declared };

static parameter_set *declare(void) {
    parameter_set *set = parameters_new();
    error err;
    for (int i = 0; i < DECLARED; i++) {
        parameter *p;
        assert_int_equal(parameters_declare(set, declared[i].name, &declared[i].about, &p, &err), OK);
    }
    assert_int_equal(parameters_allocate(set, true, &err), OK);
    return set;
}

// Copies a flat row of numbers, parameter after parameter, into a block of the set.
static void place_row(const parameter_set *set, const double *flat, real *block) {
    for (int i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->items[i]->count; k++) block[set->items[i]->offset + k] = (real)*flat++;
}

// What rounding to float may do in one update: a part of the update's size, and the weight's last bit.
// Muon's iteration multiplies the rounding of its matrix products.
static double tolerance_of(const parameter *p, const char *settings) {
    return p->about.matrix && strstr(settings, "muon") ? 2e-5 : 1e-6;
}

static void compare(const char *name, const parameter_set *set, int row_count, const int32_t *kept, int at,
                    const double *start, const double *rows, const char *settings) {
    size_t row = 0, from = 0;
    for (int i = 0; i < set->count; i++) row += set->items[i]->count;
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        const double *expected = rows + (size_t)at * row + from;
        // The largest movement in one update that the kept rows show.
        double update = 0;
        for (int r = 0; r < row_count; r++)
            for (size_t k = 0; k < p->count; k++) {
                const double before = r > 0 ? rows[(size_t)(r - 1) * row + from + k] : start[from + k];
                const int updates = kept[r] - (r > 0 ? kept[r - 1] : 0);
                update = fmax(update, fabs(rows[(size_t)r * row + from + k] - before) / updates);
            }
        const double size =
            fmax(largest_magnitude(p->count, start + from), largest_magnitude(p->count, expected));
        const double allowed = kept[at] * (tolerance_of(p, settings) * update + 1.2e-7 * size);
        for (size_t k = 0; k < p->count; k++) {
            const double got = set->values[p->offset + k];
            if (!(fabs(got - expected[k]) <= allowed))
                fail_msg("%s, after %d updates, %s[%zu]: %.9g instead of %.9g (%.2g allowed)", name,
                         (int)kept[at], p->name, k, got, expected[k], allowed);
        }
        from += p->count;
    }
}

static void run_case(const fixture *f, const char *name) {
    size_t updates, row_count;
    const double *start = fixture_numbers(f, NULL, "", "start");
    const double *gradients = fixture_numbers(f, NULL, "", "gradients");
    const double *rates = fixture_numbers(f, &updates, "", "rates");
    const int32_t *kept = fixture_integers(f, &row_count, "", "kept");
    const char *folder = arena_format(f->memory, "cases/%s", name);
    const char *settings = fixture_text(f, folder, "settings");
    const double clip = *fixture_numbers(f, NULL, folder, "clip");
    const double *rows = fixture_numbers(f, NULL, folder, "values");

    parameter_set *set = declare();
    size_t width = 0;
    for (int i = 0; i < set->count; i++) width += set->items[i]->count;
    const component_choice choice = settings_choose(optimizer_registry, settings, f->memory);
    optimizer *o;
    error err;
    assert_int_equal(optimizer_new(&choice, set, &o, &err), OK);
    place_row(set, start, parameters_write(set));
    int at = 0;
    for (size_t t = 0; t < updates; t++) {
        place_row(set, gradients + t * width, set->gradients);
        const double factor = gradient_clip_factor(gradient_norm(set), clip);
        optimizer_step(o, optimizer_lr(&choice) * rates[t], factor, (int64_t)t + 1);
        if (at < (int)row_count && (size_t)kept[at] == t + 1) {
            compare(name, set, (int)row_count, kept, at, start, rows, settings);
            at++;
        }
    }
    assert_int_equal(at, row_count);
    optimizer_free(o);
    parameters_free(set);
}

static bool has_case(const fixture *f, char *const *names, int count, const component *type) {
    const char *beginning = arena_format(f->memory, "{type: %s,", type->name);
    for (int i = 0; i < count; i++) {
        const char *folder = arena_format(f->memory, "cases/%s", names[i]);
        if (strncmp(fixture_text(f, folder, "settings"), beginning, strlen(beginning)) == 0) return true;
    }
    return false;
}

static void test_optimizers(void **state) {
    (void)state;
    fixture f = fixture_open("optimizers.h5");
    int count;
    char **names = fixture_names(&f, "cases", &count);
    for (const component *const *type = optimizer_registry; *type; type++)
        if (!has_case(&f, names, count, *type)) fail_msg("no case of %s in optimizers.h5", (*type)->name);
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        error err;
        assert_int_equal(kernels_select(*isa, &err), OK);
        for (int i = 0; i < count; i++) run_case(&f, names[i]);
    }
    fixture_close(&f);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_optimizers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
