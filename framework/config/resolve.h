// From the merged tree to typed settings: every option of every table read, checked, and put in its place.
#ifndef RUNEXP_CONFIG_RESOLVE_H
#define RUNEXP_CONFIG_RESOLVE_H

#include "config/complete.h"

// Completes the tree from the tables and fills settings (of r->table->settings_size). Problems go to r->p,
// what was adjusted to r->notes.
void resolve(resolver *r, void *settings);

#endif
