#include "models/filters.h"

#include <string.h>

static void copy(const graph_filter *f, int lags, arena *a, model_filter *out) {
    const size_t width = (size_t)tensor_width(f->taps), channels = (size_t)f->channels;
    real *taps = arena_alloc(a, (size_t)lags * channels * sizeof *taps);
    for (int k = 0; k < lags; k++)
        memcpy(taps + (size_t)k * channels, f->taps->data + (size_t)k * width + f->column,
               channels * sizeof *taps);
    *out = (model_filter){arena_copy_text(a, f->path), lags, f->channels, taps};
}

status model_filters(model *m, arena *a, model_filter **out, int *count, error *err) {
    model_graph built;
    *count = 0;
    TRY(model_build(m, &(graph_options){.batch = 1, .time = m->block_size}, false, &built, err));
    status result = OK;
    graph *g = built.graph;
    // Memory only when there is something to compute.
    if (g->filter_count > 0 && (result = graph_place(g, NULL, err)) == OK) {
        *count = g->filter_count;
        *out = arena_alloc(a, (size_t)*count * sizeof **out);
        graph_derive(g, &(run_context){0});
        for (int i = 0; i < *count; i++) {
            const tensor *taps = g->filters[i].taps;
            const int rows = (int)(taps->count / (size_t)tensor_width(taps));
            copy(&g->filters[i], rows < m->block_size ? rows : m->block_size, a, &(*out)[i]);
        }
    }
    graph_free(g);
    return result;
}
