#include "cli/load.h"

#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "cli/places.h"
#include "cli/runs.h"
#include "data/batches.h"
#include "store/checkpoint.h"
#include "train/experiment_checks.h"
#include "train/run_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The vocabulary with which layers are checked before any text is read: a prime, so that no width is a
// multiple of it by accident.
enum { VOCABULARY_OF_CHECKS = 251, LONGEST_NAME = 200 };

const char *yaml_extension(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0) ? dot : "";
}

int print_problems(problems *p) {
    problems_sort(p);
    for (int i = 0; i < p->count; i++) log_error(&p->items[i].what);
    return p->count;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// "<name>,<key>=<value>,..." with the overrides in alphabetical order; what a file name cannot carry
// becomes "_", and a name too long for the file system ends in a hash. A name that was itself an override
// is the whole name. An empty name stays empty. Names that look the same are the same: see
// text_add_composed.
static const char *name_with_overrides(const char *name, const config *c, arena *a) {
    const bool whole = !name[0] || node_is_override(node_get(c->root, "name"));
    const char **sorted = arena_alloc(a, (size_t)(c->overrides.count + 1) * sizeof *sorted);
    int count = 0;
    for (int i = 0; !whole && i < c->overrides.count; i++)
        if (!run_override_is_free(c->overrides.values[i], a)) sorted[count++] = c->overrides.values[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_text);
    text t = {0};
    text_add_composed(&t, name);
    const size_t given = t.length;
    for (int i = 0; i < count; i++) {
        text_add(&t, ",");
        text_add_composed(&t, sorted[i]);
    }
    for (size_t i = given; i < t.length; i++)
        if (strchr("/ \"'\x7F", t.bytes[i]) || (unsigned char)t.bytes[i] < 0x20) t.bytes[i] = '_';
    if (t.length > LONGEST_NAME) {
        uint32_t hash = 2166136261u; // FNV-1a
        for (size_t i = 0; i < t.length; i++) hash = (hash ^ (unsigned char)t.bytes[i]) * 16777619u;
        t.length = utf8_cut(t.bytes, t.length, LONGEST_NAME);
        t.bytes[t.length] = '\0';
        text_add(&t, "-%08x", hash);
    }
    const char *copy = arena_copy_text(a, t.bytes);
    text_free(&t);
    return copy;
}

// The name of an experiment's file without its extension.
static const char *file_stem(const char *path, arena *a) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *const extension = yaml_extension(base);
    return arena_copy_bytes(a, base, strlen(base) - strlen(extension));
}

static void give_name(config *c, const char *path, arena *a) {
    experiment *e = experiment_of(c);
    const node *old = node_get(c->root, "name");
    // Without a name in the file that of the file counts; name=null on the command line is none.
    if (!e->name) e->name = node_is_override(old) ? "" : file_stem(path, a);
    e->name = name_with_overrides(e->name, c, a);
    node *value =
        node_scalar(a, e->name, old ? old->where : c->root->where, (origin){"name of the run", 0});
    node_put(a, c->root, "name", value->where, value);
}

// Builds a training graph that carries state, which not every layer can.
static status build_carried(model *m, error *err) {
    model_graph built;
    state_set *states = states_new(1);
    const graph_options options = {
        .batch = 1, .time = 1, .gradients = true, .states = states, .attention_restarts = true};
    const status result = model_build(m, &options, true, &built, err);
    graph_free(built.graph);
    states_free(states);
    return result;
}

// Builds the model without placing it, which checks that widths, heads and the order of layers fit.
static void check_layers(const experiment *e, problems *p) {
    model *m;
    error err;
    status result = model_new(&e->model, VOCABULARY_OF_CHECKS, (int)e->dataset.block_size, &m, &err);
    if (result == OK) {
        for (int i = 0; i < m->warnings.count; i++) log_warning("%s", m->warnings.values[i]);
        if (batches_carry_state(&e->dataset.batches)) result = build_carried(m, &err);
        model_free(m);
    }
    if (result == OK) return;
    problem_add(
        p, (place){err.file[0] ? err.file : NULL, err.line, err.column, err.source[0] ? err.source : NULL},
        err.hint[0] ? err.hint : NULL, "%s", err.message);
}

static void check_name(const experiment *e, const config *c, problems *p) {
    const place where = node_get(c->root, "name")->where;
    if (e->name[0] == '\0')
        problem_add(p, where, "the name becomes a folder of runs/: set one, as in name: first",
                    "the run has no name");
    else if (!utf8_is_valid(e->name)) // the file's
        problem_add(p, where, "rename the file, or set a name, as in name: first",
                    "the name of the file, which becomes that of the run, is not UTF-8");
    else if (text_has_control(e->name))
        problem_add(p, where, "the name becomes a folder of runs/, and is shown in tables and plots",
                    "name must not contain control characters, such as newlines and escape sequences");
    else if (strchr(e->name, '/') || e->name[0] == '.')
        problem_add(p, where, "the name becomes a folder of runs/",
                    "name must not contain \"/\" or begin with a dot, as \"%s\" does", e->name);
}

// --- what an argument means that is no experiment file

// The folder of the run that an argument stands for: the run itself, one of its checkpoints.
static const char *run_of(const command_call *call, const char *argument) {
    const char *folder;
    error none;
    if (checkpoint_name(argument)) argument = path_folder(call->memory, argument);
    const bool found = find_run(call, argument, RUNS_FOLDER, &folder, &none) == OK;
    return found && file_exists(run_folder_at(call->memory, folder).config) ? folder : NULL;
}

const char *nearest_experiment(const command_call *call, const char *path) {
    arena *a = call->memory;
    const char *ignored, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *folder = arena_copy_bytes(a, path, (size_t)(name - path));
    const char *full = yaml_extension(name)[0] ? name : arena_format(a, "%s.yaml", name);
    const char *suggested = arena_format(a, "%s%s", folder, full);
    if (find_experiment(suggested, call->shipped, a, &ignored)) return suggested;
    const char *near = folder_nearest(a, slash ? folder : ".", full);
    if (!near && call->shipped) near = folder_nearest(a, call->shipped, full);
    if (!near || !yaml_extension(near)[0]) return NULL;
    suggested = arena_format(a, "%s%s", folder, near);
    return find_experiment(suggested, call->shipped, a, &ignored) ? suggested : NULL;
}

static status refuse(const command_call *call, const char *argument, error *err) {
    const char *run = run_of(call, argument), *near;
    if (run) {
        fail(err, ERR_USAGE, "%s is a %s, not an experiment file", argument,
             checkpoint_name(argument) ? "checkpoint" : "run");
        return error_hint(err, "its experiment is %s", run_folder_at(call->memory, run).config);
    }
    if (file_is_folder(argument)) {
        fail(err, ERR_USAGE, "%s is a folder, not an experiment file", argument);
        return error_hint(err, "name a file in it");
    }
    fail(err, ERR_USAGE, "there is no experiment file %s", argument);
    if ((near = nearest_experiment(call, argument))) return error_hint(err, "did you mean %s?", near);
    if (!call->shipped) return error_hint(err, "check the spelling of the path");
    return error_hint(err, "check the spelling of the path; the experiments that come with %s are in %s",
                      program_name(), call->shipped);
}

// --- loading

static void log_notes(const config *c, int first) {
    for (int i = first; i < c->notes.count; i++) log_note("%s", c->notes.values[i]);
}

// Completes an experiment that was read, whose result and problems these are.
static status finish(const command_call *call, const char *path, status result, config *c, problems *p,
                     error *err) {
    if (result == OK) {
        check_layers(experiment_of(c), p);
        dataset_check(&experiment_of(c)->dataset, node_get(c->root, "dataset"), p);
        give_name(c, path, call->memory);
        check_name(experiment_of(c), c, p);
        experiment_check(c, CHECK_SETTINGS, call->memory, p);
    }
    if (print_problems(p)) {
        err->message[0] = '\0';
        result = err->code = ERR_CONFIG;
    }
    problems_free(p);
    if (result == ERR_IO) result = err->code = ERR_USAGE; // the path on the command line is wrong
    if (result == OK) log_notes(c, 0);
    return result;
}

status load_experiment(const command_call *call, const char *written, const char *const *overrides,
                       int override_count, config *out, error *err) {
    problems p = {0};
    const char *path;
    if (!find_experiment(written, call->shipped, call->memory, &path) || file_is_folder(path) ||
        checkpoint_name(path))
        return refuse(call, written, err);
    status result = config_load(&experiment_component, path, call->shipped, overrides, override_count,
                                call->memory, out, &p, err);
    return finish(call, path, result, out, &p, err);
}

status load_checkpoint_experiment(const command_call *call, const char *path, const char *const *overrides,
                                  int override_count, config *out, error *err) {
    problems p = {0};
    checkpoint_texts texts;
    TRY(checkpoint_read_texts(path, call->memory, &texts, err));
    status result = config_load_text(&experiment_component, path, texts.config, texts.config_length,
                                     overrides, override_count, call->memory, out, &p, err);
    return finish(call, path, result, out, &p, err);
}

status open_dataset(const command_call *call, config *c, dataset **out, error *err) {
    const dataset_settings *settings = &experiment_of(c)->dataset;
    const int noted = c->notes.count;
    TRY(dataset_locate(settings, node_get(c->root, "dataset"), &call->places, err));
    TRY(dataset_open(settings, &call->places, NULL, call->memory, out, err));
    TRY(experiment_check_text(c, *out, call->memory, err));
    log_notes(c, noted);
    return OK;
}
