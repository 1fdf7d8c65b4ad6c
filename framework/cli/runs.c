#include "cli/runs.h"

#include "base/file.h"
#include "cli/load.h"
#include "train/run_folder.h"

#include <dirent.h>
#include <string.h>

// The runs whose names begin like the argument, as a hint; false when there are none.
static bool hint_longer_names(const char *argument, const char *runs, error *err) {
    DIR *folder = opendir(runs);
    text names = {0};
    int found = 0;
    for (struct dirent *e; folder && (e = readdir(folder));)
        if (strncmp(e->d_name, argument, strlen(argument)) == 0 && ++found <= 3)
            text_add(&names, "%s'%s'", found > 1 ? " or " : "", e->d_name);
    if (folder) closedir(folder);
    if (found) error_hint(err, "did you mean %s%s?", names.bytes, found > 3 ? " or ..." : "");
    text_free(&names);
    return found > 0;
}

status find_run(const char *argument, const char *runs, arena *a, const char **folder, error *err) {
    size_t length = strlen(argument);
    while (length > 1 && argument[length - 1] == '/') length--;
    const char *trimmed = arena_copy_bytes(a, argument, length);
    *folder = trimmed;
    if (file_is_folder(trimmed)) return OK;
    *folder = path_join(a, runs, trimmed);
    if (trimmed[0] != '/' && file_is_folder(*folder)) return OK;
    fail(err, ERR_USAGE, "there is no run \"%s\": neither %s nor %s is a folder", argument, trimmed,
         *folder);
    if (hint_longer_names(trimmed, runs, err)) return err->code;
    return error_hint(err, "runexp list shows the runs");
}

status load_runs(const command_call *call, const char *runs, report_run **out, error *err) {
    *out = arena_alloc(call->memory, (size_t)call->count * sizeof **out);
    for (int i = 0; i < call->count; i++) {
        const char *folder;
        TRY(find_run(call->arguments[i], runs, call->memory, &folder, err));
        TRY(report_run_load(folder, call->memory, &(*out)[i], err));
    }
    return OK;
}

static status find_checkpoint(const char *run, const char *runs, const char *which, arena *a,
                              const char **path, error *err) {
    const char *name;
    *path = run;
    if (file_exists(run) && !file_is_folder(run)) return OK;
    TRY(find_run(run, runs, a, &name, err));
    const run_folder folder = run_folder_at(a, name);
    const bool is_best = strcmp(which, "best") == 0, is_last = strcmp(which, "last") == 0;
    if (strcmp(which, "auto") == 0)
        *path = run_folder_best(&folder);
    else
        *path = is_best ? folder.best : is_last ? folder.last : which;
    if (file_exists(*path)) return OK;
    fail(err, ERR_DATA, "there is no checkpoint %s", *path);
    return error_hint(err, *path == which ? "--checkpoint takes best, last, or the path of a file"
                                          : "train the run until its first checkpoint");
}

status open_trained(const char *run, const char *runs, const char *which, const string_list *overrides,
                    arena *a, trained *out, error *err) {
    const char *path;
    problems p = {0};
    TRY(find_checkpoint(run, runs, which, a, &path, err));
    status result = trained_open(path, overrides->values, overrides->count, a, out, &p, err);
    if (print_problems(&p)) err->message[0] = '\0';
    problems_free(&p);
    return result;
}
