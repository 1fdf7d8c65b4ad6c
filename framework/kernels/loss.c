#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/vector_math.h"

#include <math.h>
#include <string.h>

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

typedef struct entropy {
    int vocabulary;
    real *logits;
    const int32_t *targets;
    real smoothing, gradient_scale;
    bool gradient;
    real *losses;
} entropy;

// One row, whose logits become their gradient.
static void row_entropy(const entropy *e, int r) {
    const int vocabulary = e->vocabulary, target = e->targets[r];
    real *z = e->logits + (size_t)r * vocabulary;
    if (target < 0) {
        e->losses[r] = 0;
        if (e->gradient) memset(z, 0, (size_t)vocabulary * sizeof *z);
        return;
    }
    // The target distribution is (1 - smoothing) at the target plus smoothing / vocabulary everywhere.
    const double smoothing = (double)e->smoothing, spread = smoothing / vocabulary;
    const real maximum = row_maximum(vocabulary, z);
    double expected = (1 - smoothing) * ((double)z[target] - (double)maximum);
    if (smoothing > 0) expected += spread * row_sum(vocabulary, z) - smoothing * (double)maximum;
    const double sum = row_exponentials(vocabulary, z, maximum, e->gradient);
    e->losses[r] = (real)(log(sum) - expected);
    if (!e->gradient) return;
    const double scale = (double)e->gradient_scale;
    const real factor = (real)(scale / sum), floor = (real)(scale * spread);
    for (int i = 0; i < vocabulary; i += VEC)
        vec_put(z + i, vec_get(z + i, vocabulary - i) * factor - floor, vocabulary - i);
    z[target] -= e->gradient_scale * (1 - e->smoothing);
}

static void row_entropies(const void *context, pool_share s) {
    for (int r = s.begin; r < s.end; r++) row_entropy(context, r);
}

void cross_entropy(int rows, int vocabulary, real *logits, const int32_t *targets, real smoothing,
                   bool gradient, real gradient_scale, real *losses) {
    enum { COST = 24 };
    const entropy e = {vocabulary, logits, targets, smoothing, gradient_scale, gradient, losses};
    parallel_for(rows, (double)rows * vocabulary / VEC * COST, row_entropies, &e);
}
