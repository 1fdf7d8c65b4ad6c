#include "kernels/convolution/fft.h"

#include <math.h>

// Odd parts of the numbers of points: between them and the next power of two there is always one at most a
// fourth above what is needed.
static const int odd_parts[] = {1, 5, 3, 9, 15};

int fft_points(int least) {
    int best = 0;
    for (int i = 0; i < (int)(sizeof odd_parts / sizeof *odd_parts); i++) {
        int points = 16 * odd_parts[i];
        while (points < least) points *= 2;
        if (best == 0 || points < best) best = points;
    }
    return best;
}

// The radix of the next level of blocks of `points`: large ones first, what is odd last.
static int next_radix(int points) {
    int twos = 0;
    while (points % 2 == 0) {
        points /= 2;
        twos++;
    }
    if (twos == 3 || twos >= 5) return 8;
    if (twos == 2 || twos == 4) return 4;
    if (twos == 1) return 2;
    return points % 5 == 0 ? 5 : 3;
}

fft_plan fft_plan_on(int points, const real *twiddles) {
    fft_plan plan = {.points = points};
    for (int left = points; left > 1;) {
        fft_level *level = &plan.level[plan.levels++];
        level->radix = left == points && points % 8 == 0 ? 8 : next_radix(left);
        level->rest = left / level->radix;
        level->twiddles = twiddles;
        twiddles += 2 * (level->radix - 1) * level->rest;
        left = level->rest;
    }
    return plan;
}

size_t fft_twiddles(int points) {
    const fft_plan plan = fft_plan_on(points, NULL);
    size_t reals = 0;
    for (int l = 0; l < plan.levels; l++)
        reals += 2 * (size_t)(plan.level[l].radix - 1) * (size_t)plan.level[l].rest;
    return reals;
}

void fft_tabulate(int points, real *twiddles) {
    const fft_plan plan = fft_plan_on(points, twiddles);
    for (int l = 0; l < plan.levels; l++) {
        const int radix = plan.level[l].radix, rest = plan.level[l].rest;
        for (int q = 0; q < rest; q++)
            for (int j = 1; j < radix; j++) {
                const double angle = -2 * M_PI * j * q / (radix * rest);
                *twiddles++ = (real)cos(angle);
                *twiddles++ = (real)sin(angle);
            }
    }
}

int fft_bin(const fft_plan *plan, int spot) {
    int bin = 0, step = 1;
    for (int l = 0; l < plan->levels; l++) {
        bin += step * (spot / plan->level[l].rest);
        spot %= plan->level[l].rest;
        step *= plan->level[l].radix;
    }
    return bin;
}

static ALWAYS_INLINE void down(const int radix, const bool turns, const bool half, int rest, int blocks,
                               const real *twiddles, real *points) {
    const ptrdiff_t apart = (ptrdiff_t)2 * VEC * rest;
    for (int block = 0; block < blocks; block++, points += radix * apart) {
        const real *root = twiddles;
        for (int q = 0; q < rest; q++, root += 2 * (radix - 1)) {
            real *at = points + (ptrdiff_t)2 * VEC * q;
            fft_point x[8];
#pragma GCC unroll 8
            for (int j = 0; j < radix; j++)
                if (!half || j < radix / 2) x[j] = fft_load(at + apart * j);
            fft_butterfly(radix, x, half);
            fft_store(at, x[0]);
#pragma GCC unroll 8
            for (int j = 1; j < radix; j++)
                fft_store(at + apart * j, turns ? fft_turn(x[j], root + 2 * (j - 1)) : x[j]);
        }
    }
}

static ALWAYS_INLINE void up(const int radix, const bool turns, const bool half, int rest, int blocks,
                             const real *twiddles, real *points) {
    const ptrdiff_t apart = (ptrdiff_t)2 * VEC * rest;
    for (int block = 0; block < blocks; block++, points += radix * apart) {
        const real *root = twiddles;
        for (int q = 0; q < rest; q++, root += 2 * (radix - 1)) {
            real *at = points + (ptrdiff_t)2 * VEC * q;
            fft_point x[8];
            x[0] = fft_swap(fft_load(at));
#pragma GCC unroll 8
            for (int j = 1; j < radix; j++) {
                x[j] = fft_swap(fft_load(at + apart * j));
                if (turns) x[j] = fft_turn(x[j], root + 2 * (j - 1));
            }
            fft_butterfly(radix, x, false);
#pragma GCC unroll 8
            for (int j = 0; j < radix; j++)
                if (!half || j < radix / 2) fft_store(at + apart * j, fft_swap(x[j]));
        }
    }
}

// The last level turns nothing.
#define WITH_RADIX(function)                                                                               \
    switch (level->rest == 1 ? -level->radix : level->radix) {                                             \
    case 8:                                                                                                \
        return function(8, true, false, level->rest, blocks, level->twiddles, points);                     \
    case 5:                                                                                                \
        return function(5, true, false, level->rest, blocks, level->twiddles, points);                     \
    case 4:                                                                                                \
        return function(4, true, false, level->rest, blocks, level->twiddles, points);                     \
    case 3:                                                                                                \
        return function(3, true, false, level->rest, blocks, level->twiddles, points);                     \
    case 2:                                                                                                \
        return function(2, true, false, level->rest, blocks, level->twiddles, points);                     \
    case -8:                                                                                               \
        return function(8, false, false, 1, blocks, level->twiddles, points);                              \
    case -5:                                                                                               \
        return function(5, false, false, 1, blocks, level->twiddles, points);                              \
    case -4:                                                                                               \
        return function(4, false, false, 1, blocks, level->twiddles, points);                              \
    case -3:                                                                                               \
        return function(3, false, false, 1, blocks, level->twiddles, points);                              \
    default:                                                                                               \
        return function(2, false, false, 1, blocks, level->twiddles, points);                              \
    }

void fft_down(const fft_level *level, int blocks, real *points) {
    WITH_RADIX(down)
}

void fft_up(const fft_level *level, int blocks, real *points) {
    WITH_RADIX(up)
}

void fft_down_half(const fft_level *level, real *points) {
    down(8, true, true, level->rest, 1, level->twiddles, points);
}

void fft_up_half(const fft_level *level, real *points) {
    up(8, true, true, level->rest, 1, level->twiddles, points);
}
