// What libyaml says about a syntax error, in plain words.
#ifndef RUNEXP_CONFIG_YAML_MESSAGE_H
#define RUNEXP_CONFIG_YAML_MESSAGE_H

#include <stdbool.h>

typedef struct yaml_message {
    const char *words; // what is wrong
    const char *hint;  // what to do; may be NULL
    bool at_opening;   // show the place where the construct began, not where its end was missed
} yaml_message;

// context and problem are libyaml's texts (either may be NULL); at is the character at the place of the
// problem ('\n' at the end of a line, '\0' at the end of the text).
yaml_message yaml_message_of(const char *context, const char *problem, char at);

#endif
