// A model out of a fixture, with its weights, and comparisons of what it computes.
#ifndef RUNEXP_TESTS_SUPPORT_MODEL_FIXTURE_H
#define RUNEXP_TESTS_SUPPORT_MODEL_FIXTURE_H

#include "support/fixture.h"
#include "support/settings.h"

#include "config/settings.h"
#include "models/model.h"

typedef struct model_section_only {
    model_settings model;
} model_section_only;

typedef struct model_fixture {
    const char *name;
    model *model;
    model_graph built;
    int batch, time;
    double scored; // targets that are not ignored
    double *logits, *losses, loss;
} model_fixture;

static inline model_settings *read_model(const char *yaml, arena *a) {
#define SETTINGS model_section_only
    static const option rows[] = {
        SECTION(model, "the model"),
        {0},
    };
#undef SETTINGS
    static const component root = {
        .name = "test",
        .kind = "section",
        .summary = "a model under test",
        .options = rows,
        .settings_size = sizeof(model_section_only),
    };
    return &((model_section_only *)settings_read(&root, yaml, a))->model;
}

static inline void check_ok(status code, const error *err) {
    char message[4096];
    if (code == OK) return;
    fprintf(stderr, "%s\n", error_text(err, message, sizeof message));
    abort();
}

// Calls visit for each parameter of the fixture with its values in one of the two arrays, "values" or
// "gradients".
static inline void each_parameter(const fixture *f, const char *folder, const char *array, model_fixture *m,
                                  void (*visit)(model_fixture *m, const parameter *p,
                                                const double *numbers)) {
    char *line = fixture_text(f, folder, "parameters"), *rest;
    const double *numbers = fixture_numbers(f, NULL, folder, array);
    int count = 0;
    for (line = strtok_r(line, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');
        *space = '\0';
        const parameter *p = parameters_find(m->model->parameters, line);
        const size_t size = strtoul(space + 1, NULL, 10);
        if (p == NULL || p->count != size) {
            fprintf(stderr, "%s: the model has no parameter %s of %zu values; it has:\n", m->name, line,
                    size);
            for (int i = 0; i < m->model->parameters->count; i++)
                fprintf(stderr, "  %s (%zu)\n", m->model->parameters->items[i]->name,
                        m->model->parameters->items[i]->count);
            abort();
        }
        visit(m, p, numbers);
        numbers += size;
        count++;
    }
    if (count != m->model->parameters->count) {
        fprintf(stderr, "%s: the model has %d parameters, the fixture %d\n", m->name,
                m->model->parameters->count, count);
        abort();
    }
}

static inline void set_values(model_fixture *m, const parameter *p, const double *numbers) {
    for (size_t i = 0; i < p->count; i++)
        parameters_write(m->model->parameters)[p->offset + i] = (real)numbers[i];
}

// Builds the model of a group of the fixture, for training or evaluation, with the weights and the batch
// that stand there.
static inline model_fixture model_fixture_open(const fixture *f, const char *folder, int batch,
                                               bool training) {
    error err = {0};
    size_t tokens;
    model_fixture m = {.name = folder, .batch = batch};
    const int32_t *ids = fixture_integers(f, &tokens, folder, "ids");
    const int32_t *targets = fixture_integers(f, NULL, folder, "targets");
    m.time = (int)tokens / batch;
    for (size_t i = 0; i < tokens; i++) m.scored += targets[i] >= 0;
    size_t logits;
    m.logits = fixture_numbers(f, &logits, folder, "logits");
    m.losses = fixture_numbers(f, NULL, folder, "losses");
    m.loss = *fixture_numbers(f, NULL, folder, "loss");
    const int vocabulary = (int)(logits / tokens);
    const model_settings *settings = read_model(fixture_text(f, folder, "model"), f->memory);
    check_ok(model_new(settings, vocabulary, m.time, &m.model, &err), &err);
    check_ok(parameters_allocate(m.model->parameters, true, &err), &err);
    each_parameter(f, folder, "values", &m, set_values);
    const graph_options options = {.batch = batch, .time = m.time, .gradients = training};
    check_ok(model_build(m.model, &options, true, &m.built, &err), &err);
    check_ok(graph_place(m.built.graph, NULL, &err), &err);
    tokens_bind(m.built.ids, ids);
    tokens_bind(m.built.targets, targets);
    return m;
}

static inline void model_fixture_close(model_fixture *m) {
    graph_free(m->built.graph);
    model_free(m->model);
}

// Runs the graph; the mean loss of the scored targets.
static inline double model_fixture_run(const model_fixture *m) {
    const run_context c = {.gradient_scale = 1 / m->scored};
    double sum = 0;
    graph_forward(m->built.graph, &c);
    for (size_t i = 0; i < m->built.losses->count; i++) sum += m->built.losses->data[i];
    if (!m->built.graph->options.gradients) return sum / m->scored;
    graph_backward(m->built.graph, &c);
    graph_backward_derived(m->built.graph, &c);
    return sum / m->scored;
}

// The largest difference divided by the largest expected magnitude (by 1e-8 where that is smaller).
static inline double relative_error(size_t count, const real *got, const double *expected) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(got[i])) return INFINITY;
        most = fmax(most, fabs((double)got[i] - expected[i]));
    }
    return most / fmax(largest_magnitude(count, expected), 1e-8);
}

#endif
