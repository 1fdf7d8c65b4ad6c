// runexp check FILE...: only the checks.
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "train/trainer.h"

#include <string.h>

// An argument with "=" is an override of every file, unless it is the path of a file:
// runs/x,key=1/config.yaml.
static bool is_override(const char *argument) {
    return strchr(argument, '=') && !file_exists(argument);
}

static bool is_catalogue(const char *path) {
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "datasets.yaml") == 0;
}

// Everything that training does before its first step.
static status check(const command_call *call, const char *path, const string_list *overrides, error *err) {
    config c;
    dataset *data;
    trainer *t;
    TRY(load_experiment(call, path, overrides->values, overrides->count, &c, err));
    TRY(open_dataset(call, &c, &data, err));
    const trainer_request request = {
        .experiment = experiment_of(&c), .config = &c, .dataset = data, .stop = call->stop};
    TRY(trainer_new(&request, &t, err));
    trainer_free(t);
    return OK;
}

static status check_one(const command_call *call, const char *path, const string_list *overrides,
                        error *err) {
    command_call one = *call;
    one.memory = arena_new();
    const status result = check(&one, path, overrides, err);
    arena_free(one.memory);
    if (result == OK) log_line("%s: ok", path);
    return result;
}

static status check_all(const command_call *call, const string_list *files, const string_list *overrides,
                        error *err) {
    status worst = OK;
    int wrong = 0;
    for (int i = 0; i < files->count && !*call->stop; i++) {
        const status result = check_one(call, files->values[i], overrides, err);
        if (result == OK) continue;
        if (err->message[0]) log_error(err);
        if (status_exit_code(result) > status_exit_code(worst)) worst = result;
        wrong++;
    }
    if (*call->stop) err->message[0] = '\0';
    if (*call->stop) return err->code = ERR_INTERRUPTED;
    return wrong ? fail(err, worst, "problems in %d of %d experiment files", wrong, files->count) : OK;
}

static status run(const command_call *call, error *err) {
    const size_t bytes = (size_t)call->count * sizeof(char *);
    const char **paths = arena_alloc(call->memory, bytes), **values = arena_alloc(call->memory, bytes);
    string_list files = {paths, 0}, overrides = {values, 0};
    for (int i = 0; i < call->count; i++) {
        const char *argument = call->arguments[i];
        if (is_override(argument))
            values[overrides.count++] = argument;
        else if (!is_catalogue(argument))
            paths[files.count++] = argument;
    }
    if (files.count == 0) return fail(err, ERR_USAGE, "%s check needs an experiment file", program_name());
    if (files.count > 1) return check_all(call, &files, &overrides, err);
    const status result = check_one(call, files.values[0], &overrides, err);
    if (result == OK || err->message[0]) return result;
    return fail(err, result, "the experiment file has problems");
}

const command command_check = {
    .about =
        {
            .name = "check",
            .kind = "command",
            .summary = "Checks experiments without training: prints every problem, its place and a hint",
            .details =
                "Settings, layers, texts, prompt and memory: what passes can be trained on this machine.",
            .example = "  runexp check experiments/*.yaml\n",
        },
    .usage = "FILE... [key.path=value ...]",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
