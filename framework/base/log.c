#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    FILE *file;
    bool quiet, live;
} state;

void log_set_quiet(bool quiet) {
    state.quiet = quiet;
}

status log_open_file(const char *path, error *err) {
    log_close_file();
    state.file = fopen(path, "a");
    return state.file ? OK : fail_errno(err, "write", path);
}

void log_close_file(void) {
    if (state.file) fclose(state.file);
    state.file = NULL;
}

bool log_is_terminal(void) {
    return isatty(STDOUT_FILENO) == 1;
}

static void end_live_line(void) {
    if (!state.live) return;
    fputs("\r\033[K", stdout);
    state.live = false;
}

static void to_file(const char *line) {
    if (!state.file) return;
    if (fputs(line, state.file) >= 0 && fflush(state.file) == 0) return;
    log_close_file();
    fputs("warning: the run's log file cannot be written any more; going on without it\n", stderr);
}

static void emit(FILE *stream, bool visible, const char *prefix, const char *format, va_list arguments) {
    char line[4096];
    int used = snprintf(line, sizeof line, "%s", prefix);
    vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    strcat(line, "\n");
    end_live_line();
    if (visible) {
        fflush(stdout);
        fputs(line, stream);
        fflush(stream);
    }
    to_file(line);
}

void log_line(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(stdout, !state.quiet, "", format, arguments);
    va_end(arguments);
}

void log_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(stderr, !state.quiet, "note: ", format, arguments);
    va_end(arguments);
}

void log_warning(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(stderr, true, "warning: ", format, arguments);
    va_end(arguments);
}

void log_error(const error *err) {
    char text[4096];
    error_text(err, text, sizeof text);
    end_live_line();
    fflush(stdout);
    fputs(text, stderr);
    to_file(text);
}

void log_live(const char *format, ...) {
    if (state.quiet || !log_is_terminal()) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\033[K", stdout);
    vprintf(format, arguments);
    fflush(stdout);
    va_end(arguments);
    state.live = true;
}
