// Which instruction set and how many threads.
#include "kernels/kernels.h"
#include "kernels/parallel.h"

#include <string.h>

int kernels_thread_count = 1;

#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_INIT() __builtin_cpu_init()
#define CPU_HAS(feature) __builtin_cpu_supports(feature)
#else
#define CPU_INIT() (void)0
#define CPU_HAS(feature) 0
#endif

typedef struct variant {
    const kernel_table *table;
    bool (*runs_here)(void);
} variant;

// The features that the compiler may use at x86-64-v4, v3 and v2. Those it cannot ask for by name (movbe,
// f16c, lzcnt) come with the others on every processor made.
#ifdef KERNELS_HAVE_avx512
extern const kernel_table kernel_table_avx512;
static bool runs_avx512(void) {
    return CPU_HAS("avx512f") && CPU_HAS("avx512bw") && CPU_HAS("avx512cd") && CPU_HAS("avx512dq") &&
           CPU_HAS("avx512vl") && CPU_HAS("avx2") && CPU_HAS("fma") && CPU_HAS("bmi") && CPU_HAS("bmi2");
}
#endif
#ifdef KERNELS_HAVE_avx2
extern const kernel_table kernel_table_avx2;
static bool runs_avx2(void) {
    return CPU_HAS("avx2") && CPU_HAS("fma") && CPU_HAS("bmi") && CPU_HAS("bmi2");
}
#endif
#ifdef KERNELS_HAVE_sse4
extern const kernel_table kernel_table_sse4;
static bool runs_sse4(void) {
    return CPU_HAS("sse4.2") && CPU_HAS("ssse3") && CPU_HAS("popcnt");
}
#endif
extern const kernel_table kernel_table_plain;
static bool runs_plain(void) {
    return true;
}

// Best first.
static const variant variants[] = {
#ifdef KERNELS_HAVE_avx512
    {&kernel_table_avx512, runs_avx512},
#endif
#ifdef KERNELS_HAVE_avx2
    {&kernel_table_avx2, runs_avx2},
#endif
#ifdef KERNELS_HAVE_sse4
    {&kernel_table_sse4, runs_sse4},
#endif
    {&kernel_table_plain, runs_plain},
};

enum { VARIANTS = sizeof variants / sizeof *variants };

const kernel_table *kernels = &kernel_table_plain;

static const char *names[VARIANTS + 1];
static const kernel_table *tables[VARIANTS]; // of the same

// Before main: `kernels` is right without anybody having to ask for it.
__attribute__((constructor)) static void choose_best(void) {
    int count = 0;
    CPU_INIT();
    for (int i = 0; i < VARIANTS; i++)
        if (variants[i].runs_here()) {
            tables[count] = variants[i].table;
            names[count++] = variants[i].table->name;
        }
    kernels = tables[0];
}

const char *const *kernels_available(void) {
    return names;
}

status kernels_select(const char *name, error *err) {
    if (strcmp(name, "auto") == 0) {
        kernels = tables[0];
        return OK;
    }
    for (int i = 0; names[i]; i++)
        if (strcmp(name, names[i]) == 0) {
            kernels = tables[i];
            return OK;
        }
    char list[64] = "auto";
    for (int i = 0; names[i]; i++) strcat(strcat(list, ", "), names[i]);
    for (int i = 0; i < VARIANTS; i++)
        if (strcmp(name, variants[i].table->name) == 0) {
            fail(err, ERR_USAGE, "this processor does not run the instruction set \"%s\"", name);
            return error_hint(err, "choose one of %s", list);
        }
    fail(err, ERR_USAGE, "unknown instruction set \"%s\"", name);
    return error_hint(err, "choose one of %s", list);
}

void kernels_set_threads(int threads) {
    kernels_thread_count = threads < 1 ? 1 : threads;
}

int kernels_threads(void) {
    return kernels_thread_count;
}
