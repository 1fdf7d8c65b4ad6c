#include "report/gnuplot.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 4096 };

// Starts the program with no input and both outputs into a pipe. Returns 0, or an errno; *read_end is open
// only on success.
static int start(const char *program, const char *suffix, const char *script_path, pid_t *child,
                 int *read_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    char *const arguments[] = {(char *)program, "-d", "-e", (char *)suffix, (char *)script_path, NULL};
    int result = posix_spawnp(child, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (result != 0) close(ends[0]);
    *read_end = ends[0];
    return result;
}

static bool stopped(const gnuplot *g) {
    return g->stop && *g->stop;
}

static status interrupted(error *err) {
    err->message[0] = '\0'; // it needs no words
    return err->code = ERR_INTERRUPTED;
}

static double timeout_of(const gnuplot *g) {
    return g->timeout_seconds > 0 ? g->timeout_seconds : 60;
}

// Reads until the program closes its end; keeps the last bytes. False when the time is over, or drawing is
// to end: a signal that comes just before poll() does not wake it, so that it sleeps for a moment only.
static bool read_output(const gnuplot *g, int fd, char output[OUTPUT_BYTES]) {
    enum { MOMENT_MS = 100 };
    double end = clock_seconds() + timeout_of(g);
    size_t used = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (stopped(g) || clock_seconds() >= end) return false;
        int ready = poll(&wait, 1, MOMENT_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        if (ready < 0) return false;
        if (used > OUTPUT_BYTES / 2) {
            memmove(output, output + used - OUTPUT_BYTES / 2, OUTPUT_BYTES / 2);
            used = OUTPUT_BYTES / 2;
        }
        ssize_t got = read(fd, output + used, OUTPUT_BYTES - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        used += (size_t)got;
    }
    output[used] = '\0';
    return true;
}

// The last line that is not empty; output is cut.
static char *last_line(char *output) {
    size_t length = strlen(output);
    while (length > 0 && strchr(" \n\r\t", output[length - 1])) output[--length] = '\0';
    char *newline = strrchr(output, '\n');
    return newline ? newline + 1 : output;
}

// Runs gnuplot on a script. *found is false when there is no gnuplot; output is what it printed.
static status run(const gnuplot *g, const char *suffix, const char *script_path, bool *found,
                  char output[OUTPUT_BYTES], error *err) {
    const char *program = g->program ? g->program : "gnuplot";
    pid_t child = -1;
    int read_end = -1;
    int refused = start(program, suffix, script_path, &child, &read_end);
    *found = refused != ENOENT;
    if (!*found) return OK;
    if (refused) {
        errno = refused;
        return fail_errno(err, "start", program);
    }
    bool in_time = read_output(g, read_end, output);
    close(read_end);
    if (!in_time) kill(child, SIGKILL);
    int how = 0;
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
    }
    if (stopped(g)) return interrupted(err);
    if (!in_time) {
        fail(err, ERR_IO, "gnuplot needed more than %g s for %s", timeout_of(g), script_path);
        return error_hint(err, "run gnuplot %s by hand to see why", script_path);
    }
    if (WIFEXITED(how) && WEXITSTATUS(how) == 127) { // how some systems report a missing program
        *found = false;
        return OK;
    }
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) {
        fail(err, ERR_IO, "gnuplot could not draw %s: %s", script_path, last_line(output));
        return error_hint(err, "run gnuplot %s by hand to see all it says", script_path);
    }
    return OK;
}

static bool is_empty(const char *path) {
    struct stat info;
    return stat(path, &info) != 0 || info.st_size == 0;
}

// The script is called by its absolute path: a relative one could look like an option or a pipe to gnuplot.
status gnuplot_run(const gnuplot *g, const char *script_path, arena *a, const char **picture, error *err) {
    static const char *const endings[] = {"png", "svg", "txt"}; // of the terminals of script_begin
    const char *suffix = arena_format(a, ".tmp.%ld", (long)getpid());
    const char *full = path_absolute(a, script_path);
    const int stem = (int)strlen(full) - (int)strlen(".gp");
    char output[OUTPUT_BYTES] = "";
    bool found;
    *picture = NULL;
    status result = run(g, arena_format(a, "suffix = '%s'", suffix), full, &found, output, err);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const char *whole = arena_format(a, "%.*s.%s", stem, full, endings[i]);
        const char *temporary = arena_format(a, "%s%s", whole, suffix);
        if (result != OK || !found || is_empty(temporary)) {
            unlink(temporary);
        } else if ((result = file_commit(temporary, whole, err)) == OK) {
            *picture = whole;
        }
    }
    if (result == OK && found && !*picture)
        return fail(err, ERR_IO, "gnuplot drew nothing for %s: %s", script_path, last_line(output));
    return result;
}

status gnuplot_draw_all(const gnuplot *g, const char *folder, const gnuplot_script *scripts, int count,
                        error *err) {
    TRY(folder_create(folder, err));
    for (int i = 0; i < count; i++)
        TRY(file_write(scripts[i].path, scripts[i].content, scripts[i].length, err));
    arena *a = arena_new();
    int drawn = 0;
    bool there = true;
    for (int i = 0; i < count && there && !stopped(g); i++) {
        const char *picture;
        error failure;
        const status result = gnuplot_run(g, scripts[i].path, a, &picture, &failure);
        if (result == ERR_INTERRUPTED)
            break;
        else if (result != OK)
            log_warning("%s", failure.message);
        else if (picture)
            drawn++;
        else
            there = false;
    }
    if (!there)
        log_line("plots: gnuplot is not installed; its scripts are in %s: draw them with "
                 "gnuplot %s/*.gp",
                 folder, folder);
    else if (count > 0)
        log_line("plots: %d of %d drawn in %s", drawn, count, folder);
    arena_free(a);
    return stopped(g) ? interrupted(err) : OK;
}
