// What the program was called by, for messages that tell the user what to type.
#ifndef RUNEXP_BASE_PROGRAM_H
#define RUNEXP_BASE_PROGRAM_H

// Sets the name, argv[0] ("./runexp"), which is not copied; NULL and "" keep the name that it has at first,
// "runexp".
void program_set_name(const char *name);
const char *program_name(void);

#endif
