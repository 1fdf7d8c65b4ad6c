// Single values as users write them, in files or on the command line: reading and refusing them.
#ifndef RUNEXP_CONFIG_VALUE_H
#define RUNEXP_CONFIG_VALUE_H

#include "base/text.h"
#include "config/component.h"

// Reads the value of an OPTION_BOOL, INT, REAL, DURATION, STRING or CHOICE into its member. Returns false,
// with the member unspecified, if it is not of the option's type or outside its range. Strings are not
// copied.
bool value_read(const option *o, const char *written, void *member);

// Adds the value in quotes, cut if it is long.
void value_quote(const char *written, text *out);

// Adds ` must be EXPECTED, not "WRITTEN"`, which follows the name of the setting in a message.
void value_refuse(const option *o, const char *written, text *out);

// Adds the value that may have been meant: the nearest name of an OPTION_CHOICE, a duration in another
// spelling. False, with nothing added, if there is none.
bool value_nearest(const option *o, const char *written, text *out);

#endif
