// What attention is made of: products of small blocks of queries and keys.
//
// A tile holds up to SPAN queries, a block up to SPAN keys. Their scores lie across: a row for each key,
// SPAN apart, a lane for each query. So maxima and sums over keys need no shuffles, keys and values serve
// as they lie in memory, and only queries (and gradients of outputs) have to be turned: into panels of
// LANES queries, a row for each of the head's columns. All other matrices have a row for each query or key,
// `width` values apart: the head's size rounded up to whole vectors, zero beyond it.
#ifndef RUNEXP_KERNELS_ATTENTION_TILE_H
#define RUNEXP_KERNELS_ATTENTION_TILE_H

#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/sizes.h"
#include "kernels/vector_math.h"

// A product keeps ROWS x LANES results in registers: enough chains of multiply-adds to hide their latency,
// and rows few enough that little is wasted along the diagonal, and none of them beyond a panel.
#if (defined(__AVX512F__) || defined(__aarch64__)) && KERNEL_LANES >= 4
enum { ROWS = 8 };
#else
enum { ROWS = 4 };
#endif
enum { LANES = 2 * VEC, SPAN = 64 };
_Static_assert((int)LANES % (int)ROWS == 0, "a panel is whole groups of rows");

// Lanes as unsigned numbers.
#ifdef RUNEXP_FP64
typedef uint64_t lane_bits __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
#else
typedef uint32_t lane_bits __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
#endif

// A score that no query has: less than any, and its exponential is 0 beside any other.
#define INVISIBLE (-(real)1e30)

// 2^x for x <= 1; no less than 2^-100, which is nothing beside the largest probability of a row and keeps
// products with it clear of denormal numbers. NaN stays NaN.
static ALWAYS_INLINE vec vec_exp2(vec x) {
    x = vec_max(vec_set(-100), x);
#ifdef RUNEXP_FP64
    for (int i = 0; i < VEC; i++) x[i] = exp2(x[i]);
    return x;
#else
    const real round_to_int = 12582912 + 127; // 1.5 * 2^23 and the bias of exponents: see vec_exp
    const vec shifted = x + round_to_int, r = x - (shifted - round_to_int);
    vec p = r * 0.0013264727f + 0.009671513f;
    p = p * r + 0.055507336f;
    p = p * r + 0.24022242f;
    p = p * r + 0.693147f;
    p = p * r + 1;
    return p * (vec)((ivec)shifted << 23);
#endif
}

// sums += left right, ROWS x vectors: left's rows are row_step apart, its columns depth_step.
static ALWAYS_INLINE void multiply_add(const int vectors, int depth, const real *left,
                                       const ptrdiff_t row_step, const ptrdiff_t depth_step,
                                       const real *right, const ptrdiff_t right_step, vec sums[ROWS][2]) {
    // Unrolled so far that the end of the loop is foreseen by the processor.
#pragma GCC unroll 8
    for (int k = 0; k < depth; k++) {
        vec across[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) across[v] = vec_load(right + v * VEC);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) {
            const vec down = vec_set(left[r * row_step]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sums[r][v] += down * across[v];
        }
        left += depth_step;
        right += right_step;
    }
}

// The scores, or anything else that keys and queries multiply to, of ROWS keys and a panel of queries from
// its vector `skipped` on. All start from `start`, a value for each query.
static ALWAYS_INLINE void multiply_across(const int skipped, int depth, const real *keys, ptrdiff_t width,
                                          const real *panel, const real *start, vec sums[ROWS][2]) {
#pragma GCC unroll 2
    for (int v = 0; v < 2 - skipped; v++) {
        const vec first = start ? vec_load(start + (v + skipped) * VEC) : (vec){0};
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) sums[r][v] = first;
    }
    // The usual sizes as constants.
    if (depth == 64 && width == 64)
        multiply_add(2 - skipped, 64, keys, 64, 1, panel + skipped * VEC, LANES, sums);
    else if (depth == 32 && width == 32)
        multiply_add(2 - skipped, 32, keys, 32, 1, panel + skipped * VEC, LANES, sums);
    else
        multiply_add(2 - skipped, depth, keys, width, 1, panel + skipped * VEC, LANES, sums);
}

// sums (ROWS x vectors) = factors to + weights rows, for weights of which one row is row_step and one
// column depth_step apart. begins: to was not there yet. factors: one for each row, NULL for ones.
static ALWAYS_INLINE void sum_columns(const int vectors, int depth, const real *weights,
                                      const ptrdiff_t row_step, const ptrdiff_t depth_step,
                                      const real *rows, ptrdiff_t width, bool begins, const real *factors,
                                      const real *to, vec sums[ROWS][2]) {
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) sums[r][v] = (vec){0};
    if (!begins && factors) {
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sums[r][v] = vec_load(to + r * width + v * VEC) * factors[r];
    } else if (!begins) {
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sums[r][v] = vec_load(to + r * width + v * VEC);
    }
    multiply_add(vectors, depth, weights, row_step, depth_step, rows, width, sums);
}

static ALWAYS_INLINE void store_columns(const int vectors, vec sums[ROWS][2], real *to, ptrdiff_t width) {
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) vec_store(to + r * width + v * VEC, sums[r][v]);
}

// Where sums go that are complete: the first `count` of ROWS rows, times their factors, to `columns`
// columns of a matrix. adds: to what is there.
typedef struct result_rows {
    real *to;
    ptrdiff_t step;
    int count, columns;
    const real *factors;
    bool adds;
} result_rows;

static ALWAYS_INLINE void finish_columns(const int vectors, vec sums[ROWS][2], const result_rows *result,
                                         int column) {
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
        if (r < result->count)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) {
                real *to = result->to + r * result->step + column + v * VEC;
                const int left = result->columns - column - v * VEC;
                vec sum = sums[r][v] * result->factors[r];
                if (result->adds) sum += vec_get(to, left);
                vec_put(to, sum, left);
            }
}

// For ROWS queries: to (or where `result` says) = factors to + (scores across)^T rows, over `depth`
// keys. step: between scores of neighbouring keys.
static ALWAYS_INLINE void accumulate_queries(int depth, const real *scores, const ptrdiff_t step,
                                             const real *rows, int width, bool begins, const real *factors,
                                             real *to, const result_rows *result) {
    vec sums[ROWS][2];
    int c = 0;
    for (; c + 2 * VEC <= width; c += 2 * VEC) {
        sum_columns(2, depth, scores, 1, step, rows + c, width, begins, factors, to + c, sums);
        if (result)
            finish_columns(2, sums, result, c);
        else
            store_columns(2, sums, to + c, width);
    }
    if (c < width) {
        sum_columns(1, depth, scores, 1, step, rows + c, width, begins, factors, to + c, sums);
        if (result)
            finish_columns(1, sums, result, c);
        else
            store_columns(1, sums, to + c, width);
    }
}

// For ROWS keys: to += scores across rows, over `depth` queries.
static inline void accumulate_keys(int depth, const real *scores, const real *rows, int width, bool begins,
                                   real *to) {
    vec sums[ROWS][2];
    int c = 0;
    for (; c + 2 * VEC <= width; c += 2 * VEC) {
        sum_columns(2, depth, scores, SPAN, 1, rows + c, width, begins, NULL, to + c, sums);
        store_columns(2, sums, to + c, width);
    }
    if (c < width) {
        sum_columns(1, depth, scores, SPAN, 1, rows + c, width, begins, NULL, to + c, sums);
        store_columns(1, sums, to + c, width);
    }
}

// Which of the queries query, query + 1, ... see a key, when each sees the last `reach` keys. (Unsigned:
// a key of the future is further back than any.)
static ALWAYS_INLINE ivec sees(int query, int key, int reach) {
    return (ivec)((lane_bits)(vec_lanes + (query - key)) < (lane_bits)(reach + (ivec){0}));
}

// Rows of a matrix with padding: count rows of `columns` values become `padded` rows of `width`, times
// factor.
static NEVER_INLINE void pack_rows(int count, int padded, int columns, int width, const real *x,
                                   ptrdiff_t ld, real factor, real *to) {
    const int whole = round_down(columns, VEC);
    for (int r = 0; r < padded; r++) {
        for (int c = 0; c < whole; c += VEC)
            vec_store(to + c, r < count ? vec_load(x + c) * factor : (vec){0});
        if (whole < width)
            vec_store(to + whole,
                      r < count ? vec_load_some(x + whole, columns - whole) * factor : (vec){0});
        x += ld;
        to += width;
    }
}

// Rows of queries, times factor, as panels: LANES queries each, zero beyond `count`. copy, when there is
// one, gets the rows as they are, `width` apart, zero beyond `columns`.
static NEVER_INLINE void pack_panels(int count, int columns, const real *x, ptrdiff_t ld, real factor,
                                     real *panels, real *copy, int width) {
    for (int first = 0; first < round_up(count, LANES); first += VEC) {
        real *to = panels + first / LANES * LANES * columns + first % LANES;
        const int left = count - first;
        for (int c = 0; c < columns; c += VEC) {
            const real *from = x + first * ld + c;
            real *rows = copy ? copy + first * width + c : NULL;
            vec square[VEC];
            if (left >= VEC && columns - c >= VEC) {
#pragma GCC unroll 16
                for (int i = 0; i < VEC; i++) square[i] = vec_load(from + i * ld);
                if (rows)
#pragma GCC unroll 16
                    for (int i = 0; i < VEC; i++) vec_store(rows + i * width, square[i]);
                vec_transpose(square);
#pragma GCC unroll 16
                for (int i = 0; i < VEC; i++) vec_store(to + (c + i) * LANES, square[i] * factor);
            } else {
                for (int i = 0; i < VEC; i++) {
                    square[i] = i < left ? vec_get(from + i * ld, columns - c) : (vec){0};
                    if (rows && i < left) vec_store(rows + i * width, square[i]);
                }
                vec_transpose(square);
                for (int i = 0; i < VEC && c + i < columns; i++)
                    vec_store(to + (c + i) * LANES, square[i] * factor);
            }
        }
    }
}

// Rows of several matrices that will be needed soon, to be prefetched a few at a time while products keep
// the units busy: processors cannot guess where the rows of a head lie.
typedef struct row_queue {
    const real *matrices[8];
    ptrdiff_t steps[8]; // between rows
    int count, rows;    // matrices, rows of each
    int bytes;          // of a row
    int at_a_time;      // rows of all matrices
    int matrix, row;    // the next
} row_queue;

static inline void queue_rows(row_queue *q, const real *x, ptrdiff_t step) {
    q->matrices[q->count] = x;
    q->steps[q->count++] = step;
}

static NEVER_INLINE void fetch_rows(row_queue *q) {
    for (int left = q->at_a_time; left > 0 && q->matrix < q->count;) {
        const ptrdiff_t step = q->steps[q->matrix];
        const real *x = q->matrices[q->matrix] + q->row * step;
        const int rows = smaller(left, q->rows - q->row), bytes = q->bytes;
        for (int r = 0; r < rows; r++, x += step)
            for (int byte = 0; byte < bytes; byte += 64) __builtin_prefetch((const char *)x + byte, 0, 2);
        left -= rows;
        q->row += rows;
        if (q->row == q->rows) q->row = 0, q->matrix++;
    }
}

#endif
