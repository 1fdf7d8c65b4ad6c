// Texts that a command is given: the name of a file, or - for standard input.
#ifndef RUNEXP_CLI_INPUT_H
#define RUNEXP_CLI_INPUT_H

#include "cli/command.h"

bool is_standard_input(const char *name);

// What messages call it: its name, or "standard input".
const char *input_name(const char *name);

// Reads all of it. ERR_INTERRUPTED, without a message, when a signal asks to stop while standard input is
// waited for; ERR_IO. Memory from the call.
status read_input(const command_call *call, const char *name, char **bytes, size_t *length, error *err);

#endif
