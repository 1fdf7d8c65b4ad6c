#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set(error *err, status code, const char *format, va_list arguments) {
    memset(err, 0, sizeof *err);
    err->code = code;
    vsnprintf(err->message, sizeof err->message, format, arguments);
    utf8_trim(err->message);
}

// Appends formatted text to buffer without overflowing it.
static void append(char *buffer, size_t size, const char *format, ...) {
    size_t used = strlen(buffer);
    if (used + 1 >= size) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer + used, size - used, format, arguments);
    va_end(arguments);
    utf8_trim(buffer);
}

status fail(error *err, status code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set(err, code, format, arguments);
    va_end(arguments);
    return code;
}

status fail_at(error *err, status code, place where, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set(err, code, format, arguments);
    va_end(arguments);
    if (where.file) append(err->file, sizeof err->file, "%s", where.file);
    if (where.source) append(err->source, sizeof err->source, "%s", where.source);
    err->line = where.line;
    err->column = where.column;
    return code;
}

status fail_errno(error *err, const char *what, const char *path) {
    int number = errno;
    fail(err, ERR_IO, "cannot %s %s: %s", what, path, strerror(number));
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return error_hint(err, "free some space on that disk, then run the same command again");
    case EACCES:
    case EROFS:
    case EPERM:
        return error_hint(err, "check the permissions of that path, or work in a folder that you own");
    case ENOENT:
        return error_hint(err, "check the spelling of the path");
    default:
        return ERR_IO;
    }
}

status error_hint(error *err, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->hint, sizeof err->hint, format, arguments);
    utf8_trim(err->hint);
    va_end(arguments);
    return err->code;
}

status error_context(error *err, const char *format, ...) {
    char context[512], message[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    utf8_trim(context);
    memcpy(message, err->message, sizeof message);
    err->message[0] = '\0';
    append(err->message, sizeof err->message, "%s: %s", context, message);
    return err->code;
}

char *error_text(const error *err, char *buffer, unsigned long size) {
    buffer[0] = '\0';
    if (err->file[0]) {
        append(buffer, size, "%s:", err->file);
        if (err->line) append(buffer, size, "%d:", err->line);
        if (err->line && err->column) append(buffer, size, "%d:", err->column);
        append(buffer, size, " ");
    }
    append(buffer, size, "error: %s\n", err->message);
    if (err->source[0]) {
        append(buffer, size, "    %s\n", err->source);
        if (err->column)
            append(buffer, size, "    %*s^\n", utf8_columns_of(err->source, err->column - 1), "");
    }
    if (err->hint[0]) append(buffer, size, "  %s\n", err->hint);
    return buffer;
}

int status_exit_code(status code) {
    switch (code) {
    case OK:
        return 0;
    case ERR_USAGE:
    case ERR_CONFIG:
        return 2;
    case ERR_DIVERGED:
        return 3;
    case ERR_INTERRUPTED:
        return 130;
    default:
        return 1;
    }
}
