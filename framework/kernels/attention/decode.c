// Attention of new tokens over the keys and values of the tokens before them.
//
// Each head of each sequence has its own part of the caches. Values lie slot after slot. Keys lie in blocks
// of VEC slots, element by element, so that a vector holds the same element of VEC keys and their scores
// come without sums across lanes; a last block of w < VEC slots is w wide.
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/vector_math.h"

#include <math.h>
#include <string.h>

// Independent sums, to hide the latency of additions.
enum { TOGETHER = 4 };

typedef struct decoding {
    attention_shape shape;
    int capacity, position;
    const real *qkv;
    real *keys, *values, *out, *scores;
} decoding;

static int block_width(int capacity, int slot) {
    const int left = capacity - slot / VEC * VEC;
    return left < VEC ? left : VEC;
}

static void store_key(int head_size, int capacity, int slot, const real *key, real *keys) {
    const int width = block_width(capacity, slot);
    real *to = keys + (ptrdiff_t)(slot / VEC) * VEC * head_size + slot % VEC;
    for (int d = 0; d < head_size; d++) to[d * width] = key[d];
}

// The scores of `blocks` whole blocks from a slot on.
static ALWAYS_INLINE void score_blocks(const int blocks, int head_size, real scale, const real *q,
                                       const real *keys, real *scores) {
    vec sums[TOGETHER];
#pragma GCC unroll 4
    for (int b = 0; b < blocks; b++) sums[b] = (vec){0};
    for (int d = 0; d < head_size; d++) {
        const vec left = vec_set(q[d]);
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++) sums[b] += left * vec_load(keys + (b * head_size + d) * VEC);
    }
#pragma GCC unroll 4
    for (int b = 0; b < blocks; b++) vec_store(scores + b * VEC, sums[b] * scale);
}

static void score(int head_size, int capacity, int valid, real scale, const real *q, const real *keys,
                  real *scores) {
    const int whole = capacity / VEC * VEC;
    int slot = 0;
    for (; slot + (TOGETHER - 1) * VEC < valid && slot + TOGETHER * VEC <= whole; slot += TOGETHER * VEC)
        score_blocks(TOGETHER, head_size, scale, q, keys + (ptrdiff_t)slot * head_size, scores + slot);
    for (; slot < valid && slot < whole; slot += VEC)
        score_blocks(1, head_size, scale, q, keys + (ptrdiff_t)slot * head_size, scores + slot);
    if (slot >= valid) return;
    const int width = capacity - slot;
    vec sum = {0};
    for (int d = 0; d < head_size; d++)
        sum += vec_set(q[d]) * vec_load_some(keys + (ptrdiff_t)slot * head_size + d * width, width);
    vec_store_some(scores + slot, sum * scale, width);
}

// Makes scores into e^(score - maximum) and returns their sum.
static real exponentiate(int valid, real *scores) {
    vec highest = vec_set(-INFINITY), total = {0};
    for (int j = 0; j < valid; j += VEC) {
        vec v = vec_get(scores + j, valid - j);
        if (valid - j < VEC) v = vec_select(vec_lanes < valid - j, v, vec_set(-INFINITY));
        highest = vec_max(v, highest);
    }
    const real maximum = vec_maximum(highest);
    for (int j = 0; j < valid; j += VEC) {
        vec e = vec_exp(vec_get(scores + j, valid - j) - maximum);
        if (valid - j < VEC) e = vec_select(vec_lanes < valid - j, e, (vec){0});
        total += e;
        vec_put(scores + j, e, valid - j);
    }
    return vec_sum(total);
}

static ALWAYS_INLINE void add_value(const int vectors, int left, real weight, const real *value,
                                    vec sums[2]) {
    const vec factor = vec_set(weight);
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) sums[v] += factor * vec_get(value + v * VEC, left - v * VEC);
}

// out = share * the sum of weights[j] values[j], for up to `vectors` vectors of the head.
static ALWAYS_INLINE void mix(const int vectors, int left, int head_size, int valid, const real *weights,
                              const real *values, real share, real *out) {
    vec sums[TOGETHER][2] = {{{0}}};
    int j = 0;
    for (; j + TOGETHER <= valid; j += TOGETHER)
#pragma GCC unroll 4
        for (int i = 0; i < TOGETHER; i++)
            add_value(vectors, left, weights[j + i], values + (ptrdiff_t)(j + i) * head_size, sums[i]);
    for (; j < valid; j++) add_value(vectors, left, weights[j], values + (ptrdiff_t)j * head_size, sums[0]);
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        vec_put(out + v * VEC, ((sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v])) * share,
                left - v * VEC);
}

// out = softmax(scale q keys^T) values for one query.
static void attend(int head_size, int capacity, int valid, real scale, const real *q, const real *keys,
                   const real *values, real *out, real *scores) {
    score(head_size, capacity, valid, scale, q, keys, scores);
    const real share = 1 / exponentiate(valid, scores);
    int c = 0;
    for (; c + 2 * VEC <= head_size; c += 2 * VEC)
        mix(2, 2 * VEC, head_size, valid, scores, values + c, share, out + c);
    for (; c < head_size; c += VEC)
        mix(1, head_size - c, head_size, valid, scores, values + c, share, out + c);
}

// The heads of all sequences are dealt out; grouped ones (arXiv 2305.13245) stay with their key.
static void decode_heads(const void *context, pool_share share) {
    const decoding *d = context;
    const attention_shape *s = &d->shape;
    const int size = s->head_size, group = s->heads / s->kv_heads;
    const ptrdiff_t width = attention_columns(s), out_width = (ptrdiff_t)s->heads * size,
                    cache = (ptrdiff_t)d->capacity * size;
    real *const scores = d->scores + (ptrdiff_t)share.thread * d->capacity;
    for (int task = share.begin; task < share.end; task++) {
        const int b = task / s->kv_heads, kv = task % s->kv_heads;
        real *keys = d->keys + task * cache, *values = d->values + task * cache;
        for (int t = 0; t < s->time; t++) {
            const ptrdiff_t row = (ptrdiff_t)b * s->time + t;
            const real *q = d->qkv + row * width, *k = q + attention_key_column(s) + kv * size,
                       *v = q + attention_value_column(s) + kv * size;
            const int position = d->position + t, slot = position % d->capacity;
            const int valid = position < d->capacity ? position + 1 : d->capacity;
            store_key(size, d->capacity, slot, k, keys);
            memcpy(values + (ptrdiff_t)slot * size, v, (size_t)size * sizeof(real));
            for (int head = kv * group; head < (kv + 1) * group; head++)
                attend(size, d->capacity, valid, s->scale, q + head * size, keys, values,
                       d->out + row * out_width + head * size, scores);
        }
    }
}

void attention_decode(const attention_shape *shape, int capacity, int position, const real *qkv, real *keys,
                      real *values, real *out, void *workspace) {
    const attention_shape *s = shape;
    const decoding d = {*s, capacity, position, qkv, keys, values, out, workspace};
    const double seen = position + s->time < capacity ? position + s->time : capacity;
    const double operations =
        (double)s->batch * s->time * s->heads * seen * (2.0 * s->head_size + 10) / VEC;
    parallel_for_short(s->batch * s->kv_heads, operations, decode_heads, &d);
}
