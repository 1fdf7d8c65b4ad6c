// The one error type, and how functions report failure.
//
// A function that can fail returns a status and takes an error * as its last argument (never NULL). On
// failure it fills the error and returns its code; its comment says what it leaves behind. Callers pass
// failures up with TRY and add what they were doing with error_context. Only the command line prints errors
// and chooses the exit status.
#ifndef RUNEXP_BASE_ERROR_H
#define RUNEXP_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

typedef enum status {
    OK = 0,
    ERR_USAGE,       // the command line is wrong                                      exit 2
    ERR_CONFIG,      // the experiment file is wrong                                   exit 2
    ERR_DATA,        // a corpus or checkpoint is missing or not what it should be     exit 1
    ERR_IO,          // the operating system refused a file operation                  exit 1
    ERR_MEMORY,      // not enough memory for the planned tensors                      exit 1
    ERR_DIVERGED,    // a loss or gradient is NaN or infinite                          exit 3
    ERR_INTERRUPTED, // by a signal; the checkpoint has been written                   exit 130
    ERR_INTERNAL     // a broken promise inside the program: a bug                     exit 1
} status;

// A place in a text. file is what the user would recognise (a path as typed, "command line"); line and
// column count from 1, 0 when unknown. source, when not NULL, is the line itself, to be shown with a caret.
typedef struct place {
    const char *file;
    int line, column;
    const char *source;
} place;

typedef struct error {
    status code;
    char message[1024]; // what is wrong, and with what; no final full stop, no newline
    char hint[512];     // what to do about it; may be empty
    char file[512];     // where; empty when the place is unknown
    int line, column;
    char source[256]; // the line at fault; may be empty
} error;

#define TRY(call)                                                                                          \
    do {                                                                                                   \
        status try_status_ = (call);                                                                       \
        if (try_status_ != OK) return try_status_;                                                         \
    } while (0)

// Fills *err with code and a printf-formatted message, no place and no hint; returns code.
status fail(error *err, status code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The same with a place.
status fail_at(error *err, status code, place where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The same from errno: "cannot <what> <path>: <strerror>", with a hint for the common causes (ENOSPC,
// EACCES, ENOENT). code is ERR_IO.
status fail_errno(error *err, const char *what, const char *path);

// Sets the hint of an error already filled; returns its code, so that it can end a return statement.
status error_hint(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Puts "<context>: " in front of the message; returns the code.
status error_context(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Writes the error as the user reads it (place, message, source line with caret, hint) into buffer, always
// terminated; returns buffer.
char *error_text(const error *err, char *buffer, unsigned long size);

// The exit status of the program for a status code (see the enum).
int status_exit_code(status code);

#endif
