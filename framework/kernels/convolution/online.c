// Causal long convolutions of streams, whose next token is known only when the last one's output is.
//
// Time is cut into blocks of C tokens. What the tokens of a block do to each other is summed directly. What
// earlier blocks do to a block is known at its beginning: window p of the filter, taps p C to p C + 2 C -
// 1, meets the block before the last p, and their transforms of length 2 C are multiplied and added up
// before the one inverse transform (Stockham, AFIPS 28 (1966); partitioned convolution). All windows but
// the first meet blocks that are known a block earlier: their part of the sum is spread over its tokens, so
// that no token waits long. The stream has no end and the filter keeps its length.
#include "kernels/convolution/rows.h"
#include "kernels/parallel.h"
#include "kernels/convolution/spectrum.h"

#include <string.h>

// Filters of up to this many taps are summed directly, out of a ring of tokens.
enum { DIRECT_TAPS = 64, LEAST_BLOCK = 64 };

// What follows from the number of taps. Sizes are in reals, for VEC channels.
typedef struct layout {
    int taps;
    int block;   // C, or 0: all is direct
    int direct;  // taps that are summed directly
    int windows; // of the filter
    int slots;   // of the ring of transforms of earlier blocks
    fft_plan plan;
    const real *roots;
    size_t tables; // the twiddles and roots that constants begin with
    size_t pairs, constants;
    size_t recent, points, kept; // parts of the state: tokens of the block; outputs so far, then sums; ring
} layout;

// The direct part grows with the block, the other part shrinks with it.
static int block_of(int taps) {
    int block = LEAST_BLOCK;
    while ((int64_t)block * block < (int64_t)16 * taps) block *= 2;
    return block;
}

static layout layout_of(int taps, const real *constants) {
    layout l = {.taps = taps, .direct = taps, .recent = (size_t)taps * VEC};
    if (taps <= DIRECT_TAPS) {
        l.constants = l.recent;
        return l;
    }
    l.block = block_of(taps);
    l.direct = l.block < taps ? l.block : taps;
    l.windows = (taps - 1 + l.block - 1) / l.block;
    l.slots = l.windows - 1;
    l.pairs = (size_t)spectrum_pairs(l.block);
    const size_t twiddles = fft_twiddles(l.block);
    l.tables = (twiddles + 2 * l.pairs + VEC - 1) / VEC * VEC;
    l.plan = fft_plan_on(l.block, constants);
    l.roots = constants ? constants + twiddles : NULL;
    l.constants = (size_t)l.direct * VEC + l.pairs * (size_t)l.windows * SPECTRUM_RECORD;
    l.recent = (size_t)l.block * VEC;
    l.points = (size_t)l.block * VEC + l.pairs * SPECTRUM_POINTS;
    l.kept = l.pairs * (size_t)l.slots * SPECTRUM_POINTS;
    return l;
}

size_t convolution_online_constants(int taps, int channels) {
    const layout l = layout_of(taps, NULL);
    return l.tables + (size_t)blocks_of(channels) * l.constants;
}

static size_t state_of(const layout *l) {
    return l->recent + l->points + l->kept;
}

size_t convolution_online_state(int taps, int channels) {
    const layout l = layout_of(taps, NULL);
    return (size_t)blocks_of(channels) * state_of(&l);
}

static size_t workspace_of(const layout *l) {
    return (size_t)l->block * 2 * VEC;
}

size_t convolution_online_workspace(int taps, int threads) {
    const layout l = layout_of(taps, NULL);
    return (size_t)threads * workspace_of(&l) * sizeof(real);
}

// --- the filter

typedef struct filter_rows {
    const real *first;
    int ld, taps, channels;
} filter_rows;

// Packs `count` taps from `from` on, with zeros after the last.
static void pack_taps(const filter_rows *f, int from, int count, real *packed) {
    int there = f->taps - from;
    if (there > count) there = count;
    if (there < 0) there = 0;
    const row_source taps = {.count = there,
                             .channels = f->channels,
                             .x = f->first + (ptrdiff_t)from * f->ld * (there > 0),
                             .ld = f->ld};
    pack_rows(&taps, count, packed, 0);
}

static void make_windows(const layout *l, const filter_rows *f, real *points, real *records) {
    const int block = l->block;
    for (int p = 0; p < l->windows; p++) {
        // Turned by a block, so that the outputs that are wanted, the second half, come first.
        pack_taps(f, (p + 1) * block, block, points);
        pack_taps(f, p * block, block, points + (size_t)block * VEC);
        fft_down(&l->plan.level[0], 1, points);
        spectrum_traverse(&(spectrum_walk){.plan = &l->plan,
                                           .roots = (real *)l->roots,
                                           .task = SPECTRUM_MAKE,
                                           .points = points,
                                           .records = records + (size_t)p * SPECTRUM_RECORD,
                                           .apart = (size_t)l->windows * SPECTRUM_RECORD});
    }
}

typedef struct preparation {
    layout l;
    const convolution *c;
    real *constants, *workspace;
} preparation;

static void prepare_blocks(const void *context, pool_share share) {
    const preparation *p = context;
    const convolution *c = p->c;
    const layout *l = &p->l;
    for (int k = share.begin; k < share.end; k++) {
        real *taps = p->constants + l->tables + (size_t)k * l->constants;
        const int left = c->channels - k * VEC;
        const filter_rows f = {.first = c->filter.value + (ptrdiff_t)k * VEC,
                               .ld = c->filter.ld,
                               .taps = l->taps,
                               .channels = left < VEC ? left : VEC};
        pack_taps(&f, 0, l->direct, taps);
        if (c->beta) vec_store(taps, vec_load(taps) + vec_get(c->beta + (ptrdiff_t)k * VEC, left));
        if (l->block)
            make_windows(l, &f, p->workspace + (size_t)share.thread * workspace_of(l),
                         taps + (size_t)l->direct * VEC);
    }
}

void convolution_online_prepare(const convolution *c, int taps, real *constants, void *workspace) {
    const preparation p = {layout_of(taps, constants), c, constants, workspace};
    if (p.l.block) {
        fft_tabulate(p.l.block, constants);
        spectrum_tabulate(&p.l.plan, (real *)p.l.roots);
    }
    parallel_for(blocks_of(c->channels), (double)taps * blocks_of(c->channels) * 50, prepare_blocks, &p);
}

// --- a token

// sum + sum over k < count of taps[k] w[-k]
static vec add_lags(vec sum, int count, const real *taps, const real *w) {
    vec sums[4] = {sum, {0}, {0}, {0}};
    int k = 0;
    for (; k + 4 <= count; k += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            sums[i] += vec_load(taps + (ptrdiff_t)VEC * (k + i)) * vec_load(w - (ptrdiff_t)VEC * (k + i));
    for (; k < count; k++)
        sums[0] += vec_load(taps + (ptrdiff_t)VEC * k) * vec_load(w - (ptrdiff_t)VEC * k);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static vec direct_token(const layout *l, const real *constants, real *ring, int position, vec w) {
    const int slot = position % l->taps, before = position < l->taps ? position : l->taps - 1;
    vec_store(ring + (ptrdiff_t)VEC * slot, w);
    if (before <= slot) return add_lags((vec){0}, before + 1, constants, ring + (ptrdiff_t)VEC * slot);
    const vec sum = add_lags((vec){0}, slot + 1, constants, ring + (ptrdiff_t)VEC * slot);
    return add_lags(sum, before - slot, constants + (ptrdiff_t)VEC * (slot + 1),
                    ring + (ptrdiff_t)VEC * (l->taps - 1));
}

// The sums over windows first .. first+count-1 of a pair, whose blocks lie at kept, kept - 4 vectors, ...
static void add_windows(int count, const real *record, const real *kept, fft_point *y, fft_point *y_minus) {
    for (; count > 0; count--, record += SPECTRUM_RECORD, kept -= SPECTRUM_POINTS)
        spectrum_apply(record, fft_load(kept), fft_load(kept + 2 * VEC), y, y_minus);
}

// A token's share of the sums for the next block, of all windows but the first.
static void add_share(const layout *l, const real *records, const real *kept, int position, real *sums) {
    const int number = position / l->block, r = position % l->block;
    const int windows = number < l->slots ? number : l->slots;
    const size_t begin = l->pairs * (size_t)r / (size_t)l->block;
    const size_t end = l->pairs * (size_t)(r + 1) / (size_t)l->block;
    const int newest = l->slots ? (number + l->slots - 1) % l->slots : 0;
    const int first = windows <= newest + 1 ? windows : newest + 1;
    for (size_t pair = begin; pair < end; pair++) {
        const real *record = records + (pair * (size_t)l->windows + 1) * SPECTRUM_RECORD;
        const real *ring = kept + pair * (size_t)l->slots * SPECTRUM_POINTS;
        fft_point y = {{0}, {0}}, y_minus = y;
        if (first > 0) add_windows(first, record, ring + (size_t)newest * SPECTRUM_POINTS, &y, &y_minus);
        if (windows > first)
            add_windows(windows - first, record + (size_t)first * SPECTRUM_RECORD,
                        ring + (size_t)(l->slots - 1) * SPECTRUM_POINTS, &y, &y_minus);
        fft_store(sums + pair * SPECTRUM_POINTS, y);
        fft_store(sums + pair * SPECTRUM_POINTS + 2 * VEC, y_minus);
    }
}

// What all blocks so far do to the next one.
static void end_block(const layout *l, real *records, real *recent, real *ready, real *kept, int number,
                      real *points) {
    const size_t reals = (size_t)l->block * VEC;
    memcpy(points, recent, reals * sizeof(real));
    fft_down_half(&l->plan.level[0], points);
    spectrum_traverse(&(spectrum_walk){
        .plan = &l->plan,
        .roots = (real *)l->roots,
        .task = SPECTRUM_FOLLOW,
        .points = points,
        .records = records,
        .apart = (size_t)l->windows * SPECTRUM_RECORD,
        .sums = ready + reals,
        .kept = l->slots ? kept + (size_t)(number % l->slots) * SPECTRUM_POINTS : NULL,
        .kept_apart = (size_t)l->slots * SPECTRUM_POINTS,
    });
    fft_up_half(&l->plan.level[0], points);
    memcpy(ready, points, reals * sizeof(real));
}

static vec block_token(const layout *l, const real *constants, real *state, int position, vec w,
                       real *points) {
    const int r = position % l->block, lags = r + 1 < l->direct ? r + 1 : l->direct;
    real *recent = state, *ready = recent + l->recent, *kept = ready + l->points;
    real *records = (real *)constants + (size_t)l->direct * VEC;
    vec_store(recent + (ptrdiff_t)VEC * r, w);
    const vec z =
        add_lags(vec_load(ready + (ptrdiff_t)VEC * r), lags, constants, recent + (ptrdiff_t)VEC * r);
    add_share(l, records, kept, position, ready + (size_t)l->block * VEC);
    if (r == l->block - 1) end_block(l, records, recent, ready, kept, position / l->block, points);
    return z;
}

typedef struct online {
    layout l;
    const convolution *c;
    int position, phase;
    const real *constants;
    real *state, *workspace;
} online;

static vec row_of(const convolution_operand *of, ptrdiff_t row, int first, int left) {
    return vec_get(of->value + row * of->ld + first, left);
}

static void online_blocks(const void *context, pool_share share) {
    const online *o = context;
    const convolution *c = o->c;
    const int blocks = blocks_of(c->channels);
    for (int task = share.begin; task < share.end; task++) {
        const int first = task % blocks * VEC, left = c->channels - first;
        const real *constants = o->constants + o->l.tables + (size_t)(task % blocks) * o->l.constants;
        real *state = o->state + (size_t)task * state_of(&o->l);
        // The stream begins somewhere in a block, after zeros.
        const int before = o->l.block ? (o->phase + first / VEC * o->l.block / blocks) % o->l.block : 0;
        for (int t = 0; t < c->time; t++) {
            const int position = o->position + before + t;
            const ptrdiff_t row = (ptrdiff_t)(task / blocks) * c->time + t;
            vec w = row_of(&c->x, row, first, left);
            if (c->gate_in.value) w *= row_of(&c->gate_in, row, first, left);
            vec z = o->l.block ? block_token(&o->l, constants, state, position, w,
                                             o->workspace + (size_t)share.thread * workspace_of(&o->l))
                               : direct_token(&o->l, constants, state, position, w);
            if (c->gate_out.value) z *= row_of(&c->gate_out, row, first, left);
            vec_put(c->y + row * c->channels + first, z, left);
        }
    }
}

void convolution_online(const convolution *c, int taps, int position, int phase, const real *constants,
                        real *state, void *workspace) {
    const online o = {layout_of(taps, constants), c, position, phase, constants, state, workspace};
    const int tasks = c->batch * blocks_of(c->channels);
    const double operations = (double)c->time * tasks * (o.l.block ? o.l.block + 16.0 * o.l.windows : taps);
    parallel_for_short(tasks, operations, online_blocks, &o);
}
