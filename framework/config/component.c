#include "config/component.h"

#include <string.h>

void string_list_add(string_list *list, const char *string, arena *a) {
    const size_t count = (size_t)list->count;
    if ((count & (count - 1)) == 0) { // 0 or a power of two: full
        const char **larger = arena_alloc(a, (count ? 2 * count : 1) * sizeof *larger);
        if (count) memcpy(larger, list->values, count * sizeof *larger);
        list->values = larger;
    }
    list->values[list->count++] = string;
}
