// Products of a few rows with a matrix that is used again and again, as when decoding: y = x W^T, with W
// laid out beforehand so that it is read from beginning to end, once for many rows.
//
// Layout: panels of VEC rows of W, element (n, k) of W at (n / VEC * K + k) * VEC + n % VEC, zero beyond N.
// Every result is one sum in the order of k, however many rows there are and whoever computes it: a row's
// results do not depend on the rows beside it.
#include "base/team.h"
#include "kernels/activation.h"
#include "kernels/members.h"
#include "kernels/parallel.h"
#include "kernels/tile.h"

// Sums kept in registers: panels x rows. One or two rows need many panels to hide the latency of additions.
enum { ROWS = 6, PANELS_ONE = 8, PANELS_FEW = 4, PANELS_MORE = TILE_ROWS > 6 ? 4 : 2 };

// A part of fewer vector operations is not worth the tenths of a microsecond that meeting costs.
enum { PART_OPERATIONS = 1 << 10 };

static int panel_count(int N) {
    return (N + VEC - 1) / VEC;
}

size_t KERNEL(packed_reals)(int N, int K) {
    return (size_t)panel_count(N) * (size_t)K * VEC;
}

void KERNEL(packed_fill)(int N, int K, const real *W, real *packed) {
    const int panels = panel_count(N);
#pragma omp parallel for schedule(static) num_threads(threads_for((double)panels *K * 4))
    for (int p = 0; p < panels; p++) {
        const int columns = N - p * VEC < VEC ? N - p * VEC : VEC;
        KERNEL(tile_pack_panel)(true, columns, K, W + (size_t)p * VEC * K, K, packed + (size_t)p * K * VEC);
    }
}

typedef struct product {
    int M, N, K;
    const real *x, *packed;
    real *y;
    const gemm_epilogue *after;
} product;

// rows and panels are constants of the caller, so that the sums stay in registers.
static ALWAYS_INLINE void multiply(const int rows, const int panels, const product *p, int row, int panel) {
    const gemm_epilogue *e = p->after;
    const real *x[ROWS], *w[PANELS_ONE];
    vec sums[ROWS][PANELS_ONE];
#pragma GCC unroll 8
    for (int j = 0; j < panels; j++) {
        const int column = (panel + j) * VEC;
        const vec start = e->bias ? vec_get(e->bias + column, p->N - column) : (vec){0};
        w[j] = p->packed + (size_t)(panel + j) * (size_t)p->K * VEC;
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) sums[r][j] = start;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) x[r] = p->x + (size_t)(row + r) * (size_t)p->K;
    for (int k = 0; k < p->K; k++) {
        vec right[PANELS_ONE];
#pragma GCC unroll 8
        for (int j = 0; j < panels; j++) right[j] = vec_load(w[j] + (size_t)k * VEC);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vec left = vec_set(x[r][k]);
#pragma GCC unroll 8
            for (int j = 0; j < panels; j++) sums[r][j] += left * right[j];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < panels; j++) {
            const int column = (panel + j) * VEC, left = p->N - column;
            const size_t at = (size_t)(row + r) * (size_t)p->N + (size_t)column;
            vec v = activation_value(e->act, sums[r][j]);
            if (e->residual) v += vec_get(e->residual + at, left);
            vec_put(p->y + at, v, left);
        }
}

// All rows times some panels: the panels come from memory for the first rows and from the cache for the
// others.
static ALWAYS_INLINE void multiply_panels(const int panels, const product *p, int panel) {
    int row = 0;
    for (; row + ROWS <= p->M; row += ROWS) multiply(ROWS, panels, p, row, panel);
    switch (p->M - row) {
    case 1:
        multiply(1, panels, p, row, panel);
        break;
    case 2:
        multiply(2, panels, p, row, panel);
        break;
    case 3:
        multiply(3, panels, p, row, panel);
        break;
    case 4:
        multiply(4, panels, p, row, panel);
        break;
    case 5:
        multiply(5, panels, p, row, panel);
        break;
    }
}

static void multiply_part(const void *what, int part, int parts) {
    const product *p = what;
    const int panels = panel_count(p->N), end = (int)((int64_t)panels * (part + 1) / parts);
    int panel = (int)((int64_t)panels * part / parts);
    if (p->M == 1)
        for (; panel + PANELS_ONE <= end; panel += PANELS_ONE) multiply(1, PANELS_ONE, p, 0, panel);
    if (p->M <= 2 && PANELS_MORE < PANELS_FEW)
        for (; panel + PANELS_FEW <= end; panel += PANELS_FEW) multiply_panels(PANELS_FEW, p, panel);
    for (; panel + PANELS_MORE <= end; panel += PANELS_MORE) multiply_panels(PANELS_MORE, p, panel);
    if (PANELS_MORE > 2)
        for (; panel + 2 <= end; panel += 2) multiply_panels(2, p, panel);
    for (; panel < end; panel++) multiply_panels(1, p, panel);
}

void KERNEL(packed_multiply)(int M, int N, int K, const real *x, const real *packed, real *y,
                             const gemm_epilogue *epilogue) {
    const product p = {M, N, K, x, packed, y, epilogue};
    const double parts = (double)M * panel_count(N) * K / PART_OPERATIONS;
    team_run(team_parts(parts, panel_count(N)), multiply_part, &p);
}
