// The windows of a causal convolution, laid out as rows of a matrix.
#include "kernels/declarations.h"
#include "kernels/parallel.h"

typedef struct windows {
    int time, width, taps;
    const real *from, *before;
    real *to;
    bool accumulate;
} windows;

// Each value of a window is moved by itself.
static void for_windows(int rows, pool_work *work, const windows *w) {
    parallel_for(rows, (double)rows * w->width * w->taps / 2, work, w);
}

static void unfold_rows(const void *context, pool_share s) {
    const windows *w = context;
    const int taps = w->taps;
    const size_t row = (size_t)w->width;
    for (int r = s.begin; r < s.end; r++) {
        const int b = r / w->time, t = r % w->time;
        real *to = w->to + (size_t)r * row * (size_t)taps;
        for (int j = 0; j < taps; j++) {
            const int at = t - (taps - 1) + j; // of the token behind tap j
            const real *from = at >= 0     ? w->from + (size_t)(b * w->time + at) * row
                               : w->before ? w->before + (size_t)(b * (taps - 1) + taps - 1 + at) * row
                                           : NULL;
            for (int i = 0; i < w->width; i++) to[i * taps + j] = from ? from[i] : 0;
        }
    }
}

void unfold(int batch, int time, int width, int taps, const real *x, const real *before, real *y) {
    for_windows(batch * time, unfold_rows, &(windows){time, width, taps, x, before, y, false});
}

static void fold_rows(const void *context, pool_share s) {
    const windows *w = context;
    const int taps = w->taps;
    const size_t row = (size_t)w->width * (size_t)taps;
    for (int r = s.begin; r < s.end; r++) {
        const int later = w->time - 1 - r % w->time; // tokens that come after
        const int first = taps - 1 > later ? taps - 1 - later : 0;
        real *to = w->to + (size_t)r * (size_t)w->width;
        for (int i = 0; i < w->width; i++) {
            real sum = w->accumulate ? to[i] : 0;
            for (int j = first; j < taps; j++)
                sum += w->from[(size_t)(r + taps - 1 - j) * row + (size_t)(i * taps + j)];
            to[i] = sum;
        }
    }
}

void unfold_backward(int batch, int time, int width, int taps, const real *dy, real *dx, bool accumulate) {
    for_windows(batch * time, fold_rows, &(windows){time, width, taps, dy, NULL, dx, accumulate});
}
