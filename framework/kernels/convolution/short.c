// Short causal convolutions along time, one for each channel.
//
// Rows are walked once, all channels of a row together: such a convolution costs no more than moving its
// tensors. Weights and the sums of their gradients lie with channels innermost, in the cache.
#include "kernels/declarations.h"
#include "kernels/parallel.h"

#include <string.h>

// Rows of a sequence that are summed up by themselves; longer where there would be too many such chunks.
enum { CHUNK_MINIMUM = 128, CHUNKS = 64 };

static size_t padded(int channels) {
    return (size_t)(channels + VEC - 1) / VEC * VEC;
}

// One sequence, or as much of it as makes a chunk.
static int chunk_rows(int batch, int time) {
    const int length = (int)(((long)batch * time + CHUNKS - 1) / CHUNKS);
    return length < CHUNK_MINIMUM ? CHUNK_MINIMUM : length;
}

static int chunks_of_sequence(int batch, int time) {
    return (time + chunk_rows(batch, time) - 1) / chunk_rows(batch, time);
}

// Zeros for what is outside of the text, the weights by tap, the bias; for gradients the chunks' sums.
size_t short_convolution_workspace(int batch, int time, int channels, int taps, bool backward) {
    const size_t sums = backward ? (size_t)batch * (size_t)chunks_of_sequence(batch, time) : 0;
    return (1 + (1 + sums) * (size_t)(taps + 1)) * padded(channels) * sizeof(real);
}

// Fills the workspace's weights; returns them, or the zeros.
static const real *prepare(int channels, int taps, const real *weight, const real *bias, real *workspace) {
    const size_t width = padded(channels);
    memset(workspace, 0, (size_t)(taps + 2) * width * sizeof(real));
    real *by_tap = workspace + width;
    for (int c = 0; c < channels; c++)
        for (int j = 0; j < taps; j++) by_tap[(size_t)j * width + (size_t)c] = weight[c * taps + j];
    if (bias) memcpy(by_tap + (size_t)taps * width, bias, (size_t)channels * sizeof(real));
    return by_tap;
}

typedef struct short_convolution {
    int batch, time, channels, taps;
    const real *x, *history, *zeros, *weight;
    size_t width; // of the rows of weight
    real *y;      // forward
    const real *dy;
    real *dx, *sums; // backward: sums of the chunks
    bool accumulate; // to dx
} short_convolution;

// The rows t - taps + 1 .. t of sequence b.
static ALWAYS_INLINE void rows_before(const short_convolution *s, const int taps, int b, int t,
                                      const real *rows[]) {
    const size_t channels = (size_t)s->channels;
    for (int j = 0; j < taps; j++) {
        const int at = t - (taps - 1) + j;
        rows[j] = at >= 0      ? s->x + ((size_t)b * (size_t)s->time + (size_t)at) * channels
                  : s->history ? s->history + (size_t)(b * (taps - 1) + taps - 1 + at) * channels
                               : s->zeros;
    }
}

// Prefetch the next row into L2. Rows that are written need it most: the hardware prefetches loads, not
// stores.
static ALWAYS_INLINE void prefetch_row(const real *row, int channels) {
    __builtin_prefetch(row + channels, 0, 2);
}

static ALWAYS_INLINE void prefetch_row_to_write(const real *row, int channels) {
    __builtin_prefetch(row + channels, 1, 2);
}

static ALWAYS_INLINE void forward_rows(const short_convolution *s, const int taps, pool_share share) {
    for (int r = share.begin; r < share.end; r++) {
        const real *rows[SHORT_CONVOLUTION_TAPS];
        rows_before(s, taps, r / s->time, r % s->time, rows);
        real *to = s->y + (size_t)r * (size_t)s->channels;
        for (int c = 0; c < s->channels; c += VEC) {
            const int left = s->channels - c;
            prefetch_row(rows[taps - 1] + c, s->channels);
            prefetch_row_to_write(to + c, s->channels);
            vec sum = vec_load(s->weight + (size_t)taps * s->width + c);
            for (int j = 0; j < taps; j++)
                sum += vec_load(s->weight + (size_t)j * s->width + c) * vec_get(rows[j] + c, left);
            vec_put(to + c, sum, left);
        }
    }
}

// The usual lengths as constants.
static void forward(const void *context, pool_share share) {
    const short_convolution *s = context;
    if (s->taps == 3)
        forward_rows(s, 3, share);
    else if (s->taps == 4)
        forward_rows(s, 4, share);
    else
        forward_rows(s, s->taps, share);
}

void short_convolution_forward(int batch, int time, int channels, int taps, const real *x,
                               const real *history, const real *weight, const real *bias, real *y,
                               void *workspace) {
    const short_convolution s = {
        .batch = batch,
        .time = time,
        .channels = channels,
        .taps = taps,
        .x = x,
        .history = history,
        .zeros = workspace,
        .weight = prepare(channels, taps, weight, bias, workspace),
        .width = padded(channels),
        .y = y,
    };
    parallel_for(batch * time, (double)batch * time * channels / VEC * (taps + 1), forward, &s);
}

// sums: (taps + 1) x width, of the products of dy and x by tap, and of dy.
static ALWAYS_INLINE void backward_row(const short_convolution *s, const int taps, int b, int t,
                                       const real *dy, real *dx, bool accumulate, real *sums) {
    const real *rows[SHORT_CONVOLUTION_TAPS], *above[SHORT_CONVOLUTION_TAPS];
    rows_before(s, taps, b, t, rows);
    for (int j = 0; j < taps; j++) // tap j was multiplied by x[t] for the output of time t + taps - 1 - j
        above[j] =
            t + taps - 1 - j < s->time ? dy + (size_t)(taps - 1 - j) * (size_t)s->channels : s->zeros;
    for (int c = 0; c < s->channels; c += VEC) {
        const int left = s->channels - c;
        prefetch_row(rows[taps - 1] + c, s->channels);
        prefetch_row(above[0] + c, s->channels);
        if (dx) prefetch_row_to_write(dx + c, s->channels);
        const vec here = vec_get(dy + c, left);
        vec change = {0};
        for (int j = 0; j < taps; j++) {
            real *sum = sums + (size_t)j * s->width + c;
            change += vec_load(s->weight + (size_t)j * s->width + c) * vec_get(above[j] + c, left);
            vec_store(sum, vec_load(sum) + here * vec_get(rows[j] + c, left));
        }
        real *sum = sums + (size_t)taps * s->width + c;
        vec_store(sum, vec_load(sum) + here);
        if (!dx) continue;
        if (accumulate) change += vec_get(dx + c, left);
        vec_put(dx + c, change, left);
    }
}

static ALWAYS_INLINE void backward_chunks(const short_convolution *s, const int taps, pool_share share) {
    const int length = chunk_rows(s->batch, s->time), chunks = chunks_of_sequence(s->batch, s->time);
    const size_t sums_each = (size_t)(taps + 1) * s->width;
    for (int chunk = share.begin; chunk < share.end; chunk++) {
        real *to = s->sums + (size_t)chunk * sums_each;
        const int b = chunk / chunks, begin = chunk % chunks * length;
        const int end = s->time - begin < length ? s->time : begin + length;
        memset(to, 0, sums_each * sizeof *to);
        for (int t = begin; t < end; t++) {
            const size_t at = ((size_t)b * (size_t)s->time + (size_t)t) * (size_t)s->channels;
            backward_row(s, taps, b, t, s->dy + at, s->dx ? s->dx + at : NULL, s->accumulate, to);
        }
    }
}

static void backward(const void *context, pool_share share) {
    const short_convolution *s = context;
    if (s->taps == 3)
        backward_chunks(s, 3, share);
    else if (s->taps == 4)
        backward_chunks(s, 4, share);
    else
        backward_chunks(s, s->taps, share);
}

void short_convolution_backward(int batch, int time, int channels, int taps, const real *x,
                                const real *weight, const real *dy, real *dx, bool accumulate_dx,
                                real *dweight, real *dbias, bool accumulate_parameters, void *workspace) {
    real *sums = (real *)workspace + (size_t)(taps + 2) * padded(channels);
    const short_convolution s = {
        .batch = batch,
        .time = time,
        .channels = channels,
        .taps = taps,
        .x = x,
        .zeros = workspace,
        .weight = prepare(channels, taps, weight, NULL, workspace),
        .width = padded(channels),
        .dy = dy,
        .dx = dx,
        .sums = sums,
        .accumulate = accumulate_dx,
    };
    const int chunks = batch * chunks_of_sequence(batch, time);
    const size_t sums_each = (size_t)(taps + 1) * s.width;
    parallel_for(chunks, (double)batch * time * channels / VEC * 3 * (taps + 1), backward, &s);
    for (int chunk = 1; chunk < chunks; chunk++)
        for (size_t i = 0; i < sums_each; i += VEC)
            vec_store(sums + i, vec_load(sums + i) + vec_load(sums + (size_t)chunk * sums_each + i));
    for (int c = 0; c < channels; c++) {
        for (int j = 0; j < taps; j++) {
            real *to = dweight + c * taps + j;
            *to = (accumulate_parameters ? *to : 0) + sums[(size_t)j * s.width + (size_t)c];
        }
        if (dbias)
            dbias[c] = (accumulate_parameters ? dbias[c] : 0) + sums[(size_t)taps * s.width + (size_t)c];
    }
}
