#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>

struct evaluator {
    model_graph built;
    int batch, block_size, stride;
    int32_t *ids, *targets; // batch x block_size
    int filled;             // rows
};

// Sums over the tokens scored so far.
typedef struct total {
    double nll;
    size_t tokens, characters, unknown;
} total;

status evaluator_new(model *m, int batch, int stride, const graph *lender, evaluator **out, error *err) {
    evaluator *e = memory_alloc(sizeof *e);
    e->batch = batch;
    e->block_size = m->block_size;
    e->stride = stride;
    size_t count = (size_t)batch * (size_t)m->block_size;
    e->ids = memory_alloc(count * sizeof *e->ids);
    e->targets = memory_alloc(count * sizeof *e->targets);
    *out = e;
    const graph_options options = {.batch = batch, .time = m->block_size, .packs_weights = true};
    status result = model_build(m, &options, true, &e->built, err);
    if (result == OK) result = graph_place(e->built.graph, lender, err);
    if (result != OK) {
        evaluator_free(e);
        *out = NULL;
    }
    return result;
}

void evaluator_free(evaluator *e) {
    if (!e) return;
    graph_free(e->built.graph);
    free(e->ids);
    free(e->targets);
    free(e);
}

size_t evaluator_bytes(const evaluator *e) {
    const graph *g = e->built.graph;
    return g->borrowed ? 0 : g->plan_bytes + g->workspace_bytes;
}

// Scores the rows filled so far and adds them up in order.
static void flush(evaluator *e, const tokenizer *t, total *sum) {
    size_t count = (size_t)e->filled * (size_t)e->block_size,
           all = (size_t)e->batch * (size_t)e->block_size;
    if (count == 0) return;
    for (size_t i = count; i < all; i++) e->ids[i] = 0, e->targets[i] = -1;
    tokens_bind(e->built.ids, e->ids);
    tokens_bind(e->built.targets, e->targets);
    graph_forward(e->built.graph, &(run_context){.gradient_scale = 1});
    int32_t unknown = tokenizer_unknown(t);
    for (size_t i = 0; i < count; i++) {
        if (e->targets[i] < 0) continue;
        sum->nll += (double)e->built.losses->data[i];
        sum->tokens++;
        sum->characters += (size_t)tokenizer_characters(t, e->targets[i]);
        sum->unknown += e->targets[i] == unknown;
    }
    e->filled = 0;
}

// Adds the window that starts at token `first`, of which the targets from `scored` on (counted in the
// split) are scored.
static void add_window(evaluator *e, const split_tokens *part, size_t first, size_t scored,
                       const tokenizer *t, total *sum) {
    size_t row = (size_t)e->filled * (size_t)e->block_size;
    for (size_t i = 0; i < (size_t)e->block_size; i++) {
        size_t at = first + i;
        bool inside = at + 1 < part->count;
        e->ids[row + i] = inside ? part->tokens[at] : 0;
        e->targets[row + i] = inside && at >= scored ? part->tokens[at + 1] : -1;
    }
    if (++e->filled == e->batch) flush(e, t, sum);
}

static void conclude(const total *sum, evaluation *out) {
    out->tokens = sum->tokens;
    out->loss = sum->tokens ? sum->nll / (double)sum->tokens : NAN;
    out->perplexity = exp(out->loss);
    out->bits_per_char = sum->characters ? sum->nll / (log(2) * (double)sum->characters) : NAN;
    out->unknown_rate = sum->tokens ? (double)sum->unknown / (double)sum->tokens : 0;
}

void evaluate_split(evaluator *e, const split_tokens *part, const tokenizer *t, evaluation *out) {
    size_t targets = part->count > 0 ? part->count - 1 : 0, block = (size_t)e->block_size;
    total sum = {0};
    for (size_t scored = 0; scored < targets;) {
        // `scored` targets are done: the next window ends with the next `stride` of them (the first:
        // block_size).
        size_t end = scored == 0 ? block : scored + (size_t)e->stride;
        if (end > targets) end = targets;
        add_window(e, part, end > block ? end - block : 0, scored, t, &sum);
        scored = end;
    }
    flush(e, t, &sum);
    conclude(&sum, out);
}

void evaluate_sample(evaluator *e, const split_tokens *part, const tokenizer *t, size_t max_tokens,
                     evaluation *out) {
    size_t block = (size_t)e->block_size, targets = part->count > 0 ? part->count - 1 : 0;
    size_t windows = max_tokens / block ? max_tokens / block : 1;
    if (windows * block >= targets) {
        evaluate_split(e, part, t, out);
        return;
    }
    total sum = {0};
    for (size_t i = 0; i < windows; i++) {
        size_t first = windows > 1 ? i * (targets - block) / (windows - 1) : 0;
        add_window(e, part, first, first, t, &sum);
    }
    flush(e, t, &sum);
    conclude(&sum, out);
}
