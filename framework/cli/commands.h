// Every command, each in the file command_<name>.c.
#ifndef RUNEXP_CLI_COMMANDS_H
#define RUNEXP_CLI_COMMANDS_H

#include "cli/command.h"

extern const command command_train, command_sample, command_eval, command_plot, command_compare,
    command_check, command_show, command_list, command_time, command_describe, command_data, command_schema;

#endif
