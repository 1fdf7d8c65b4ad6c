#include "config/node.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static node *node_new(arena *a, node_kind kind, place where, origin from) {
    node *n = arena_alloc(a, sizeof *n);
    n->kind = kind;
    n->where = where;
    n->from = from;
    n->folder = "";
    return n;
}

node *node_scalar(arena *a, const char *text, place where, origin from) {
    node *n = node_new(a, NODE_SCALAR, where, from);
    n->scalar = text;
    return n;
}

node *node_map(arena *a, place where, origin from) {
    return node_new(a, NODE_MAP, where, from);
}

node *node_list(arena *a, place where, origin from) {
    return node_new(a, NODE_LIST, where, from);
}

// Makes room for one more item of the given size; returns the array to use from now on.
static void *room_for_one(arena *a, node *n, void *array, size_t size) {
    if (n->count < n->capacity) return array;
    n->capacity = n->capacity ? 2 * n->capacity : 4;
    void *larger = arena_alloc(a, (size_t)n->capacity * size);
    if (n->count) memcpy(larger, array, (size_t)n->count * size);
    return larger;
}

void node_append(arena *a, node *list, node *item) {
    list->items = room_for_one(a, list, list->items, sizeof *list->items);
    list->items[list->count++] = item;
}

void node_put(arena *a, node *map, const char *key, place key_place, node *value) {
    entry added = {.key = key, .key_place = key_place, .value = value};
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].key, key) == 0) {
            map->entries[i] = added;
            return;
        }
    map->entries = room_for_one(a, map, map->entries, sizeof *map->entries);
    map->entries[map->count++] = added;
}

node *node_get(const node *map, const char *key) {
    if (map->kind != NODE_MAP) return NULL;
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].key, key) == 0) return map->entries[i].value;
    return NULL;
}

node *node_copy(arena *a, const node *n) {
    node *copy = arena_alloc(a, sizeof *copy);
    *copy = *n;
    copy->option = NULL;
    copy->capacity = n->count;
    if (n->kind == NODE_LIST && n->count) {
        copy->items = arena_alloc(a, (size_t)n->count * sizeof *n->items);
        for (int i = 0; i < n->count; i++) copy->items[i] = node_copy(a, n->items[i]);
    }
    if (n->kind == NODE_MAP && n->count) {
        copy->entries = arena_alloc(a, (size_t)n->count * sizeof *n->entries);
        for (int i = 0; i < n->count; i++) {
            copy->entries[i] = n->entries[i];
            copy->entries[i].value = node_copy(a, n->entries[i].value);
        }
    }
    return copy;
}

bool node_is_null(const node *n) {
    if (n->kind != NODE_SCALAR || n->quoted) return false;
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(n->scalar, nulls[i]) == 0) return true;
    return false;
}

bool node_is_override(const node *n) {
    return n && n->from.text && strncmp(n->from.text, OVERRIDE_ORIGIN, strlen(OVERRIDE_ORIGIN)) == 0;
}

void node_set_rank(node *n, int rank) {
    n->from.rank = rank;
    for (int i = 0; i < n->count; i++)
        node_set_rank(n->kind == NODE_LIST ? n->items[i] : n->entries[i].value, rank);
}

int node_index(const char *part) {
    size_t length = strlen(part);
    if (length == 0 || length > 6) return -1;
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)part[i])) return -1;
    return atoi(part);
}

// The child that a path part names, or NULL.
static node *child_of(node *n, const char *part) {
    int index = node_index(part);
    if (n->kind == NODE_MAP && index >= 0 && n->count == 1 && n->entries[0].value->kind == NODE_LIST &&
        !node_get(n, part))
        n = n->entries[0].value;
    if (n->kind == NODE_LIST) return index >= 0 && index < n->count ? n->items[index] : NULL;
    return node_get(n, part);
}

node *node_find(node *root, const char *dotted_path) {
    node *n = root;
    for (const char *start = dotted_path; n; start++) {
        char part[256];
        size_t length = strcspn(start, ".");
        if (length >= sizeof part) return NULL;
        memcpy(part, start, length);
        part[length] = '\0';
        n = child_of(n, part);
        start += length;
        if (*start == '\0') break;
    }
    return n;
}
