// Drawing, as several commands need it.
#ifndef RUNEXP_CLI_PICTURES_H
#define RUNEXP_CLI_PICTURES_H

#include "base/memory.h"

// Draws the plots of a run's folder into <plots>/<run name>; says where, or what went wrong, as a line or
// warning: missing pictures never fail a run.
void draw_run(const char *folder, const char *plots, arena *a);

#endif
