// Single values as users write them, in a file or on the command line: reading one, and refusing one.
#ifndef RUNEXP_CONFIG_VALUE_H
#define RUNEXP_CONFIG_VALUE_H

#include "base/text.h"
#include "config/component.h"

// Reads what was written for an OPTION_BOOL, INT, REAL, TEXT or CHOICE into the option's member. Returns
// false, the member unspecified, when it has not the option's type or is outside its range. A text is not
// copied.
bool value_read(const option *o, const char *written, void *member);

// Adds what was written in quotes, cut when it is long.
void value_quote(const char *written, text *out);

// Adds ` must be EXPECTED, not "WRITTEN"`, to follow the name of the setting.
void value_refuse(const option *o, const char *written, text *out);

// What may have been meant: the nearest name of an OPTION_CHOICE, or NULL.
const char *value_nearest(const option *o, const char *written);

#endif
