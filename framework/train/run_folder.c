#include "train/run_folder.h"

#include "base/file.h"
#include "base/program.h"
#include "config/yaml.h"
#include "store/checkpoint.h"
#include "store/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Prefixes of the settings that do not affect training.
static const char *const free_settings[] = {
    "description", "sampling", "evaluation.sample_tokens", "training.log_interval", "checkpoint", NULL};

static bool is_free(const char *path) {
    for (int i = 0; free_settings[i]; i++) {
        const size_t length = strlen(free_settings[i]);
        if (strncmp(path, free_settings[i], length) == 0 && (path[length] == '.' || !path[length]))
            return true;
    }
    return false;
}

// Whether all settings that a value gives at a path are free.
static bool gives_free(const char *path, const node *value, arena *a) {
    if (is_free(path)) return true;
    bool all = value && value->kind == NODE_MAP && value->count > 0;
    for (int i = 0; all && i < value->count; i++)
        all = gives_free(arena_format(a, "%s.%s", path, value->entries[i].key), value->entries[i].value, a);
    return all;
}

bool run_override_is_free(const char *override, arena *a) {
    const size_t length = strcspn(override, "=");
    const char *value = override + length + (override[length] == '=');
    problems found = {0};
    const yaml_input input = {.text = value, .length = strlen(value), .name = "command line", .folder = ""};
    const node *tree = value[strspn(value, " \t")] == '{' ? yaml_read(a, &input, &found) : NULL;
    problems_free(&found);
    return gives_free(arena_copy_bytes(a, override, length), tree, a);
}

run_folder run_folder_at(arena *a, const char *path) {
    return (run_folder){
        .path = path,
        .config = path_join(a, path, "config.yaml"),
        .last = path_join(a, path, "last.h5"),
        .best = path_join(a, path, "best.h5"),
        .log = path_join(a, path, "log.txt"),
        .samples = path_join(a, path, "samples.txt"),
    };
}

static bool holds_results(const char *path, arena *a) {
    static const char *const names[] = {"metrics.tsv", "metrics.h5", "last.h5", "best.h5"};
    bool found = false;
    for (int i = 0; i < 4; i++) found |= file_exists(path_join(a, path, names[i]));
    return found;
}

bool run_folder_is_run(const char *path, arena *a) {
    return file_exists(run_folder_at(a, path).config) || holds_results(path, a);
}

const char *run_folder_best(const run_folder *f) {
    return file_exists(f->best) ? f->best : f->last;
}

// ERR_CONFIG, with the differences behind `what`, when c is not what was stored.
static status compare(const config *stored, const config *c, const char *what, const char *hint,
                      error *err) {
    text differences = {0};
    status result = OK;
    if (config_difference(stored, c, free_settings, &differences)) {
        result = fail(err, ERR_CONFIG, "%s (there -> here):\n%s", what, differences.bytes);
        size_t end = strlen(err->message);
        while (end > 0 && err->message[end - 1] == '\n') err->message[--end] = '\0';
        error_hint(err, "%s", hint);
    }
    text_free(&differences);
    return result;
}

// Compares with the config.yaml of the folder.
static status same_settings(const run_folder *f, const component *root, const config *c, arena *a,
                            error *err) {
    config stored;
    problems found = {0};
    status result = config_load(root, f->config, NULL, NULL, 0, a, &stored, &found, err);
    problems_free(&found);
    if (result != OK) {
        error_context(err, "cannot read the settings of the run in %s", f->path);
        return error_hint(err, "add --fresh to start that run anew, or choose another name");
    }
    return compare(&stored, c, arena_format(a, "%s holds a run with other settings", f->path),
                   "give this experiment another name (name=...), or add --fresh to replace that run", err);
}

// Compares with the settings in last.h5, which are those of config.yaml unless somebody has copied the
// folder or changed the file. A damaged checkpoint is reported when it is read.
static status same_checkpoint(const run_folder *f, const component *root, const config *c, arena *a,
                              error *err) {
    checkpoint_texts texts;
    config stored;
    problems found = {0};
    error unreadable;
    status result = checkpoint_read_texts(f->last, a, &texts, &unreadable);
    if (result == OK)
        result = config_load_text(root, f->last, texts.config, texts.config_length, NULL, 0, a, &stored,
                                  &found, &unreadable);
    problems_free(&found);
    if (result != OK) return OK;
    return compare(
        &stored, c, arena_format(a, "%s is the checkpoint of a run with other settings", f->last),
        "a copy of a run, or a changed config.yaml, cannot be continued: put the settings back, or "
        "add --fresh to train these from the beginning",
        err);
}

static status refuse_without_settings(const run_folder *f, error *err) {
    const char *checkpoint = run_folder_best(f);
    fail(err, ERR_CONFIG, "%s holds a run without its settings: there is no %s", f->path, f->config);
    if (!file_exists(checkpoint))
        return error_hint(
            err, "give this experiment another name (name=...), or add --fresh to replace that run");
    return error_hint(
        err,
        "its checkpoint has them: `%s show '%s' --plain > '%s'`; or give this experiment another "
        "name (name=...), or add --fresh to replace that run",
        program_name(), checkpoint, f->config);
}

status run_folder_inspect(const run_folder *f, const component *root, const config *c, run_progress *out,
                          error *err) {
    *out = RUN_NEW;
    arena *a = arena_new();
    if (!file_exists(f->config)) {
        const bool is_new = !holds_results(f->path, a);
        arena_free(a);
        return is_new ? OK : refuse_without_settings(f, err);
    }
    *out = RUN_BEGUN;
    status result = same_settings(f, root, c, a, err);
    const bool saved = file_exists(f->last);
    if (result == OK && saved) result = same_checkpoint(f, root, c, a, err);
    if (result == OK && saved) {
        metrics_data data;
        error unreadable;
        *out = RUN_UNFINISHED;
        if (metrics_read(f->path, a, &data, &unreadable) == OK && data.status &&
            strcmp(data.status, "finished") == 0)
            *out = RUN_FINISHED;
    }
    arena_free(a);
    return result;
}

status run_folder_check_name(const char *path, const component *root, arena *a, error *err) {
    const char *folder = path_folder(a, path_absolute(a, path)), *slash = strrchr(folder, '/');
    if (strcmp(path_join(a, folder, "config.yaml"), path_absolute(a, path)) != 0 ||
        !holds_results(folder, a))
        return OK;
    config stored;
    problems found = {0};
    status result = config_load(root, path, NULL, NULL, 0, a, &stored, &found, err);
    problems_free(&found);
    TRY(result);
    const node *name = node_get(stored.root, "name");
    if (!name || name->kind != NODE_SCALAR || strcmp(name->scalar, slash + 1) == 0) return OK;
    fail_at(err, ERR_CONFIG, name->where, "the run \"%s\" is here in a folder of another name, %s",
            name->scalar, slash + 1);
    return error_hint(
        err, "a copy of a run cannot be continued: give the folder the run's name, or add name=... to "
             "train these settings from the beginning");
}

// The digests that the run recorded: those of its checkpoint, where there is one.
static text_digests recorded_texts(const run_folder *f, arena *a) {
    run_facts facts;
    metrics_data data;
    error unreadable;
    if (file_exists(f->last) && checkpoint_read_facts(f->last, a, &facts, &unreadable) == OK)
        return facts.texts;
    if (metrics_read(f->path, a, &data, &unreadable) == OK) return data.facts.texts;
    return (text_digests){0};
}

status run_folder_check_texts(const run_folder *f, const text_digests *texts, error *err) {
    arena *a = arena_new();
    text changed = {0};
    const text_digests recorded = recorded_texts(f, a);
    for (int s = 0; recorded.of[SPLIT_TRAIN] && s < SPLIT_COUNT; s++) {
        const char *then = recorded.of[s], *now = texts->of[s];
        if (then && now ? strcmp(then, now) == 0 : then == now) continue;
        text_add(&changed, "%s%s", changed.length ? " and " : "", split_names[s]);
    }
    status result = OK;
    if (changed.length) {
        result = fail(err, ERR_DATA, "the run in %s is one on another text: that of %s has changed since",
                      f->path, changed.bytes);
        error_hint(err, "restore the text, give this experiment another name (name=...), or add --fresh to "
                        "replace that run");
    }
    text_free(&changed);
    arena_free(a);
    return result;
}

status run_folder_prepare(const run_folder *f, const config *c, error *err) {
    TRY(folder_create(f->path, err));
    text yaml = {0};
    config_write(c, false, 0, &yaml);
    status result = file_write(f->config, yaml.bytes, yaml.length, err);
    text_free(&yaml);
    return result;
}

status run_folder_clear(const run_folder *f, error *err) {
    static const char *const names[] = {"config.yaml", "metrics.h5",  "metrics.h5.damaged",
                                        "metrics.tsv", "last.h5",     "last.h5.tmp",
                                        "best.h5",     "best.h5.tmp", "log.txt",
                                        "samples.txt", NULL};
    if (metrics_running(f->path)) {
        fail(err, ERR_DATA, "%s cannot be replaced: another process is training into it", f->path);
        return error_hint(err, "wait for it or stop it, or choose another name (name=...)");
    }
    arena *a = arena_new();
    status result = OK;
    for (int i = 0; names[i] && result == OK; i++) {
        const char *path = path_join(a, f->path, names[i]);
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            result = fail_errno(err, "remove", path);
    }
    arena_free(a);
    return result;
}

status run_folder_add_sample(const run_folder *f, const char *heading, const char *sample, error *err) {
    FILE *file = fopen(f->samples, "a");
    if (!file) return fail_errno(err, "write", f->samples);
    bool good = fprintf(file, "--- %s\n%s\n\n", heading, sample) > 0;
    if (fclose(file) != 0 || !good) return fail_errno(err, "write", f->samples);
    return OK;
}

int64_t run_folder_sample_bytes(const run_folder *f) {
    struct stat info;
    return stat(f->samples, &info) == 0 ? (int64_t)info.st_size : 0;
}

status run_folder_cut_samples(const run_folder *f, int64_t bytes, error *err) {
    if (run_folder_sample_bytes(f) <= bytes || truncate(f->samples, (off_t)bytes) == 0) return OK;
    return fail_errno(err, "shorten", f->samples);
}
