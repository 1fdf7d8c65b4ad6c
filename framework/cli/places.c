#include "cli/places.h"

#include "base/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *find_shipped_experiments(arena *a) {
    // From bin/ of an installation, from build/release/ of the sources.
    static const char *const places[] = {"../share/runexp/experiments", "../../experiments"};
    char program[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return NULL;
    program[length] = '\0';
    for (int i = 0; i < 2; i++) {
        const char *folder = path_absolute(a, path_join(a, path_folder(a, program), places[i]));
        if (file_exists(path_join(a, folder, "datasets.yaml"))) return folder;
    }
    return NULL;
}

const char *home_folder(void) {
    const char *home = getenv("HOME");
    return home && home[0] ? home : NULL;
}

static const char *find_catalogue(const char *shipped, arena *a) {
    const char *here = "experiments/datasets.yaml";
    return file_exists(here) || !shipped ? here : path_join(a, shipped, "datasets.yaml");
}

data_places find_data_places(const char *shipped, arena *a) {
    const char *list = getenv("RUNEXP_DATA"), *cache_home = getenv("XDG_CACHE_HOME"), *home = home_folder();
    if (!list) list = "";
    const char **folders = arena_alloc(a, (strlen(list) + 2) * sizeof *folders);
    int count = 0;
    while (*list) {
        size_t length = strcspn(list, ":");
        if (length) folders[count++] = arena_copy_bytes(a, list, length);
        list += length + (list[length] == ':');
    }
    const char *cache = cache_home && cache_home[0] ? path_join(a, cache_home, "runexp")
                        : home                      ? path_join(a, home, ".cache/runexp")
                                                    : ".runexp-cache";
    return (data_places){
        .catalogue = find_catalogue(shipped, a),
        .folders = folders,
        .cache = cache,
        .home = home,
    };
}

bool find_experiment(const char *written, const char *shipped, arena *a, const char **path) {
    static const char folder[] = "experiments/";
    const size_t prefix = strncmp(written, folder, strlen(folder)) == 0 ? strlen(folder) : 0;
    *path = written;
    if (file_exists(written)) return true;
    const char *found = path_find(a, written + prefix, "", shipped);
    if (!file_exists(found)) return false;
    *path = found;
    return true;
}
