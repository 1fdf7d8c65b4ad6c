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
#include "kernels/vector_math.h"

#include <string.h>

// A product keeps ROWS x LANES results in registers: enough chains of multiply-adds to hide their latency,
// and rows few enough that little is wasted along the diagonal.
#if defined(__AVX512F__) || defined(__aarch64__)
enum { ROWS = 8 };
#else
enum { ROWS = 4 };
#endif
enum { LANES = 2 * VEC, SPAN = 64 };

// Lanes as unsigned numbers.
#ifdef RUNEXP_FP64
typedef uint64_t lane_bits __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
#else
typedef uint32_t lane_bits __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
#endif

// A score that no query has: less than any, and its exponential is 0 beside any other.
#define INVISIBLE ((real)-1e30)

static inline int smaller(int a, int b) {
    return a < b ? a : b;
}

static inline int larger(int a, int b) {
    return a > b ? a : b;
}

static inline int round_up(int n, int multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

static inline int round_down(int n, int multiple) {
    return n / multiple * multiple;
}

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

// to (ROWS rows of width values) = factors to + weights rows, for weights of which one row is row_step and
// one column depth_step apart. without: to was not there yet. factors: one for each row, NULL for ones.
static ALWAYS_INLINE void accumulate_columns(const int vectors, int depth, const real *weights,
                                             const ptrdiff_t row_step, const ptrdiff_t depth_step,
                                             const real *rows, ptrdiff_t width, bool begins,
                                             const real *factors, real *to) {
    vec sums[ROWS][2];
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
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) vec_store(to + r * width + v * VEC, sums[r][v]);
}

// For ROWS queries: to = factors to + (scores across)^T rows, over `depth` keys.
static inline void accumulate_queries(int depth, const real *scores, const real *rows, int width,
                                      bool begins, const real *factors, real *to) {
    int c = 0;
    for (; c + 2 * VEC <= width; c += 2 * VEC)
        accumulate_columns(2, depth, scores, 1, SPAN, rows + c, width, begins, factors, to + c);
    if (c < width) accumulate_columns(1, depth, scores, 1, SPAN, rows + c, width, begins, factors, to + c);
}

// For ROWS keys: to += scores across rows, over `depth` queries.
static inline void accumulate_keys(int depth, const real *scores, const real *rows, int width, bool begins,
                                   real *to) {
    int c = 0;
    for (; c + 2 * VEC <= width; c += 2 * VEC)
        accumulate_columns(2, depth, scores, SPAN, 1, rows + c, width, begins, NULL, to + c);
    if (c < width) accumulate_columns(1, depth, scores, SPAN, 1, rows + c, width, begins, NULL, to + c);
}

// Which of the queries query, query + 1, ... see a key, when each sees the last `reach` keys. (Unsigned:
// a key of the future is further back than any.)
static ALWAYS_INLINE ivec sees(int query, int key, int reach) {
    return (ivec)((lane_bits)(vec_lanes + (query - key)) < (lane_bits)(reach + (ivec){0}));
}

// Rows of a matrix with padding: count rows of `columns` values become `padded` rows of `width`, times
// factor.
static inline void pack_rows(int count, int padded, int columns, int width, const real *x, ptrdiff_t ld,
                             real factor, real *to) {
    for (int r = 0; r < count; r++)
        for (int c = 0; c < width; c += VEC)
            vec_store(to + r * width + c, vec_get(x + r * ld + c, larger(0, columns - c)) * factor);
    memset(to + count * width, 0, (size_t)((padded - count) * width) * sizeof *to);
}

// Rows of queries, times factor, as panels: LANES queries each, zero beyond `count`.
static inline void pack_panels(int count, int columns, const real *x, ptrdiff_t ld, real factor,
                               real *panels) {
    for (int first = 0; first < round_up(count, LANES); first += VEC) {
        real *to = panels + first / LANES * LANES * columns + first % LANES;
        const int left = count - first;
        for (int c = 0; c < columns; c += VEC) {
            const real *from = x + first * ld + c;
            vec square[VEC];
            if (left >= VEC && columns - c >= VEC) {
#pragma GCC unroll 16
                for (int i = 0; i < VEC; i++) square[i] = vec_load(from + i * ld) * factor;
                vec_transpose(square);
#pragma GCC unroll 16
                for (int i = 0; i < VEC; i++) vec_store(to + (c + i) * LANES, square[i]);
            } else {
                for (int i = 0; i < VEC; i++)
                    square[i] = i < left ? vec_get(from + i * ld, columns - c) * factor : (vec){0};
                vec_transpose(square);
                for (int i = 0; i < VEC && c + i < columns; i++) vec_store(to + (c + i) * LANES, square[i]);
            }
        }
    }
}

// Rows of several matrices that will be needed soon, to be asked for a few at a time while products keep
// the units busy: processors cannot guess where the rows of a head lie.
typedef struct row_queue {
    const real *matrices[6];
    ptrdiff_t steps[6]; // between rows
    int count, rows;    // matrices, rows of each
    int bytes;          // of a row
    int at_a_time;      // rows of all matrices
    int matrix, row;    // the next
} row_queue;

static inline void queue_rows(row_queue *q, const real *x, ptrdiff_t step) {
    q->matrices[q->count] = x;
    q->steps[q->count++] = step;
}

static inline void fetch_rows(row_queue *q) {
    for (int i = 0; i < q->at_a_time && q->matrix < q->count; i++) {
        const char *x = (const char *)(q->matrices[q->matrix] + q->row * q->steps[q->matrix]);
        for (int byte = 0; byte < q->bytes; byte += 64) __builtin_prefetch(x + byte);
        if (++q->row == q->rows) q->row = 0, q->matrix++;
    }
}

#endif
