// The table of commands, and what every command needs: environment, signals, exit status.
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/places.h"
#include "cli/runs.h"
#include "kernels/kernels.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const command *const commands[] = {
    &command_train, &command_sample, &command_eval, &command_plot, &command_compare,
    &command_check, &command_show,   &command_list, &command_time, &command_describe,
    &command_data,  &command_schema, NULL,
};

static volatile int stop_requested;

static void on_signal(int number) {
    (void)number;
    stop_requested = 1;
}

// The first SIGINT or SIGTERM asks the run to stop with a checkpoint; the second ends the program at once.
// SIGHUP asks as well, unless it is ignored (nohup); a closed terminal may send it twice, from the kernel
// and from the shell, so that the second one must not end anything.
static void install_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags = SA_RESTART;
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file as large as it may be: the write fails, and is reported
}

static void out_of_memory(size_t bytes) {
    fprintf(stderr, "error: out of memory (%zu more bytes needed)\n", bytes);
    _exit(1);
}

static const command *find_command(const char *name) {
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->about.name, name) == 0) return commands[i];
    return NULL;
}

static const char *nearest_command(const char *word) {
    const char *names[32];
    int n = 0;
    for (; commands[n]; n++) names[n] = commands[n]->about.name;
    names[n] = NULL;
    return nearest_name(word, names);
}

static status refuse_word(const command_call *call, const char *word, error *err) {
    const char *program = program_name(), *near = nearest_command(word), *run;
    error not_a_run;
    fail(err, ERR_USAGE, "\"%s\" is neither a command nor an experiment file", word);
    if (find_run(call, word, RUNS_FOLDER, &run, &not_a_run) == OK)
        return error_hint(err, "it is a run, for commands such as `%s sample %s`", program, word);
    if (near)
        return error_hint(err, "did you mean `%s %s`? %s --help lists the commands", program, near,
                          program);
    near = nearest_experiment(call, word);
    if (near) return error_hint(err, "did you mean `%s %s`?", program, near);
    return error_hint(err, "%s --help lists the commands", program);
}

// The command that the first word of a command line means, and how many words name it, 0 or 1: an
// experiment file, or an option, means `train`.
static status choose_command(const command_call *call, const char *first, const command **out, int *used,
                             error *err) {
    *used = 1;
    *out = find_command(first);
    if (*out) return OK;
    *used = 0;
    *out = &command_train;
    if (first[0] == '-' || yaml_extension(first)[0] || file_exists(first)) return OK;
    return refuse_word(call, first, err);
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static status run(int count, const char *const *words, arena *a, error *err) {
    const command *chosen;
    int used;
    bool help;
    command_call call = {.memory = a, .stop = &stop_requested};
    if (count == 0 || is_help(words[0])) {
        help_program();
        return count == 0 ? (err->code = ERR_USAGE) : OK;
    }
    if (strcmp(words[0], "--version") == 0) {
        printf("runexp %s (commit %s)\n", RUNEXP_VERSION, RUNEXP_COMMIT);
        return OK;
    }
    call.shipped = find_shipped_experiments(a);
    TRY(choose_command(&call, words[0], &chosen, &used, err));
    TRY(arguments_parse(chosen, words + used, count - used, &call, &help, err));
    if (help) {
        help_command(chosen);
        return OK;
    }
    TRY(kernels_select("auto", err)); // until the command chooses others
    call.places = find_data_places(call.shipped, a);
    return chosen->run(&call, err);
}

// Standard streams that are closed get a file that can be neither read nor written: what the program opens
// would otherwise take their numbers, and messages would end up in a checkpoint.
static void hold_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static bool can_overwrite_lines(void) {
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && term && term[0] && strcmp(term, "dumb") != 0;
}

// The one place that looks whether everything could be printed. A reader that has left (a closed pipe) ends
// the program as it ends others, by SIGPIPE.
static status finish_output(status result, error *err) {
    errno = 0;
    const bool flushed = fflush(stdout) == 0;
    if ((flushed && !ferror(stdout)) || result != OK) return result;
    // A write that failed earlier has left no reason: another one will.
    const bool refused = !flushed || write(STDOUT_FILENO, "\n", 1) < 0;
    if (refused && errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (refused) return fail_errno(err, "write", "standard output");
    return fail(err, ERR_IO, "cannot write standard output");
}

int main(int argc, char **argv) {
    hold_standard_streams();
    program_set_name(argc > 0 ? argv[0] : NULL);
    memory_on_failure(out_of_memory);
    install_signals();
    log_set_terminal(can_overwrite_lines());
    arena *a = arena_new();
    error err = {0};
    status result = run(argc - 1, (const char *const *)(argv + 1), a, &err);
    if (result != OK && err.message[0]) log_error(&err);
    const status done = finish_output(result, &err);
    if (done != result) log_error(&err);
    log_close_file();
    arena_free(a);
    return status_exit_code(done);
}
