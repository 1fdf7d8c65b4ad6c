// Where the program finds what comes with it, and the texts that users keep.
#ifndef RUNEXP_CLI_PLACES_H
#define RUNEXP_CLI_PLACES_H

#include "cli/command.h"

// The folder of the experiments that come with the program, found from where the executable is, so that an
// installation can be moved: ../share/runexp/experiments, or the experiments/ of the sources that it was
// built in. NULL when there is neither.
const char *find_shipped_experiments(arena *a);

// The catalogue is experiments/datasets.yaml in the working directory, or the one that comes with the
// program. Texts are looked for in the folders of RUNEXP_DATA (separated by colons) and in the cache, which
// follows the XDG convention.
data_places find_data_places(const char *shipped, arena *a);

// HOME; NULL when it is not set.
const char *home_folder(void);

// The path of an experiment file: as it was written, or that of the shipped experiment of this name, with
// or without "experiments/" before it. A path that begins with "." or "/" is taken as written. *path is as
// written when there is no such file.
bool find_experiment(const char *written, const char *shipped, arena *a, const char **path);

#endif
