// From the merged tree to typed settings: every option of every table is read, checked and stored.
#ifndef RUNEXP_CONFIG_RESOLVE_H
#define RUNEXP_CONFIG_RESOLVE_H

#include "config/complete.h"

// Completes the tree and fills the settings struct of r->table. Problems are added to r->p, settings that
// were ignored to r->notes.
void resolve(resolver *r, void *settings);

#endif
