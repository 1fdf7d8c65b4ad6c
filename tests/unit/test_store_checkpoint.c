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
static const checkpoint_texts small_texts = {"{type: char}", "name: gpt_nano\n", 12, 15};

// What is stored: three groups of arrays and four numbers.
enum { WEIGHTS, MOMENTS, STATES, GROUPS, NUMBERS = 4 };
static const char *const paths[GROUPS] = {"/weights", "/optimizer/m", "/states"};
static const int embedding_shape[] = {5, 3}, norm_shape[] = {3}, projection_shape[] = {9, 3};

typedef struct stored {
    real embedding[GROUPS][15], norm[GROUPS][3], projection[GROUPS][27], scale[GROUPS];
    int64_t step, digest;
    double best, factor;
    checkpoint_array arrays[GROUPS][4];
    checkpoint_group groups[GROUPS];
    checkpoint_number numbers[NUMBERS];
    checkpoint_contents contents;
} stored;

// Lists everything in s; the values are still zero.
static void list(stored *s) {
    memset(s, 0, sizeof *s);
    for (int g = 0; g < GROUPS; g++) {
        const checkpoint_array arrays[] = {
            {"embedding/weight", 2, embedding_shape, s->embedding[g]},
            {"repeat/0/residual/layernorm/weight", 1, norm_shape, s->norm[g]},
            {"repeat/0/residual/attention/in_proj_weight", 2, projection_shape, s->projection[g]},
            {"scale", 0, NULL, &s->scale[g]},
        };
        memcpy(s->arrays[g], arrays, sizeof arrays);
        s->groups[g] = (checkpoint_group){paths[g], s->arrays[g], 4};
    }
    const checkpoint_number numbers[NUMBERS] = {{.name = "step", .integer = &s->step},
                                                {.name = "digest", .integer = &s->digest},
                                                {.name = "best", .number = &s->best},
                                                {.name = "factor", .number = &s->factor}};
    memcpy(s->numbers, numbers, sizeof numbers);
    s->contents = (checkpoint_contents){s->groups, s->numbers, GROUPS, NUMBERS};
}

static void fill(stored *s) {
    list(s);
    for (int g = 0; g < GROUPS; g++) {
        for (int i = 0; i < 15; i++) s->embedding[g][i] = (real)(g + i / 8.0);
        for (int i = 0; i < 3; i++) s->norm[g][i] = (real)(g - i / 8.0);
        for (int i = 0; i < 27; i++) s->projection[g][i] = (real)(100 * g + i / 8.0);
        s->scale[g] = (real)(g + 0.5);
    }
    s->step = INT64_MAX;
    s->digest = 0xFEDCBA98;
    s->best = 1.0 / 3;
    s->factor = INFINITY;
}

static void assert_same(const stored *a, const stored *b) {
    assert_memory_equal(a, b, offsetof(stored, arrays));
}

static status write_small(const char *where) {
    stored s;
    fill(&s);
    return checkpoint_write(where, &s.contents, &small_texts, &facts, &err);
}

static void test_everything_comes_back(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    stored wanted, got;
    fill(&wanted);
    list(&got);
    assert_int_equal(checkpoint_read(path, &got.contents, &err), OK);
    assert_same(&got, &wanted);

    checkpoint_texts texts;
    assert_int_equal(checkpoint_read_texts(path, memory, &texts, &err), OK);
    assert_string_equal(texts.tokenizer, "{type: char}");
    assert_int_equal(texts.tokenizer_length, 12);
    assert_string_equal(texts.config, "name: gpt_nano\n");
}

// What is not asked for is left alone.
static void test_part_is_read_alone(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    stored wanted, got;
    fill(&wanted);
    list(&got);
    const checkpoint_contents part = {&got.groups[STATES], &got.numbers[2], 1, 1};
    assert_int_equal(checkpoint_read(path, &part, &err), OK);
    assert_memory_equal(got.projection[STATES], wanted.projection[STATES], sizeof got.projection[STATES]);
    assert_true(got.scale[STATES] == wanted.scale[STATES] && got.scale[WEIGHTS] == 0);
    assert_true(got.best == wanted.best && got.step == 0);
    assert_true(checkpoint_has(path, "/states"));
    assert_true(checkpoint_has(path, "/optimizer/m"));
    assert_false(checkpoint_has(path, "/average"));
}

static void test_long_and_empty_texts_come_back(void **state) {
    (void)state;
    stored s;
    fill(&s);
    enum { LONG = 300000 };
    char *long_text = memory_alloc(LONG + 1);
    for (int i = 0; i < LONG; i++) long_text[i] = (char)('a' + i % 26);
    const checkpoint_texts written = {long_text, "", LONG, 0};
    assert_int_equal(checkpoint_write(path, &s.contents, &written, &facts, &err), OK);
    checkpoint_texts texts;
    assert_int_equal(checkpoint_read_texts(path, memory, &texts, &err), OK);
    assert_int_equal(texts.tokenizer_length, LONG);
    assert_string_equal(texts.tokenizer, long_text);
    assert_int_equal(texts.config_length, 0);
    assert_string_equal(texts.config, "");
    free(long_text);
}

static void test_layout_is_the_promised_one(void **state) {
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
    set = H5Dopen2(file, "/optimizer/m/embedding/weight", H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    assert_true(H5Aexists_by_name(file, "/state", "step", H5P_DEFAULT) > 0);
    H5Fclose(file);
}

// Reads the weights as another model would have them.
static status read_as(int count, const checkpoint_array *arrays, const char *group) {
    const checkpoint_group other = {group, arrays, count};
    return checkpoint_read(path, &(checkpoint_contents){.groups = &other, .group_count = 1}, &err);
}

static void test_other_models_are_refused(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    stored s;
    list(&s);
    checkpoint_array arrays[5];
    memcpy(arrays, s.arrays[WEIGHTS], sizeof s.arrays[WEIGHTS]);
    assert_int_equal(read_as(4, arrays, "/weights"), OK);

    assert_int_equal(read_as(3, arrays, "/weights"), ERR_DATA);
    assert_non_null(strstr(err.message, "has /weights/scale, which the model does not have"));
    assert_true(err.hint[0]);

    arrays[4] = (checkpoint_array){"unembedding/weight", 2, embedding_shape, s.embedding[0]};
    assert_int_equal(read_as(5, arrays, "/weights"), ERR_DATA);
    assert_non_null(strstr(err.message, "has no /weights/unembedding/weight"));

    const int wider[] = {5, 4};
    real values[20];
    arrays[0] = (checkpoint_array){"embedding/weight", 2, wider, values};
    assert_int_equal(read_as(4, arrays, "/weights"), ERR_DATA);
    assert_non_null(
        strstr(err.message, "/weights/embedding/weight has shape (5, 3); the model's has (5, 4)"));
    assert_true(err.hint[0]);

    assert_int_equal(read_as(4, s.arrays[WEIGHTS], "/optimizer/momentum"), ERR_DATA);
    assert_non_null(strstr(err.message, "has no /optimizer/momentum"));
    assert_true(err.hint[0]);
}

static void test_missing_number_is_damage(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    int64_t value;
    const checkpoint_number number = {.name = "unknown", .integer = &value};
    assert_int_equal(
        checkpoint_read(path, &(checkpoint_contents){.numbers = &number, .number_count = 1}, &err),
        ERR_DATA);
    assert_non_null(strstr(err.message, "its /state is missing or incomplete"));
}

static status read_texts(void) {
    checkpoint_texts texts;
    arena *a = arena_new();
    status result = checkpoint_read_texts(path, a, &texts, &err);
    arena_free(a);
    return result;
}

static status read_all(void) {
    stored s;
    list(&s);
    return checkpoint_read(path, &s.contents, &err);
}

static void test_what_is_no_checkpoint_is_refused(void **state) {
    (void)state;
    unlink(path);
    assert_int_equal(read_texts(), ERR_IO);
    assert_int_equal(file_write(path, "", 0, &err), OK);
    assert_int_equal(read_texts(), ERR_DATA);
    assert_int_equal(file_write(path, "\x93NUMPY and so on", 16, &err), OK);
    assert_int_equal(read_texts(), ERR_DATA);
    assert_non_null(strstr(err.message, "not an HDF5 file"));
    assert_true(err.hint[0]);
    assert_false(checkpoint_has(path, "/weights"));
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_int_equal(read_texts(), ERR_DATA);
    assert_non_null(strstr(err.message, "is not a checkpoint"));
}

static void test_another_format_is_named(void **state) {
    (void)state;
    const int other = 1;
    assert_int_equal(write_small(path), OK);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t version = H5Aopen(file, "runexp_checkpoint", H5P_DEFAULT);
    assert_true(H5Awrite(version, H5T_NATIVE_INT, &other) >= 0);
    H5Aclose(version);
    H5Fclose(file);
    assert_int_equal(read_texts(), ERR_DATA);
    assert_non_null(strstr(err.message, "is a checkpoint of format 1; this program reads format 2"));
    assert_true(err.hint[0]);
    assert_int_equal(read_all(), ERR_DATA);
}

static void test_every_cut_is_noticed(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, memory, &bytes, &length, &err), OK);
    for (size_t cut = 0; cut < length; cut += 97) {
        assert_int_equal(file_write(path, bytes, cut, &err), OK);
        assert_int_equal(read_texts(), ERR_DATA);
        assert_true(err.hint[0]);
        assert_int_equal(read_all(), ERR_DATA);
    }
}

// Every changed byte is noticed, or lies where nothing is stored and changes nothing.
static void test_scrambled_checkpoint_is_noticed(void **state) {
    (void)state;
    assert_int_equal(write_small(path), OK);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, memory, &bytes, &length, &err), OK);
    stored wanted, got;
    fill(&wanted);
    list(&got);
    int noticed = 0, rounds = 0;
    for (size_t at = 0; at < length; at += 13, rounds++) {
        bytes[at] ^= (char)(1 << at % 8);
        assert_int_equal(file_write(path, bytes, length, &err), OK);
        bytes[at] ^= (char)(1 << at % 8);
        checkpoint_texts texts;
        if (checkpoint_read(path, &got.contents, &err) != OK ||
            checkpoint_read_texts(path, memory, &texts, &err) != OK) {
            noticed++;
            continue;
        }
        assert_same(&got, &wanted);
        assert_string_equal(texts.tokenizer, "{type: char}");
    }
    assert_true(noticed > rounds / 4);
}

static void test_unwritable_folder_is_an_error(void **state) {
    (void)state;
    assert_int_equal(write_small("/nonexistent/folder/last.h5"), ERR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/folder/last.h5"));
    assert_true(err.hint[0]);
}

// A limit on the size of files stands in for a full disk. The old checkpoint stays as it was, nothing is
// left behind, and the library is fit for the next one.
static void test_full_disk_leaves_the_old_checkpoint(void **state) {
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
        cmocka_unit_test(test_everything_comes_back),
        cmocka_unit_test(test_part_is_read_alone),
        cmocka_unit_test(test_long_and_empty_texts_come_back),
        cmocka_unit_test(test_layout_is_the_promised_one),
        cmocka_unit_test(test_other_models_are_refused),
        cmocka_unit_test(test_missing_number_is_damage),
        cmocka_unit_test(test_what_is_no_checkpoint_is_refused),
        cmocka_unit_test(test_another_format_is_named),
        cmocka_unit_test(test_every_cut_is_noticed),
        cmocka_unit_test(test_scrambled_checkpoint_is_noticed),
        cmocka_unit_test(test_unwritable_folder_is_an_error),
        cmocka_unit_test(test_full_disk_leaves_the_old_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
