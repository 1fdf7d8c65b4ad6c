// Causal long convolutions of every channel along time, by Fourier transforms (spectrum.h); of short
// sequences lag by lag (direct.h).
#include "kernels/convolution/direct.h"
#include "kernels/convolution/rows.h"
#include "kernels/parallel.h"
#include "kernels/convolution/spectrum.h"

#include <string.h>

enum {
    // Neighbouring blocks of channels are transformed in groups (rows.h) whose points fit L2.
    L2_BYTES = 1 << 19,
    LEAST_GROUP = 2,
    MOST_GROUP = 8,
    // Where there are fewer groups than this, the batch is cut into parts whose gradients of filters are
    // summed apart: at most PARTS, of at least PART_ROWS sequences, or of fewer where threads would find
    // less than PIECES pieces of work.
    PARTS = 16,
    PART_ROWS = 4,
    PIECES = 4,
};

// Sequences up to this length are convolved lag by lag.
enum { DIRECT_TIME = 128 };

// A convolution's numbers that follow from its shape.
typedef struct layout {
    fft_plan plan;
    real *roots;
    int rows_direct;   // of packed arrays, without the zeros before them; 0: by Fourier transforms
    int group;         // blocks of a group
    int groups, parts; // how many there are of channels, and of the batch
    int rows;          // sequences of a part
    size_t points;     // reals of the points of a block of channels
    size_t records;    // reals of the records of a block
} layout;

static int group_of(size_t points) {
    const size_t fits = L2_BYTES / (points * sizeof(real));
    return fits < LEAST_GROUP ? LEAST_GROUP : fits > MOST_GROUP ? MOST_GROUP : (int)fits;
}

static int direct_rows(int time) {
    return (time + DIRECT_ROWS - 1) / DIRECT_ROWS * DIRECT_ROWS;
}

// Of a packed array with the zeros before it.
static size_t direct_reals(int time) {
    return (size_t)(direct_rows(time) + DIRECT_ROWS) * VEC;
}

static layout layout_of(const convolution *c) {
    const int points = fft_points(c->time);
    layout l = {.points = (size_t)points * 2 * VEC,
                .records = (size_t)spectrum_pairs(points) * SPECTRUM_RECORD};
    if (c->time <= DIRECT_TIME) {
        l.rows_direct = direct_rows(c->time);
        l.points = l.records = direct_reals(c->time);
    }
    l.plan = fft_plan_on(points, c->tables);
    l.roots = (real *)c->tables + fft_twiddles(points);
    l.group = group_of(l.points);
    l.groups = (blocks_of(c->channels) + l.group - 1) / l.group;
    int parts = PARTS / l.groups;
    if (parts > c->batch / PART_ROWS) parts = c->batch / PART_ROWS;
    if (parts * l.groups < PIECES) parts = (PIECES + l.groups - 1) / l.groups;
    if (parts > c->batch) parts = c->batch;
    l.rows = (c->batch + parts - 1) / parts;
    l.parts = (c->batch + l.rows - 1) / l.rows;
    return l;
}

size_t convolution_tables(int time) {
    const int points = fft_points(time);
    return fft_twiddles(points) + 2 * (size_t)spectrum_pairs(points);
}

void convolution_tabulate(int time, real *tables) {
    const int points = fft_points(time);
    const fft_plan plan = fft_plan_on(points, tables);
    fft_tabulate(points, tables);
    spectrum_tabulate(&plan, tables + fft_twiddles(points));
}

size_t convolution_prepared(int time, int channels) {
    const size_t blocks = (size_t)blocks_of(channels);
    if (time <= DIRECT_TIME) return blocks * direct_reals(time);
    const size_t pairs = (size_t)spectrum_pairs(fft_points(time));
    return blocks * pairs * SPECTRUM_RECORD;
}

// Whether the gradient of the filter is made in the workspace first: by parts of the batch, or because that
// of beta, which is its first row, is wanted without what it is added to.
static bool is_made_apart(const convolution *c, const layout *l) {
    return l->parts > 1 || (c->filter.adds && c->dbeta) || !c->filter.gradient;
}

// Whether the gradient of the filter, of one sequence, takes the place of the points of w.
static bool is_made_in_place(const layout *l) {
    return l->rows == 1 && !l->rows_direct;
}

// Reals of workspace of a thread: points of w and y of a group, and of its filter's gradient.
static size_t thread_reals(const layout *l) {
    return (size_t)l->group * (is_made_in_place(l) ? 2 : 3) * l->points;
}

// Of each thread its own; gradients of the filter made apart.
size_t convolution_workspace(const convolution *c, int threads) {
    const layout l = layout_of(c);
    const bool apart_perhaps = l.parts > 1 || c->filter.adds;
    const size_t apart = apart_perhaps ? (size_t)l.parts * (size_t)c->time * (size_t)c->channels : 0;
    return ((size_t)threads * thread_reals(&l) + apart) * sizeof(real);
}

static double operations_of(const convolution *c, double sequences) {
    return sequences * c->time * blocks_of(c->channels) * 50;
}

// What a loop works on.
typedef struct convolution_call {
    const convolution *c;
    layout l;
    void *workspace;
    real *parts; // backward: gradients of the filter that are made apart, or NULL
} convolution_call;

static real *thread_points(const convolution_call *call, int thread) {
    return (real *)call->workspace + (size_t)thread * thread_reals(&call->l);
}

static real *second_points(const layout *l, real *points) {
    return points + (size_t)l->group * l->points;
}

static real *points_of_taps(const layout *l, real *points) {
    return points + (size_t)l->group * (is_made_in_place(l) ? 1 : 2) * l->points;
}

// --- where a group begins in the operands, and how wide it is

static int first_channel(const layout *l, int group) {
    return group * l->group * VEC;
}

static int channels_of(const convolution *c, const layout *l, int group) {
    const int left = c->channels - first_channel(l, group), most = l->group * VEC;
    return left < most ? left : most;
}

// Sequence b of an operand of that many values a row.
static ptrdiff_t at(const convolution *c, const layout *l, int ld, int b, int group) {
    return (ptrdiff_t)b * c->time * ld + first_channel(l, group);
}

static row_source gated_input(const convolution *c, const layout *l, int b, int group) {
    row_source w = {.count = c->time,
                    .channels = channels_of(c, l, group),
                    .x = c->x.value + at(c, l, c->x.ld, b, group),
                    .ld = c->x.ld};
    if (c->gate_in.value) {
        w.gate = c->gate_in.value + at(c, l, c->gate_in.ld, b, group);
        w.ld_gate = c->gate_in.ld;
    }
    return w;
}

static row_product output(const convolution *c, const layout *l, real *y, int b, int group) {
    return (row_product){.out = y + at(c, l, c->channels, b, group), .ld_out = c->channels};
}

static void multiply_by(const convolution *c, const layout *l, const convolution_operand *by, int b,
                        int group, row_product *p) {
    if (!by->value) return;
    p->factor = by->value + at(c, l, by->ld, b, group);
    p->ld_factor = by->ld;
}

static row_product gradient(const convolution *c, const layout *l, const convolution_operand *of, int b,
                            int group) {
    if (!of->gradient) return (row_product){0};
    return (row_product){
        .out = of->gradient + at(c, l, of->ld, b, group), .ld_out = of->ld, .adds = of->adds};
}

// --- the steps

// Packs rows behind zeros.
static void pack_direct(const layout *l, const row_source *from, real *packed) {
    for (int k = 0; k < blocks_of(from->channels); k++)
        memset(packed + k * l->points, 0, (size_t)DIRECT_ROWS * VEC * sizeof(real));
    pack_rows(from, l->rows_direct, packed + (size_t)DIRECT_ROWS * VEC, l->points);
}

static void from_rows(const layout *l, const row_source *from, real *points) {
    if (l->rows_direct) {
        pack_direct(l, from, points);
        return;
    }
    pack_rows(from, l->plan.points, points, l->points);
    for (int k = 0; k < blocks_of(from->channels); k++)
        fft_down_half(&l->plan.level[0], points + k * l->points);
}

static void to_rows(const layout *l, real *points, const row_sink *to) {
    if (l->rows_direct) {
        unpack_rows(points + (size_t)DIRECT_ROWS * VEC, l->points, to);
        return;
    }
    for (int k = 0; k < blocks_of(to->channels); k++)
        fft_up_half(&l->plan.level[0], points + k * l->points);
    unpack_rows(points, l->points, to);
}

// The same as a walk, lag by lag. What becomes of the points goes to the second points.
static void direct_group(const layout *l, int channels, const spectrum_walk *like) {
    for (int k = 0; k < blocks_of(channels); k++) {
        const size_t skip = k * l->points + (size_t)DIRECT_ROWS * VEC;
        real *const points = like->points + skip, *const second = second_points(l, like->points) + skip;
        if (like->task == SPECTRUM_APPLY) {
            direct_convolve(l->rows_direct, points, like->records + skip, second);
        } else if (like->task == SPECTRUM_ADJOINT) {
            direct_correlate(l->rows_direct, points, second, like->taps + skip, like->adds);
            direct_correlate(l->rows_direct, points, like->records + skip, second, false);
        }
    }
}

// A walk for each block of a group; `like` has the pointers of the first.
static void walk_group(const layout *l, int channels, const spectrum_walk *like) {
    if (l->rows_direct) {
        direct_group(l, channels, like);
        return;
    }
    for (int k = 0; k < blocks_of(channels); k++) {
        spectrum_walk w = *like;
        w.plan = &l->plan;
        w.roots = l->roots;
        w.apart = SPECTRUM_RECORD;
        w.points += k * l->points;
        if (w.others) w.others += k * l->points;
        if (w.records) w.records += k * l->records;
        if (w.taps) w.taps += k * l->points;
        if (w.beta) w.beta += k * VEC;
        w.channels -= k * VEC;
        spectrum_traverse(&w);
    }
}

static real *prepared(const convolution *c, const layout *l, int group) {
    return c->prepared + (size_t)(group * l->group) * l->records;
}

static void prepare_groups(const void *context, pool_share share) {
    const convolution_call *call = context;
    const convolution *c = call->c;
    const layout *l = &call->l;
    real *points = thread_points(call, share.thread);
    for (int group = share.begin; group < share.end; group++) {
        const row_source taps = {.count = c->time,
                                 .channels = channels_of(c, l, group),
                                 .x = c->filter.value + first_channel(l, group),
                                 .ld = c->filter.ld};
        if (l->rows_direct) {
            real *packed = prepared(c, l, group);
            pack_direct(l, &taps, packed);
            packed += (size_t)DIRECT_ROWS * VEC;
            for (int i = 0; c->beta && i < taps.channels; i++)
                packed[i / VEC * l->points + (size_t)(i % VEC)] += c->beta[first_channel(l, group) + i];
            continue;
        }
        from_rows(l, &taps, points);
        walk_group(l, taps.channels,
                   &(spectrum_walk){.task = SPECTRUM_MAKE,
                                    .points = points,
                                    .records = prepared(c, l, group),
                                    .beta = c->beta ? c->beta + first_channel(l, group) : NULL,
                                    .channels = taps.channels});
    }
}

void convolution_prepare(const convolution *c, void *workspace) {
    const convolution_call call = {.c = c, .l = layout_of(c), .workspace = workspace};
    parallel_for(call.l.groups, operations_of(c, 1), prepare_groups, &call);
}

static void forward_sequences(const void *context, pool_share share) {
    const convolution_call *call = context;
    const convolution *c = call->c;
    const layout *l = &call->l;
    real *points = thread_points(call, share.thread);
    for (int task = share.begin; task < share.end; task++) {
        const int group = task / c->batch, b = task % c->batch;
        const row_source w = gated_input(c, l, b, group);
        row_sink to = {.count = c->time, .channels = w.channels, .product = {output(c, l, c->y, b, group)}};
        multiply_by(c, l, &c->gate_out, b, group, &to.product[0]);
        if (c->z) to.product[1] = output(c, l, c->z, b, group);
        from_rows(l, &w, points);
        walk_group(
            l, w.channels,
            &(spectrum_walk){.task = SPECTRUM_APPLY, .points = points, .records = prepared(c, l, group)});
        to_rows(l, l->rows_direct ? second_points(l, points) : points, &to);
    }
}

void convolution_forward(const convolution *c, void *workspace) {
    const convolution_call call = {.c = c, .l = layout_of(c), .workspace = workspace};
    parallel_for(call.l.groups * c->batch, operations_of(c, c->batch), forward_sequences, &call);
}

// first, last: of the sequences of a part.
static void backward_sequence(const convolution *c, const layout *l, int b, int group, bool first,
                              bool last, real *points) {
    real *others = second_points(l, points);
    const row_source w = gated_input(c, l, b, group);
    row_source dz = {.count = c->time,
                     .channels = w.channels,
                     .x = c->dy + at(c, l, c->channels, b, group),
                     .ld = c->channels};
    if (c->gate_out.value) {
        dz.gate = c->gate_out.value + at(c, l, c->gate_out.ld, b, group);
        dz.ld_gate = c->gate_out.ld;
        dz.product = gradient(c, l, &c->gate_out, b, group);
        if (dz.product.out) {
            dz.product.factor = c->z + at(c, l, c->channels, b, group);
            dz.product.ld_factor = c->channels;
        }
    }
    row_sink to = {.count = c->time, .channels = w.channels, .product = {gradient(c, l, &c->x, b, group)}};
    multiply_by(c, l, &c->gate_in, b, group, &to.product[0]);
    if (c->gate_in.value) {
        to.product[1] = gradient(c, l, &c->gate_in, b, group);
        multiply_by(c, l, &c->x, b, group, &to.product[1]);
    }
    from_rows(l, &w, others);
    from_rows(l, &dz, points);
    walk_group(l, w.channels,
               &(spectrum_walk){.task = SPECTRUM_ADJOINT,
                                .points = points,
                                .others = others,
                                .records = prepared(c, l, group),
                                .taps = points_of_taps(l, points),
                                .adds = !first,
                                .last = last});
    to_rows(l, l->rows_direct ? others : points, &to);
}

static int part_end(const convolution *c, const layout *l, int part) {
    const int end = (part + 1) * l->rows;
    return end < c->batch ? end : c->batch;
}

static void backward_parts(const void *context, pool_share share) {
    const convolution_call *call = context;
    const convolution *c = call->c;
    const layout *l = &call->l;
    real *points = thread_points(call, share.thread), *parts = call->parts;
    for (int task = share.begin; task < share.end; task++) {
        const int group = task / l->parts, part = task % l->parts;
        const int begin = part * l->rows, end = part_end(c, l, part);
        for (int b = begin; b < end; b++)
            backward_sequence(c, l, b, group, b == begin, b == end - 1, points);
        const row_sink to = {
            .count = c->time,
            .channels = channels_of(c, l, group),
            .product = {parts ? output(c, l, parts, part, group) : gradient(c, l, &c->filter, 0, group)}};
        to_rows(l, points_of_taps(l, points), &to);
    }
}

// to (+)= one row of what the parts of the batch gave, in their order.
static void add_row(const convolution *c, const layout *l, const real *parts, int t, real *to, bool adds) {
    for (int i = 0; i < c->channels; i += VEC) {
        vec sum = adds ? vec_get(to + i, c->channels - i) : (vec){0};
        for (int part = 0; part < l->parts; part++)
            sum += vec_get(parts + ((ptrdiff_t)part * c->time + t) * c->channels + i, c->channels - i);
        vec_put(to + i, sum, c->channels - i);
    }
}

static void add_parts(const void *context, pool_share share) {
    const convolution_call *call = context;
    const convolution *c = call->c;
    const layout *l = &call->l;
    for (int t = share.begin; t < share.end; t++) {
        real *to = c->filter.gradient + (ptrdiff_t)t * c->filter.ld;
        add_row(c, l, call->parts, t, to, c->filter.adds);
    }
}

void convolution_backward(const convolution *c, void *workspace) {
    convolution_call call = {.c = c, .l = layout_of(c), .workspace = workspace};
    const layout *l = &call.l;
    if (is_made_apart(c, l)) call.parts = thread_points(&call, kernels_thread_count);
    parallel_for(l->groups * l->parts, operations_of(c, c->batch), backward_parts, &call);
    if (call.parts && c->filter.gradient)
        parallel_for(c->time, (double)c->time * l->parts * c->channels / VEC, add_parts, &call);
    if (!c->dbeta) return;
    if (call.parts)
        add_row(c, l, call.parts, 0, c->dbeta, c->adds_beta);
    else
        add_row(c, &(layout){.parts = 1}, c->filter.gradient, 0, c->dbeta, c->adds_beta);
}
