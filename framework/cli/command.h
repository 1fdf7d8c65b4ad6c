// Commands: one struct each, in a file of its own; main.c is a table of them. A command's options are
// declared in a table like any component's settings: parsing, --help and error messages come from it.
#ifndef RUNEXP_CLI_COMMAND_H
#define RUNEXP_CLI_COMMAND_H

#include "base/error.h"
#include "base/memory.h"
#include "config/settings.h"
#include "data/dataset.h"

typedef struct command_call {
    const char *const *arguments; // what is not an option
    int count;
    const void *options;   // the command's settings struct
    string_list overrides; // options that stand for settings of an experiment ("sampling.k=5")
    const char *shipped;   // folder of the experiments that come with the program; NULL: there is none
    data_places places;
    const volatile int *stop; // set by SIGINT, SIGTERM and SIGHUP
    arena *memory;            // freed after the command
} command_call;

typedef struct command {
    // With name, summary, details and example. Options are OPTION_BOOL (a flag), INT, REAL, STRING, CHOICE.
    component about;
    const char *usage;                // the arguments, as in "RUN..."
    int min_arguments, max_arguments; // max -1: any number
    // Settings of an experiment that are options here as well: each setting of `section` as --key (with -
    // for _), passed on as the override "<section_key>.<key>=<value>". May be NULL.
    const component *section;
    const char *section_key;
    status (*run)(const command_call *call, error *err);
} command;

// The commands, NULL-terminated: cli/main.c.
extern const command *const commands[];

// Reads options and arguments. *help is set when --help was among them (nothing else is then checked).
// ERR_USAGE names the nearest option. call->memory must be set; the result lives there.
status arguments_parse(const command *c, const char *const *words, int count, command_call *call,
                       bool *help, error *err);

// Prints paragraphs (see text_add_wrapped), or a name, padded to `width` columns, and what it means, in
// lines that fit the terminal and are not longer than is good to read.
void help_text(const char *paragraphs);
void help_entry(const char *name, int width, const char *meaning);

// Prints the help of a command; of the program.
void help_command(const command *c);
void help_program(void);

#endif
