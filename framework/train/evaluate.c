#include "train/evaluate.h"

#include "data/batches.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_LANES = 32, LEAST_TARGETS = 1024 }; // of a lane

struct evaluator {
    model_graph built;
    evaluator_options options;
    int batch, block_size;
    state_set *states;      // at least MOST_LANES, whole passes; NULL: windows
    int32_t *ids, *targets; // batch x block_size
    bool *begins;           // the same: tokens that begin a document
    int filled;             // rows
};

// Reads tokens from `begin` on and scores targets scored .. end - 1, counted in the split.
typedef struct lane {
    size_t begin, scored, end;
} lane;

// Sums over the tokens scored so far.
typedef struct total {
    double nll;
    size_t tokens, characters, bytes, unknown; // bytes: of the known ones
} total;

evaluator_options evaluator_options_of(const experiment *e, int batch, int64_t stride) {
    const int64_t block_size = e->dataset.block_size;
    if (stride == 0) stride = e->evaluation.stride;
    if (stride == 0 || stride > block_size) stride = block_size;
    return (evaluator_options){.batch = batch,
                               .carries_state = batches_carry_state(&e->dataset.batches),
                               .stride = (int)stride,
                               .warmup_tokens = (int)e->evaluation.warmup_tokens};
}

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

static void open_rows(evaluator *e, const evaluator_options *options) {
    const bool lanes = options->carries_state;
    e->options = *options;
    e->batch = lanes && options->batch > MOST_LANES ? MOST_LANES : options->batch;
    if (lanes) e->states = states_new(divide_up(MOST_LANES, e->batch) * e->batch);
    const size_t count = (size_t)e->batch * (size_t)e->block_size;
    e->ids = memory_alloc(count * sizeof *e->ids);
    e->targets = memory_alloc(count * sizeof *e->targets);
    e->begins = memory_alloc(count * sizeof *e->begins);
}

status evaluator_new(model *m, const evaluator_options *options, const graph *lender, evaluator **out,
                     error *err) {
    evaluator *e = memory_alloc(sizeof *e);
    e->block_size = m->block_size;
    open_rows(e, options);
    *out = e;
    const graph_options of_graph = {.batch = e->batch,
                                    .time = m->block_size,
                                    .packs_weights = true,
                                    .states = e->states,
                                    .attention_restarts = true};
    status result = model_build(m, &of_graph, true, &e->built, err);
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
    states_free(e->states);
    free(e->ids);
    free(e->targets);
    free(e->begins);
    free(e);
}

size_t evaluator_bytes(const evaluator *e) {
    const graph *g = e->built.graph;
    const size_t states = e->states ? states_bytes(e->states) : 0;
    return states + (g->borrowed ? 0 : g->plan_bytes + g->workspace_bytes);
}

// Scores the rows filled so far and adds them up in order. first: the lane of the first one.
static void flush(evaluator *e, int first, const tokenizer *t, total *sum) {
    size_t count = (size_t)e->filled * (size_t)e->block_size,
           all = (size_t)e->batch * (size_t)e->block_size;
    if (count == 0) return;
    for (size_t i = count; i < all; i++) e->ids[i] = 0, e->targets[i] = -1, e->begins[i] = false;
    tokens_bind(e->built.ids, e->ids);
    tokens_bind(e->built.targets, e->targets);
    graph_forward(e->built.graph, &(run_context){.lane = first, .gradient_scale = 1, .begins = e->begins});
    int32_t unknown = tokenizer_unknown(t);
    for (size_t i = 0; i < count; i++) {
        if (e->targets[i] < 0) continue;
        sum->nll += (double)e->built.losses->data[i];
        sum->tokens++;
        sum->characters += (size_t)tokenizer_characters(t, e->targets[i]);
        sum->bytes += (size_t)tokenizer_bytes(t, e->targets[i]);
        sum->unknown += e->targets[i] == unknown;
    }
    e->filled = 0;
}

// Fills a row with the tokens from `first` on, of which the targets scored .. end - 1 are scored.
static void fill_row(evaluator *e, const split_tokens *part, size_t first, size_t scored, size_t end) {
    const size_t row = (size_t)e->filled++ * (size_t)e->block_size;
    for (size_t i = 0; i < (size_t)e->block_size; i++) {
        size_t at = first + i;
        bool inside = at + 1 < part->count;
        e->ids[row + i] = inside ? part->tokens[at] : 0;
        e->begins[row + i] = inside && split_begins_document(part, at);
        e->targets[row + i] = inside && at >= scored && at < end ? part->tokens[at + 1] : -1;
    }
}

static void add_window(evaluator *e, const split_tokens *part, size_t first, size_t scored,
                       const tokenizer *t, total *sum) {
    fill_row(e, part, first, scored, part->count);
    if (e->filled == e->batch) flush(e, 0, t, sum);
}

// The bytes of unknown tokens, of which the ids say nothing.
static double unknown_bytes(const total *sum, const split_tokens *part) {
    return sum->unknown && part->unknown
               ? (double)sum->unknown * (double)part->unknown_bytes / (double)part->unknown
               : 0;
}

static void conclude(const total *sum, const split_tokens *part, const tokenizer *t, evaluation *out) {
    const double bytes = (double)sum->bytes + unknown_bytes(sum, part);
    const double lossless = sum->nll + (double)sum->unknown * tokenizer_unknown_nats(t);
    out->tokens = sum->tokens;
    out->loss = sum->tokens ? sum->nll / (double)sum->tokens : NAN;
    out->perplexity = exp(out->loss);
    out->bits_per_char = sum->characters ? sum->nll / (log(2) * (double)sum->characters) : NAN;
    out->bits_per_byte = bytes > 0 ? lossless / (log(2) * bytes) : NAN;
    out->unknown_rate = sum->tokens ? (double)sum->unknown / (double)sum->tokens : 0;
}

// --- windows

static void score_windows(evaluator *e, const split_tokens *part, const tokenizer *t, total *sum) {
    size_t targets = part->count > 0 ? part->count - 1 : 0, block = (size_t)e->block_size;
    for (size_t scored = 0; scored < targets;) {
        // `scored` targets are done: the next window ends with the next `stride` of them (the first:
        // block_size).
        size_t end = scored == 0 ? block : scored + (size_t)e->options.stride;
        if (end > targets) end = targets;
        add_window(e, part, end > block ? end - block : 0, scored, t, sum);
        scored = end;
    }
    flush(e, 0, t, sum);
}

// `count` windows spread evenly.
static void sample_windows(evaluator *e, const split_tokens *part, size_t count, const tokenizer *t,
                           total *sum) {
    const size_t block = (size_t)e->block_size, targets = part->count - 1;
    for (size_t i = 0; i < count; i++) {
        size_t first = count > 1 ? i * (targets - block) / (count - 1) : 0;
        add_window(e, part, first, first, t, sum);
    }
    flush(e, 0, t, sum);
}

// --- lanes

static size_t lanes_for(size_t targets) {
    const size_t lanes = targets / LEAST_TARGETS;
    return lanes > MOST_LANES ? MOST_LANES : lanes ? lanes : 1;
}

static lane lane_of(const evaluator *e, size_t scored, size_t end) {
    const size_t warmup = (size_t)e->options.warmup_tokens;
    return (lane){scored > warmup ? scored - warmup : 0, scored, end};
}

static void score_lanes(evaluator *e, const split_tokens *part, const lane *lanes, size_t count,
                        const tokenizer *t, total *sum) {
    size_t longest = 0;
    for (size_t i = 0; i < count; i++)
        if (lanes[i].end - lanes[i].begin > longest) longest = lanes[i].end - lanes[i].begin;
    states_reset(e->states);
    for (size_t read = 0; read < longest; read += (size_t)e->block_size)
        for (size_t i = 0; i < count; i++) {
            fill_row(e, part, lanes[i].begin + read, lanes[i].scored, lanes[i].end);
            if (e->filled == e->batch || i + 1 == count) flush(e, (int)(i + 1) - e->filled, t, sum);
        }
}

// Lanes that are the whole split.
static void score_all_lanes(evaluator *e, const split_tokens *part, const tokenizer *t, total *sum) {
    const size_t targets = part->count > 0 ? part->count - 1 : 0, count = lanes_for(targets);
    lane lanes[MOST_LANES];
    for (size_t i = 0; i < count; i++)
        lanes[i] = lane_of(e, i * targets / count, (i + 1) * targets / count);
    score_lanes(e, part, lanes, count, t, sum);
}

// Lanes of max_tokens targets together, spread evenly.
static void sample_lanes(evaluator *e, const split_tokens *part, size_t max_tokens, const tokenizer *t,
                         total *sum) {
    const size_t targets = part->count - 1, count = lanes_for(max_tokens), length = max_tokens / count;
    lane lanes[MOST_LANES];
    for (size_t i = 0; i < count; i++) {
        const size_t first = count > 1 ? i * (targets - length) / (count - 1) : 0;
        lanes[i] = lane_of(e, first, first + length);
    }
    score_lanes(e, part, lanes, count, t, sum);
}

// --- splits

void evaluate_split(evaluator *e, const split_tokens *part, const tokenizer *t, evaluation *out) {
    total sum = {0};
    (e->states ? score_all_lanes : score_windows)(e, part, t, &sum);
    conclude(&sum, part, t, out);
}

void evaluate_sample(evaluator *e, const split_tokens *part, const tokenizer *t, size_t max_tokens,
                     evaluation *out) {
    const size_t block = (size_t)e->block_size, targets = part->count > 0 ? part->count - 1 : 0;
    const size_t windows = max_tokens / block ? max_tokens / block : 1;
    if ((e->states ? max_tokens : windows * block) >= targets) {
        evaluate_split(e, part, t, out);
        return;
    }
    total sum = {0};
    if (e->states)
        sample_lanes(e, part, max_tokens, t, &sum);
    else
        sample_windows(e, part, windows, t, &sum);
    conclude(&sum, part, t, out);
}
