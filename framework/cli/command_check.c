// runexp check FILE...: only the checks.
#include "base/log.h"
#include "cli/commands.h"
#include "cli/load.h"

#include <stdio.h>
#include <string.h>

// Files first, then overrides: an argument with "=" is an override of every file.
static status run(const command_call *call, error *err) {
    const char **overrides = arena_alloc(call->memory, (size_t)call->count * sizeof *overrides);
    int override_count = 0, wrong = 0, checked = 0;
    for (int i = 0; i < call->count; i++)
        if (strchr(call->arguments[i], '=')) overrides[override_count++] = call->arguments[i];
    for (int i = 0; i < call->count; i++) {
        config c;
        error wrong_file;
        if (strchr(call->arguments[i], '=') || strstr(call->arguments[i], "datasets.yaml")) continue;
        checked++;
        if (load_experiment(call->arguments[i], overrides, override_count, call->memory, &c, &wrong_file) ==
            OK) {
            printf("%s: ok\n", call->arguments[i]);
            continue;
        }
        if (wrong_file.message[0]) log_error(&wrong_file);
        wrong++;
    }
    if (checked == 0) return fail(err, ERR_USAGE, "runexp check needs at least one experiment file");
    if (!wrong) return OK;
    if (checked == 1) return fail(err, ERR_CONFIG, "the experiment file has problems");
    return fail(err, ERR_CONFIG, "problems in %d of %d experiment files", wrong, checked);
}

const command command_check = {
    .about =
        {
            .name = "check",
            .kind = "command",
            .summary =
                "Checks experiment files without training: prints every problem, its place and a hint",
            .example = "  runexp check experiments/*.yaml\n",
        },
    .usage = "FILE... [key.path=value ...]",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
