// Runs made up for the tests of reports.
#ifndef RUNEXP_TESTS_SUPPORT_REPORT_RUNS_H
#define RUNEXP_TESTS_SUPPORT_REPORT_RUNS_H

#include "config/yaml.h"
#include "report/run.h"

#include <math.h>
#include <string.h>

// A run without metrics and with the settings of a YAML text.
static inline report_run run_with_settings(arena *a, const char *name, const char *yaml) {
    report_run r = {.folder = name, .name = name, .description = ""};
    r.metrics.status = "finished";
    history_derive(&r.metrics, a, &r.history);
    problems found = {0};
    const yaml_input input = {.text = yaml, .length = strlen(yaml), .name = name, .folder = "."};
    r.settings = yaml_read(a, &input, &found);
    problems_free(&found);
    return r;
}

// Gives a run the training losses 4, then falling to `last` over `steps` steps, and an evaluation every
// `interval` steps (0: none), which is 0.1 higher.
static inline void add_losses(arena *a, report_run *r, int steps, int interval, double last) {
    metrics_data *m = &r->metrics;
    m->train_count = m->eval_count[SPLIT_VAL] = 0;
    m->train = arena_alloc(a, (size_t)(steps + 1) * sizeof *m->train);
    m->eval[SPLIT_VAL] = arena_alloc(a, (size_t)(steps + 1) * sizeof *m->eval[SPLIT_VAL]);
    for (int step = 1; step <= steps; step++) {
        const double part = steps > 1 ? (double)(step - 1) / (steps - 1) : 0;
        const double loss = last + (4 - last) * (1 - part) * (1 - part);
        m->train[m->train_count++] = (train_row){
            .step = step, .tokens = 100 * step, .seconds = 0.1 * step, .loss = loss, .lr = 1e-3};
        if (interval > 0 && step % interval == 0)
            m->eval[SPLIT_VAL][m->eval_count[SPLIT_VAL]++] =
                (eval_row){.step = step, .tokens = 100 * step, .seconds = 0.1 * step, .loss = loss + 0.1};
    }
    history_derive(m, a, &r->history);
}

#endif
