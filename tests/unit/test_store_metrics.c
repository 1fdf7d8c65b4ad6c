// metrics.h5 and metrics.tsv: written, read back, resumed, killed, damaged, on a full disk.
#include "base/file.h"
#include "base/log.h"
#include "store/metrics.h"
#include "support/temporary_folder.h"

#include <fcntl.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// What HDF5 forgets to free after a damaged file or a full disk is not ours to mend.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

static char folder[] = "/tmp/runexp-metrics-XXXXXX";
static error err;
static arena *memory;

static const run_facts facts = {.name = "gpt_nano",
                                .version = "0.1.0",
                                .hostname = "here",
                                .started = "2024-05-01T12:00:00+0000",
                                .seed = 1337,
                                .parameters = 804096,
                                .steps_per_epoch = 678,
                                .threads = 2};

static train_row train_at(int64_t step) {
    return (train_row){.step = step,
                       .tokens = step * 768,
                       .seconds = 0.025 * (double)step,
                       .loss = 4.2 / (1 + 0.01 * (double)step),
                       .lr = 1e-3,
                       .grad_norm = 0.5,
                       .tokens_per_second = 30000};
}

static eval_row eval_at(int64_t step) {
    double loss = 4.1 / (1 + 0.01 * (double)step);
    return (eval_row){.step = step,
                      .tokens = step * 768,
                      .seconds = 0.025 * (double)step,
                      .loss = loss,
                      .perplexity = exp(loss),
                      .bits_per_char = loss / log(2),
                      .bits_per_byte = loss / log(4)};
}

static const char *file_of(const char *name) {
    return path_join(memory, folder, name);
}

static metrics *create(void) {
    metrics *m;
    assert_int_equal(metrics_create(folder, &facts, "name: gpt_nano\n", &m, &err), OK);
    return m;
}

static metrics *resume(int64_t step) {
    metrics *m;
    assert_int_equal(metrics_resume(folder, &facts, step, &m, &err), OK);
    return m;
}

static void add_train(metrics *m, int64_t step) {
    train_row row = train_at(step);
    assert_int_equal(metrics_add_train(m, &row, &err), OK);
}

static void add_eval(metrics *m, split part, int64_t step) {
    eval_row row = eval_at(step);
    assert_int_equal(metrics_add_eval(m, part, &row, &err), OK);
}

static metrics_data read_back(void) {
    metrics_data d;
    assert_int_equal(metrics_read(folder, memory, &d, &err), OK);
    return d;
}

static char *twin(void) {
    char *bytes;
    size_t length;
    assert_int_equal(file_read(file_of("metrics.tsv"), memory, &bytes, &length, &err), OK);
    return bytes;
}

static size_t lines(const char *s) {
    size_t n = 0;
    for (; *s; s++) n += *s == '\n';
    return n;
}

static void test_rows_come_back(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 1500; step++) add_train(m, step); // more than two chunks
    for (int64_t step = 0; step <= 1500; step += 500) add_eval(m, SPLIT_VAL, step);
    add_eval(m, SPLIT_TEST, 1500);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    metrics_data d = read_back();
    assert_string_equal(d.status, "finished");
    assert_non_null(d.finished);
    assert_string_equal(d.config_text, "name: gpt_nano\n");
    assert_string_equal(d.facts.name, "gpt_nano");
    assert_string_equal(d.facts.hostname, "here");
    assert_null(d.facts.cpu);
    assert_int_equal(d.facts.seed, 1337);
    assert_int_equal(d.facts.parameters, 804096);
    assert_int_equal(d.facts.steps_per_epoch, 678);
    assert_int_equal(d.facts.threads, 2);
    assert_int_equal(d.train_count, 1500);
    for (int64_t i = 0; i < 1500; i++) {
        train_row row = train_at(i + 1);
        assert_memory_equal(&d.train[i], &row, sizeof row);
    }
    assert_int_equal(d.eval_count[SPLIT_TRAIN], 0);
    assert_int_equal(d.eval_count[SPLIT_VAL], 4);
    assert_int_equal(d.eval_count[SPLIT_TEST], 1);
    eval_row row = eval_at(1000);
    assert_memory_equal(&d.eval[SPLIT_VAL][2], &row, sizeof row);
}

static void test_twin_has_a_line_for_each_row(void **state) {
    (void)state;
    metrics *m = create();
    add_train(m, 1);
    add_eval(m, SPLIT_VAL, 1);
    train_row row = train_at(2);
    row.loss = NAN;
    row.grad_norm = INFINITY;
    assert_int_equal(metrics_add_train(m, &row, &err), OK);
    assert_string_equal(
        twin(),
        "step\ttokens\tseconds\tloss\tlr\tgrad_norm\ttokens_per_second\ttrain_loss\tval_loss\ttest_loss\n"
        "1\t768\t0.025000\t4.15841584\t0.001\t0.5\t30000\tnan\tnan\tnan\n"
        "1\t768\t0.025000\tnan\tnan\tnan\tnan\tnan\t4.05940594\tnan\n"
        "2\t1536\t0.050000\tnan\t0.001\tinf\t30000\tnan\tnan\tnan\n");
    assert_int_equal(metrics_close(m, "diverged", &err), OK);
    metrics_data d = read_back();
    assert_true(isnan(d.train[1].loss) && isinf(d.train[1].grad_norm));
}

static void test_resume_cuts_later_rows(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 700; step++) {
        add_train(m, step);
        if (step % 100 == 0) add_eval(m, SPLIT_VAL, step);
    }
    assert_int_equal(metrics_close(m, "interrupted", &err), OK);
    run_facts later = facts;
    later.started = "2025-01-01T00:00:00+0000";
    later.threads = 4;
    assert_int_equal(metrics_resume(folder, &later, 400, &m, &err), OK);
    metrics_data d = read_back();
    assert_string_equal(d.status, "running");
    assert_null(d.finished);
    assert_int_equal(d.train_count, 400);
    assert_int_equal(d.eval_count[SPLIT_VAL], 4);
    assert_int_equal(lines(twin()), 1 + 400 + 4);
    for (int64_t step = 401; step <= 600; step++) add_train(m, step);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    d = read_back();
    assert_int_equal(d.train_count, 600);
    assert_int_equal(d.train[399].step, 400);
    assert_int_equal(d.train[400].step, 401);
    assert_int_equal(d.train[599].step, 600);
    assert_string_equal(d.facts.started, facts.started);
    assert_int_equal(d.facts.threads, 4);
    assert_int_equal(lines(twin()), 1 + 600 + 4);
}

// A run that was killed between the evaluation of its test split and its end.
static void test_resume_cuts_the_test_split(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 10; step++) add_train(m, step);
    add_eval(m, SPLIT_VAL, 10);
    add_eval(m, SPLIT_TEST, 5); // the best weights are those of step 5
    assert_int_equal(metrics_close(m, "running", &err), OK);
    m = resume(10);
    assert_int_equal(lines(twin()), 1 + 10 + 1);
    add_eval(m, SPLIT_TEST, 5);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    const metrics_data d = read_back();
    assert_int_equal(d.train_count, 10);
    assert_int_equal(d.eval_count[SPLIT_VAL], 1);
    assert_int_equal(d.eval_count[SPLIT_TEST], 1);
    assert_int_equal(lines(twin()), 1 + 10 + 1 + 1);
}

static void test_run_can_be_read_while_it_is_written(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 20; step++) {
        add_train(m, step);
        metrics_data d = read_back();
        assert_string_equal(d.status, "running");
        assert_non_null(d.config_text); // from the archive, not from the twin
        assert_int_equal(d.train_count, step);
        assert_int_equal(d.train[step - 1].step, step);
    }
    assert_int_equal(metrics_close(m, "finished", &err), OK);
}

static void test_a_run_has_one_writer(void **state) {
    (void)state;
    metrics *m = create(), *second;
    add_train(m, 1);
    assert_true(metrics_running(folder));
    assert_int_equal(metrics_create(folder, &facts, "", &second, &err), ERR_DATA);
    assert_null(second);
    assert_int_equal(metrics_resume(folder, &facts, 0, &second, &err), ERR_DATA);
    assert_non_null(strstr(err.message, "another process"));
    assert_int_equal(read_back().train_count, 1); // untouched
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    assert_false(metrics_running(folder));
}

// A child writes rows as fast as it can and tells each finished one through a pipe; it is killed at a
// moment that differs from round to round.
static void test_killed_writer_leaves_readable_files(void **state) {
    (void)state;
    for (int round = 0; round < 60; round++) {
        int channel[2];
        assert_int_equal(pipe(channel), 0);
        pid_t child = fork();
        if (child == 0) {
            metrics *m;
            if (metrics_create(folder, &facts, "config", &m, &err) != OK) _exit(1);
            for (int64_t step = 1;; step++) {
                train_row row = train_at(step);
                eval_row eval = eval_at(step);
                if (metrics_add_train(m, &row, &err) != OK ||
                    metrics_add_eval(m, SPLIT_VAL, &eval, &err) != OK)
                    _exit(1);
                if (write(channel[1], &step, sizeof step) != sizeof step) _exit(1);
            }
        }
        close(channel[1]);
        int64_t acknowledged = 0, next;
        while (acknowledged < 1 + 37 * round &&
               read(channel[0], &next, sizeof next) == (ssize_t)sizeof next)
            acknowledged = next;
        usleep((useconds_t)(round * 7 % 100));
        kill(child, SIGKILL);
        int how;
        waitpid(child, &how, 0);
        assert_true(WIFSIGNALED(how));
        close(channel[0]);

        metrics_data d = read_back();
        assert_string_equal(d.status, "killed");
        assert_non_null(d.config_text); // the archive itself was readable
        assert_true((int64_t)d.train_count >= acknowledged);
        assert_true((int64_t)d.eval_count[SPLIT_VAL] >= acknowledged);
        for (int64_t i = 0; i < acknowledged; i++) {
            train_row row = train_at(i + 1);
            assert_memory_equal(&d.train[i], &row, sizeof row);
        }
        metrics *m = resume(acknowledged);
        assert_false(file_exists(file_of("metrics.h5.damaged")));
        add_train(m, acknowledged + 1);
        assert_int_equal(metrics_close(m, "finished", &err), OK);
        d = read_back();
        assert_int_equal(d.train_count, acknowledged + 1);
        assert_int_equal(d.eval_count[SPLIT_VAL], acknowledged);
        assert_int_equal(lines(twin()), 1 + 2 * acknowledged + 1);
    }
}

static void truncate_file(const char *name, double fraction) {
    struct stat info;
    assert_int_equal(stat(file_of(name), &info), 0);
    assert_int_equal(truncate(file_of(name), (off_t)((double)info.st_size * fraction)), 0);
}

static bool same_bits(const eval_row *row, double bits_per_byte) {
    return row->bits_per_char == eval_at(row->step).bits_per_char && row->bits_per_byte == bits_per_byte;
}

// Files of versions that did not know bits per byte: they are read, and resumed, with NaN for those rows.
static void test_files_without_bits_per_byte_are_read_and_resumed(void **state) {
    (void)state;
    enum { OLD_ROWS = 700 }; // more than a chunk of HDF5
    metrics *m = create();
    for (int64_t step = 1; step <= OLD_ROWS; step++) add_eval(m, SPLIT_VAL, step);
    assert_int_equal(metrics_close(m, "interrupted", &err), OK);
    hid_t file = H5Fopen(file_of("metrics.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(H5Ldelete(file, "/eval/train/bits_per_byte", H5P_DEFAULT) >= 0);
    assert_true(H5Ldelete(file, "/eval/val/bits_per_byte", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    metrics_data d = read_back();
    assert_int_equal(d.eval_count[SPLIT_VAL], OLD_ROWS);
    assert_true(d.eval[SPLIT_VAL][0].bits_per_char == eval_at(1).bits_per_char);
    assert_true(isnan(d.eval[SPLIT_VAL][0].bits_per_byte));

    m = resume(OLD_ROWS - 1);
    add_eval(m, SPLIT_VAL, OLD_ROWS);
    add_eval(m, SPLIT_TRAIN, OLD_ROWS);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    assert_false(file_exists(file_of("metrics.h5.damaged")));
    d = read_back();
    assert_int_equal(d.eval_count[SPLIT_VAL], OLD_ROWS);
    assert_int_equal(d.eval_count[SPLIT_TRAIN], 1);
    for (int i = 0; i < OLD_ROWS - 1; i++) assert_true(isnan(d.eval[SPLIT_VAL][i].bits_per_byte));
    const double bits = eval_at(OLD_ROWS).bits_per_byte;
    assert_true(same_bits(&d.eval[SPLIT_VAL][OLD_ROWS - 1], bits));
    assert_true(same_bits(&d.eval[SPLIT_TRAIN][0], bits));
}

static void test_damaged_archive_is_read_and_built_again_from_its_twin(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 50; step++) add_train(m, step);
    add_eval(m, SPLIT_VAL, 50);
    assert_int_equal(metrics_close(m, "interrupted", &err), OK);
    assert_int_equal(file_write(file_of("config.yaml"), "name: x\n", 8, &err), OK);
    truncate_file("metrics.h5", 0.5);
    metrics_data d = read_back();
    assert_int_equal(d.train_count, 50);
    assert_int_equal(d.train[49].step, 50);
    assert_float_equal(d.train[49].loss, train_at(50).loss, 1e-8);
    assert_int_equal(d.eval_count[SPLIT_VAL], 1);
    assert_float_equal(d.eval[SPLIT_VAL][0].perplexity, eval_at(50).perplexity, 1e-6);
    assert_true(isnan(d.eval[SPLIT_VAL][0].bits_per_char));

    m = resume(40);
    add_train(m, 41);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    assert_true(file_exists(file_of("metrics.h5.damaged")));
    d = read_back();
    assert_string_equal(d.status, "finished");
    assert_string_equal(d.config_text, "name: x\n");
    assert_int_equal(d.train_count, 41);
    assert_int_equal(d.eval_count[SPLIT_VAL], 0);
}

static void test_half_a_line_at_the_end_of_the_twin_is_cut(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 10; step++) add_train(m, step);
    assert_int_equal(metrics_close(m, "interrupted", &err), OK);
    struct stat info;
    assert_int_equal(stat(file_of("metrics.tsv"), &info), 0);
    assert_int_equal(truncate(file_of("metrics.tsv"), info.st_size - 7), 0);
    m = resume(10);
    add_train(m, 11);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    assert_int_equal(lines(twin()), 1 + 9 + 1);
    assert_int_equal(read_back().train_count, 11); // the archive lost nothing
}

static void test_what_is_no_run_is_refused(void **state) {
    (void)state;
    metrics_data d;
    unlink(file_of("metrics.h5"));
    unlink(file_of("metrics.tsv"));
    assert_int_equal(metrics_read(folder, memory, &d, &err), ERR_IO);
    assert_int_equal(d.train_count, 0);
    assert_true(err.hint[0]);
    assert_int_equal(metrics_read("/nonexistent/run", memory, &d, &err), ERR_IO);
    assert_int_equal(file_write(file_of("metrics.h5"), "not HDF5 at all", 15, &err), OK);
    assert_int_equal(metrics_read(folder, memory, &d, &err), ERR_DATA);
    assert_non_null(strstr(err.message, "not an HDF5 file"));
    metrics *m;
    assert_int_equal(metrics_create("/nonexistent/run", &facts, "", &m, &err), ERR_IO);
    assert_null(m);
    unlink(file_of("metrics.h5"));
}

// A limit on the size of files stands in for a full disk: writes fail, with another errno.
static void test_full_disk_is_an_error_and_the_run_goes_on_after_it(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 5; step++) add_train(m, step);
    struct stat info;
    assert_int_equal(stat(file_of("metrics.tsv"), &info), 0);
    struct rlimit old, small = {.rlim_cur = (rlim_t)info.st_size + 10, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int64_t step = 6; step <= 8; step++) {
        train_row row = train_at(step);
        assert_int_equal(metrics_add_train(m, &row, &err), ERR_IO);
        assert_non_null(strstr(err.message, "metrics."));
        assert_int_equal(lines(twin()), 1 + 5);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    for (int64_t step = 9; step <= 1000; step++) add_train(m, step);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    metrics_data d = read_back();
    assert_int_equal(d.train_count, 1000);
    for (int64_t i = 0; i < 1000; i++) {
        train_row row = train_at(i + 1);
        assert_memory_equal(&d.train[i], &row, sizeof row);
    }
    assert_int_equal(lines(twin()), 1 + 1000);
}

// Where the texts of attributes lie. HDF5 1.10 gives this heap no checksum and copies as many bytes as a
// size in it says (H5HG_read): damage there crashes the library, whoever reads the file.
static size_t global_heap(const char *bytes, size_t length) {
    const char *found = memmem(bytes, length, "GCOL", 4);
    assert_non_null(found);
    return (size_t)(found - bytes);
}

// Whatever bytes are overwritten, reading ends in rows or an error. (A fixed sequence of places and
// values.)
static void test_scrambled_archive_never_crashes(void **state) {
    (void)state;
    metrics *m = create();
    for (int64_t step = 1; step <= 20; step++) add_train(m, step);
    assert_int_equal(metrics_close(m, "finished", &err), OK);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(file_of("metrics.h5"), memory, &bytes, &length, &err), OK);
    const size_t heap = global_heap(bytes, length);
    uint32_t random = 12345;
    for (int round = 0; round < 300; round++) {
        char *copy = memory_alloc(length);
        memcpy(copy, bytes, length);
        for (int i = 0; i < 1 + round % 4; i++) {
            random = random * 1664525u + 1013904223u;
            const size_t at = (random >> 8) % (round % 2 ? length : 4096);
            if (at < heap || at >= heap + 4096) copy[at] = (char)(random >> 24);
        }
        assert_int_equal(file_write(file_of("metrics.h5"), copy, length, &err), OK);
        free(copy);
        metrics_data d;
        arena *a = arena_new();
        (void)!metrics_read(folder, a, &d, &err);
        assert_true(d.train_count <= 512);
        arena_free(a);
    }
}

static int set_up(void **state) {
    (void)state;
    memory = arena_new();
    log_set_quiet(true);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    arena_free(memory);
    return temporary_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back),
        cmocka_unit_test(test_twin_has_a_line_for_each_row),
        cmocka_unit_test(test_resume_cuts_later_rows),
        cmocka_unit_test(test_resume_cuts_the_test_split),
        cmocka_unit_test(test_run_can_be_read_while_it_is_written),
        cmocka_unit_test(test_a_run_has_one_writer),
        cmocka_unit_test(test_killed_writer_leaves_readable_files),
        cmocka_unit_test(test_files_without_bits_per_byte_are_read_and_resumed),
        cmocka_unit_test(test_damaged_archive_is_read_and_built_again_from_its_twin),
        cmocka_unit_test(test_half_a_line_at_the_end_of_the_twin_is_cut),
        cmocka_unit_test(test_what_is_no_run_is_refused),
        cmocka_unit_test(test_full_disk_is_an_error_and_the_run_goes_on_after_it),
        cmocka_unit_test(test_scrambled_archive_never_crashes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
