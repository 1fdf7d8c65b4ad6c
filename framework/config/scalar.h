// Scalars as YAML writes them.
#ifndef RUNEXP_CONFIG_SCALAR_H
#define RUNEXP_CONFIG_SCALAR_H

#include "base/text.h"
#include "config/node.h"

// Adds a resolved scalar so that it reads back as the same value: plain if possible, else in double quotes,
// always on one line. in_list: between [ and ]. as_text: the setting is a string, so quote also what other
// readers of YAML would take for a number or a boolean.
void scalar_write(const node *n, bool in_list, bool as_text, text *out);

#endif
