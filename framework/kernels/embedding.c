// Token tables, learned positions and rotary positions (arXiv 2104.09864).
#include "kernels/declarations.h"
#include "kernels/parallel.h"

#include <string.h>

// Terms that are added up before they go to the total: keeps the rounding error of long sums small.
enum { TERMS_TOGETHER = 64 };

static double operations_of(int rows, int columns) {
    return (double)rows * columns / VEC * 3;
}

typedef struct look_up {
    int columns;
    real scale;
    const int32_t *ids;
    const real *table;
    real *y;
} look_up;

static void look_up_rows(const void *context, pool_share s) {
    const look_up *l = context;
    const int columns = l->columns;
    for (int r = s.begin; r < s.end; r++) {
        const real *from = l->table + (size_t)l->ids[r] * (size_t)columns;
        real *to = l->y + (size_t)r * (size_t)columns;
        for (int i = 0; i < columns; i += VEC)
            vec_put(to + i, vec_get(from + i, columns - i) * l->scale, columns - i);
    }
}

void embedding_forward(int rows, int columns, real scale, const int32_t *ids, const real *table, real *y) {
    parallel_for(rows, operations_of(rows, columns), look_up_rows,
                 &(look_up){columns, scale, ids, table, y});
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

// The rows of dy by id: those of id v are order[ends[v - 1]] .. order[ends[v] - 1], in row order.
typedef struct rows_by_id {
    int columns;
    real scale;
    const real *dy;
    real *dtable;
    bool accumulate;
    const int32_t *ends, *order;
} rows_by_id;

// A row of the table is one piece: its sum does not depend on who does which.
static void sum_rows_of_ids(const void *context, pool_share s) {
    const rows_by_id *by = context;
    for (int v = s.begin; v < s.end; v++) {
        const int begin = v ? by->ends[v - 1] : 0, count = by->ends[v] - begin;
        if (count == 0 && by->accumulate) continue;
        sum_rows(count, by->order + begin, by->columns, by->scale, by->dy,
                 by->dtable + (size_t)v * (size_t)by->columns, by->accumulate);
    }
}

void embedding_backward(int rows, int columns, int vocabulary, real scale, const int32_t *ids,
                        const real *dy, real *dtable, bool accumulate, void *workspace) {
    // Counting sort.
    int32_t *ends = workspace, *order = ends + vocabulary + 1;
    memset(ends, 0, ((size_t)vocabulary + 1) * sizeof *ends);
    for (int r = 0; r < rows; r++) ends[ids[r] + 1]++;
    for (int v = 0; v < vocabulary; v++) ends[v + 1] += ends[v];
    for (int r = 0; r < rows; r++) order[ends[ids[r]]++] = r;
    parallel_for(vocabulary, operations_of(accumulate ? rows : rows + vocabulary, columns), sum_rows_of_ids,
                 &(rows_by_id){columns, scale, dy, dtable, accumulate, ends, order});
}

typedef struct positions {
    int batch, time, columns;
    const real *dy;
    real *dpositions;
    bool accumulate;
} positions;

static void sum_positions(const void *context, pool_share s) {
    const positions *p = context;
    const size_t columns = (size_t)p->columns;
    for (int t = s.begin; t < s.end; t++) {
        real *to = p->dpositions + (size_t)t * columns;
        for (int c = 0; c < p->columns; c += VEC) {
            const int left = p->columns - c;
            vec total = {0};
            for (int b = 0; b < p->batch; b++)
                total += vec_get(p->dy + ((size_t)b * (size_t)p->time + (size_t)t) * columns + c, left);
            if (p->accumulate) total += vec_get(to + c, left);
            vec_put(to + c, total, left);
        }
    }
}

void positions_backward(int batch, int time, int columns, const real *dy, real *dpositions,
                        bool accumulate) {
    parallel_for(time, operations_of(batch * time, columns), sum_positions,
                 &(positions){batch, time, columns, dy, dpositions, accumulate});
}

typedef struct rotation {
    int time, heads, head_size, rope_dim, ld;
    real direction;
    const real *cosine, *sine, *x;
    real *y;
} rotation;

static void rotate_rows(const void *context, pool_share s) {
    const rotation *l = context;
    const int half = l->rope_dim / 2;
    for (int r = s.begin; r < s.end; r++)
        for (int h = 0; h < l->heads; h++) {
            const real *cosine = l->cosine + (size_t)(r % l->time) * (size_t)half,
                       *sine = l->sine + (size_t)(r % l->time) * (size_t)half;
            const size_t at = (size_t)r * (size_t)l->ld + (size_t)h * (size_t)l->head_size;
            const real *from = l->x + at;
            real *to = l->y + at;
            for (int i = 0; i < half; i += VEC) {
                const int left = half - i;
                const vec u = vec_get(from + i, left), w = vec_get(from + half + i, left);
                const vec cos_a = vec_get(cosine + i, left), sin_a = vec_get(sine + i, left) * l->direction;
                vec_put(to + i, u * cos_a - w * sin_a, left);
                vec_put(to + half + i, u * sin_a + w * cos_a, left);
            }
            if (to != from)
                memmove(to + l->rope_dim, from + l->rope_dim,
                        (size_t)(l->head_size - l->rope_dim) * sizeof *to);
        }
}

void rotate(int rows, int time, int heads, int head_size, int rope_dim, int sign, const real *cosine,
            const real *sine, const real *x, real *y, int ld) {
    const rotation l = {time, heads, head_size, rope_dim, ld, sign < 0 ? -1 : 1, cosine, sine, x, y};
    parallel_for(rows, operations_of(rows, heads * head_size), rotate_rows, &l);
}
