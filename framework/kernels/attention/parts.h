// What the two passes of attention share: how time is cut up, a thread's memory, who sees whom, dropout of
// scores.
//
// Scores are to the base of 2: the factor log2(e) hides in the scale of queries.
#ifndef RUNEXP_KERNELS_ATTENTION_PARTS_H
#define RUNEXP_KERNELS_ATTENTION_PARTS_H

#include "kernels/attention/tile.h"
#include "kernels/parallel.h"
#include "kernels/random_bits.h"

// Time is cut into parts: of queries for the forward pass, of queries and of keys for the backward pass.
// Long enough that packing a part is nothing beside the work with it, and short enough that it stays in a
// core's L2, whose size (of most processors) is the other number, in bytes.
enum { PART = 512, SECOND_CACHE = 2 << 20 };

static const real LOG2_E = (real)1.44269504088896340736;

// The memory of a thread.
typedef struct scratch {
    real *keys, *values;                   // forward: a block; backward: a part
    real *key_gradients, *value_gradients; // of a part
    real *q_panels, *out;                  // forward: of a part; backward: of a tile, out being dq
    real *maxima, *totals;                 // of a part's queries: running
    real *dout_panels, *q, *dout;          // of a tile
    real *scores, *kept;                   // of a tile and a block; kept: after dropout
} scratch;

static inline int head_width(const attention_shape *s) {
    return round_up(s->head_size, VEC);
}

// Gives every part its place in memory (which may be NULL, to measure) and returns the reals used.
static inline size_t scratch_layout(const attention_shape *s, real *memory, scratch *w) {
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

// Of the gradient of the scale, what each part of keys adds to it, for each key head: at the beginning of
// the workspace, in whole lines of a cache.
static inline size_t scale_gradients_bytes(const attention_shape *s) {
    const int parts = divide_up(s->time, PART);
    return ((size_t)s->batch * (size_t)s->kv_heads * (size_t)parts * sizeof(double) + 63) / 64 * 64;
}

static inline scratch scratch_of_thread(const attention_shape *s, void *workspace, int thread) {
    scratch w;
    const size_t reals = scratch_layout(s, NULL, &w);
    real *const memory = (real *)((char *)workspace + scale_gradients_bytes(s));
    scratch_layout(s, memory + (size_t)thread * reals, &w);
    return w;
}

// What is the same for a whole call.
typedef struct attention_call {
    attention_shape shape;
    const dropout_mask *mask; // NULL: no dropout
    int reach;                // keys that a query sees at most, itself included
    int width;                // of rows of keys, values, ...
    ptrdiff_t ld, ldo;        // of qkv and out
    bool far;                 // qkv is larger than a core's L2
} attention_call;

static inline attention_call new_call(const attention_shape *s, const dropout_mask *mask) {
    const ptrdiff_t ld = attention_columns(s);
    return (attention_call){
        .shape = *s,
        .mask = mask && dropout_threshold(mask->p) > 0 ? mask : NULL,
        .reach = s->window > 0 ? smaller(s->window, s->time) : s->time,
        .width = head_width(s),
        .ld = ld,
        .ldo = (ptrdiff_t)s->heads * s->head_size,
        .far = (size_t)(s->batch * s->time * ld) * sizeof(real) > SECOND_CACHE,
    };
}

// Queries first .. first + queries - 1 of a head, keys key .. key + keys - 1: a tile and a block, or parts
// of time.
typedef struct piece {
    int head; // of a tile: among those of the whole batch
    int first, queries, key, keys;
} piece;

static inline int first_visible(const attention_call *c, int query) {
    return larger(0, query - c->reach + 1);
}

// The keys, counted from p->key, of which queries from .. to - 1 see any: whole ROWS, but for the last.
static inline void visible_keys(const attention_call *c, const piece *p, int from, int to, int *begin,
                                int *end) {
    *begin = round_down(larger(0, first_visible(c, from) - p->key), ROWS);
    *end = smaller(p->keys, to - p->key);
}

// How a panel of queries sees ROWS keys: all of them; some; its second vector of queries some, its first
// none.
typedef enum visibility { ALL_VISIBLE, SOME_VISIBLE, SECOND_SOME_VISIBLE } visibility;

static inline visibility visibility_of(const attention_call *c, int query, int key) {
    if (key > query + VEC - 1) return SECOND_SOME_VISIBLE;
    return key + ROWS - 1 <= query && key > query + LANES - 1 - c->reach ? ALL_VISIBLE : SOME_VISIBLE;
}

// Spreads a queue over the products of SPAN keys and `queries` queries, or the other way round: those
// across, of which a triangle of one tile is not made, and those that add up keys or queries.
static inline void plan_queue(const attention_call *c, row_queue *q, int queries, int across, int sums) {
    if (!c->far) return;
    const int rows = SPAN / ROWS, panels = SPAN / LANES, tiles = divide_up(queries, SPAN);
    const int times = rows * (across * (panels * tiles - panels / 2) + sums * tiles);
    q->at_a_time = q->count * q->rows / times + 1;
}

static inline double attention_operations(const attention_call *c) {
    const attention_shape *s = &c->shape;
    const double keys = s->window > 0 ? c->reach : s->time * 0.5;
    return (double)s->batch * s->heads * s->time * keys / VEC * (s->head_size + 20);
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

// Clears the scores that are dropped of a panel of queries and the keys from begin to end - 1, whose scores
// are `step` apart.
static ALWAYS_INLINE void drop_scores(const attention_call *c, const piece *p, int panel, int begin,
                                      int end, const ptrdiff_t step, const real *scores, real *kept) {
    const uint64_t blocks = (uint64_t)divide_up(c->shape.time, 8); // of random numbers in a row
    const lane_bits below = ((lane_bits){0} + dropout_threshold(c->mask->p)) << (LANE_BITS - 16);
    for (int lane = 0; lane < LANES; lane += VEC) {
        const int query = p->first + panel + lane, last = smaller(end, query + VEC - p->key);
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
                const ptrdiff_t at = (ptrdiff_t)(j + 2 * word) * step + lane;
                const ivec dropped[2] = {(ivec)(bits << 16 < below), (ivec)(bits < below)};
#pragma GCC unroll 2
                for (int half = 0; half < 2; half++)
                    vec_store(kept + at + half * step,
                              vec_select(dropped[half], (vec){0}, vec_load(scores + at + half * step)));
            }
        }
    }
}

#endif
