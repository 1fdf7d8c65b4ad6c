// Causal self-attention (arXiv 1706.03762) without the time x time matrix (arXiv 2205.14135): blocks of
// keys pass by tiles of queries, whose softmax runs along: when a larger score turns up, what was summed up
// so far shrinks. Grouped heads: arXiv 2305.13245. The backward pass: backward.c.
#include "kernels/attention/parts.h"
#include "kernels/declarations.h"

static const real LN_2 = (real)0.69314718055994530942;

size_t attention_workspace(const attention_shape *shape, int threads) {
    scratch unused;
    return scale_gradients_bytes(shape) +
           (size_t)threads * scratch_layout(shape, NULL, &unused) * sizeof(real);
}

// The scores of ROWS keys from row j of the block on, for a panel of queries; raises the maxima.
static ALWAYS_INLINE void score_rows(const int skipped, const bool all, const attention_call *c,
                                     const piece *p, int panel, int j, const scratch *w,
                                     const real *q_panel, vec high[2]) {
    vec sums[ROWS][2];
    multiply_across(skipped, c->shape.head_size, w->keys + j * c->width, c->width, q_panel, NULL, sums);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < 2 - skipped; v++) {
            const int lane = (v + skipped) * VEC;
            vec score = sums[r][v];
            if (!all)
                score = vec_select(sees(p->first + panel + lane, p->key + j + r, c->reach), score,
                                   vec_set(INVISIBLE));
            vec_store(w->scores + (j + r) * LANES + lane, score);
            high[v + skipped] = vec_max(score, high[v + skipped]);
        }
}

// Scores of ROWS keys into exponentials, and adds them to the totals.
static ALWAYS_INLINE void exponential_rows(const int skipped, const bool all, real *scores,
                                           const vec high[2], vec totals[2]) {
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = skipped; v < 2; v++) {
            const vec score = vec_load(scores + r * LANES + v * VEC);
            vec e = vec_exp2(score - high[v]);
            if (!all) e = vec_select(score > INVISIBLE, e, (vec){0});
            vec_store(scores + r * LANES + v * VEC, e);
            totals[v] += e;
        }
}

// The softmax of a panel of queries goes on with a block of keys: scores become exponentials of what they
// are above the maximum, and factors tell by how much the rise of the maximum shrinks earlier ones.
static void continue_softmax(const attention_call *c, const piece *p, int panel, const scratch *w,
                             const real *q_panel, real *maxima, real *totals, real *factors,
                             row_queue *queue) {
    const int query = p->first + panel;
    int begin, end;
    visible_keys(c, p, query, query + LANES, &begin, &end);
    const vec before[2] = {vec_load(maxima), vec_load(maxima + VEC)};
    vec high[2] = {before[0], before[1]}, sums[2] = {{0}, {0}};
    for (int j = begin; j < end; j += ROWS) {
        fetch_rows(queue);
        const visibility seen = visibility_of(c, query, p->key + j);
        if (seen == ALL_VISIBLE)
            score_rows(0, true, c, p, panel, j, w, q_panel, high);
        else if (seen == SOME_VISIBLE)
            score_rows(0, false, c, p, panel, j, w, q_panel, high);
        else
            score_rows(1, false, c, p, panel, j, w, q_panel, high);
    }
    for (int j = begin; j < end; j += ROWS) {
        const visibility seen = visibility_of(c, query, p->key + j);
        real *scores = w->scores + j * LANES;
        if (seen == ALL_VISIBLE)
            exponential_rows(0, true, scores, high, sums);
        else if (seen == SOME_VISIBLE)
            exponential_rows(0, false, scores, high, sums);
        else
            exponential_rows(1, false, scores, high, sums);
    }
    for (int v = 0; v < 2; v++) {
        const vec factor = vec_exp2(before[v] - high[v]);
        vec_store(factors + v * VEC, factor);
        vec_store(maxima + v * VEC, high[v]);
        vec_store(totals + v * VEC, vec_load(totals + v * VEC) * factor + sums[v]);
    }
    if (c->mask) drop_scores(c, p, panel, begin, end, LANES, w->scores, w->scores);
}

// The sums of a panel of queries are complete: writes their logarithms, and puts into factors what makes
// outputs of them.
static void finish_softmax(const attention_call *c, int queries, const real *maxima, const real *totals,
                           real *lse, real *factors) {
    const real kept = c->mask ? dropout_factor(c->mask->p) : 1;
    for (int r = 0; r < LANES; r += VEC) {
        const vec total = vec_load(totals + r);
        if (r < queries) vec_put(lse + r, vec_load(maxima + r) * LN_2 + vec_log(total), queries - r);
        vec_store(factors + r, kept / total);
    }
}

// A tile of queries, the `row`th of its part on, attends to a block of keys. begins: to its first; ends: to
// its last, which completes out and lse, of the tile.
static void attend(const attention_call *c, const piece *p, int row, bool begins, bool ends,
                   const scratch *w, real *out, real *lse, row_queue *queue) {
    for (int panel = 0; panel < p->queries; panel += LANES) {
        real shrinking[LANES] __attribute__((aligned(64))), last[LANES] __attribute__((aligned(64)));
        const int at = row + panel, queries = smaller(LANES, p->queries - panel);
        continue_softmax(c, p, panel, w, w->q_panels + at * c->shape.head_size, w->maxima + at,
                         w->totals + at, shrinking, queue);
        if (ends) finish_softmax(c, queries, w->maxima + at, w->totals + at, lse + panel, last);
        for (int r = 0; r < queries; r += ROWS) {
            const int query = p->first + panel + r;
            int begin, end;
            visible_keys(c, p, query, query + ROWS, &begin, &end);
            if (begin >= end && !begins && !ends) continue;
            fetch_rows(queue);
            const result_rows result = {out + (panel + r) * c->ldo, c->ldo,   queries - r,
                                        c->shape.head_size,         last + r, false};
            accumulate_queries(end - begin, w->scores + begin * LANES + r, LANES,
                               w->values + begin * c->width, c->width, begins, shrinking + r,
                               w->out + (at + r) * c->width, ends ? &result : NULL);
        }
    }
}

// A part of the queries of a head of the batch, all of whose work this is.
typedef struct forward_task {
    int b, head, first;
    const real *q, *keys, *values; // the part's queries; keys and values of the whole sequence
} forward_task;

// The parts of a head follow each other, longest first.
static forward_task task_of(const attention_call *c, const real *qkv, int number) {
    const attention_shape *s = &c->shape;
    const int parts = divide_up(s->time, PART), head = number / parts % s->heads;
    const int kv = head / (s->heads / s->kv_heads);
    forward_task t = {.b = number / parts / s->heads, .head = head};
    t.first = (parts - 1 - number % parts) * PART;
    const real *rows = qkv + (ptrdiff_t)t.b * s->time * c->ld;
    t.q = rows + t.first * c->ld + head * s->head_size;
    t.keys = rows + attention_key_column(s) + kv * s->head_size;
    t.values = rows + attention_value_column(s) + kv * s->head_size;
    return t;
}

// What is needed after the block of keys from `key` on: the next block of this part or of the next one, and
// queries of that.
static row_queue queue_after(const attention_call *c, const forward_task *t, const forward_task *next,
                             int key, int end, real *to) {
    const int size = c->shape.head_size, begin = round_down(first_visible(c, next->first), SPAN);
    row_queue queue = {.rows = smaller(SPAN, end - key), .bytes = size * (int)sizeof(real)};
    if (key >= t->first) queue_rows(&queue, to + (key - t->first) * c->ldo, c->ldo);
    if (key >= t->first) queue_rows(&queue, next->q + (key - t->first) * c->ld, c->ld);
    const bool last = key + SPAN >= end;
    if (!last) queue.rows = smaller(queue.rows, end - key - SPAN);
    const ptrdiff_t at = (last ? begin : key + SPAN) * c->ld;
    queue_rows(&queue, (last ? next : t)->keys + at, c->ld);
    queue_rows(&queue, (last ? next : t)->values + at, c->ld);
    plan_queue(c, &queue, end - larger(t->first, key), 1, 1);
    return queue;
}

static void forward_part(const attention_call *c, const forward_task *t, const forward_task *next,
                         real *out, real *lse, const scratch *w) {
    const attention_shape *s = &c->shape;
    const int first = t->first, queries = smaller(PART, s->time - first), end = first + queries;
    real *to = out + ((ptrdiff_t)t->b * s->time + first) * c->ldo + t->head * s->head_size;
    real *to_lse = lse + ((ptrdiff_t)t->b * s->heads + t->head) * s->time + first;
    pack_panels(queries, s->head_size, t->q, c->ld, s->scale * LOG2_E, w->q_panels, NULL, 0);
    for (int r = 0; r < queries; r += VEC) {
        vec_store(w->maxima + r, vec_set(INVISIBLE));
        vec_store(w->totals + r, (vec){0});
    }
    const int begin = round_down(first_visible(c, first), SPAN);
    for (int key = begin; key < end; key += SPAN) {
        const int count = smaller(SPAN, end - key), padded = round_up(count, ROWS);
        pack_rows(count, padded, s->head_size, c->width, t->keys + key * c->ld, c->ld, 1, w->keys);
        pack_rows(count, padded, s->head_size, c->width, t->values + key * c->ld, c->ld, 1, w->values);
        row_queue queue = queue_after(c, t, next, key, end, to);
        for (int tile = larger(first, key); tile < end; tile += SPAN) {
            const int nearest = round_down(first_visible(c, tile), SPAN);
            if (nearest > key) break;
            const piece p = {t->b * s->heads + t->head, tile, smaller(SPAN, end - tile), key, count};
            attend(c, &p, tile - first, key == nearest, key == tile, w, to + (tile - first) * c->ldo,
                   to_lse + tile - first, &queue);
        }
    }
}

typedef struct forward_call {
    attention_call c;
    int tasks;
    const real *qkv;
    real *out, *lse;
    void *workspace;
} forward_call;

static void forward_tasks(const void *context, pool_share share) {
    const forward_call *f = context;
    const scratch w = scratch_of_thread(&f->c.shape, f->workspace, share.thread);
    for (int task = share.begin; task < share.end; task++) {
        const forward_task t = task_of(&f->c, f->qkv, task),
                           next = task_of(&f->c, f->qkv, smaller(task + 1, f->tasks - 1));
        forward_part(&f->c, &t, &next, f->out, f->lse, &w);
    }
}

void attention_forward(const attention_shape *shape, const dropout_mask *mask, const real *qkv, real *out,
                       real *lse, void *workspace) {
    const int tasks = shape->batch * shape->heads * divide_up(shape->time, PART);
    const forward_call f = {new_call(shape, mask), tasks, qkv, out, lse, workspace};
    parallel_for(tasks, attention_operations(&f.c), forward_tasks, &f);
}
