// Which instruction set and how many threads.
#include "base/text.h"
#include "kernels/kernels.h"
#include "kernels/parallel.h"

#include <string.h>

int kernels_thread_count = 1;

const kernel_table *kernels;

typedef struct instruction_set {
    const char *name;
    bool (*runs_here)(void);
    void (*init)(kernel_table *table);
} instruction_set;

#define HAS(feature) __builtin_cpu_supports(feature)
#define SET(name, runs)                                                                                    \
    void table_init_##name(kernel_table *table);                                                           \
    static bool runs_##name(void) {                                                                        \
        return runs;                                                                                       \
    }
#include "kernels/isa_list.h"

static const instruction_set sets[] = {
#define SET(name, runs) {#name, runs_##name, table_init_##name},
#include "kernels/isa_list.h"
};

enum { SETS = sizeof sets / sizeof *sets };

const char *const *kernels_available(void) {
    static const char *names[SETS + 1];
    int count = 0;
    for (int i = SETS - 1; i >= 0; i--)
        if (sets[i].runs_here()) names[count++] = sets[i].name;
    return names;
}

static const instruction_set *find(const char *name) {
    for (int i = 0; i < SETS; i++)
        if (strcmp(name, sets[i].name) == 0) return &sets[i];
    return NULL;
}

static status refuse(const char *name, const instruction_set *set, error *err) {
    text list = {0};
    text_add(&list, "auto");
    for (const char *const *each = kernels_available(); *each; each++) text_add(&list, ", %s", *each);
    fail(err, ERR_USAGE,
         set ? "this processor does not run the instruction set \"%s\"" : "unknown instruction set \"%s\"",
         name);
    error_hint(err, "choose one of %s", list.bytes);
    text_free(&list);
    return err->code;
}

status kernels_select(const char *name, error *err) {
    static kernel_table table;
    if (strcmp(name, "auto") == 0) name = kernels_available()[0];
    const instruction_set *set = find(name);
    if (!set || !set->runs_here()) return refuse(name, set, err);
    table = (kernel_table){.name = set->name};
    set->init(&table);
    kernels = &table;
    return OK;
}

void kernels_set_threads(int threads) {
    kernels_thread_count = threads < 1 ? 1 : threads;
}

int kernels_threads(void) {
    return kernels_thread_count;
}
