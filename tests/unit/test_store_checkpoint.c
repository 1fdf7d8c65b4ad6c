// Checkpoints: everything comes back exactly; damage, other models and full disks end in clean errors.
#include "base/file.h"
#include "store/checkpoint.h"
#include "support/temporary_folder.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// What HDF5 forgets to free after a damaged file or a full disk is not ours to mend.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

static char folder[] = "/tmp/runexp-checkpoint-XXXXXX";
static error err;
static arena *memory;
static const char *path;

static const run_facts facts = {.name = "gpt_nano", .seed = 1337, .parameters = 20, .threads = 1};
static const run_state numbers = {.step = 1200,
                                  .tokens = 921600,
                                  .seconds = 31.25,
                                  .best_loss = 1.0 / 3,
                                  .best_step = 1000,
                                  .evaluations_without_improvement = 2,
                                  .skipped_updates = 1,
                                  .plateau_factor = 0.1,
                                  .plateau_best = INFINITY,
                                  .plateau_bad = 3,
                                  .plateau_cooldown = 4,
                                  .batch_digest = 0xFEDCBA98u,
                                  .seed = 0xFFFFFFFFFFFFFFFEull};

static void declare(parameter_set *set, const char *name, int rank, int d0, int d1) {
    parameter_declaration about = {
        .rank = rank, .shape = {d0, d1}, .init = INIT_NORMAL, .init_value = 0.02};
    parameter *p;
    assert_int_equal(parameters_declare(set, name, &about, &p, &err), OK);
}

static parameter_set *small_model(void) {
    parameter_set *set = parameters_new();
    declare(set, "embedding/weight", 2, 5, 3);
    declare(set, "repeat/0/residual/layernorm/weight", 1, 3, 0);
    declare(set, "repeat/0/residual/attention/in_proj_weight", 2, 9, 3);
    assert_int_equal(parameters_allocate(set, false, &err), OK);
    parameters_initialise(set, 7);
    return set;
}

static real *block(const parameter_set *set, real first) {
    real *values = memory_alloc(set->total * sizeof *values);
    for (int i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->items[i]->count; k++)
            values[set->items[i]->offset + k] = first + (real)k / 8;
    return values;
}

static checkpoint_arrays everything(parameter_set *set) {
    return (checkpoint_arrays){.parameters = set,
                               .values = block(set, 1),
                               .average = block(set, 2),
                               .moments = {block(set, 3), block(set, 4)},
                               .moment_names = {"m", "v"}};
}

static void free_arrays(checkpoint_arrays *c) {
    free(c->values);
    free(c->average);
    free(c->moments[0]);
    free(c->moments[1]);
}

static status write_small(const char *where) {
    parameter_set *set = small_model();
    checkpoint_arrays arrays = everything(set);
    status result =
        checkpoint_write(where, &arrays, &numbers, "{type: char}", "name: gpt_nano\n", &facts, &err);
    free_arrays(&arrays);
    parameters_free(set);
    return result;
}

static void everything_comes_back(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    parameter_set *set = small_model();
    checkpoint_arrays wanted = everything(set), got = everything(set);
    memset(got.values, 0, set->total * sizeof(real));
    memset(got.average, 0, set->total * sizeof(real));
    memset(got.moments[0], 0, set->total * sizeof(real));
    memset(got.moments[1], 0, set->total * sizeof(real));
    assert_int_equal(checkpoint_read_arrays(path, &got, &err), OK);
    assert_memory_equal(got.values, wanted.values, set->total * sizeof(real));
    assert_memory_equal(got.average, wanted.average, set->total * sizeof(real));
    assert_memory_equal(got.moments[0], wanted.moments[0], set->total * sizeof(real));
    assert_memory_equal(got.moments[1], wanted.moments[1], set->total * sizeof(real));
    assert_true(checkpoint_has_average(path));

    checkpoint_info info;
    assert_int_equal(checkpoint_read_info(path, memory, &info, &err), OK);
    assert_memory_equal(&info.state, &numbers, sizeof numbers);
    assert_string_equal(info.tokenizer_text, "{type: char}");
    assert_int_equal(info.tokenizer_length, 12);
    assert_string_equal(info.config_text, "name: gpt_nano\n");
    free_arrays(&wanted);
    free_arrays(&got);
    parameters_free(set);
}

static void long_and_empty_texts_come_back(void **state) {
    (void)state;
    parameter_set *set = small_model();
    checkpoint_arrays arrays = {.parameters = set, .values = set->values};
    enum { LONG = 300000 };
    char *long_text = memory_alloc(LONG + 1);
    for (int i = 0; i < LONG; i++) long_text[i] = (char)('a' + i % 26);
    assert_int_equal(checkpoint_write(path, &arrays, &numbers, long_text, "", &facts, &err), OK);
    checkpoint_info info;
    assert_int_equal(checkpoint_read_info(path, memory, &info, &err), OK);
    assert_int_equal(info.tokenizer_length, LONG);
    assert_string_equal(info.tokenizer_text, long_text);
    assert_int_equal(info.config_length, 0);
    assert_string_equal(info.config_text, "");
    assert_false(checkpoint_has_average(path));
    free(long_text);
    parameters_free(set);
}

static void layout_is_the_promised_one(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/weights/repeat/0/residual/attention/in_proj_weight", H5P_DEFAULT);
    assert_true(set >= 0);
    hsize_t shape[2];
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    assert_int_equal(H5Sget_simple_extent_dims(space, shape, NULL), 2);
    assert_int_equal(shape[0], 9);
    assert_int_equal(shape[1], 3);
    assert_true(H5Tequal(type, H5T_IEEE_F32LE) > 0);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    set = H5Dopen2(file, "/optimizer/v/embedding/weight", H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Fclose(file);
}

static status read_as(parameter_set *set, bool with_moments) {
    assert_int_equal(parameters_allocate(set, false, &err), OK);
    checkpoint_arrays arrays = {.parameters = set, .values = set->values};
    real *m = memory_alloc(set->total * sizeof *m);
    if (with_moments) {
        arrays.moments[0] = m;
        arrays.moment_names[0] = "momentum";
    }
    status result = checkpoint_read_arrays(path, &arrays, &err);
    free(m);
    parameters_free(set);
    return result;
}

static void other_models_are_refused(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);

    parameter_set *set = parameters_new();
    declare(set, "embedding/weight", 2, 5, 4);
    assert_int_equal(read_as(set, false), ERR_DATA);
    assert_non_null(
        strstr(err.message, "/weights/embedding/weight has shape (5, 3); the model's has (5, 4)"));
    assert_true(err.hint[0]);

    set = parameters_new();
    declare(set, "embedding/weight", 2, 5, 3);
    assert_int_equal(read_as(set, false), ERR_DATA);
    assert_non_null(strstr(err.message, "which the model has not"));

    set = parameters_new();
    declare(set, "embedding/weight", 2, 5, 3);
    declare(set, "unembedding/weight", 2, 5, 3);
    assert_int_equal(read_as(set, false), ERR_DATA);
    assert_non_null(strstr(err.message, "has no /weights/unembedding/weight"));

    set = parameters_new();
    declare(set, "embedding/weight", 2, 5, 3);
    declare(set, "repeat/0/residual/layernorm/weight", 1, 3, 0);
    declare(set, "repeat/0/residual/attention/in_proj_weight", 2, 9, 3);
    assert_int_equal(read_as(set, true), ERR_DATA);
    assert_non_null(strstr(err.message, "has no /optimizer/momentum"));
}

static status read_info(void) {
    checkpoint_info info;
    arena *a = arena_new();
    status result = checkpoint_read_info(path, a, &info, &err);
    arena_free(a);
    return result;
}

static status read_all(void) {
    parameter_set *set = small_model();
    checkpoint_arrays arrays = everything(set);
    status result = checkpoint_read_arrays(path, &arrays, &err);
    free_arrays(&arrays);
    parameters_free(set);
    return result;
}

static void what_is_no_checkpoint_is_refused(void **state) {
    (void)state;
    unlink(path);
    assert_int_equal(read_info(), ERR_IO);
    assert_int_equal(file_write(path, "", 0, &err), OK);
    assert_int_equal(read_info(), ERR_DATA);
    assert_int_equal(file_write(path, "\x93NUMPY and so on", 16, &err), OK);
    assert_int_equal(read_info(), ERR_DATA);
    assert_non_null(strstr(err.message, "not an HDF5 file"));
    assert_true(err.hint[0]);
    assert_false(checkpoint_has_average(path));
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_int_equal(read_info(), ERR_DATA);
    assert_non_null(strstr(err.message, "is not a checkpoint"));
}

static void every_cut_is_noticed(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, memory, &bytes, &length, &err), OK);
    for (size_t cut = 0; cut < length; cut += 97) {
        assert_int_equal(file_write(path, bytes, cut, &err), OK);
        assert_int_equal(read_info(), ERR_DATA);
        assert_true(err.hint[0]);
        assert_int_equal(read_all(), ERR_DATA);
    }
}

// Every changed byte is noticed, or lies where nothing is stored and changes nothing.
static void scrambled_checkpoint_is_noticed(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, memory, &bytes, &length, &err), OK);
    parameter_set *set = small_model();
    checkpoint_arrays wanted = everything(set), got = everything(set);
    int noticed = 0, rounds = 0;
    for (size_t at = 0; at < length; at += 13, rounds++) {
        bytes[at] ^= (char)(1 << at % 8);
        assert_int_equal(file_write(path, bytes, length, &err), OK);
        bytes[at] ^= (char)(1 << at % 8);
        checkpoint_info info;
        if (checkpoint_read_arrays(path, &got, &err) != OK ||
            checkpoint_read_info(path, memory, &info, &err) != OK) {
            noticed++;
            continue;
        }
        assert_memory_equal(got.values, wanted.values, set->total * sizeof(real));
        assert_memory_equal(got.moments[1], wanted.moments[1], set->total * sizeof(real));
        assert_memory_equal(&info.state, &numbers, sizeof numbers);
        assert_string_equal(info.tokenizer_text, "{type: char}");
    }
    assert_true(noticed > rounds / 4);
    free_arrays(&wanted);
    free_arrays(&got);
    parameters_free(set);
}

static void unwritable_folder_is_an_error(void **state) {
    (void)state;
    assert_int_equal(write_small("/nonexistent/folder/last.h5"), ERR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/folder/last.h5"));
    assert_true(err.hint[0]);
}

// A limit on the size of files stands in for a full disk. The old checkpoint stays as it was, nothing is
// left behind, and the library is fit for the next one.
static void full_disk_leaves_the_old_checkpoint(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    char *before, *after;
    size_t length, length_after;
    assert_int_equal(file_read(path, memory, &before, &length, &err), OK);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t limit = 0; limit < length; limit += 501) {
        struct rlimit small = {.rlim_cur = limit, .rlim_max = old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        assert_int_equal(write_small(path), ERR_IO);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_non_null(strstr(err.message, "File too large"));
        assert_int_equal(file_read(path, memory, &after, &length_after, &err), OK);
        assert_int_equal(length_after, length);
        assert_memory_equal(after, before, length);
        assert_false(file_exists(path_join(memory, folder, "last.h5.tmp")));
    }
    assert_int_equal(write_small(path), OK);
    assert_int_equal(read_all(), OK);
}

static int set_up(void **state) {
    (void)state;
    memory = arena_new();
    if (!mkdtemp(folder)) return -1;
    path = path_join(memory, folder, "last.h5");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_free(memory);
    return temporary_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(long_and_empty_texts_come_back),
        cmocka_unit_test(layout_is_the_promised_one),
        cmocka_unit_test(other_models_are_refused),
        cmocka_unit_test(what_is_no_checkpoint_is_refused),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(scrambled_checkpoint_is_noticed),
        cmocka_unit_test(unwritable_folder_is_an_error),
        cmocka_unit_test(full_disk_leaves_the_old_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
