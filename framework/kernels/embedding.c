// Token tables, learned positions and rotary positions (arXiv 2104.09864).
#include "kernels/declarations.h"
#include "kernels/parallel.h"

#include <string.h>

// Terms that are added up before they go to the total: keeps the rounding error of long sums small.
enum { TERMS_TOGETHER = 64 };

static int threads_for_rows(int rows, int columns) {
    return threads_for((double)rows * columns / VEC * 3);
}

static NEVER_INLINE void look_up_rows(int rows, int columns, real scale, const int32_t *ids,
                                      const real *table, real *y) {
#pragma omp for schedule(static) nowait
    for (int r = 0; r < rows; r++) {
        const real *from = table + (size_t)ids[r] * (size_t)columns;
        real *to = y + (size_t)r * (size_t)columns;
        for (int i = 0; i < columns; i += VEC)
            vec_put(to + i, vec_get(from + i, columns - i) * scale, columns - i);
    }
}

void embedding_forward(int rows, int columns, real scale, const int32_t *ids, const real *table, real *y) {
    WITH_THREADS(threads_for_rows(rows, columns), look_up_rows(rows, columns, scale, ids, table, y));
}

size_t embedding_workspace(int rows, int vocabulary) {
    return ((size_t)rows + (size_t)vocabulary + 1) * sizeof(int32_t);
}

// to[0..columns) (+)= scale * sum of the given rows of dy, in the given order.
static void sum_rows(int count, const int32_t *which, int columns, real scale, const real *dy, real *to,
                     bool accumulate) {
    for (int c = 0; c < columns; c += VEC) {
        const int left = columns - c;
        vec total = {0};
        for (int first = 0; first < count; first += TERMS_TOGETHER) {
            const int end = count - first < TERMS_TOGETHER ? count : first + TERMS_TOGETHER;
            vec part = {0};
            for (int k = first; k < end; k++)
                part += vec_get(dy + (size_t)which[k] * (size_t)columns + c, left);
            total += part;
        }
        total *= scale;
        if (accumulate) total += vec_get(to + c, left);
        vec_put(to + c, total, left);
    }
}

void embedding_backward(int rows, int columns, int vocabulary, real scale, const int32_t *ids,
                        const real *dy, real *dtable, bool accumulate, void *workspace) {
    // Counting sort of the rows by id: rows of id v are order[ends[v-1] .. ends[v]), in row order.
    int32_t *ends = workspace, *order = ends + vocabulary + 1;
    memset(ends, 0, ((size_t)vocabulary + 1) * sizeof *ends);
    for (int r = 0; r < rows; r++) ends[ids[r] + 1]++;
    for (int v = 0; v < vocabulary; v++) ends[v + 1] += ends[v];
    for (int r = 0; r < rows; r++) order[ends[ids[r]]++] = r;
    // A row of the table belongs to one thread: sums do not depend on who takes which.
    const int threads = threads_for_rows(accumulate ? rows : rows + vocabulary, columns);
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int v = 0; v < vocabulary; v++) {
        const int begin = v ? ends[v - 1] : 0;
        if (ends[v] == begin && accumulate) continue;
        sum_rows(ends[v] - begin, order + begin, columns, scale, dy, dtable + (size_t)v * (size_t)columns,
                 accumulate);
    }
}

void positions_backward(int batch, int time, int columns, const real *dy, real *dpositions,
                        bool accumulate) {
#pragma omp parallel for schedule(static) num_threads(threads_for_rows(batch *time, columns))
    for (int t = 0; t < time; t++) {
        real *to = dpositions + (size_t)t * (size_t)columns;
        for (int c = 0; c < columns; c += VEC) {
            const int left = columns - c;
            vec total = {0};
            for (int b = 0; b < batch; b++)
                total += vec_get(dy + ((size_t)b * (size_t)time + (size_t)t) * (size_t)columns + c, left);
            if (accumulate) total += vec_get(to + c, left);
            vec_put(to + c, total, left);
        }
    }
}

static NEVER_INLINE void rotate_rows(int rows, int time, int heads, int head_size, int rope_dim, int sign,
                                     const real *cosine, const real *sine, const real *x, real *y, int ld) {
    const int half = rope_dim / 2;
    const real direction = sign < 0 ? -1 : 1;
#pragma omp for schedule(static) nowait
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < heads; h++) {
            const real *c = cosine + (size_t)(r % time) * (size_t)half,
                       *s = sine + (size_t)(r % time) * (size_t)half;
            const real *from = x + (size_t)r * (size_t)ld + (size_t)h * (size_t)head_size;
            real *to = y + (size_t)r * (size_t)ld + (size_t)h * (size_t)head_size;
            for (int i = 0; i < half; i += VEC) {
                const int left = half - i;
                const vec u = vec_get(from + i, left), w = vec_get(from + half + i, left);
                const vec cos_a = vec_get(c + i, left), sin_a = vec_get(s + i, left) * direction;
                vec_put(to + i, u * cos_a - w * sin_a, left);
                vec_put(to + half + i, u * sin_a + w * cos_a, left);
            }
            if (to != from)
                memmove(to + rope_dim, from + rope_dim, (size_t)(head_size - rope_dim) * sizeof *to);
        }
}

void rotate(int rows, int time, int heads, int head_size, int rope_dim, int sign, const real *cosine,
            const real *sine, const real *x, real *y, int ld) {
    WITH_THREADS(threads_for_rows(rows, heads * head_size),
                 rotate_rows(rows, time, heads, head_size, rope_dim, sign, cosine, sine, x, y, ld));
}
