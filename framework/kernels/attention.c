// Causal self-attention (arXiv 1706.03762) without the time x time matrix (arXiv 2205.14135). Forward:
// blocks of keys pass by tiles of queries, whose softmax runs along: when a larger score turns up, what was
// summed up so far shrinks. Backward: the scores are made again from the saved logarithms of the softmax
// sums. Grouped heads: arXiv 2305.13245.
//
// Scores are to the base of 2: the factor log2(e) hides in the scale of queries.
#include "kernels/attention_tile.h"
#include "kernels/members.h"
#include "kernels/parallel.h"
#include "kernels/random_bits.h"

#include <math.h>
#include <omp.h>

// Time is cut into parts: of queries for the forward pass, of queries and of keys for the backward pass.
// Long enough that packing a part is nothing beside the work with it, and short enough that it stays in a
// core's second cache.
enum { PART = 512 };

static const real LOG2_E = (real)1.44269504088896340736, LN_2 = (real)0.69314718055994530942;

// The memory of a thread.
typedef struct scratch {
    real *keys, *values;                   // forward: a block; backward: a part
    real *key_gradients, *value_gradients; // of a part
    real *q_panels, *out;                  // forward: of a part; backward: of a tile, out being dq
    real *maxima, *totals;                 // of a part's queries: running
    real *dout_panels, *q, *dout;          // of a tile
    real *scores, *kept;                   // of a tile and a block; kept: after dropout
} scratch;

static int head_width(const attention_shape *s) {
    return round_up(s->head_size, VEC);
}

// Gives every part its place in memory (which may be NULL, to measure) and returns the reals used.
static size_t scratch_layout(const attention_shape *s, real *memory, scratch *w) {
    const size_t width = (size_t)head_width(s), rows = (size_t)smaller(round_up(s->time, SPAN), PART);
    const size_t part = rows * width, tile = SPAN * width;
    struct {
        real **part;
        size_t reals;
    } const parts[] = {
        {&w->keys, part},        {&w->values, part}, {&w->key_gradients, part}, {&w->value_gradients, part},
        {&w->q_panels, part},    {&w->out, part},    {&w->maxima, rows},        {&w->totals, rows},
        {&w->dout_panels, tile}, {&w->q, tile},      {&w->dout, tile},          {&w->scores, SPAN * SPAN},
        {&w->kept, SPAN * SPAN}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].part = memory ? memory + used : NULL;
        used += (parts[i].reals + 15) / 16 * 16;
    }
    return used;
}

size_t KERNEL(attention_workspace)(const attention_shape *shape, int threads) {
    scratch unused;
    return (size_t)threads * scratch_layout(shape, NULL, &unused) * sizeof(real);
}

// The memory of the thread that asks.
static scratch scratch_of_thread(const attention_shape *s, void *workspace) {
    scratch w;
    const size_t reals = scratch_layout(s, NULL, &w);
    scratch_layout(s, (real *)workspace + (size_t)omp_get_thread_num() * reals, &w);
    return w;
}

// What is the same for a whole call.
typedef struct attention_call {
    attention_shape shape;
    const dropout_mask *mask; // NULL: no dropout
    int reach;                // keys that a query sees at most, itself included
    int width;                // of rows of keys, values, ...
    ptrdiff_t ld, ldo;        // of qkv and out
} attention_call;

static attention_call new_call(const attention_shape *s, const dropout_mask *mask) {
    return (attention_call){
        .shape = *s,
        .mask = mask && dropout_threshold(mask->p) > 0 ? mask : NULL,
        .reach = s->window > 0 ? smaller(s->window, s->time) : s->time,
        .width = head_width(s),
        .ld = (ptrdiff_t)(s->heads + 2 * s->kv_heads) * s->head_size,
        .ldo = (ptrdiff_t)s->heads * s->head_size,
    };
}

// Queries first .. first + queries - 1 of a head, keys key .. key + keys - 1: a tile and a block, or parts
// of time.
typedef struct piece {
    int head; // of a tile: among those of the whole batch
    int first, queries, key, keys;
} piece;

static int first_visible(const attention_call *c, int query) {
    return larger(0, query - c->reach + 1);
}

// The keys, counted from p->key, of which queries from .. to - 1 see any: whole ROWS, but for the last.
static void visible_keys(const attention_call *c, const piece *p, int from, int to, int *begin, int *end) {
    *begin = round_down(larger(0, first_visible(c, from) - p->key), ROWS);
    *end = smaller(p->keys, to - p->key);
}

// How a panel of queries sees ROWS keys: all of them; some; its second vector of queries some, its first
// none.
typedef enum sight { SEES_ALL, SEES_SOME, SECOND_SEES_SOME } sight;

static sight sight_of(const attention_call *c, int query, int key) {
    if (key > query + VEC - 1) return SECOND_SEES_SOME;
    return key + ROWS - 1 <= query && key > query + LANES - 1 - c->reach ? SEES_ALL : SEES_SOME;
}

// Spreads a queue over the scores of SPAN keys and so many queries (or twice as many, for two products), of
// which a triangle of one tile is not made.
static void plan_queue(row_queue *q, int queries) {
    const int times = (larger(queries, SPAN) - SPAN / 2) / LANES * (SPAN / ROWS);
    q->at_a_time = q->count * q->rows / times + 1;
}

// --- dropout

enum { LANE_BITS = 8 * sizeof(real), QUERIES_A_WORD = 8 / sizeof(real) };

// The 32 random bits of each lane's query, at the top of the lane; even and odd hold those of lanes 0, 2,
// ... and 1, 3, ... (in double precision even holds all).
static ALWAYS_INLINE lane_bits words_of_lanes(word_lanes even, word_lanes odd) {
    if (QUERIES_A_WORD == 1) return (lane_bits)(even << 32);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (lane_bits)((odd & 0xFFFFFFFFu) | even << 32);
#else
    return (lane_bits)((even & 0xFFFFFFFFu) | odd << 32);
#endif
}

// Clears the scores that are dropped of a panel of queries and the keys from begin to end - 1.
static void drop_scores(const attention_call *c, const piece *p, int panel, int begin, int end,
                        const real *scores, real *kept) {
    const uint64_t blocks = (uint64_t)round_up(c->shape.time, 8) / 8; // of random numbers in a row
    const lane_bits below = ((lane_bits){0} + dropout_threshold(c->mask->p)) << (LANE_BITS - 16);
    for (int lane = panel; lane < panel + LANES; lane += VEC) {
        const int query = p->first + lane, last = smaller(end, query + VEC - p->key);
        const uint64_t row = (uint64_t)p->head * (uint64_t)c->shape.time + (uint64_t)query;
        const word_lanes rows = word_numbers * (QUERIES_A_WORD * blocks) + row * blocks;
        for (int j = round_down(begin, 8); j < last; j += 8) {
            const word_lanes first = rows + (uint64_t)(p->key + j) / 8;
            word_lanes even[4], odd[4];
            random_words(&c->mask->random, first, even);
            random_words(&c->mask->random, first + blocks, odd);
#pragma GCC unroll 4
            for (int word = 0; word < 4; word++) {
                const lane_bits bits = words_of_lanes(even[word], odd[word]);
                const ptrdiff_t at = (ptrdiff_t)(j + 2 * word) * SPAN + lane;
                const ivec dropped[2] = {(ivec)(bits << 16 < below), (ivec)(bits < below)};
#pragma GCC unroll 2
                for (int half = 0; half < 2; half++)
                    vec_store(kept + at + half * SPAN,
                              vec_select(dropped[half], (vec){0}, vec_load(scores + at + half * SPAN)));
            }
        }
    }
}

// --- forward

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
            const int lane = panel + (v + skipped) * VEC;
            vec score = sums[r][v];
            if (!all)
                score =
                    vec_select(sees(p->first + lane, p->key + j + r, c->reach), score, vec_set(INVISIBLE));
            vec_store(w->scores + (j + r) * SPAN + lane, score);
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
            const vec score = vec_load(scores + r * SPAN + v * VEC);
            vec e = vec_exp2(score - high[v]);
            if (!all) e = vec_select(score > INVISIBLE, e, (vec){0});
            vec_store(scores + r * SPAN + v * VEC, e);
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
        const sight seen = sight_of(c, query, p->key + j);
        if (seen == SEES_ALL)
            score_rows(0, true, c, p, panel, j, w, q_panel, high);
        else if (seen == SEES_SOME)
            score_rows(0, false, c, p, panel, j, w, q_panel, high);
        else
            score_rows(1, false, c, p, panel, j, w, q_panel, high);
    }
    for (int j = begin; j < end; j += ROWS) {
        const sight seen = sight_of(c, query, p->key + j);
        real *scores = w->scores + j * SPAN + panel;
        if (seen == SEES_ALL)
            exponential_rows(0, true, scores, high, sums);
        else if (seen == SEES_SOME)
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
    if (c->mask) drop_scores(c, p, panel, begin, end, w->scores, w->scores);
}

// A tile of queries, the `row`th of its part on, attends to a block of keys. begins: to its first.
static void attend(const attention_call *c, const piece *p, int row, bool begins, const scratch *w,
                   row_queue *queue) {
    real factors[SPAN] __attribute__((aligned(64)));
    for (int panel = 0; panel < p->queries; panel += LANES)
        continue_softmax(c, p, panel, w, w->q_panels + (row + panel) * c->shape.head_size,
                         w->maxima + row + panel, w->totals + row + panel, factors + panel, queue);
    for (int r = 0; r < p->queries; r += ROWS) {
        int begin, end;
        visible_keys(c, p, p->first + r, p->first + r + ROWS, &begin, &end);
        if (begin >= end && !begins) continue;
        accumulate_queries(end - begin, w->scores + begin * SPAN + r, w->values + begin * c->width,
                           c->width, begins, factors + r, w->out + (row + r) * c->width);
    }
}

// The sums of a part's queries become its output.
static void finish(const attention_call *c, int queries, const scratch *w, real *out, real *lse) {
    const real kept = c->mask ? dropout_factor(c->mask->p) : 1;
    for (int r = 0; r < queries; r += VEC) {
        const vec total = vec_load(w->totals + r);
        vec_put(lse + r, vec_load(w->maxima + r) * LN_2 + vec_log(total), queries - r);
        vec_store(w->totals + r, kept / total);
    }
    for (int r = 0; r < queries; r++)
        for (int i = 0; i < c->shape.head_size; i += VEC)
            vec_put(out + r * c->ldo + i, vec_load(w->out + r * c->width + i) * w->totals[r],
                    c->shape.head_size - i);
}

// A part of the queries of one head, all of whose work this is.
static void forward_part(const attention_call *c, int b, int head, int first, const real *qkv, real *out,
                         real *lse, const scratch *w) {
    const attention_shape *s = &c->shape;
    const int kv = head / (s->heads / s->kv_heads), queries = smaller(PART, s->time - first);
    const int end = first + queries;
    const real *rows = qkv + (ptrdiff_t)b * s->time * c->ld;
    const real *keys = rows + (s->heads + kv) * s->head_size, *values = keys + s->kv_heads * s->head_size;
    real *to = out + ((ptrdiff_t)b * s->time + first) * c->ldo + head * s->head_size;
    pack_panels(queries, s->head_size, rows + first * c->ld + head * s->head_size, c->ld, s->scale * LOG2_E,
                w->q_panels);
    for (int r = 0; r < queries; r += VEC) {
        vec_store(w->maxima + r, vec_set(INVISIBLE));
        vec_store(w->totals + r, (vec){0});
    }
    const int begin = round_down(first_visible(c, first), SPAN);
    for (int key = begin; key < end; key += SPAN) {
        const int count = smaller(SPAN, end - key);
        pack_rows(count, round_up(count, ROWS), s->head_size, c->width, keys + key * c->ld, c->ld, 1,
                  w->keys);
        pack_rows(count, round_up(count, ROWS), s->head_size, c->width, values + key * c->ld, c->ld, 1,
                  w->values);
        row_queue queue = {.rows = count, .bytes = s->head_size * (int)sizeof(real)};
        if (key >= first) queue_rows(&queue, to + (key - first) * c->ldo, c->ldo);
        if (key + SPAN < end) {
            queue.rows = smaller(count, end - key - SPAN);
            queue_rows(&queue, keys + (key + SPAN) * c->ld, c->ld);
            queue_rows(&queue, values + (key + SPAN) * c->ld, c->ld);
        }
        plan_queue(&queue, end - larger(first, key));
        for (int tile = larger(first, key); tile < end; tile += SPAN) {
            const int nearest = round_down(first_visible(c, tile), SPAN);
            if (nearest > key) break;
            const piece p = {b * s->heads + head, tile, smaller(SPAN, end - tile), key, count};
            attend(c, &p, tile - first, key == nearest, w, &queue);
        }
    }
    finish(c, queries, w, to, lse + ((ptrdiff_t)b * s->heads + head) * s->time + first);
}

static int threads_for_attention(const attention_call *c) {
    const attention_shape *s = &c->shape;
    const double keys = s->window > 0 ? c->reach : s->time * 0.5;
    return threads_for((double)s->batch * s->heads * s->time * keys / VEC * (s->head_size + 20));
}

void KERNEL(attention_forward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                               real *out, real *lse, void *workspace) {
    const attention_call c = new_call(shape, mask);
    const int heads = shape->heads, all_heads = shape->batch * heads,
              parts = round_up(shape->time, PART) / PART;
    // Parts differ in length, so threads take turns, the longest first. Otherwise each stays with
    // neighbours in memory, as it does in other kernels.
    const int threads = threads_for_attention(&c);
    const int turn = parts > 1 ? 1 : round_up(all_heads, threads) / threads;
#pragma omp parallel for schedule(static, turn) num_threads(threads)
    for (int task = 0; task < all_heads * parts; task++) {
        const scratch w = scratch_of_thread(shape, workspace);
        const int head = task % all_heads, part = parts - 1 - task / all_heads;
        forward_part(&c, head / heads, head % heads, part * PART, qkv, out, lse, &w);
    }
}

// --- backward

static real dot(int n, const real *a, const real *b) {
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
        const sight seen = sight_of(c, query, p->key + j);
        if (seen == SEES_ALL)
            probability_rows(0, true, c, p, panel, j, w, keys, start);
        else if (seen == SEES_SOME)
            probability_rows(0, false, c, p, panel, j, w, keys, start);
        else
            probability_rows(1, false, c, p, panel, j, w, keys, start);
    }
    if (c->mask) drop_scores(c, p, panel, begin, end, w->scores, w->kept);
}

static void make_gradients(const attention_call *c, const piece *p, int panel, const scratch *w,
                           const real *values, const query_values *start, row_queue *queue) {
    const int query = p->first + panel;
    int begin, end;
    visible_keys(c, p, query, query + LANES, &begin, &end);
    for (int j = begin; j < end; j += ROWS) {
        fetch_rows(queue);
        const bool half = sight_of(c, query, p->key + j) == SECOND_SEES_SOME;
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
                        bool begins, real *sums) {
    for (int j = 0; j < p->keys; j += ROWS) {
        const int key = p->key + j;
        const int begin = larger(0, key - p->first),
                  end = smaller(p->queries, key + ROWS - 1 + c->reach - p->first);
        if (begin >= end && !begins) continue;
        accumulate_keys(end - begin, scores + j * SPAN + begin, rows + begin * c->width, c->width, begins,
                        sums + j * c->width);
    }
}

// What a tile and a block give to the gradients. offset: of the block in the part of keys.
static void add_gradients(const attention_call *c, const piece *p, int offset, bool keys_begin,
                          bool queries_begin, const query_values *start, const scratch *w,
                          row_queue *queue) {
    const ptrdiff_t at = (ptrdiff_t)offset * c->width;
    for (int panel = 0; panel < p->queries; panel += LANES)
        make_probabilities(c, p, panel, w, w->keys + at, start, queue);
    add_to_keys(c, p, c->mask ? w->kept : w->scores, w->dout, keys_begin, w->value_gradients + at);
    for (int panel = 0; panel < p->queries; panel += LANES)
        make_gradients(c, p, panel, w, w->values + at, start, queue);
    add_to_keys(c, p, w->scores, w->q, keys_begin, w->key_gradients + at);
    for (int r = 0; r < p->queries; r += ROWS) {
        int begin, end;
        visible_keys(c, p, p->first + r, p->first + r + ROWS, &begin, &end);
        if (begin >= end && !queries_begin) continue;
        accumulate_queries(end - begin, w->scores + begin * SPAN + r, w->keys + at + begin * c->width,
                           c->width, queries_begin, NULL, w->out + r * c->width);
    }
}

// Writes or adds rows times factor into a matrix.
static void unpack_rows(const attention_call *c, int count, const real *rows, real factor, bool adds,
                        real *to) {
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
} backward_arrays;

// A tile of queries with all keys of a part that it sees; those packed begin at `packed`.
static void backward_tile(const attention_call *c, const backward_arrays *x, int b, int head,
                          const piece *part, int packed, int first, bool adds, const scratch *w) {
    const attention_shape *s = &c->shape;
    const int size = s->head_size, group = s->heads / s->kv_heads;
    const int queries = smaller(SPAN, part->first + part->queries - first);
    const int begin = larger(packed, round_down(first_visible(c, first), SPAN));
    const int end = smaller(part->key + part->keys, first + queries);
    if (begin >= end) return;
    const ptrdiff_t row = (ptrdiff_t)b * s->time + first;
    const real *q = x->qkv + row * c->ld + head * size;
    const real *out = x->out + row * c->ldo + head * size, *dout = x->dout + row * c->ldo + head * size;
    const real *lse = x->lse + ((ptrdiff_t)b * s->heads + head) * s->time + first;
    const real kept = c->mask ? dropout_factor(c->mask->p) : 1;
    query_values start __attribute__((aligned(64)));
    memset(&start, 0, sizeof start);
    for (int r = 0; r < queries; r++) start.lse[r] = -LOG2_E * lse[r];
    for (int r = 0; r < queries; r++) start.delta[r] = -dot(size, out + r * c->ldo, dout + r * c->ldo);
    pack_panels(queries, size, q, c->ld, s->scale * LOG2_E, w->q_panels);
    pack_panels(queries, size, dout, c->ldo, kept, w->dout_panels);
    pack_rows(queries, queries, size, c->width, q, c->ld, 1, w->q);
    pack_rows(queries, queries, size, c->width, dout, c->ldo, kept, w->dout);
    const ptrdiff_t same_keys = ((ptrdiff_t)b * s->time + part->key + first - part->first) * c->ld;
    real *dkeys = x->dqkv + same_keys + (s->heads + head / group) * size;
    row_queue queue = {.rows = queries, .bytes = size * (int)sizeof(real)};
    queue_rows(&queue, x->dqkv + row * c->ld + head * size, c->ld);
    if (first + SPAN < part->first + part->queries) {
        queue.rows = smaller(queries, part->first + part->queries - first - SPAN);
        queue_rows(&queue, q + SPAN * c->ld, c->ld);
        queue_rows(&queue, dout + SPAN * c->ldo, c->ldo);
        queue_rows(&queue, out + SPAN * c->ldo, c->ldo);
    }
    if (head % group == group - 1) {
        queue_rows(&queue, dkeys, c->ld);
        queue_rows(&queue, dkeys + s->kv_heads * size, c->ld);
    }
    plan_queue(&queue, 2 * round_up(end - begin, SPAN));
    for (int key = begin; key < end; key += SPAN) {
        const piece p = {b * s->heads + head, first, queries, key, smaller(SPAN, end - key)};
        const bool keys_begin = head % group == 0 && first == larger(part->first, key);
        add_gradients(c, &p, key - packed, keys_begin, key == begin, &start, w, &queue);
    }
    unpack_rows(c, queries, w->out, s->scale, adds, x->dqkv + row * c->ld + head * size);
}

// What a part of queries and a part of keys give to each other's gradients, for a key head and its query
// heads. They are written by the parts that coincide in time, which come first, and added to by all others.
static void backward_parts(const attention_call *c, const backward_arrays *x, int b, int kv, const piece *p,
                           const scratch *w) {
    const attention_shape *s = &c->shape;
    const int size = s->head_size, group = s->heads / s->kv_heads;
    const int begin = larger(p->key, round_down(first_visible(c, p->first), SPAN));
    const int count = p->key + p->keys - begin, padded = round_up(count, ROWS);
    const bool adds = p->first != p->key;
    const ptrdiff_t at = ((ptrdiff_t)b * s->time + begin) * c->ld + (s->heads + kv) * size;
    const ptrdiff_t to_values = (ptrdiff_t)s->kv_heads * size;
    pack_rows(count, padded, size, c->width, x->qkv + at, c->ld, 1, w->keys);
    pack_rows(count, padded, size, c->width, x->qkv + at + to_values, c->ld, 1, w->values);
    for (int head = kv * group; head < (kv + 1) * group; head++)
        for (int first = p->first; first < p->first + p->queries; first += SPAN)
            backward_tile(c, x, b, head, p, begin, first, adds, w);
    unpack_rows(c, count, w->key_gradients, s->scale, adds, x->dqkv + at);
    unpack_rows(c, count, w->value_gradients, 1, adds, x->dqkv + at + to_values);
}

void KERNEL(attention_backward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                                const real *out, const real *lse, const real *dout, real *dqkv,
                                void *workspace) {
    const attention_call c = new_call(shape, mask);
    const backward_arrays x = {qkv, out, lse, dout, dqkv};
    const int heads = shape->batch * shape->kv_heads, parts = round_up(shape->time, PART) / PART;
    // Parts this far apart still see each other.
    const int farthest = smaller(parts - 1, (c.reach + PART - 2) / PART);
    // Parts at one distance share no gradients, so threads may take them in any order; and every gradient
    // is summed up in the order of distances.
#pragma omp parallel num_threads(threads_for_attention(&c))
    for (int distance = 0; distance <= farthest; distance++) {
#pragma omp for schedule(static)
        for (int task = 0; task < heads * (parts - distance); task++) {
            const scratch w = scratch_of_thread(shape, workspace);
            const int key = task / heads * PART, first = key + distance * PART;
            const piece p = {0, first, smaller(PART, shape->time - first), key,
                             smaller(PART, shape->time - key)};
            backward_parts(&c, &x, task % heads / shape->kv_heads, task % shape->kv_heads, &p, &w);
        }
    }
}
