#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/vector_math.h"

#include <math.h>

// Terms that are added up in `real` before they go to a total in double precision.
enum { TERMS_TOGETHER = 64 * VEC };

// The values from z on, -infinity beyond the last of those left.
static ALWAYS_INLINE vec get_logits(const real *z, int left) {
    return left >= VEC ? vec_load(z)
                       : vec_select(vec_lanes < left, vec_load_some(z, left), vec_set(-INFINITY));
}

static real row_maximum(int n, const real *z) {
    vec high = vec_set(-INFINITY);
    for (int i = 0; i < n; i += VEC) high = vec_max(get_logits(z + i, n - i), high);
    return vec_maximum(high);
}

static double row_sum(int n, const real *z) {
    double sum = 0;
    for (int first = 0; first < n; first += TERMS_TOGETHER) {
        int end = n - first < TERMS_TOGETHER ? n : first + TERMS_TOGETHER;
        vec part = {0};
        for (int i = first; i < end; i += VEC) part += vec_get(z + i, end - i);
        sum += vec_sum(part);
    }
    return sum;
}

// Sum of exp(z - maximum); the terms replace z when keep is set.
static double row_exponentials(int n, real *z, real maximum, bool keep) {
    double sum = 0;
    for (int first = 0; first < n; first += TERMS_TOGETHER) {
        int end = n - first < TERMS_TOGETHER ? n : first + TERMS_TOGETHER;
        vec part = {0};
        for (int i = first; i < end; i += VEC) {
            const vec e = vec_exp(get_logits(z + i, end - i) - maximum);
            part += e;
            if (keep) vec_put(z + i, e, end - i);
        }
        sum += vec_sum(part);
    }
    return sum;
}

void cross_entropy(int rows, int vocabulary, real *logits, const int32_t *targets, real smoothing,
                   bool gradient, real gradient_scale, real *losses) {
    enum { COST = 24 };
#pragma omp parallel for schedule(static) num_threads(threads_for((double)rows *vocabulary / VEC * COST))
    for (int r = 0; r < rows; r++) {
        real *z = logits + (size_t)r * vocabulary;
        const int target = targets[r];
        if (target < 0) {
            losses[r] = 0;
            if (gradient)
                for (int i = 0; i < vocabulary; i++) z[i] = 0;
            continue;
        }
        // The target distribution is (1 - smoothing) at the target plus smoothing / vocabulary everywhere.
        const double spread = (double)smoothing / vocabulary;
        const real maximum = row_maximum(vocabulary, z);
        double expected = (1 - (double)smoothing) * ((double)z[target] - (double)maximum);
        if (smoothing > 0)
            expected += spread * row_sum(vocabulary, z) - (double)smoothing * (double)maximum;
        const double sum = row_exponentials(vocabulary, z, maximum, gradient);
        losses[r] = (real)(log(sum) - expected);
        if (!gradient) continue;
        const real factor = (real)((double)gradient_scale / sum),
                   floor = (real)((double)gradient_scale * spread);
        for (int i = 0; i < vocabulary; i += VEC)
            vec_put(z + i, vec_get(z + i, vocabulary - i) * factor - floor, vocabulary - i);
        z[target] -= gradient_scale * (1 - smoothing);
    }
}
