#include "graph/orthogonal.h"

#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

enum { LANES = 8 }; // sums side by side, which compilers make vectors of

static double product(const double *a, const double *b, int n) {
    double sums[LANES] = {0}, sum = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += a[i + lane] * b[i + lane];
    for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Takes out of row `r` what is along those before it, and gives it length 1 (modified Gram-Schmidt).
static void make_orthonormal(double *rows, int r, int columns) {
    double *row = rows + (size_t)r * (size_t)columns;
    for (int k = 0; k < r; k++) {
        const double *other = rows + (size_t)k * (size_t)columns, along = product(row, other, columns);
        for (int i = 0; i < columns; i++) row[i] -= along * other[i];
    }
    const double length = sqrt(product(row, row, columns));
    for (int i = 0; i < columns; i++) row[i] /= length;
}

void orthogonal_rows(uint64_t seed, uint32_t site, int rows, int columns, double gain, real *out) {
    const rng_stream stream = {seed, RNG_INIT, site, 0, 0};
    const size_t count = (size_t)rows * (size_t)columns;
    double *values = memory_alloc((count + 3) * sizeof *values);
    for (size_t block = 0; 4 * block < count; block++) rng_normal_block(&stream, block, values + 4 * block);
    for (int r = 0; r < rows; r++) make_orthonormal(values, r, columns);
    for (size_t i = 0; i < count; i++) out[i] = (real)(gain * values[i]);
    free(values);
}
