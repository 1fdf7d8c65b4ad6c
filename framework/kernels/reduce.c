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

void column_sum(int rows, int columns, const real *x, int ldx, real *out, bool accumulate) {
    enum { GROUP = 4 * VEC };
#pragma omp parallel for schedule(static) num_threads(threads_for((double)rows *columns / VEC))
    for (int c = 0; c < columns; c += GROUP) {
        int left = columns - c;
        if (left > 3 * VEC)
            sum_columns(4, rows, left, x + c, ldx, out + c, accumulate);
        else if (left > 2 * VEC)
            sum_columns(3, rows, left, x + c, ldx, out + c, accumulate);
        else if (left > VEC)
            sum_columns(2, rows, left, x + c, ldx, out + c, accumulate);
        else
            sum_columns(1, rows, left, x + c, ldx, out + c, accumulate);
    }
}

// Whole arrays are cut into this many parts, so that the partial results fit on the stack.
enum { PARTS = 64, PART_MINIMUM = 4096 };

static size_t part_length(size_t n) {
    size_t length = (n + PARTS - 1) / PARTS;
    if (length < PART_MINIMUM) length = PART_MINIMUM;
    return (length + VEC - 1) / VEC * VEC;
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

double sum_of_squares(size_t n, const real *x) {
    enum { SUMS = 8 };
    double parts_sums[PARTS];
    const size_t length = part_length(n);
    const int parts = (int)((n + length - 1) / length);
#pragma omp parallel for schedule(static) num_threads(threads_for((double)n / VEC * 4))
    for (int part = 0; part < parts; part++) {
        wide sums[SUMS] = {{0}}, total = {0};
        size_t i = (size_t)part * length, end = n - i < length ? n : i + length;
        for (; i + SUMS * WIDE <= end; i += SUMS * WIDE)
#pragma GCC unroll 8
            for (int k = 0; k < SUMS; k++) {
                if (k % 2 == 0) ask_ahead(x + i + k * WIDE);
                const wide v = get_wide(x + i + k * WIDE);
                sums[k] += v * v;
            }
        for (int k = 0; k < SUMS; k++) total += sums[k];
        double sum = 0;
        for (int k = 0; k < WIDE; k++) sum += total[k];
        for (; i < end; i++) sum += (double)x[i] * (double)x[i];
        parts_sums[part] = sum;
    }
    double sum = 0;
    for (int part = 0; part < parts; part++) sum += parts_sums[part];
    return sum;
}

ptrdiff_t first_not_finite(size_t n, const real *x) {
    ptrdiff_t found[PARTS];
    const size_t length = part_length(n);
    const int parts = (int)((n + length - 1) / length);
#pragma omp parallel for schedule(static) num_threads(threads_for((double)n / VEC * 2))
    for (int part = 0; part < parts; part++) {
        enum { GROUP = 256 };
        size_t begin = (size_t)part * length, end = n - begin < length ? n : begin + length;
        found[part] = -1;
        for (size_t first = begin; first < end && found[part] < 0; first += GROUP) {
            int count = end - first < GROUP ? (int)(end - first) : GROUP;
            vec trace = {0}; // x - x is 0, or NaN where x is NaN or infinite
            for (int i = 0; i < count; i += VEC) {
                vec v = vec_get(x + first + i, count - i);
                trace += v - v;
            }
            if (vec_sum(trace) == 0) continue;
            for (int i = 0; i < count && found[part] < 0; i++)
                if (x[first + i] - x[first + i] != 0) found[part] = (ptrdiff_t)(first + i);
        }
    }
    for (int part = 0; part < parts; part++)
        if (found[part] >= 0) return found[part];
    return -1;
}
