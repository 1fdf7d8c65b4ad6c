// The windows of a causal convolution, laid out as rows of a matrix.
#include "kernels/declarations.h"
#include "kernels/parallel.h"

static int threads_for_windows(int rows, int columns) {
    return threads_for((double)rows * columns / 2); // each value of a window is moved by itself
}

static NEVER_INLINE void unfold_rows(int batch, int time, int width, int taps, const real *x,
                                     const real *before, real *y) {
    const size_t row = (size_t)width;
#pragma omp for schedule(static) nowait
    for (int r = 0; r < batch * time; r++) {
        const int b = r / time, t = r % time;
        real *to = y + (size_t)r * row * (size_t)taps;
        for (int j = 0; j < taps; j++) {
            const int at = t - (taps - 1) + j; // of the token behind tap j
            const real *from = at >= 0  ? x + (size_t)(b * time + at) * row
                               : before ? before + (size_t)(b * (taps - 1) + taps - 1 + at) * row
                                        : NULL;
            for (int i = 0; i < width; i++) to[i * taps + j] = from ? from[i] : 0;
        }
    }
}

void unfold(int batch, int time, int width, int taps, const real *x, const real *before, real *y) {
    WITH_THREADS(threads_for_windows(batch * time, width * taps),
                 unfold_rows(batch, time, width, taps, x, before, y));
}

void unfold_backward(int batch, int time, int width, int taps, const real *dy, real *dx, bool accumulate) {
    const size_t row = (size_t)width * (size_t)taps;
#pragma omp parallel for schedule(static) num_threads(threads_for_windows(batch *time, width *taps))
    for (int r = 0; r < batch * time; r++) {
        const int later = time - 1 - r % time; // tokens that come after
        const int first = taps - 1 > later ? taps - 1 - later : 0;
        real *to = dx + (size_t)r * (size_t)width;
        for (int i = 0; i < width; i++) {
            real sum = accumulate ? to[i] : 0;
            for (int j = first; j < taps; j++)
                sum += dy[(size_t)(r + taps - 1 - j) * row + (size_t)(i * taps + j)];
            to[i] = sum;
        }
    }
}
