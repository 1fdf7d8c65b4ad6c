// The log: the only way for anything below the command line to speak. Lines go to the terminal and, once a
// run has its folder, to the run's log.txt as well.
#ifndef RUNEXP_BASE_LOG_H
#define RUNEXP_BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>

// Whether standard output is a terminal that lines can be overwritten on, which only the command line
// knows; false at first.
void log_set_terminal(bool terminal);
bool log_is_terminal(void);

// The width that the terminal has now; 0 when standard output is not one, so that nothing is cut.
int log_columns(void);

// How much reaches the terminal: everything; warnings only (--quiet). The log file always gets everything.
void log_set_quiet(bool quiet);

// Opens (appends to) the log file of a run; log_close_file ends it. A log file that cannot be written is
// reported once as a warning and never stops a run.
status log_open_file(const char *path, error *err);
void log_close_file(void);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));    // a plain line, stdout
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));    // "note: ...", stderr
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2))); // "warning: ...", stderr
void log_error(const error *err);                                                // error_text, stderr

// The live line at the bottom of a terminal, shortened to its width: overwritten in place by the next call,
// ended by the next log_line. Does nothing when standard output is not a terminal or quiet is set.
void log_live(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
