#include "base/program.h"

#include <stddef.h>

static const char *program = "runexp";

void program_set_name(const char *name) {
    if (name && name[0] != '\0') program = name;
}

const char *program_name(void) {
    return program;
}
