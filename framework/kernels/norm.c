// LayerNorm (arXiv 1607.06450) and RMSNorm (arXiv 1910.07467), over rows and over the heads of rows.
#include "kernels/declarations.h"
#include "kernels/parallel.h"

#include <math.h>
#include <string.h>

// Gradients of gamma and beta are summed over chunks of rows, each into its own place in the workspace, and
// the chunks added up in order.
enum { CHUNKS = 64, CHUNK_MINIMUM = 16, COST = 12 };

// A plain row norm sees `rows` groups of one; a head norm sees `heads` groups inside each row of width ld.
typedef struct grouping {
    int rows, heads, size, ld;
} grouping;

static int chunk_rows(int rows) {
    int length = (rows + CHUNKS - 1) / CHUNKS;
    return length < CHUNK_MINIMUM ? CHUNK_MINIMUM : length;
}

static int padded(int columns) {
    return (columns + VEC - 1) / VEC * VEC;
}

size_t norm_workspace(int rows, int columns) {
    int length = chunk_rows(rows), chunks = (rows + length - 1) / length;
    return (size_t)chunks * 2 * (size_t)padded(columns) * sizeof(real);
}

static int threads_for_rows(int rows, int columns) {
    return threads_for((double)rows * columns / VEC * COST);
}

// Sum of x, or of (x - centre)^2. Four independent sums: shorter chains of additions are faster and more
// precise.
static ALWAYS_INLINE real row_moment(const bool squares, int n, const real *x, real centre) {
    vec sums[4] = {{0}, {0}, {0}, {0}};
    int i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC)
        for (int k = 0; k < 4; k++) {
            vec v = vec_load(x + i + k * VEC) - centre;
            sums[k] += squares ? v * v : v;
        }
    for (; i < n; i += VEC) {
        vec v = vec_get(x + i, n - i) - centre;
        if (n - i < VEC) v = vec_select(vec_lanes < n - i, v, (vec){0});
        sums[0] += squares ? v * v : v;
    }
    return vec_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static NEVER_INLINE void layernorm_rows(int rows, int columns, real epsilon, const real *x,
                                        const real *gamma, const real *beta, real *y, real *statistics) {
#pragma omp for schedule(static) nowait
    for (int r = 0; r < rows; r++) {
        const real *from = x + (size_t)r * columns;
        real *to = y + (size_t)r * columns;
        const real mean = row_moment(false, columns, from, 0) / (real)columns;
        const real variance = row_moment(true, columns, from, mean) / (real)columns;
        const real reciprocal = 1 / (real)sqrt((double)variance + (double)epsilon);
        statistics[2 * r] = mean;
        statistics[2 * r + 1] = reciprocal;
        for (int i = 0; i < columns; i += VEC) {
            vec v = (vec_get(from + i, columns - i) - mean) * reciprocal * vec_get(gamma + i, columns - i);
            if (beta) v += vec_get(beta + i, columns - i);
            vec_put(to + i, v, columns - i);
        }
    }
}

void layernorm_forward(int rows, int columns, real epsilon, const real *x, const real *gamma,
                       const real *beta, real *y, real *statistics) {
    WITH_THREADS(threads_for_rows(rows, columns),
                 layernorm_rows(rows, columns, epsilon, x, gamma, beta, y, statistics));
}

// out[c] (+)= the sum over chunks of workspace[chunk][which][c].
static void add_chunks(int chunks, int columns, int which, const real *workspace, real *out,
                       bool accumulate) {
    const int width = padded(columns);
    for (int c = 0; c < columns; c += VEC) {
        vec total = {0};
        for (int chunk = 0; chunk < chunks; chunk++)
            total += vec_load(workspace + ((size_t)chunk * 2 + (size_t)which) * (size_t)width + c);
        if (accumulate) total += vec_get(out + c, columns - c);
        vec_put(out + c, total, columns - c);
    }
}

void layernorm_backward(int rows, int columns, const real *x, const real *gamma, const real *statistics,
                        const real *dy, real *dx, bool accumulate_dx, real *dgamma, real *dbeta,
                        bool accumulate_parameters, void *workspace) {
    const int width = padded(columns), length = chunk_rows(rows), chunks = (rows + length - 1) / length;
#pragma omp parallel for schedule(static) num_threads(threads_for_rows(rows, columns))
    for (int chunk = 0; chunk < chunks; chunk++) {
        real *sum_gamma = (real *)workspace + (size_t)chunk * 2 * (size_t)width,
             *sum_beta = sum_gamma + width;
        memset(sum_gamma, 0, 2 * (size_t)width * sizeof(real));
        const int end = rows - chunk * length < length ? rows : (chunk + 1) * length;
        for (int r = chunk * length; r < end; r++) {
            const real *from = x + (size_t)r * columns, *upstream = dy + (size_t)r * columns;
            real *to = dx + (size_t)r * columns;
            const real mean = statistics[2 * r], reciprocal = statistics[2 * r + 1];
            // g = dy gamma; n = (x - mean) reciprocal; dx = reciprocal (g - mean(g) - n mean(g n))
            vec total_g = {0}, total_gn = {0};
            for (int i = 0; i < columns; i += VEC) {
                const int left = columns - i;
                const vec above = vec_get(upstream + i, left);
                const vec n = (vec_get(from + i, left) - mean) * reciprocal;
                const vec g = above * vec_get(gamma + i, left);
                total_g += g;
                total_gn += g * n;
                vec_store(sum_gamma + i, vec_load(sum_gamma + i) + above * n);
                vec_store(sum_beta + i, vec_load(sum_beta + i) + above);
            }
            const real mean_g = vec_sum(total_g) / (real)columns,
                       mean_gn = vec_sum(total_gn) / (real)columns;
            for (int i = 0; i < columns; i += VEC) {
                const int left = columns - i;
                const vec n = (vec_get(from + i, left) - mean) * reciprocal;
                const vec g = vec_get(upstream + i, left) * vec_get(gamma + i, left);
                vec d = (g - mean_g - n * mean_gn) * reciprocal;
                if (accumulate_dx) d += vec_get(to + i, left);
                vec_put(to + i, d, left);
            }
        }
    }
    add_chunks(chunks, columns, 0, workspace, dgamma, accumulate_parameters);
    if (dbeta) add_chunks(chunks, columns, 1, workspace, dbeta, accumulate_parameters);
}

static NEVER_INLINE void rms_rows(grouping s, real epsilon, const real *x, const real *gamma, real *y,
                                  real *statistics) {
#pragma omp for schedule(static) nowait
    for (int r = 0; r < s.rows; r++)
        for (int h = 0; h < s.heads; h++) {
            const size_t at = (size_t)r * (size_t)s.ld + (size_t)h * (size_t)s.size;
            const real mean = row_moment(true, s.size, x + at, 0) / (real)s.size;
            const real reciprocal = 1 / (real)sqrt((double)mean + (double)epsilon);
            statistics[(size_t)r * (size_t)s.heads + (size_t)h] = reciprocal;
            for (int i = 0; i < s.size; i += VEC)
                vec_put(y + at + i,
                        vec_get(x + at + i, s.size - i) * reciprocal * vec_get(gamma + i, s.size - i),
                        s.size - i);
        }
}

static void rms_forward(grouping s, real epsilon, const real *x, const real *gamma, real *y,
                        real *statistics) {
    WITH_THREADS(threads_for_rows(s.rows, s.heads * s.size), rms_rows(s, epsilon, x, gamma, y, statistics));
}

static void rms_backward(grouping s, const real *x, const real *gamma, const real *statistics,
                         const real *dy, real *dx, bool accumulate_dx, real *dgamma,
                         bool accumulate_parameters, void *workspace) {
    const int width = padded(s.size), length = chunk_rows(s.rows), chunks = (s.rows + length - 1) / length;
#pragma omp parallel for schedule(static) num_threads(threads_for_rows(s.rows, s.heads *s.size))
    for (int chunk = 0; chunk < chunks; chunk++) {
        real *sum_gamma = (real *)workspace + (size_t)chunk * 2 * (size_t)width;
        memset(sum_gamma, 0, (size_t)width * sizeof(real));
        const int end = s.rows - chunk * length < length ? s.rows : (chunk + 1) * length;
        for (int r = chunk * length; r < end; r++)
            for (int h = 0; h < s.heads; h++) {
                const size_t at = (size_t)r * (size_t)s.ld + (size_t)h * (size_t)s.size;
                const real reciprocal = statistics[(size_t)r * (size_t)s.heads + (size_t)h];
                // g = dy gamma; n = x reciprocal; dx = reciprocal (g - n mean(g n))
                vec total = {0};
                for (int i = 0; i < s.size; i += VEC) {
                    const int left = s.size - i;
                    const vec scaled =
                        vec_get(dy + at + i, left) * (vec_get(x + at + i, left) * reciprocal);
                    total += scaled * vec_get(gamma + i, left);
                    vec_store(sum_gamma + i, vec_load(sum_gamma + i) + scaled);
                }
                const real mean = vec_sum(total) / (real)s.size;
                for (int i = 0; i < s.size; i += VEC) {
                    const int left = s.size - i;
                    const vec g = vec_get(dy + at + i, left) * vec_get(gamma + i, left);
                    vec d = (g - vec_get(x + at + i, left) * reciprocal * mean) * reciprocal;
                    if (accumulate_dx) d += vec_get(dx + at + i, left);
                    vec_put(dx + at + i, d, left);
                }
            }
    }
    add_chunks(chunks, s.size, 0, workspace, dgamma, accumulate_parameters);
}

void rmsnorm_forward(int rows, int columns, real epsilon, const real *x, const real *gamma, real *y,
                     real *statistics) {
    rms_forward((grouping){rows, 1, columns, columns}, epsilon, x, gamma, y, statistics);
}

void rmsnorm_backward(int rows, int columns, const real *x, const real *gamma, const real *statistics,
                      const real *dy, real *dx, bool accumulate_dx, real *dgamma,
                      bool accumulate_parameters, void *workspace) {
    rms_backward((grouping){rows, 1, columns, columns}, x, gamma, statistics, dy, dx, accumulate_dx, dgamma,
                 accumulate_parameters, workspace);
}

void head_norm_forward(int rows, int heads, int head_size, int ld, real epsilon, const real *x,
                       const real *gamma, real *y, real *statistics) {
    rms_forward((grouping){rows, heads, head_size, ld}, epsilon, x, gamma, y, statistics);
}

void head_norm_backward(int rows, int heads, int head_size, int ld, const real *x, const real *gamma,
                        const real *statistics, const real *dy, real *dx, real *dgamma,
                        bool accumulate_parameters, void *workspace) {
    rms_backward((grouping){rows, heads, head_size, ld}, x, gamma, statistics, dy, dx, false, dgamma,
                 accumulate_parameters, workspace);
}
