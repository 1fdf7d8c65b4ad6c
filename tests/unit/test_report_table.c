// Tables: of texts, of compared runs, of listed runs.
#include "base/file.h"
#include "base/log.h"
#include "config/yaml.h"
#include "report/compare.h"
#include "base/table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static arena *memory;

static void test_text_is_aligned(void **state) {
    (void)state;
    table *t = table_new(memory);
    table_column(t, "run", false);
    table_column(t, "loss", true);
    table_column(t, "status", false);
    table_row(t);
    table_cell(t, "naïve");
    table_cell(t, "%.2f", 12.345);
    table_cell(t, "done");
    table_row(t);
    table_cell(t, "x");
    table_row(t);
    table_cell(t, "y");
    table_cell(t, "%s", "");
    table_cell(t, "failed");
    text out = {0};
    table_text(t, 0, &out);
    assert_string_equal(out.bytes, "run     loss  status\n"
                                   "naïve  12.35  done\n"
                                   "x\n"
                                   "y             failed\n");
    text_free(&out);
}

static void test_csv_is_quoted(void **state) {
    (void)state;
    table *t = table_new(memory);
    table_column(t, "run", false);
    table_column(t, "value", false);
    table_row(t);
    table_cell(t, "a,lr=0.1");
    table_cell(t, "say \"hi\"");
    table_row(t);
    table_cell(t, "b");
    text out = {0};
    table_csv(t, &out);
    assert_string_equal(out.bytes, "run,value\n\"a,lr=0.1\",\"say \"\"hi\"\"\"\nb,\n");
    text_free(&out);
}

static report_run run_of(const char *name, const char *run_status, const char *yaml, const eval_row *val,
                         size_t val_count) {
    report_run r = {.folder = name, .name = name, .description = "", .max_steps = 200};
    r.metrics = (metrics_data){.status = run_status, .facts = {.parameters = 804096}};
    r.metrics.train = arena_alloc(memory, sizeof(train_row));
    r.metrics.train[0] = (train_row){.step = 100, .tokens = 76800, .seconds = 2.56, .loss = 2};
    r.metrics.train_count = 1;
    r.metrics.eval[SPLIT_VAL] = (eval_row *)val;
    r.metrics.eval_count[SPLIT_VAL] = val_count;
    history_derive(&r.metrics, memory, &r.history);
    problems found = {0};
    const yaml_input input = {.text = yaml, .length = strlen(yaml), .name = name, .folder = "."};
    r.settings = yaml_read(memory, &input, &found);
    assert_int_equal(found.count, 0);
    problems_free(&found);
    return r;
}

static void test_compared_runs(void **state) {
    (void)state;
    const eval_row worse[] = {{.step = 50, .loss = 2.5, .perplexity = 12.18},
                              {.step = 100, .loss = 2.75, .perplexity = 15.64}};
    const eval_row better[] = {{.step = 100, .loss = 2.25, .perplexity = 9.49}};
    const report_run runs[] = {
        run_of("none", "killed",
               "{name: none, optimizer: {type: sgd, lr: 1.0e-3}, model: {layers: [embedding]}}", NULL, 0),
        run_of("worse", "finished",
               "{name: worse, optimizer: {type: adam, lr: 0.01}, model: {layers: [embedding]}}", worse, 2),
        run_of("better", "finished",
               "{name: better, optimizer: {type: adam, lr: 0.001, betas: [0.9, 0.95]}, "
               "model: {layers: [embedding]}, sampling: {k: 5}}",
               better, 1)};
    text out = {0};
    report_compare_table(runs, 3, false, 0, &out);
    assert_string_equal(
        out.bytes, "run     optimizer.type  lr      betas.0  betas.1  parameters  step  best val  at step  "
                   "perplexity  final val  tokens/s   time  status\n"
                   "better  adam            0.001   0.9      0.95          804 K   100    2.2500      100  "
                   "     9.490     2.2500     30000  2.6 s  finished\n"
                   "worse   adam            0.01    -        -             804 K   100    2.5000       50  "
                   "    12.180     2.7500     30000  2.6 s  finished\n"
                   "none    sgd             1.0e-3  -        -             804 K   100                     "
                   "                          30000  2.6 s  interrupted (killed)\n");
    text_clear(&out);
    report_compare_table(runs, 3, true, 0, &out);
    assert_string_equal(
        out.bytes, "run,optimizer.type,optimizer.lr,optimizer.betas.0,optimizer.betas.1,parameters,step,"
                   "best_val_loss,best_step,perplexity,final_val_loss,tokens_per_second,seconds,status\n"
                   "better,adam,0.001,0.9,0.95,804096,100,2.25,100,9.49,2.25,30000,2.56,finished\n"
                   "worse,adam,0.01,,,804096,100,2.5,50,12.18,2.75,30000,2.56,finished\n"
                   "none,sgd,1.0e-3,,,804096,100,,,,,30000,2.56,interrupted (killed)\n");
    text_free(&out);
}

// 1.0e-3 and 0.001 are the same learning rate; names and prompts do not matter.
static void test_equal_settings_are_no_columns(void **state) {
    (void)state;
    const report_run runs[] = {run_of("a", "finished", "{name: a, optimizer: {lr: 1.0e-3}}", NULL, 0),
                               run_of("b", "finished", "{name: b, optimizer: {lr: 0.001}}", NULL, 0)};
    text out = {0};
    report_compare_table(runs, 2, false, 0, &out);
    assert_ptr_equal(strstr(out.bytes, "run  parameters"), out.bytes);
    text_free(&out);
}

// What layers take from model.dropout has no column, nor what only one of two layers has at all: the table
// names the layers.
static void test_layers_are_named_once(void **state) {
    (void)state;
    const report_run runs[] = {
        run_of(
            "near", "finished",
            "{optimizer: {lr: 1}, model: {dropout: 0.1, layers: [embedding, {repeat: {times: 2, layers: ["
            "{residual: [{hyena: {order: 2, dropout: 0.1}}]}]}}, unembedding]}}",
            NULL, 0),
        run_of(
            "far", "finished",
            "{optimizer: {lr: 2}, model: {dropout: 0.2, layers: [embedding, {repeat: {times: 2, layers: ["
            "{residual: [{hyena: {order: 3, dropout: 0.2}}]}]}}, unembedding]}}",
            NULL, 0),
        run_of(
            "other", "finished",
            "{optimizer: {lr: 2}, model: {dropout: 0.1, layers: [embedding, {repeat: {times: 2, layers: ["
            "{residual: [{attention: {heads: 4}}]}, {residual: [{hyena: {order: 2, dropout: 0.1}}]}]}}, "
            "positions]}}",
            NULL, 0)};
    text out = {0};
    report_compare_table(runs, 3, false, 0, &out);
    assert_string_equal(
        out.bytes,
        "run    lr  dropout  order  layers               parameters  step  best val  at step  perplexity"
        "  final val  tokens/s   time  status\n"
        "near   1   0.1      2      unembedding               804 K   100                               "
        "                30000  2.6 s  finished\n"
        "far    2   0.2      3      unembedding               804 K   100                               "
        "                30000  2.6 s  finished\n"
        "other  2   0.1      -      attention positions       804 K   100                               "
        "                30000  2.6 s  finished\n"
        "5 more settings differ; --csv shows all of them\n");
    text_free(&out);
}

static void test_listed_runs(void **state) {
    (void)state;
    char folder[] = "/tmp/runexp-list-XXXXXX", command[128];
    error err;
    assert_non_null(mkdtemp(folder));
    const char *const names[] = {"beta", "alpha"};
    for (int i = 0; i < 2; i++) {
        const run_facts facts = {
            .name = names[i], .started = "2024-05-01T12:34:56+0200", .steps_per_epoch = 100};
        const char *settings = i ? "training: {max_steps: 300}\n" : "training: {max_steps: 3 epochs}\n";
        const char *path = path_join(memory, folder, names[i]);
        metrics *m;
        assert_int_equal(folder_create(path, &err), OK);
        assert_int_equal(metrics_create(path, &facts, settings, &m, &err), OK);
        const train_row row = {.step = 20 * (i + 1), .loss = 3};
        const eval_row eval = {.step = 20, .loss = 3.25, .perplexity = 25.8};
        assert_int_equal(metrics_add_train(m, &row, &err), OK);
        if (i == 0) {
            assert_int_equal(metrics_add_eval(m, SPLIT_VAL, &eval, &err), OK);
        }
        assert_int_equal(metrics_close(m, i ? "diverged" : "finished", &err), OK);
    }
    assert_int_equal(folder_create(path_join(memory, folder, "empty"), &err), OK);
    assert_int_equal(folder_create(path_join(memory, folder, "broken"), &err), OK);
    assert_int_equal(file_write(path_join(memory, folder, "broken/metrics.h5"), "x", 1, &err), OK);
    report_run *runs;
    int count;
    log_set_quiet(true);
    assert_int_equal(report_find_runs(folder, memory, &runs, &count, &err), OK);
    assert_int_equal(count, 2);
    for (int i = 0; i < 2; i++) runs[i].metrics.finished = "2024-05-01T13:00:00+0200";
    text out = {0};
    report_list_table(runs, count, 0, &out);
    assert_string_equal(out.bytes, "run    status      step  best val  when\n"
                                   "alpha  diverged  40/300            2024-05-01 13:00\n"
                                   "beta   finished  20/300    3.2500  2024-05-01 13:00\n");
    text_free(&out);
    assert_int_equal(report_find_runs("/nonexistent", memory, &runs, &count, &err), ERR_IO);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static int set_up(void **state) {
    (void)state;
    memory = arena_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_free(memory);
    return 0;
}

static void test_tables_fit(void **state) {
    (void)state;
    arena *a = arena_new();
    table *t = table_new(a);
    table_column(t, "run", false);
    table_shortens(t);
    table_column(t, "lr", true);
    table_gives_way(t, 2);
    table_column(t, "tokens", true);
    table_gives_way(t, 1);
    table_column(t, "loss", true);
    table_gives_way(t, -1);
    table_row(t);
    for (const char *const *cell =
             (const char *const[]){"длинное_имя,seed=7", "0.001", "1234567", "1.2345", NULL};
         *cell; cell++)
        table_cell(t, "%s", *cell);
    text out = {0};
    table_text(t, 42, &out);
    assert_string_equal(out.bytes, "run                    lr   tokens    loss\n"
                                   "длинное_имя,seed=7  0.001  1234567  1.2345\n");
    text_clear(&out);
    table_text(t, 41, &out);
    assert_string_equal(out.bytes, "run                   lr   tokens    loss\n"
                                   "длинное_…я,seed=7  0.001  1234567  1.2345\n");
    text_clear(&out);
    table_text(t, 39, &out);
    assert_string_equal(out.bytes, "run                  tokens    loss\n"
                                   "длинное_имя,seed=7  1234567  1.2345\n"
                                   "1 more column in a wider terminal\n");
    text_clear(&out);
    table_text(t, 20, &out);
    assert_string_equal(out.bytes, "run             loss\n"
                                   "длинно…eed=7  1.2345\n"
                                   "2 more columns in a\nwider terminal\n");
    text_clear(&out);
    table_text(t, 16, &out);
    assert_string_equal(out.bytes, "run         loss\n"
                                   "длин…d=7  1.2345\n"
                                   "2 more columns\nin a wider\nterminal\n");
    text_clear(&out);
    table_text(t, 12, &out);
    assert_string_equal(out.bytes, "run\n"
                                   "длинно…eed=7\n"
                                   "3 more\ncolumns in a\nwider\nterminal\n");
    text_free(&out);
    arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_fit),
        cmocka_unit_test(test_text_is_aligned),
        cmocka_unit_test(test_csv_is_quoted),
        cmocka_unit_test(test_compared_runs),
        cmocka_unit_test(test_equal_settings_are_no_columns),
        cmocka_unit_test(test_layers_are_named_once),
        cmocka_unit_test(test_listed_runs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
