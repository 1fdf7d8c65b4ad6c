#include "cli/runs.h"

#include "base/file.h"
#include "base/program.h"
#include "cli/load.h"
#include "cli/places.h"
#include "store/checkpoint.h"
#include "train/run_folder.h"

#include <dirent.h>
#include <string.h>

// "'one' or 'two'": the runs in a folder whose names begin like `name`; NULL when there are none.
static const char *longer_names(const char *folder, const char *name, arena *a) {
    DIR *runs = opendir(folder);
    text names = {0};
    int found = 0;
    for (struct dirent *e; runs && (e = readdir(runs));)
        if (strncmp(e->d_name, name, strlen(name)) == 0 &&
            run_folder_is_run(path_join(a, folder, e->d_name), a) && ++found <= 3)
            text_add(&names, "%s'%s'", found > 1 ? " or " : "", e->d_name);
    if (runs) closedir(runs);
    if (found > 3) text_add(&names, " or ...");
    const char *copy = found ? arena_copy_text(a, names.bytes) : NULL;
    text_free(&names);
    return copy;
}

const char *nearest_runs(const command_call *call, const char *argument, const char *runs) {
    arena *a = call->memory;
    const char *slash = strrchr(argument, '/'), *name = slash ? slash + 1 : argument;
    const char *folder = arena_copy_bytes(a, argument, (size_t)(name - argument));
    const char *longer = name[0] && !slash ? longer_names(runs, name, a) : NULL;
    if (longer) return longer;
    const char *near = folder_nearest(a, slash ? folder : runs, name);
    if (!near) return NULL;
    const char *path = path_join(a, slash ? folder : runs, near);
    const bool is_meant = checkpoint_name(near) || run_folder_is_run(path, a);
    return is_meant ? arena_format(a, "%s%s", folder, near) : NULL;
}

// An experiment in place of a run: it may have one.
static status refuse_experiment(const command_call *call, const char *path, const char *argument,
                                const char *runs, error *err) {
    config c;
    problems p = {0};
    error wrong;
    const char *stem = arena_copy_bytes(call->memory, path, strlen(path) - strlen(yaml_extension(path)));
    const char *slash = strrchr(stem, '/'), *name = slash ? slash + 1 : stem;
    if (config_load(&experiment_component, path, call->shipped, NULL, 0, call->memory, &c, &p, &wrong) ==
            OK &&
        experiment_of(&c)->name)
        name = experiment_of(&c)->name;
    problems_free(&p);
    fail(err, ERR_USAGE, "%s is an experiment file, not a run", argument);
    if (file_is_folder(path_join(call->memory, runs, name))) return error_hint(err, "its run is %s", name);
    return error_hint(err, "train it first: %s %s", program_name(), argument);
}

status hint_at_list(const char *runs, error *err) {
    const bool elsewhere = strcmp(runs, RUNS_FOLDER) != 0;
    return error_hint(err, "%s list%s%s shows the runs", program_name(), elsewhere ? " --runs " : "",
                      elsewhere ? runs : "");
}

static status refuse(const command_call *call, const char *argument, const char *runs, error *err) {
    const char *near = nearest_runs(call, argument, runs), *path;
    if (yaml_extension(argument)[0] && find_experiment(argument, call->shipped, call->memory, &path) &&
        !file_is_folder(path))
        return refuse_experiment(call, path, argument, runs, err);
    if (file_is_plain(argument)) {
        fail(err, ERR_USAGE, "%s is a file, not the folder of a run", argument);
        path = path_folder(call->memory, argument);
        if (run_folder_is_run(path, call->memory)) return error_hint(err, "did you mean %s?", path);
    } else if (strpbrk(argument, "*?[")) {
        fail(err, ERR_USAGE, "no run matches %s", argument);
    } else if (strchr(argument, '/')) {
        fail(err, ERR_USAGE, "there is no run %s", argument);
    } else {
        fail(err, ERR_USAGE, "there is no run \"%s\" in %s", argument, runs);
    }
    if (near && strcmp(near, argument) != 0) return error_hint(err, "did you mean %s?", near);
    return hint_at_list(runs, err);
}

// A run whose name looks like the argument, which is written in other characters (text_add_composed);
// NULL: none.
static const char *find_composed(const command_call *call, const char *argument, const char *runs) {
    text composed = {0};
    text_add_composed(&composed, argument);
    const char *name = arena_copy_text(call->memory, composed.bytes);
    text_free(&composed);
    const char *in_runs = path_join(call->memory, runs, name);
    if (strcmp(name, argument) == 0) return NULL;
    if (run_folder_is_run(name, call->memory)) return name;
    return name[0] != '/' && run_folder_is_run(in_runs, call->memory) ? in_runs : NULL;
}

status find_run(const command_call *call, const char *argument, const char *runs, const char **folder,
                error *err) {
    size_t length = strlen(argument);
    while (length > 1 && argument[length - 1] == '/') length--;
    const char *trimmed = arena_copy_bytes(call->memory, argument, length);
    const char *in_runs = path_join(call->memory, runs, trimmed);
    *folder = trimmed;
    if (run_folder_is_run(trimmed, call->memory)) return OK;
    *folder = in_runs;
    if (trimmed[0] != '/' && run_folder_is_run(in_runs, call->memory)) return OK;
    const char *composed = find_composed(call, trimmed, runs);
    if (composed) {
        *folder = composed;
        return OK;
    }
    const char *empty = file_is_folder(trimmed) ? trimmed : file_is_folder(in_runs) ? in_runs : NULL;
    if (!empty) return refuse(call, trimmed, runs, err);
    fail(err, ERR_USAGE, "%s is not the folder of a run: it has no settings, metrics or checkpoint", empty);
    return hint_at_list(runs, err);
}

status load_runs(const command_call *call, const char *runs, report_run **out, int *count, error *err) {
    *count = 0;
    *out = arena_alloc(call->memory, (size_t)call->count * sizeof **out);
    for (int i = 0; i < call->count; i++) {
        const char *folder;
        TRY(find_run(call, call->arguments[i], runs, &folder, err));
        bool is_new = true;
        for (int k = 0; k < *count; k++) is_new = is_new && !file_is_same(folder, (*out)[k].folder);
        if (is_new) TRY(report_run_load(folder, call->memory, &(*out)[(*count)++], err));
    }
    return OK;
}

static status find_checkpoint(const command_call *call, const char *run, const char *runs,
                              const char *which, const char **path, error *err) {
    const char *name;
    *path = run;
    if (file_is_plain(run) && !yaml_extension(run)[0]) return OK;
    TRY(find_run(call, run, runs, &name, err));
    const run_folder folder = run_folder_at(call->memory, name);
    const bool is_best = strcmp(which, "best") == 0, is_last = strcmp(which, "last") == 0;
    if (strcmp(which, "auto") == 0)
        *path = run_folder_best(&folder);
    else
        *path = is_best ? folder.best : is_last ? folder.last : which;
    if (file_is_plain(*path)) return OK;
    fail(err, ERR_DATA, "there is no checkpoint %s", *path);
    if (*path == which) return error_hint(err, "--checkpoint takes best, last, or the path of a file");
    if (is_best && file_exists(folder.last))
        return error_hint(err, "there is a last one: --checkpoint last");
    if (!file_exists(folder.config)) return error_hint(err, "train it first");
    return error_hint(err, "train the run until its first checkpoint: %s %s", program_name(),
                      folder.config);
}

status open_trained(const command_call *call, const char *run, const char *runs, const char *which,
                    const string_list *overrides, trained *out, error *err) {
    const char *path;
    problems p = {0};
    TRY(find_checkpoint(call, run, runs, which, &path, err));
    status result = trained_open(path, overrides->values, overrides->count, call->memory, out, &p, err);
    if (print_problems(&p)) err->message[0] = '\0';
    problems_free(&p);
    return result;
}
