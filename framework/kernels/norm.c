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

static int chunk_count(int rows) {
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

static int padded(int columns) {
    return (columns + VEC - 1) / VEC * VEC;
}

size_t norm_workspace(int rows, int columns) {
    return (size_t)chunk_count(rows) * 2 * (size_t)padded(columns) * sizeof(real);
}

static double operations_of(grouping g) {
    return (double)g.rows * g.heads * g.size / VEC * COST;
}

// The arguments of a norm or its gradients; layer norms have one head.
typedef struct norm {
    grouping g;
    real epsilon;
    const real *x, *gamma, *beta;
    real *y, *statistics;
    const real *dy;
    real *dx;
    bool accumulate_dx;
    real *sums; // of the chunks: two rows each, for gamma and beta
} norm;

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

static void layernorm_rows(const void *context, pool_share share) {
    const norm *n = context;
    const int columns = n->g.size;
    const real *gamma = n->gamma, *beta = n->beta;
    for (int r = share.begin; r < share.end; r++) {
        const real *from = n->x + (size_t)r * columns;
        real *to = n->y + (size_t)r * columns;
        const real mean = row_moment(false, columns, from, 0) / (real)columns;
        const real variance = row_moment(true, columns, from, mean) / (real)columns;
        const real reciprocal = 1 / (real)sqrt((double)variance + (double)n->epsilon);
        n->statistics[2 * r] = mean;
        n->statistics[2 * r + 1] = reciprocal;
        for (int i = 0; i < columns; i += VEC) {
            vec v = (vec_get(from + i, columns - i) - mean) * reciprocal * vec_get(gamma + i, columns - i);
            if (beta) v += vec_get(beta + i, columns - i);
            vec_put(to + i, v, columns - i);
        }
    }
}

void layernorm_forward(int rows, int columns, real epsilon, const real *x, const real *gamma,
                       const real *beta, real *y, real *statistics) {
    const norm n = {.g = {rows, 1, columns, columns},
                    .epsilon = epsilon,
                    .x = x,
                    .gamma = gamma,
                    .beta = beta,
                    .y = y,
                    .statistics = statistics};
    parallel_for(rows, operations_of(n.g), layernorm_rows, &n);
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

static int end_of_chunk(int rows, int chunk) {
    const int length = chunk_rows(rows);
    return rows - chunk * length < length ? rows : (chunk + 1) * length;
}

// The gradient of row r; adds those of gamma and beta to the sums.
static ALWAYS_INLINE void layernorm_row_backward(const norm *n, int r, real *sum_gamma, real *sum_beta) {
    const int columns = n->g.size;
    const real *from = n->x + (size_t)r * columns, *upstream = n->dy + (size_t)r * columns;
    real *to = n->dx + (size_t)r * columns;
    const real mean = n->statistics[2 * r], reciprocal = n->statistics[2 * r + 1];
    // g = dy gamma; z = (x - mean) reciprocal; dx = reciprocal (g - mean(g) - z mean(g z))
    vec total_g = {0}, total_gz = {0};
    for (int i = 0; i < columns; i += VEC) {
        const int left = columns - i;
        const vec above = vec_get(upstream + i, left);
        const vec z = (vec_get(from + i, left) - mean) * reciprocal;
        const vec g = above * vec_get(n->gamma + i, left);
        total_g += g;
        total_gz += g * z;
        vec_store(sum_gamma + i, vec_load(sum_gamma + i) + above * z);
        vec_store(sum_beta + i, vec_load(sum_beta + i) + above);
    }
    const real mean_g = vec_sum(total_g) / (real)columns, mean_gz = vec_sum(total_gz) / (real)columns;
    for (int i = 0; i < columns; i += VEC) {
        const int left = columns - i;
        const vec z = (vec_get(from + i, left) - mean) * reciprocal;
        const vec g = vec_get(upstream + i, left) * vec_get(n->gamma + i, left);
        vec d = (g - mean_g - z * mean_gz) * reciprocal;
        if (n->accumulate_dx) d += vec_get(to + i, left);
        vec_put(to + i, d, left);
    }
}

static void layernorm_chunks_backward(const void *context, pool_share share) {
    const norm *n = context;
    const int rows = n->g.rows, width = padded(n->g.size);
    for (int chunk = share.begin; chunk < share.end; chunk++) {
        real *sum_gamma = n->sums + (size_t)chunk * 2 * (size_t)width, *sum_beta = sum_gamma + width;
        memset(sum_gamma, 0, 2 * (size_t)width * sizeof(real));
        for (int r = chunk * chunk_rows(rows); r < end_of_chunk(rows, chunk); r++)
            layernorm_row_backward(n, r, sum_gamma, sum_beta);
    }
}

void layernorm_backward(int rows, int columns, const real *x, const real *gamma, const real *statistics,
                        const real *dy, real *dx, bool accumulate_dx, real *dgamma, real *dbeta,
                        bool accumulate_parameters, void *workspace) {
    const norm n = {.g = {rows, 1, columns, columns},
                    .x = x,
                    .gamma = gamma,
                    .statistics = (real *)statistics,
                    .dy = dy,
                    .dx = dx,
                    .accumulate_dx = accumulate_dx,
                    .sums = workspace};
    const int chunks = chunk_count(rows);
    parallel_for(chunks, operations_of(n.g), layernorm_chunks_backward, &n);
    add_chunks(chunks, columns, 0, workspace, dgamma, accumulate_parameters);
    if (dbeta) add_chunks(chunks, columns, 1, workspace, dbeta, accumulate_parameters);
}

static void rms_rows(const void *context, pool_share share) {
    const norm *n = context;
    const grouping g = n->g;
    for (int r = share.begin; r < share.end; r++)
        for (int h = 0; h < g.heads; h++) {
            const size_t at = (size_t)r * (size_t)g.ld + (size_t)h * (size_t)g.size;
            const real mean = row_moment(true, g.size, n->x + at, 0) / (real)g.size;
            const real reciprocal = 1 / (real)sqrt((double)mean + (double)n->epsilon);
            n->statistics[(size_t)r * (size_t)g.heads + (size_t)h] = reciprocal;
            for (int i = 0; i < g.size; i += VEC)
                vec_put(n->y + at + i,
                        vec_get(n->x + at + i, g.size - i) * reciprocal * vec_get(n->gamma + i, g.size - i),
                        g.size - i);
        }
}

static void rms_forward(grouping g, real epsilon, const real *x, const real *gamma, real *y,
                        real *statistics) {
    const norm n = {.g = g, .epsilon = epsilon, .x = x, .gamma = gamma, .y = y, .statistics = statistics};
    parallel_for(g.rows, operations_of(g), rms_rows, &n);
}

// The gradient of one group, whose values begin at `at`; adds that of gamma to the sums.
static ALWAYS_INLINE void rms_group_backward(const norm *n, size_t at, real reciprocal, real *sum_gamma) {
    const int size = n->g.size;
    const real *x = n->x + at, *dy = n->dy + at;
    real *dx = n->dx + at;
    // g = dy gamma; z = x reciprocal; dx = reciprocal (g - z mean(g z))
    vec total = {0};
    for (int i = 0; i < size; i += VEC) {
        const int left = size - i;
        const vec scaled = vec_get(dy + i, left) * (vec_get(x + i, left) * reciprocal);
        total += scaled * vec_get(n->gamma + i, left);
        vec_store(sum_gamma + i, vec_load(sum_gamma + i) + scaled);
    }
    const real mean = vec_sum(total) / (real)size;
    for (int i = 0; i < size; i += VEC) {
        const int left = size - i;
        const vec g = vec_get(dy + i, left) * vec_get(n->gamma + i, left);
        vec d = (g - vec_get(x + i, left) * reciprocal * mean) * reciprocal;
        if (n->accumulate_dx) d += vec_get(dx + i, left);
        vec_put(dx + i, d, left);
    }
}

static void rms_chunks_backward(const void *context, pool_share share) {
    const norm *n = context;
    const grouping g = n->g;
    const int width = padded(g.size);
    for (int chunk = share.begin; chunk < share.end; chunk++) {
        real *sum_gamma = n->sums + (size_t)chunk * 2 * (size_t)width;
        memset(sum_gamma, 0, (size_t)width * sizeof(real));
        for (int r = chunk * chunk_rows(g.rows); r < end_of_chunk(g.rows, chunk); r++)
            for (int h = 0; h < g.heads; h++)
                rms_group_backward(n, (size_t)r * (size_t)g.ld + (size_t)h * (size_t)g.size,
                                   n->statistics[(size_t)r * (size_t)g.heads + (size_t)h], sum_gamma);
    }
}

static void rms_backward(grouping g, const real *x, const real *gamma, const real *statistics,
                         const real *dy, real *dx, bool accumulate_dx, real *dgamma,
                         bool accumulate_parameters, void *workspace) {
    const norm n = {.g = g,
                    .x = x,
                    .gamma = gamma,
                    .statistics = (real *)statistics,
                    .dy = dy,
                    .dx = dx,
                    .accumulate_dx = accumulate_dx,
                    .sums = workspace};
    const int chunks = chunk_count(g.rows);
    parallel_for(chunks, operations_of(g), rms_chunks_backward, &n);
    add_chunks(chunks, g.size, 0, workspace, dgamma, accumulate_parameters);
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
