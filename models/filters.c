#include "models/filters.h"

#include <string.h>

// Marks the operators that t is computed by.
static void mark_makers(const graph *g, const tensor *t, bool *needed) {
    if (!t || !t->producer) return;
    for (int k = 0; k < g->op_count; k++) {
        const op *o = g->ops[k];
        if (o != t->producer || needed[k]) continue;
        needed[k] = true;
        for (int i = 0; i < o->in_count; i++) mark_makers(g, o->in[i], needed);
    }
}

static void copy(const graph_filter *f, int lags, arena *a, model_filter *out) {
    const size_t width = (size_t)tensor_width(f->taps), channels = (size_t)f->channels;
    real *taps = arena_alloc(a, (size_t)lags * channels * sizeof *taps);
    for (int k = 0; k < lags; k++)
        memcpy(taps + (size_t)k * channels, f->taps->data + (size_t)k * width + f->column,
               channels * sizeof *taps);
    *out = (model_filter){arena_copy_text(a, f->path), lags, f->channels, taps};
}

// Runs the operators that filters are computed by, in order. The next may overwrite what one has made, so
// filters are copied at once.
static void compute(const graph *g, int block_size, arena *a, model_filter *out) {
    const run_context context = {.gradient_scale = 1};
    bool *needed = arena_alloc(a, (size_t)g->op_count * sizeof *needed);
    for (int i = 0; i < g->filter_count; i++) mark_makers(g, g->filters[i].taps, needed);
    for (int k = -1; k < g->op_count; k++) { // -1: filters that are parameters themselves
        if (k >= 0 && !needed[k]) continue;
        if (k >= 0) g->ops[k]->kind->forward(g, &context, g->ops[k]);
        for (int i = 0; i < g->filter_count; i++) {
            const tensor *t = g->filters[i].taps;
            if (t->producer != (k < 0 ? NULL : g->ops[k])) continue;
            const int rows = (int)(t->count / (size_t)tensor_width(t));
            copy(&g->filters[i], rows < block_size ? rows : block_size, a, &out[i]);
        }
    }
}

status model_filters(model *m, arena *a, model_filter **out, int *count, error *err) {
    model_graph built;
    *count = 0;
    // Memory only when there is something to compute.
    TRY(model_build(m, GRAPH_EVAL, 1, m->block_size, NULL, false, &built, err));
    status result = OK;
    const graph *g = built.graph;
    if (g->filter_count > 0 && (result = graph_place(built.graph, NULL, err)) == OK) {
        *count = g->filter_count;
        *out = arena_alloc(a, (size_t)*count * sizeof **out);
        compute(g, m->block_size, a, *out);
    }
    graph_free(built.graph);
    return result;
}
