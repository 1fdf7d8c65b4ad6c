// Causal self-attention (arXiv 1706.03762) without the time x time matrix (arXiv 2205.14135): the scores of
// a tile of queries against all their keys are made, used and forgotten; the backward pass makes them again
// from the saved logarithms of the softmax sums. Grouped heads: arXiv 2305.13245.
//
// A thread owns a sequence of the batch and a key head with all its query heads, hence every gradient it
// sums up.
#include "kernels/members.h"
#include "kernels/parallel.h"
#include "kernels/random_bits.h"
#include "kernels/tile.h"
#include "kernels/vector_math.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    QUERIES = 48,                 // in a tile, a multiple of TILE_ROWS
    CHUNK_REALS = QUERIES * A_ROW // one value for each query and each of DEPTH keys or columns
};

// Queries first .. first + count - 1 of a head and the keys that any of them sees: from .. to - 1, from a
// multiple of TILE_COLUMNS.
typedef struct query_tile {
    int first, count, from, to;
} query_tile;

// The memory of a thread. Matrices of a tile lie in chunks of DEPTH columns, the rows of a chunk A_ROW
// apart, so that they are left operands of products as they are.
typedef struct scratch {
    real *keys_across, *values_across; // panels of keys: right operands of products with queries
    real *keys_down, *values_down;     // panels of columns: right operands of products with scores
    real *scores, *score_gradients;    // tiles
    real *q, *dout;                    // tiles, and the same as panels of columns:
    real *q_panels, *dout_panels;
    real *factors; // of dropout, one chunk of a row
} scratch;

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

static int head_width(const attention_shape *s) {
    return divide_up(s->head_size, TILE_COLUMNS) * TILE_COLUMNS;
}

// Gives every part its place in memory (which may be NULL, to measure) and returns the reals used.
static size_t scratch_layout(const attention_shape *s, real *memory, scratch *w) {
    // Whole panels, and whole blocks of rows.
    const size_t keys = (size_t)divide_up(s->time, TILE_COLUMNS) * TILE_COLUMNS + TILE_ROWS;
    const size_t across = keys * (size_t)s->head_size, down = keys * (size_t)head_width(s);
    const size_t scores = (size_t)divide_up(s->time, DEPTH) * CHUNK_REALS;
    const size_t head = (size_t)divide_up(s->head_size, DEPTH) * CHUNK_REALS;
    const size_t panels = (size_t)QUERIES * (size_t)head_width(s);
    struct {
        real **part;
        size_t reals;
    } const parts[] = {{&w->keys_across, across},
                       {&w->values_across, across},
                       {&w->keys_down, down},
                       {&w->values_down, down},
                       {&w->scores, scores},
                       {&w->score_gradients, scores},
                       {&w->q, head},
                       {&w->dout, head},
                       {&w->q_panels, panels},
                       {&w->dout_panels, panels},
                       {&w->factors, DEPTH + DROPOUT_SLACK}};
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

static real *chunk_at(real *tile, int row, int column) {
    return tile + column / DEPTH * CHUNK_REALS + row * A_ROW + column % DEPTH;
}

static int first_visible(const attention_shape *s, int query) {
    return s->window > 0 ? larger(0, query - s->window + 1) : 0;
}

static query_tile tile_at(const attention_shape *s, int first) {
    const int count = smaller(QUERIES, s->time - first);
    return (query_tile){first, count, first_visible(s, first) / TILE_COLUMNS * TILE_COLUMNS, first + count};
}

// Rows of a matrix into a tile, times factor.
static void pack_tile(int rows, int columns, const real *x, ptrdiff_t ld, real factor, real *tile) {
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c += VEC) {
            const int left = columns - c;
            vec_put(chunk_at(tile, r, c), vec_get(x + r * ld + c, left) * factor, left);
        }
}

// A tile as panels of its columns.
static void pack_tile_panels(int rows, int columns, real *tile, real *panels) {
    for (int c = 0; c < columns; c += TILE_COLUMNS) KERNEL(tile_pack_panel)
    (false, smaller(TILE_COLUMNS, columns - c), rows, chunk_at(tile, 0, c), A_ROW, panels + c * QUERIES);
}

// Keys or values, time x head_size, as panels of keys.
static void pack_across(const attention_shape *s, const real *x, ptrdiff_t ld, real *panels) {
    for (int j = 0; j < s->time; j += TILE_COLUMNS) KERNEL(tile_pack_panel)
    (true, smaller(TILE_COLUMNS, s->time - j), s->head_size, x + j * ld, ld,
     panels + (ptrdiff_t)j * s->head_size);
}

// The same as panels of columns.
static void pack_down(const attention_shape *s, const real *x, ptrdiff_t ld, real *panels) {
    for (int c = 0; c < s->head_size; c += TILE_COLUMNS) KERNEL(tile_pack_panel)
    (false, smaller(TILE_COLUMNS, s->head_size - c), s->time, x + c, ld, panels + (ptrdiff_t)c * s->time);
}

// out = left right^T for the visible blocks of a tile: left is a tile of queries, panels are of keys.
static void multiply_across(const attention_shape *s, const query_tile *t, real *left, const real *panels,
                            real *out) {
    for (int j = t->from; j < t->to; j += TILE_COLUMNS) {
        const int width = panel_width(smaller(TILE_COLUMNS, s->time - j));
        // The first block of queries of which one sees the first key of the panel.
        int row = larger(0, j - t->first) / TILE_ROWS * TILE_ROWS;
        for (; row < t->count; row += TILE_ROWS) {
            const int rows = smaller(TILE_ROWS, t->count - row);
            real *to = chunk_at(out, row, j);
            for (int k = 0; k < s->head_size; k += DEPTH) KERNEL(tile_multiply)
            (rows, width, smaller(DEPTH, s->head_size - k), chunk_at(left, row, k), 0,
             panels + (ptrdiff_t)j * s->head_size + k * width, NULL, k ? to : NULL, to, A_ROW);
        }
    }
}

// out (rows ldo apart) = scores right for the queries of a tile: panels are of columns.
static void multiply_down(const attention_shape *s, const query_tile *t, real *scores, const real *panels,
                          real *out, ptrdiff_t ldo) {
    for (int c = 0; c < s->head_size; c += TILE_COLUMNS) {
        const int columns = smaller(TILE_COLUMNS, s->head_size - c), width = panel_width(columns);
        for (int row = 0; row < t->count; row += TILE_ROWS) {
            const int rows = smaller(TILE_ROWS, t->count - row), end = t->first + row + rows;
            real *to = out + row * ldo + c;
            for (int k = t->from, next; k < end; k = next) {
                next = smaller(end, (k / DEPTH + 1) * DEPTH);
                KERNEL(tile_multiply)
                (rows, columns, next - k, chunk_at(scores, row, k), 0,
                 panels + (ptrdiff_t)c * s->time + (ptrdiff_t)k * width, NULL, k > t->from ? to : NULL, to,
                 ldo);
            }
        }
    }
}

// sums (one row for each key, ld apart) += scores^T right: panels are the columns of a tile. begins: keys
// that this tile is the first to see get their first value.
static void add_transposed(const attention_shape *s, const query_tile *t, real *scores, const real *panels,
                           real *sums, ptrdiff_t ld, bool begins) {
    for (int c = 0; c < s->head_size; c += TILE_COLUMNS) {
        const int columns = smaller(TILE_COLUMNS, s->head_size - c), width = panel_width(columns);
        for (int key = t->from / TILE_ROWS * TILE_ROWS; key < t->to; key += TILE_ROWS) {
            const int row = larger(0, key - t->first) / TILE_ROWS * TILE_ROWS;
            real *to = sums + key * ld + c;
            KERNEL(tile_multiply)
            (smaller(TILE_ROWS, t->to - key), columns, t->count - row, chunk_at(scores, row, key), A_ROW,
             panels + c * QUERIES + row * width, NULL, begins && key >= t->first ? NULL : to, to, ld);
        }
    }
}

// Rows of scores are worked on in whole vectors, from t->from to row_end: as far as products read them.
static int row_end(const query_tile *t, int row) {
    const int block_end = t->first + smaller(t->count, (row / TILE_ROWS + 1) * TILE_ROWS);
    return divide_up(divide_up(block_end, TILE_ROWS) * TILE_ROWS, VEC) * VEC;
}

// Which of the keys key, key + 1, ... a query sees that sees first .. query.
static ALWAYS_INLINE ivec visible(int first, int query, int key) {
    return (vec_lanes >= first - key) & (vec_lanes <= query - key);
}

static ALWAYS_INLINE bool all_visible(int first, int query, int key) {
    return key >= first && key + VEC - 1 <= query;
}

// Blocks of keys may begin before t->from: what they find there must be zero.
static void clear_before(const query_tile *t, int row, real *tile) {
    const int begin = t->from / TILE_ROWS * TILE_ROWS;
    if (begin < t->from) memset(chunk_at(tile, row, begin), 0, (size_t)(t->from - begin) * sizeof(real));
}

// Replaces a row of scores by exp(score - maximum), zero for invisible keys, dropped out where a mask is
// given (not NULL). *sum is the sum of the exponentials, before dropout. element is the number of the row's
// first probability in the stream of the mask.
static real row_softmax(const attention_shape *s, const query_tile *t, int row, const dropout_mask *mask,
                        uint64_t element, scratch *w, real *sum) {
    const int query = t->first + row, first = first_visible(s, query), end = row_end(t, row);
    vec high = vec_set(-INFINITY), total = {0};
    for (int k = t->from, next; k < end; k = next) {
        next = smaller(end, (k / DEPTH + 1) * DEPTH);
        real *p = chunk_at(w->scores, row, k);
        for (int i = 0; i < next - k; i += VEC) {
            vec score = vec_load(p + i);
            if (!all_visible(first, query, k + i)) {
                score = vec_select(visible(first, query, k + i), score, vec_set(-INFINITY));
                vec_store(p + i, score);
            }
            high = vec_max(score, high);
        }
    }
    const real maximum = vec_maximum(high);
    for (int k = t->from, next; k < end; k = next) {
        next = smaller(end, (k / DEPTH + 1) * DEPTH);
        const int count = next - k;
        real *p = chunk_at(w->scores, row, k);
        const real *factors = mask ? dropout_factors(mask, element + (uint64_t)k, count, w->factors) : NULL;
        for (int i = 0; i < count; i += VEC) {
            const vec e = vec_exp(vec_load(p + i) - maximum);
            total += e;
            vec_store(p + i, factors ? e * vec_load(factors + i) : e);
        }
    }
    *sum = vec_sum(total);
    return maximum;
}

// Turns a row of scores into probabilities times mask (for dv) and the row of their gradients into those of
// the scores (for dq and dk). delta is the product of the output with its gradient.
static void row_gradient(const attention_shape *s, const query_tile *t, int row, const dropout_mask *mask,
                         uint64_t element, real lse, real delta, scratch *w) {
    const int query = t->first + row, first = first_visible(s, query), end = row_end(t, row);
    for (int k = t->from, next; k < end; k = next) {
        next = smaller(end, (k / DEPTH + 1) * DEPTH);
        const int count = next - k;
        real *p = chunk_at(w->scores, row, k), *g = chunk_at(w->score_gradients, row, k);
        const real *factors = mask ? dropout_factors(mask, element + (uint64_t)k, count, w->factors) : NULL;
        for (int i = 0; i < count; i += VEC) {
            vec probability = vec_exp(vec_load(p + i) - lse), gradient = vec_load(g + i);
            if (!all_visible(first, query, k + i)) {
                const ivec seen = visible(first, query, k + i);
                probability = vec_select(seen, probability, (vec){0});
                gradient = vec_select(seen, gradient, (vec){0});
            }
            vec kept = probability;
            if (factors) {
                const vec factor = vec_load(factors + i);
                gradient *= factor;
                kept *= factor;
            }
            vec_store(p + i, kept);
            vec_store(g + i, probability * (gradient - delta));
        }
    }
}

static int threads_for_attention(const attention_shape *s) {
    const double keys = s->window > 0 ? smaller(s->window, s->time) : s->time * 0.5;
    return threads_for((double)s->batch * s->heads * s->time * keys / VEC * (s->head_size + 20));
}

// The first of the numbers that element (b, head, query, key) of the probabilities has in a mask's stream.
static uint64_t row_element(const attention_shape *s, int b, int head, int query) {
    return (((uint64_t)b * (uint64_t)s->heads + (uint64_t)head) * (uint64_t)s->time + (uint64_t)query) *
           (uint64_t)s->time;
}

static void scale_row(int n, real factor, real *x) {
    for (int i = 0; i < n; i += VEC) vec_put(x + i, vec_get(x + i, n - i) * factor, n - i);
}

void KERNEL(attention_forward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                               real *out, real *lse, void *workspace) {
    const attention_shape s = *shape;
    const int group = s.heads / s.kv_heads;
    const ptrdiff_t ld = (ptrdiff_t)(s.heads + 2 * s.kv_heads) * s.head_size;
    const ptrdiff_t ldo = (ptrdiff_t)s.heads * s.head_size;
    if (mask && !(mask->p > 0)) mask = NULL;
#pragma omp parallel for schedule(static) num_threads(threads_for_attention(&s))
    for (int task = 0; task < s.batch * s.kv_heads; task++) {
        scratch w = scratch_of_thread(&s, workspace);
        const int b = task / s.kv_heads, kv = task % s.kv_heads;
        const real *rows = qkv + (ptrdiff_t)b * s.time * ld;
        pack_across(&s, rows + (s.heads + kv) * s.head_size, ld, w.keys_across);
        pack_down(&s, rows + (s.heads + s.kv_heads + kv) * s.head_size, ld, w.values_down);
        for (int head = kv * group; head < (kv + 1) * group; head++)
            for (int first = 0; first < s.time; first += QUERIES) {
                const query_tile t = tile_at(&s, first);
                real sums[QUERIES], maxima[QUERIES];
                real *to = out + ((ptrdiff_t)b * s.time + first) * ldo + head * s.head_size;
                real *to_lse = lse + ((ptrdiff_t)b * s.heads + head) * s.time + first;
                pack_tile(t.count, s.head_size, rows + first * ld + head * s.head_size, ld, s.scale, w.q);
                multiply_across(&s, &t, w.q, w.keys_across, w.scores);
                for (int r = 0; r < t.count; r++)
                    maxima[r] =
                        row_softmax(&s, &t, r, mask, row_element(&s, b, head, first + r), &w, &sums[r]);
                for (int r = 0; r < t.count; r += VEC)
                    vec_put(to_lse + r, vec_load(maxima + r) + vec_log(vec_load(sums + r)), t.count - r);
                multiply_down(&s, &t, w.scores, w.values_down, to, ldo);
                for (int r = 0; r < t.count; r++) scale_row(s.head_size, 1 / sums[r], to + r * ldo);
            }
    }
}

static real dot(int n, const real *a, const real *b) {
    vec sum = {0};
    for (int i = 0; i < n; i += VEC) sum += vec_get(a + i, n - i) * vec_get(b + i, n - i);
    return vec_sum(sum);
}

void KERNEL(attention_backward)(const attention_shape *shape, const dropout_mask *mask, const real *qkv,
                                const real *out, const real *lse, const real *dout, real *dqkv,
                                void *workspace) {
    const attention_shape s = *shape;
    const int group = s.heads / s.kv_heads;
    const ptrdiff_t ld = (ptrdiff_t)(s.heads + 2 * s.kv_heads) * s.head_size;
    const ptrdiff_t ldo = (ptrdiff_t)s.heads * s.head_size;
    if (mask && !(mask->p > 0)) mask = NULL;
#pragma omp parallel for schedule(static) num_threads(threads_for_attention(&s))
    for (int task = 0; task < s.batch * s.kv_heads; task++) {
        scratch w = scratch_of_thread(&s, workspace);
        const int b = task / s.kv_heads, kv = task % s.kv_heads;
        const int k_column = (s.heads + kv) * s.head_size, v_column = k_column + s.kv_heads * s.head_size;
        const real *rows = qkv + (ptrdiff_t)b * s.time * ld;
        real *to = dqkv + (ptrdiff_t)b * s.time * ld;
        pack_across(&s, rows + k_column, ld, w.keys_across);
        pack_across(&s, rows + v_column, ld, w.values_across);
        pack_down(&s, rows + k_column, ld, w.keys_down);
        for (int head = kv * group; head < (kv + 1) * group; head++)
            for (int first = 0; first < s.time; first += QUERIES) {
                const query_tile t = tile_at(&s, first);
                const ptrdiff_t at = ((ptrdiff_t)b * s.time + first) * ldo + head * s.head_size;
                pack_tile(t.count, s.head_size, rows + first * ld + head * s.head_size, ld, s.scale, w.q);
                pack_tile(t.count, s.head_size, dout + at, ldo, 1, w.dout);
                pack_tile_panels(t.count, s.head_size, w.q, w.q_panels);
                pack_tile_panels(t.count, s.head_size, w.dout, w.dout_panels);
                multiply_across(&s, &t, w.q, w.keys_across, w.scores);
                multiply_across(&s, &t, w.dout, w.values_across, w.score_gradients);
                for (int r = 0; r < t.count; r++) {
                    const int query = first + r;
                    const real delta = dot(s.head_size, out + at + r * ldo, dout + at + r * ldo);
                    row_gradient(&s, &t, r, mask, row_element(&s, b, head, query),
                                 lse[((ptrdiff_t)b * s.heads + head) * s.time + query], delta, &w);
                    clear_before(&t, r, w.scores);
                    clear_before(&t, r, w.score_gradients);
                }
                const bool begins = head == kv * group;
                add_transposed(&s, &t, w.scores, w.dout_panels, to + v_column, ld, begins);
                add_transposed(&s, &t, w.score_gradients, w.q_panels, to + k_column, ld,
                               begins); // q is scaled
                real *dq = to + first * ld + head * s.head_size;
                multiply_down(&s, &t, w.score_gradients, w.keys_down, dq, ld);
                for (int r = 0; r < t.count; r++) scale_row(s.head_size, s.scale, dq + r * ld);
            }
    }
}
