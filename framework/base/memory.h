// Memory: arenas for what lives as long as a parse, a graph or a run; checked allocation for the rest.
//
// Small allocations never return NULL: when the system has none left they call the handler that the command
// line installed, which reports and ends the program. Tensors are the exception: memory_planned_alloc
// returns a status, because "this model does not fit" is something a user can mend.
#ifndef RUNEXP_BASE_MEMORY_H
#define RUNEXP_BASE_MEMORY_H

#include "base/error.h"

#include <stddef.h>

typedef void (*memory_failure_handler)(size_t bytes);

// Installs what to call when a small allocation fails; it must not return. Without one, abort() is called.
void memory_on_failure(memory_failure_handler handler);

// malloc, realloc and strdup that never return NULL. Free with free().
void *memory_alloc(size_t bytes); // zeroed
void *memory_resize(void *block, size_t bytes);
char *memory_copy_text(const char *text);

// A block for tensors: 64-byte aligned, zeroed, in huge pages when it is large. `what` names it in the
// message ("activations"). Free with memory_planned_free. On failure *block is NULL.
status memory_planned_alloc(void **block, size_t bytes, const char *what, error *err);
void memory_planned_free(void *block, size_t bytes);

// An arena: allocations that are freed all at once. Allocations are zeroed and 16-byte aligned.
typedef struct arena arena;
arena *arena_new(void);
void arena_free(arena *a); // NULL is allowed
void *arena_alloc(arena *a, size_t bytes);
char *arena_copy_text(arena *a, const char *text);
char *arena_copy_bytes(arena *a, const char *text, size_t bytes); // adds a final '\0'
char *arena_format(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
