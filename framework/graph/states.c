// Carried state by name: the first graph that uses a state makes it, later ones share it.
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

struct state_set {
    carried_state *first;
    int lanes;
};

state_set *states_new(int lanes) {
    state_set *s = memory_alloc(sizeof *s);
    s->lanes = lanes;
    return s;
}

void states_free(state_set *s) {
    if (!s) return;
    for (carried_state *each = s->first; each;) {
        carried_state *next = each->next;
        free((char *)each->name);
        free(each->data);
        free(each);
        each = next;
    }
    free(s);
}

static size_t bytes_of(const carried_state *s) {
    return (size_t)s->shape[0] * (size_t)s->shape[1] * sizeof(real);
}

void states_reset(state_set *s) {
    for (carried_state *each = s->first; each; each = each->next) memset(each->data, 0, bytes_of(each));
}

const carried_state *states_first(const state_set *s) {
    return s->first;
}

static carried_state *find(const state_set *s, const char *name) {
    carried_state *found = s->first;
    while (found && strcmp(found->name, name) != 0) found = found->next;
    return found;
}

void states_spread(const state_set *from, state_set *to) {
    for (const carried_state *each = to->first; each; each = each->next) {
        const carried_state *one = find(from, each->name);
        for (size_t lane = 0; lane < (size_t)each->shape[0]; lane++)
            memcpy(each->data + lane * (size_t)each->shape[1], one->data, bytes_of(one));
    }
}

size_t states_bytes(const state_set *s) {
    size_t bytes = 0;
    for (const carried_state *each = s->first; each; each = each->next) bytes += bytes_of(each);
    return bytes;
}

static bool is_taken(const graph *g, const char *full) {
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->state && strcmp(g->tensors[i]->state->name, full) == 0) return true;
    return false;
}

// Graphs of one model build the same layers in the same order: where a layer has several states of a name,
// numbers tell which it is.
static const char *full_name(const graph *g, const char *name) {
    const char *full = arena_format(g->memory, "%s/%s", g->path, name);
    for (int number = 2; is_taken(g, full); number++)
        full = arena_format(g->memory, "%s/%s%d", g->path, name, number);
    return full;
}

tensor *graph_state(graph *g, const char *name, int rank, const int *shape) {
    state_set *set = g->options.states;
    const char *full = full_name(g, name);
    tensor *t = graph_tensor(g, TENSOR_STATE, rank, shape);
    carried_state *found = find(set, full);
    if (!found) {
        found = memory_alloc(sizeof *found);
        *found = (carried_state){.name = memory_copy_text(full),
                                 .shape = {set->lanes, (int)(t->count / (size_t)g->batch)},
                                 .next = set->first};
        found->data = memory_alloc(bytes_of(found));
        set->first = found;
    }
    t->state = found;
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
