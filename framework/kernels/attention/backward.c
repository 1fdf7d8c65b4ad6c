// The gradients of causal self-attention (arXiv 2205.14135): scores are made again, from the logarithms of
// the softmax sums that the forward pass saved (attention.c).
#include "kernels/attention/parts.h"
#include "kernels/declarations.h"

#include <string.h>

static NEVER_INLINE real dot(int n, const real *a, const real *b) {
    vec sum = {0};
    for (int i = 0; i < n; i += VEC) sum += vec_get(a + i, n - i) * vec_get(b + i, n - i);
    return vec_sum(sum);
}

// What a tile's queries start with, beside its matrices.
typedef struct query_values {
    real lse[SPAN], delta[SPAN]; // both negative; lse to the base of 2
} query_values;

// Probabilities of ROWS keys, for a panel of queries.
static ALWAYS_INLINE void probability_rows(const int skipped, const bool all, const attention_call *c,
                                           const piece *p, int panel, int j, const scratch *w,
                                           const real *keys, const query_values *start) {
    vec sums[ROWS][2];
    multiply_across(skipped, c->shape.head_size, keys + j * c->width, c->width,
                    w->q_panels + panel * c->shape.head_size, start->lse + panel, sums);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < 2 - skipped; v++) {
            const int lane = panel + (v + skipped) * VEC;
            vec probability = vec_exp2(sums[r][v]);
            if (!all)
                probability =
                    vec_select(sees(p->first + lane, p->key + j + r, c->reach), probability, (vec){0});
            vec_store(w->scores + (j + r) * SPAN + lane, probability);
        }
}

// Probabilities of ROWS keys, for a panel of queries, into gradients of scores.
static ALWAYS_INLINE void gradient_rows(const int skipped, const bool dropout, const attention_call *c,
                                        int panel, int j, const scratch *w, const real *values,
                                        const query_values *start) {
    vec sums[ROWS][2];
    multiply_across(skipped, c->shape.head_size, values + j * c->width, c->width,
                    w->dout_panels + panel * c->shape.head_size, dropout ? NULL : start->delta + panel,
                    sums);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < 2 - skipped; v++) {
            const int lane = panel + (v + skipped) * VEC;
            real *score = w->scores + (j + r) * SPAN + lane;
            const vec probability = vec_load(score);
            if (dropout)
                vec_store(score, vec_load(w->kept + (j + r) * SPAN + lane) * sums[r][v] +
                                     probability * vec_load(start->delta + lane));
            else
                vec_store(score, probability * sums[r][v]);
        }
}

static void make_probabilities(const attention_call *c, const piece *p, int panel, const scratch *w,
                               const real *keys, const query_values *start, row_queue *queue) {
    const int query = p->first + panel;
    int begin, end;
    visible_keys(c, p, query, query + LANES, &begin, &end);
    for (int j = begin; j < end; j += ROWS) {
        fetch_rows(queue);
        const visibility seen = visibility_of(c, query, p->key + j);
        if (seen == ALL_VISIBLE)
            probability_rows(0, true, c, p, panel, j, w, keys, start);
        else if (seen == SOME_VISIBLE)
            probability_rows(0, false, c, p, panel, j, w, keys, start);
        else
            probability_rows(1, false, c, p, panel, j, w, keys, start);
    }
    if (c->mask) drop_scores(c, p, panel, begin, end, SPAN, w->scores + panel, w->kept + panel);
}

static void make_gradients(const attention_call *c, const piece *p, int panel, const scratch *w,
                           const real *values, const query_values *start, row_queue *queue) {
    const int query = p->first + panel;
    int begin, end;
    visible_keys(c, p, query, query + LANES, &begin, &end);
    for (int j = begin; j < end; j += ROWS) {
        fetch_rows(queue);
        const bool half = visibility_of(c, query, p->key + j) == SECOND_SOME_VISIBLE;
        if (c->mask && half)
            gradient_rows(1, true, c, panel, j, w, values, start);
        else if (c->mask)
            gradient_rows(0, true, c, panel, j, w, values, start);
        else if (half)
            gradient_rows(1, false, c, panel, j, w, values, start);
        else
            gradient_rows(0, false, c, panel, j, w, values, start);
    }
}

// sums (of the block's keys) += scores across rows (of the tile's queries).
static void add_to_keys(const attention_call *c, const piece *p, const real *scores, const real *rows,
                        bool begins, real *sums, row_queue *queue) {
    for (int j = 0; j < p->keys; j += ROWS) {
        const int key = p->key + j;
        const int begin = larger(0, key - p->first),
                  end = smaller(p->queries, key + ROWS - 1 + c->reach - p->first);
        if (begin >= end && !begins) continue;
        fetch_rows(queue);
        accumulate_keys(end - begin, scores + j * SPAN + begin, rows + begin * c->width, c->width, begins,
                        sums + j * c->width);
    }
}

// What a tile and a block give to the gradients. offset: of the block in the part of keys. dq: when this is
// the last block that the tile sees in the part, where the gradients of its queries go.
static void add_gradients(const attention_call *c, const piece *p, int offset, bool keys_begin,
                          bool queries_begin, const query_values *start, const scratch *w, real *dq,
                          bool adds, row_queue *queue) {
    const ptrdiff_t at = (ptrdiff_t)offset * c->width;
    for (int panel = 0; panel < p->queries; panel += LANES)
        make_probabilities(c, p, panel, w, w->keys + at, start, queue);
    add_to_keys(c, p, c->mask ? w->kept : w->scores, w->dout, keys_begin, w->value_gradients + at, queue);
    for (int panel = 0; panel < p->queries; panel += LANES)
        make_gradients(c, p, panel, w, w->values + at, start, queue);
    add_to_keys(c, p, w->scores, w->q, keys_begin, w->key_gradients + at, queue);
    real scales[ROWS];
    for (int r = 0; r < ROWS; r++) scales[r] = c->shape.scale;
    for (int r = 0; r < p->queries; r += ROWS) {
        int begin, end;
        visible_keys(c, p, p->first + r, p->first + r + ROWS, &begin, &end);
        if (begin >= end && !queries_begin && !dq) continue;
        fetch_rows(queue);
        const result_rows result = {dq ? dq + r * c->ld : NULL, c->ld,  p->queries - r,
                                    c->shape.head_size,         scales, adds};
        accumulate_queries(end - begin, w->scores + begin * SPAN + r, SPAN, w->keys + at + begin * c->width,
                           c->width, queries_begin, NULL, w->out + r * c->width, dq ? &result : NULL);
    }
}

// Writes or adds rows times factor into a matrix.
static NEVER_INLINE void unpack_rows(const attention_call *c, int count, const real *rows, real factor,
                                     bool adds, real *to) {
    for (int r = 0; r < count; r++)
        for (int i = 0; i < c->shape.head_size; i += VEC) {
            const int left = c->shape.head_size - i;
            vec v = vec_load(rows + r * c->width + i) * factor;
            if (adds) v += vec_get(to + r * c->ld + i, left);
            vec_put(to + r * c->ld + i, v, left);
        }
}

typedef struct backward_arrays {
    const real *qkv, *out, *lse, *dout;
    real *dqkv;
    bool accumulate; // to dqkv
    double *dscale;
} backward_arrays;

// The rows of one query head and of its key head, from time 0 on.
typedef struct head_rows {
    const real *q, *keys, *values, *out, *dout, *lse;
    real *dq, *dkeys, *dvalues;
} head_rows;

static head_rows rows_of_head(const attention_call *c, const backward_arrays *x, int head) {
    const attention_shape *s = &c->shape;
    const ptrdiff_t row = (ptrdiff_t)(head / s->heads) * s->time, in_row = head % s->heads * s->head_size;
    const ptrdiff_t q = row * c->ld + in_row, out = row * c->ldo + in_row;
    const ptrdiff_t kv = row * c->ld + head % s->heads / (s->heads / s->kv_heads) * s->head_size;
    const ptrdiff_t keys = kv + attention_key_column(s), values = kv + attention_value_column(s);
    return (head_rows){
        .q = x->qkv + q,
        .keys = x->qkv + keys,
        .values = x->qkv + values,
        .out = x->out + out,
        .dout = x->dout + out,
        .lse = x->lse + (ptrdiff_t)head * s->time,
        .dq = x->dqkv + q,
        .dkeys = x->dqkv + keys,
        .dvalues = x->dqkv + values,
    };
}

static NEVER_INLINE void start_queries(const attention_call *c, const head_rows *x, int first, int queries,
                                       query_values *start) {
    memset(start, 0, sizeof *start);
    for (int r = 0; r < queries; r++) start->lse[r] = -LOG2_E * x->lse[first + r];
    for (int r = 0; r < queries; r++)
        start->delta[r] =
            -dot(c->shape.head_size, x->out + (first + r) * c->ldo, x->dout + (first + r) * c->ldo);
}

// A tile of queries with all keys of a part that it sees; those packed begin at `packed`. next: the head
// after this one.
static void backward_tile(const attention_call *c, const head_rows *x, const head_rows *next, int head,
                          const piece *part, int packed, int first, bool adds, const scratch *w) {
    const attention_shape *s = &c->shape;
    const int size = s->head_size, group = s->heads / s->kv_heads;
    const int queries = smaller(SPAN, part->first + part->queries - first);
    const int begin = larger(packed, round_down(first_visible(c, first), SPAN));
    const int end = smaller(part->key + part->keys, first + queries);
    if (begin >= end) return;
    query_values start __attribute__((aligned(64)));
    start_queries(c, x, first, queries, &start);
    pack_panels(queries, size, x->q + first * c->ld, c->ld, s->scale * LOG2_E, w->q_panels, w->q, c->width);
    pack_panels(queries, size, x->dout + first * c->ldo, c->ldo, c->mask ? dropout_factor(c->mask->p) : 1,
                w->dout_panels, w->dout, c->width);
    const int key = part->key + first - part->first;
    row_queue queue = {.rows = queries, .bytes = size * (int)sizeof(real)};
    queue_rows(&queue, x->dq + first * c->ld, c->ld);
    const bool last = first + SPAN >= part->first + part->queries;
    if (!last) queue.rows = smaller(queries, part->first + part->queries - first - SPAN);
    const head_rows *then = last ? next : x;
    const int then_first = last ? part->first : first + SPAN;
    queue_rows(&queue, then->q + then_first * c->ld, c->ld);
    queue_rows(&queue, then->dout + then_first * c->ldo, c->ldo);
    queue_rows(&queue, then->out + then_first * c->ldo, c->ldo);
    if (head % group == group - 1) {
        queue_rows(&queue, x->dkeys + key * c->ld, c->ld);
        queue_rows(&queue, x->dvalues + key * c->ld, c->ld);
        queue_rows(&queue, next->keys + key * c->ld, c->ld);
        queue_rows(&queue, next->values + key * c->ld, c->ld);
    }
    plan_queue(c, &queue, end - begin, 2, 3);
    for (int block = begin; block < end; block += SPAN) {
        const piece p = {head, first, queries, block, smaller(SPAN, end - block)};
        const bool keys_begin = head % group == 0 && first == larger(part->first, block);
        add_gradients(c, &p, block - packed, keys_begin, block == begin, &start, w,
                      block + SPAN >= end ? x->dq + first * c->ld : NULL, adds, &queue);
    }
}

// What rows of keys and their gradients, without the scale, give to the gradient of the scale.
static double scale_gradient(const attention_call *c, int count, const real *keys, const real *gradients) {
    double sum = 0;
    for (int r = 0; r < count; r++)
        sum += (double)dot(c->width, keys + r * c->width, gradients + r * c->width);
    return sum;
}

// What a part of queries and a part of keys give to each other's gradients, for a key head of the batch and
// its query heads. They are written by the parts that coincide in time, which come first, and added to by
// all others; where q, k and v are one, keys and values add to what queries have written. Returns the part
// of the gradient of the scale, if that is wanted.
static double backward_parts(const attention_call *c, const backward_arrays *arrays, int kv, const piece *p,
                             const scratch *w) {
    const attention_shape *s = &c->shape;
    const int size = s->head_size, group = s->heads / s->kv_heads;
    const int begin = larger(p->key, round_down(first_visible(c, p->first), SPAN));
    const int count = p->key + p->keys - begin, padded = round_up(count, ROWS);
    const bool adds = arrays->accumulate || p->first != p->key, keys_add = adds || s->shared_qkv;
    const ptrdiff_t at = begin * c->ld;
    head_rows x = rows_of_head(c, arrays, kv * group);
    pack_rows(count, padded, size, c->width, x.keys + at, c->ld, 1, w->keys);
    pack_rows(count, padded, size, c->width, x.values + at, c->ld, 1, w->values);
    for (int head = kv * group; head < (kv + 1) * group; head++) {
        const head_rows next = rows_of_head(c, arrays, smaller(head + 1, s->batch * s->heads - 1));
        for (int first = p->first; first < p->first + p->queries; first += SPAN)
            backward_tile(c, &x, &next, head, p, begin, first, adds, w);
        if (head + 1 < (kv + 1) * group) x = next;
    }
    unpack_rows(c, count, w->key_gradients, s->scale, keys_add, x.dkeys + at);
    unpack_rows(c, count, w->value_gradients, c->mask ? dropout_factor(c->mask->p) : 1, keys_add,
                x.dvalues + at);
    return arrays->dscale ? scale_gradient(c, count, w->keys, w->key_gradients) : 0;
}

typedef struct backward_call {
    attention_call c;
    backward_arrays x;
    int distance;           // between the parts of queries and of keys
    int turns, turn;        // see attention_backward
    double *scale_gradient; // of each key head and part of keys
    void *workspace;
} backward_call;

static void backward_tasks(const void *context, pool_share share) {
    const backward_call *b = context;
    const attention_shape *s = &b->c.shape;
    const int heads = s->batch * s->kv_heads;
    const scratch w = scratch_of_thread(s, b->workspace, share.thread);
    for (int task = share.begin; task < share.end; task++) {
        const int part = task / heads, key = part * PART, first = key + b->distance * PART;
        if (b->turns > 1 && part / b->distance % b->turns != b->turn) continue;
        const piece p = {0, first, smaller(PART, s->time - first), key, smaller(PART, s->time - key)};
        const double scale = backward_parts(&b->c, &b->x, task % heads, &p, &w);
        b->scale_gradient[task] = scale + (b->distance > 0 ? b->scale_gradient[task] : 0);
    }
}

void attention_backward(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                        const real *out, const real *lse, const real *dout, real *dqkv,
                        bool accumulate_dqkv, double *dscale, void *workspace) {
    backward_call b = {.c = new_call(shape, mask),
                       .x = {qkv, out, lse, dout, dqkv, accumulate_dqkv, dscale},
                       .scale_gradient = workspace,
                       .workspace = workspace};
    b.c.far = true; // what the forward pass saved
    const int heads = shape->batch * shape->kv_heads, parts = divide_up(shape->time, PART);
    // Parts this far apart still see each other.
    const int farthest = smaller(parts - 1, (b.c.reach + PART - 2) / PART);
    // Parts at one distance share no gradients, so they may be done in any order; and every gradient is
    // summed up in the order of distances. Where q, k and v are one, the keys of a part are the queries of
    // another: then the two have different turns.
    for (; b.distance <= farthest; b.distance++) {
        b.turns = shape->shared_qkv && b.distance > 0 ? 2 : 1;
        for (b.turn = 0; b.turn < b.turns; b.turn++)
            parallel_for(heads * (parts - b.distance), attention_operations(&b.c) / (farthest + 1),
                         backward_tasks, &b);
    }
    if (!dscale) return;
    *dscale = 0;
    for (int i = 0; i < heads * parts; i++) *dscale += b.scale_gradient[i];
}
