// Which instruction set and how many threads.
#include "kernels/kernels.h"
#include "kernels/parallel.h"

#include <string.h>

int kernels_thread_count = 1;

const kernel_table *kernels;

// An instruction set: init replaces those members of a table that it has kernels for; the others stay those
// of the simpler sets before it.
typedef struct instruction_set {
    const char *name;
    bool (*runs_here)(void);
    void (*init)(kernel_table *table);
} instruction_set;

// table.c, compiled for each set.
void table_init_plain(kernel_table *table);
void table_init_sse4(kernel_table *table);
void table_init_avx2(kernel_table *table);
void table_init_avx512(kernel_table *table);

static bool runs_plain(void) {
    return true;
}

#ifdef __x86_64__
// The features that the compiler may use at x86-64-v2, v3 and v4. Those it cannot ask for by name (movbe,
// f16c, lzcnt) come with the others on every processor made.
#define HAS(feature) __builtin_cpu_supports(feature)

static bool runs_sse4(void) {
    return HAS("sse4.2") && HAS("ssse3") && HAS("popcnt");
}

static bool runs_avx2(void) {
    return HAS("avx2") && HAS("fma") && HAS("bmi") && HAS("bmi2");
}

static bool runs_avx512(void) {
    return runs_avx2() && HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq") &&
           HAS("avx512vl");
}
#endif

// Each runs where the ones after it run.
static const instruction_set sets[] = {
    {"plain", runs_plain, table_init_plain},
#ifdef __x86_64__
    {"sse4", runs_sse4, table_init_sse4},
    {"avx2", runs_avx2, table_init_avx2},
    {"avx512", runs_avx512, table_init_avx512},
#endif
};

enum { SETS = sizeof sets / sizeof *sets };

const char *const *kernels_available(void) {
    static const char *names[SETS + 1];
    int count = 0;
    for (int i = SETS - 1; i >= 0; i--)
        if (sets[i].runs_here()) names[count++] = sets[i].name;
    return names;
}

// Makes `kernels` those of a set that runs here.
static void use(const char *name) {
    static kernel_table table;
    for (int i = 0; i < SETS; i++) {
        sets[i].init(&table);
        if (strcmp(name, sets[i].name) == 0) break;
    }
    kernels = &table;
}

status kernels_select(const char *name, error *err) {
    const char *const *names = kernels_available();
    char list[64] = "auto";
    if (strcmp(name, "auto") == 0) name = names[0];
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0) {
            use(name);
            return OK;
        }
        strcat(strcat(list, ", "), names[i]);
    }
    bool exists = false;
    for (int i = 0; i < SETS; i++) exists = exists || strcmp(name, sets[i].name) == 0;
    fail(err, ERR_USAGE,
         exists ? "this processor does not run the instruction set \"%s\""
                : "unknown instruction set \"%s\"",
         name);
    return error_hint(err, "choose one of %s", list);
}

void kernels_set_threads(int threads) {
    kernels_thread_count = threads < 1 ? 1 : threads;
}

int kernels_threads(void) {
    return kernels_thread_count;
}
