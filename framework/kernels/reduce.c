// Reductions: cut into parts by shape, parts combined in order.
#include "kernels/declarations.h"
#include "kernels/parallel.h"

// Rows that are added up in single precision before they go to the total: keeps the rounding error of
// long sums small.
enum { ROWS_TOGETHER = 64 };

// Columns [first, first + vectors * VEC) or fewer, `columns` being those left.
static ALWAYS_INLINE void sum_columns(const int vectors, int rows, int columns, const real *x, int ldx,
                                      real *out, bool accumulate) {
    vec total[4], part[4];
    for (int v = 0; v < vectors; v++) total[v] = (vec){0};
    for (int first = 0; first < rows; first += ROWS_TOGETHER) {
        int last = rows - first < ROWS_TOGETHER ? rows : first + ROWS_TOGETHER;
        for (int v = 0; v < vectors; v++) part[v] = (vec){0};
        for (int r = first; r < last; r++)
            for (int v = 0; v < vectors; v++)
                part[v] += vec_get(x + (size_t)r * ldx + v * VEC, columns - v * VEC);
        for (int v = 0; v < vectors; v++) total[v] += part[v];
    }
    for (int v = 0; v < vectors; v++) {
        if (accumulate) total[v] += vec_get(out + v * VEC, columns - v * VEC);
        vec_put(out + v * VEC, total[v], columns - v * VEC);
    }
}

enum { GROUP = 4 * VEC }; // columns that are summed up together

typedef struct columns_of {
    int rows, columns, ldx;
    const real *x;
    real *out;
    bool accumulate;
} columns_of;

static void sum_groups(const void *context, pool_share s) {
    const columns_of *of = context;
    for (int c = s.begin * GROUP; c < of->columns && c < s.end * GROUP; c += GROUP) {
        const int left = of->columns - c;
        const real *x = of->x + c;
        real *out = of->out + c;
        if (left > 3 * VEC)
            sum_columns(4, of->rows, left, x, of->ldx, out, of->accumulate);
        else if (left > 2 * VEC)
            sum_columns(3, of->rows, left, x, of->ldx, out, of->accumulate);
        else if (left > VEC)
            sum_columns(2, of->rows, left, x, of->ldx, out, of->accumulate);
        else
            sum_columns(1, of->rows, left, x, of->ldx, out, of->accumulate);
    }
}

void column_sum(int rows, int columns, const real *x, int ldx, real *out, bool accumulate) {
    parallel_for((columns + GROUP - 1) / GROUP, (double)rows * columns / VEC, sum_groups,
                 &(columns_of){rows, columns, ldx, x, out, accumulate});
}

// Whole arrays are cut into this many parts, so that the partial results fit on the stack.
enum { PARTS = 64, PART_MINIMUM = 4096 };

static size_t part_length(size_t n) {
    size_t length = (n + PARTS - 1) / PARTS;
    if (length < PART_MINIMUM) length = PART_MINIMUM;
    return (length + VEC - 1) / VEC * VEC;
}

// One array, and a result for each of its parts.
typedef struct array_parts {
    size_t n;
    const real *x;
    double *sums;
    ptrdiff_t *found;
} array_parts;

static int part_count(size_t n) {
    return (int)((n + part_length(n) - 1) / part_length(n));
}

static size_t part_end(size_t n, int part) {
    const size_t end = (size_t)(part + 1) * part_length(n);
    return end < n ? end : n;
}

typedef double wide __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
enum { WIDE = KERNEL_VECTOR_BYTES / sizeof(double) };

// WIDE values in double precision. Compilers convert them by halves, of which the sum has no time to lose.
static ALWAYS_INLINE wide get_wide(const real *x) {
#if defined(__AVX512F__) && !defined(RUNEXP_FP64)
    return (wide)_mm512_cvtps_pd(_mm256_loadu_ps(x));
#else
    typedef real narrow __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real)), may_alias));
    return __builtin_convertvector(*(const narrow *)x, wide);
#endif
}

static void square_parts(const void *context, pool_share s) {
    enum { SUMS = 8 };
    const array_parts *a = context;
    const real *x = a->x;
    for (int part = s.begin; part < s.end; part++) {
        wide sums[SUMS] = {{0}}, total = {0};
        size_t i = (size_t)part * part_length(a->n);
        const size_t end = part_end(a->n, part);
        for (; i + SUMS * WIDE <= end; i += SUMS * WIDE)
#pragma GCC unroll 8
            for (int k = 0; k < SUMS; k++) {
                if (k % 2 == 0) prefetch_ahead(x + i + k * WIDE);
                const wide v = get_wide(x + i + k * WIDE);
                sums[k] += v * v;
            }
        for (int k = 0; k < SUMS; k++) total += sums[k];
        double sum = 0;
        for (int k = 0; k < WIDE; k++) sum += total[k];
        for (; i < end; i++) sum += (double)x[i] * (double)x[i];
        a->sums[part] = sum;
    }
}

double sum_of_squares(size_t n, const real *x) {
    double sums[PARTS], sum = 0;
    const int parts = part_count(n);
    parallel_for(parts, (double)n / VEC * 4, square_parts, &(array_parts){.n = n, .x = x, .sums = sums});
    for (int part = 0; part < parts; part++) sum += sums[part];
    return sum;
}

static void find_not_finite(const void *context, pool_share s) {
    enum { CHUNK = 256 };
    const array_parts *a = context;
    const real *x = a->x;
    for (int part = s.begin; part < s.end; part++) {
        const size_t begin = (size_t)part * part_length(a->n), end = part_end(a->n, part);
        ptrdiff_t found = -1;
        for (size_t first = begin; first < end && found < 0; first += CHUNK) {
            const int count = end - first < CHUNK ? (int)(end - first) : CHUNK;
            vec trace = {0}; // x - x is 0, or NaN where x is NaN or infinite
            for (int i = 0; i < count; i += VEC) {
                vec v = vec_get(x + first + i, count - i);
                trace += v - v;
            }
            if (vec_sum(trace) == 0) continue;
            for (int i = 0; i < count && found < 0; i++)
                if (x[first + i] - x[first + i] != 0) found = (ptrdiff_t)(first + i);
        }
        a->found[part] = found;
    }
}

ptrdiff_t first_not_finite(size_t n, const real *x) {
    ptrdiff_t found[PARTS];
    const int parts = part_count(n);
    parallel_for(parts, (double)n / VEC * 2, find_not_finite,
                 &(array_parts){.n = n, .x = x, .found = found});
    for (int part = 0; part < parts; part++)
        if (found[part] >= 0) return found[part];
    return -1;
}
