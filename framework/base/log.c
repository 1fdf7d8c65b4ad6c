#include "base/log.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
    FILE *file;
    bool quiet, terminal, live;
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

void log_set_terminal(bool terminal) {
    state.terminal = terminal;
}

bool log_is_terminal(void) {
    return state.terminal;
}

int log_columns(void) {
    enum { USUAL = 80 };
    struct winsize size;
    if (!state.terminal) return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL;
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

// A terminal gets lines broken between words.
static void print(const char *lines, FILE *stream) {
    const int columns = stream == stdout ? log_columns() : 0;
    if (columns == 0) fputs(lines, stream);
    for (const char *next; columns && *lines; lines = next) {
        const size_t length = text_line_that_fits(lines, columns, &next);
        fprintf(stream, "%.*s\n", (int)length, lines);
    }
}

__attribute__((format(printf, 4, 0))) static void emit(FILE *stream, bool visible, const char *prefix,
                                                       const char *format, va_list arguments) {
    text said = {0}, line = {0};
    text_add_list(&said, format, arguments);
    text_add(&line, "%s", prefix);
    text_add_visible(&line, said.bytes, said.length);
    text_add(&line, "\n");
    text_free(&said);
    end_live_line();
    if (visible) {
        fflush(stdout);
        print(line.bytes, stream);
        fflush(stream);
    }
    to_file(line.bytes);
    text_free(&line);
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
    char message[4096];
    text visible = {0};
    error_text(err, message, sizeof message);
    text_add_visible(&visible, message, strlen(message));
    end_live_line();
    fflush(stdout);
    fputs(visible.bytes, stderr);
    to_file(visible.bytes);
    text_free(&visible);
}

void log_live(const char *format, ...) {
    if (state.quiet || !state.terminal) return;
    text said = {0}, line = {0}, fitting = {0};
    va_list arguments;
    va_start(arguments, format);
    text_add_list(&said, format, arguments);
    va_end(arguments);
    text_add_visible(&line, said.bytes, said.length);
    text_add_shortened(&fitting, line.bytes, log_columns() - 1);
    printf("\r\033[K%s", fitting.bytes ? fitting.bytes : "");
    fflush(stdout);
    state.live = true;
    text_free(&said);
    text_free(&line);
    text_free(&fitting);
}
