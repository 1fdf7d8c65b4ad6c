#include "cli/compute.h"

#include "base/log.h"

#include <stdlib.h>

// OMP_NUM_THREADS may be a list, for nested levels: the first is that of the outermost. 0: not set.
static int threads_of_environment(void) {
    const char *text = getenv("OMP_NUM_THREADS");
    char *end;
    if (!text || !text[0]) return 0;
    const long threads = strtol(text, &end, 10);
    if (end != text && (*end == '\0' || *end == ',') && threads >= 1 && threads <= POOL_THREADS)
        return (int)threads;
    log_warning("OMP_NUM_THREADS=%s is not a number of threads: ignored", text);
    return 0;
}

status compute_begin(const compute_options *o, error *err) {
    int threads = o->threads ? (int)o->threads : threads_of_environment();
    if (!threads) threads = machine_cores();
    const int processors = machine_processors();
    if (threads > processors)
        log_note("%d threads share %d processor%s: fewer are faster", threads, processors,
                 processors == 1 ? "" : "s");
    kernels_set_threads(threads);
    return kernels_select(o->kernels, err);
}
