// Carried state of decoding graphs, by name: the first graph to ask for a state makes it, later ones share
// it.
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

typedef struct state {
    const char *name;
    real *data;
    size_t count;
    struct state *next;
} state;

struct state_set {
    state *first;
};

state_set *states_new(void) {
    return memory_alloc(sizeof(state_set));
}

void states_free(state_set *s) {
    if (!s) return;
    for (state *each = s->first; each;) {
        state *next = each->next;
        free((char *)each->name);
        free(each->data);
        free(each);
        each = next;
    }
    free(s);
}

void states_reset(state_set *s) {
    for (state *each = s->first; each; each = each->next) memset(each->data, 0, each->count * sizeof(real));
}

void states_spread(const state_set *from, state_set *to) {
    for (const state *each = to->first; each; each = each->next) {
        const state *one = from->first;
        while (strcmp(one->name, each->name) != 0) one = one->next;
        for (size_t at = 0; at < each->count; at += one->count)
            memcpy(each->data + at, one->data, one->count * sizeof(real));
    }
}

size_t states_bytes(const state_set *s) {
    size_t bytes = 0;
    for (const state *each = s->first; each; each = each->next) bytes += each->count * sizeof(real);
    return bytes;
}

tensor *graph_state(graph *g, const char *name, int rank, const int *shape) {
    tensor *t = graph_tensor(g, TENSOR_STATE, rank, shape);
    const char *full = arena_format(g->memory, "%s/%s", g->path, name);
    state *found = g->states->first;
    while (found && strcmp(found->name, full) != 0) found = found->next;
    if (!found) {
        found = memory_alloc(sizeof *found);
        *found = (state){memory_copy_text(full), memory_alloc(t->count * sizeof(real)), t->count,
                         g->states->first};
        g->states->first = found;
    }
    t->data = found->data;
    return t;
}

void state_append_rows(tensor *to, const tensor *x) {
    const size_t width = (size_t)x->shape[2], kept = (size_t)to->shape[1] * width;
    const size_t given = (size_t)x->shape[1] * width, fresh = given < kept ? given : kept;
    for (size_t b = 0; b < (size_t)x->shape[0]; b++) {
        real *rows = to->data + b * kept;
        memmove(rows, rows + fresh, (kept - fresh) * sizeof *rows);
        memcpy(rows + kept - fresh, x->data + (b + 1) * given - fresh, fresh * sizeof *rows);
    }
}
