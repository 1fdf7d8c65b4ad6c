#include "train/run_folder.h"

#include "base/file.h"
#include "store/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const run_free_settings[] = {"description", "sampling", "evaluation.sample_tokens", NULL};

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

const char *run_folder_best(const run_folder *f) {
    return file_exists(f->best) ? f->best : f->last;
}

// Compares with the config.yaml of the folder.
static status same_settings(const run_folder *f, const component *root, const config *c, arena *a,
                            error *err) {
    config stored;
    problems found = {0};
    status result = config_load(root, f->config, NULL, 0, a, &stored, &found, err);
    problems_free(&found);
    if (result != OK) {
        error_context(err, "cannot read the settings of the run in %s", f->path);
        return error_hint(err, "add --fresh to start that run anew, or choose another name");
    }
    text differences = {0};
    if (config_difference(&stored, c, run_free_settings, &differences)) {
        fail(err, ERR_CONFIG, "%s holds a run with other settings (there -> here):\n%s", f->path,
             differences.bytes);
        size_t end = strlen(err->message);
        while (end > 0 && err->message[end - 1] == '\n') err->message[--end] = '\0';
        error_hint(err, "give this experiment another name (name=...), or add --fresh to replace that run");
    }
    text_free(&differences);
    return err->code;
}

status run_folder_inspect(const run_folder *f, const component *root, const config *c, run_progress *out,
                          error *err) {
    *out = RUN_NEW;
    if (!file_exists(f->config)) return OK;
    arena *a = arena_new();
    err->code = OK;
    status result = same_settings(f, root, c, a, err);
    if (result == OK && file_exists(f->last)) {
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

status run_folder_prepare(const run_folder *f, const component *root, const config *c, error *err) {
    TRY(folder_create(f->path, err));
    text yaml = {0};
    config_write(c, root, false, &yaml);
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
