#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static memory_failure_handler failure_handler;

void memory_on_failure(memory_failure_handler handler) {
    failure_handler = handler;
}

static void *checked(void *block, size_t bytes) {
    if (block) return block;
    if (failure_handler) failure_handler(bytes);
    abort();
}

void *memory_alloc(size_t bytes) {
    return checked(calloc(1, bytes ? bytes : 1), bytes);
}

void *memory_resize(void *block, size_t bytes) {
    return checked(realloc(block, bytes ? bytes : 1), bytes);
}

char *memory_copy_text(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(memory_alloc(bytes), text, bytes);
}

enum { HUGE_PAGE = 2 << 20 };

// Blocks from the size of a huge page on are made of huge pages.
static size_t mapped_bytes(size_t bytes) {
    if (bytes < HUGE_PAGE) return bytes ? bytes : 1;
    return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

static void *map(size_t bytes) {
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? NULL : mapped;
}

// A huge page begins at a multiple of its size: maps one more and gives back what lies before and behind.
static void *map_huge(size_t bytes) {
    char *mapped = map(bytes + HUGE_PAGE);
    if (!mapped) return NULL;
    const size_t before = -(uintptr_t)mapped % HUGE_PAGE;
    if (before) munmap(mapped, before);
    if (before < HUGE_PAGE) munmap(mapped + before + bytes, HUGE_PAGE - before);
    madvise(mapped + before, bytes, MADV_HUGEPAGE);
    return mapped + before;
}

status memory_planned_alloc(void **block, size_t bytes, const char *what, error *err) {
    *block = bytes > PTRDIFF_MAX / 2 ? NULL
             : bytes < HUGE_PAGE     ? map(mapped_bytes(bytes))
                                     : map_huge(mapped_bytes(bytes));
    if (*block) return OK;
    fail(err, ERR_MEMORY, "cannot get %.1f MiB of memory for %s", (double)bytes / (1 << 20), what);
    return error_hint(
        err,
        "reduce training.batch_size, dataset.block_size or the model; --dry-run prints what each takes");
}

void memory_planned_free(void *block, size_t bytes) {
    if (block) munmap(block, mapped_bytes(bytes));
}

// An arena is a chain of chunks; the newest serves small requests.
typedef struct chunk {
    struct chunk *older;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
} chunk;

struct arena {
    chunk *newest;
};

enum { CHUNK_BYTES = 16 << 10 };

arena *arena_new(void) {
    return memory_alloc(sizeof(arena));
}

void arena_free(arena *a) {
    if (!a) return;
    for (chunk *c = a->newest; c;) {
        chunk *older = c->older;
        free(c);
        c = older;
    }
    free(a);
}

void *arena_alloc(arena *a, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (!a->newest || a->newest->size - a->newest->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk *c = memory_alloc(sizeof(chunk) + size);
        c->older = a->newest;
        c->size = size;
        a->newest = c;
    }
    void *block = a->newest->bytes + a->newest->used;
    a->newest->used += bytes;
    return block;
}

char *arena_copy_bytes(arena *a, const char *text, size_t bytes) {
    char *copy = arena_alloc(a, bytes + 1);
    if (bytes) memcpy(copy, text, bytes);
    return copy;
}

char *arena_copy_text(arena *a, const char *text) {
    return arena_copy_bytes(a, text, strlen(text));
}

char *arena_format(arena *a, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = arena_alloc(a, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
