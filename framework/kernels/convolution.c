// Causal long convolutions of every channel along time, by Fourier transforms (spectrum.h).
#include "kernels/fft_rows.h"
#include "kernels/parallel.h"
#include "kernels/spectrum.h"

#include <omp.h>
#include <string.h>

// So many parts of the batch, at most, are summed apart when there are fewer blocks of channels than parts.
enum { PARTS = 16 };

// A convolution's numbers that follow from its shape.
typedef struct layout {
    fft_plan plan;
    real *roots;
    int blocks;         // of VEC channels
    int rows, parts;    // sequences of a part of the batch, and how many parts
    size_t points;      // reals of a sequence's points
    size_t records;     // reals of a filter's records
    size_t each_thread; // reals of workspace
} layout;

static int blocks_of(int channels) {
    return (channels + VEC - 1) / VEC;
}

static layout layout_of(const convolution *c) {
    const int points = KERNEL(fft_points)(c->time);
    layout l = {.blocks = blocks_of(c->channels)};
    l.plan = KERNEL(fft_plan_on)(points, c->tables);
    l.roots = (real *)c->tables + KERNEL(fft_twiddles)(points);
    int parts = PARTS / l.blocks;
    if (parts > c->batch) parts = c->batch;
    if (parts < 1) parts = 1;
    l.rows = (c->batch + parts - 1) / parts;
    l.parts = (c->batch + l.rows - 1) / l.rows;
    l.points = (size_t)points * 2 * VEC;
    l.records = (size_t)spectrum_pairs(points) * SPECTRUM_RECORD;
    l.each_thread = 2 * l.points + l.records;
    return l;
}

size_t KERNEL(convolution_tables)(int time) {
    const int points = KERNEL(fft_points)(time);
    return KERNEL(fft_twiddles)(points) + 2 * (size_t)spectrum_pairs(points);
}

void KERNEL(convolution_tabulate)(int time, real *tables) {
    const int points = KERNEL(fft_points)(time);
    const fft_plan plan = KERNEL(fft_plan_on)(points, tables);
    KERNEL(fft_tabulate)(points, tables);
    KERNEL(spectrum_tabulate)(&plan, tables + KERNEL(fft_twiddles)(points));
}

size_t KERNEL(convolution_prepared)(int time, int channels) {
    const size_t pairs = (size_t)spectrum_pairs(KERNEL(fft_points)(time));
    return (size_t)blocks_of(channels) * pairs * SPECTRUM_RECORD;
}

// Whether the gradient of the filter is made in the workspace first: by parts of the batch, or because that
// of beta, which is its first row, is wanted without what it is added to.
static bool is_made_apart(const convolution *c, const layout *l) {
    return l->parts > 1 || c->filter.adds;
}

// Of each thread its points; gradients of the filter made apart.
size_t KERNEL(convolution_workspace)(const convolution *c, int threads) {
    const layout l = layout_of(c);
    const size_t parts = is_made_apart(c, &l) ? (size_t)l.parts * (size_t)c->time * (size_t)c->channels : 0;
    return ((size_t)threads * l.each_thread + parts) * sizeof(real);
}

static int threads_for_convolution(const convolution *c, double sequences) {
    return threads_for(sequences * c->time * blocks_of(c->channels) * 50);
}

static int lanes_of(const convolution *c, int block) {
    const int left = c->channels - block * VEC;
    return left < VEC ? left : VEC;
}

static real *thread_points(const layout *l, void *workspace) {
    return (real *)workspace + (size_t)omp_get_thread_num() * l->each_thread;
}

static void prepare_blocks(const convolution *c, const layout *l, void *workspace) {
#pragma omp for schedule(static)
    for (int block = 0; block < l->blocks; block++) {
        real *points = thread_points(l, workspace);
        const int lanes = lanes_of(c, block);
        const row_source taps = {.count = c->time,
                                 .lanes = lanes,
                                 .x = c->filter.value + (ptrdiff_t)block * VEC,
                                 .ld = c->filter.ld};
        KERNEL(fft_from_rows)(&l->plan, &taps, points);
        KERNEL(spectrum_walk)
        (&(spectrum_walk){.plan = &l->plan,
                          .roots = l->roots,
                          .task = SPECTRUM_MAKE,
                          .points = points,
                          .records = c->prepared + (size_t)block * l->records,
                          .extra = c->beta ? vec_get(c->beta + (ptrdiff_t)block * VEC, lanes) : (vec){0}});
    }
}

void KERNEL(convolution_prepare)(const convolution *c, void *workspace) {
    const layout l = layout_of(c);
    WITH_THREADS(threads_for_convolution(c, 1), prepare_blocks(c, &l, workspace));
}

// Where sequence b and a block of channels begin in an operand of that many values a row.
static ptrdiff_t at(const convolution *c, int ld, int b, int block) {
    return (ptrdiff_t)b * c->time * ld + (ptrdiff_t)block * VEC;
}

static row_source gated_input(const convolution *c, int b, int block) {
    row_source w = {.count = c->time,
                    .lanes = lanes_of(c, block),
                    .x = c->x.value + at(c, c->x.ld, b, block),
                    .ld = c->x.ld};
    if (c->gate_in.value) {
        w.gate = c->gate_in.value + at(c, c->gate_in.ld, b, block);
        w.ld_gate = c->gate_in.ld;
    }
    return w;
}

static row_product output(const convolution *c, real *y, int b, int block) {
    return (row_product){.out = y + at(c, c->channels, b, block), .ld_out = c->channels};
}

static void multiply_by(const convolution *c, const convolution_operand *by, int b, int block,
                        row_product *p) {
    if (!by->value) return;
    p->factor = by->value + at(c, by->ld, b, block);
    p->ld_factor = by->ld;
}

static row_product gradient(const convolution *c, const convolution_operand *of, int b, int block) {
    if (!of->gradient) return (row_product){0};
    return (row_product){.out = of->gradient + at(c, of->ld, b, block), .ld_out = of->ld, .adds = of->adds};
}

static void forward_sequence(const convolution *c, const layout *l, int b, int block, real *points) {
    const row_source w = gated_input(c, b, block);
    row_sink to = {.count = c->time, .lanes = w.lanes, .product = {output(c, c->y, b, block)}};
    multiply_by(c, &c->gate_out, b, block, &to.product[0]);
    if (c->z) to.product[1] = output(c, c->z, b, block);
    KERNEL(fft_from_rows)(&l->plan, &w, points);
    KERNEL(spectrum_walk)
    (&(spectrum_walk){.plan = &l->plan,
                      .task = SPECTRUM_APPLY,
                      .points = points,
                      .roots = l->roots,
                      .records = c->prepared + (size_t)block * l->records});
    KERNEL(fft_to_rows)(&l->plan, points, &to);
}

static int part_end(const convolution *c, const layout *l, int part) {
    const int end = (part + 1) * l->rows;
    return end < c->batch ? end : c->batch;
}

static void forward_parts(const convolution *c, const layout *l, void *workspace) {
#pragma omp for schedule(static)
    for (int task = 0; task < l->blocks * l->parts; task++) {
        const int block = task / l->parts, part = task % l->parts;
        for (int b = part * l->rows; b < part_end(c, l, part); b++)
            forward_sequence(c, l, b, block, thread_points(l, workspace));
    }
}

void KERNEL(convolution_forward)(const convolution *c, void *workspace) {
    const layout l = layout_of(c);
    WITH_THREADS(threads_for_convolution(c, c->batch), forward_parts(c, &l, workspace));
}

static void backward_sequence(const convolution *c, const layout *l, int b, int block, real *points) {
    real *others = points + l->points, *sums = others + l->points;
    const row_source w = gated_input(c, b, block);
    row_source dz = {
        .count = c->time, .lanes = w.lanes, .x = c->dy + at(c, c->channels, b, block), .ld = c->channels};
    if (c->gate_out.value) {
        dz.gate = c->gate_out.value + at(c, c->gate_out.ld, b, block);
        dz.ld_gate = c->gate_out.ld;
        dz.product = gradient(c, &c->gate_out, b, block);
        if (dz.product.out) {
            dz.product.factor = c->z + at(c, c->channels, b, block);
            dz.product.ld_factor = c->channels;
        }
    }
    row_sink to = {.count = c->time, .lanes = w.lanes, .product = {gradient(c, &c->x, b, block)}};
    multiply_by(c, &c->gate_in, b, block, &to.product[0]);
    if (c->gate_in.value) {
        to.product[1] = gradient(c, &c->gate_in, b, block);
        multiply_by(c, &c->x, b, block, &to.product[1]);
    }
    KERNEL(fft_from_rows)(&l->plan, &w, others);
    KERNEL(fft_from_rows)(&l->plan, &dz, points);
    KERNEL(spectrum_walk)
    (&(spectrum_walk){.plan = &l->plan,
                      .task = SPECTRUM_ADJOINT,
                      .points = points,
                      .others = others,
                      .roots = l->roots,
                      .records = c->prepared + (size_t)block * l->records,
                      .sums = sums});
    KERNEL(fft_to_rows)(&l->plan, points, &to);
}

// The gradient of the filter from the sums over some sequences.
static void filter_gradient(const convolution *c, const layout *l, int block, real *points,
                            const row_product *to) {
    KERNEL(spectrum_walk)
    (&(spectrum_walk){.plan = &l->plan,
                      .task = SPECTRUM_GATHER,
                      .points = points,
                      .roots = l->roots,
                      .sums = points + 2 * l->points});
    const row_sink sink = {.count = c->time, .lanes = lanes_of(c, block), .product = {*to}};
    KERNEL(fft_to_rows)(&l->plan, points, &sink);
}

// parts: NULL when the gradient of the filter is not made apart.
static void backward_parts(const convolution *c, const layout *l, void *workspace, real *parts) {
#pragma omp for schedule(static)
    for (int task = 0; task < l->blocks * l->parts; task++) {
        const int block = task / l->parts, part = task % l->parts;
        real *points = thread_points(l, workspace);
        memset(points + 2 * l->points, 0, l->records * sizeof(real));
        for (int b = part * l->rows; b < part_end(c, l, part); b++)
            backward_sequence(c, l, b, block, points);
        const row_product to = parts ? output(c, parts, part, block) : gradient(c, &c->filter, 0, block);
        filter_gradient(c, l, block, points, &to);
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

static void add_parts(const convolution *c, const layout *l, const real *parts) {
#pragma omp for schedule(static)
    for (int t = 0; t < c->time; t++) {
        real *to = c->filter.gradient + (ptrdiff_t)t * c->filter.ld;
        add_row(c, l, parts, t, to, c->filter.adds);
    }
}

static void backward_all(const convolution *c, const layout *l, void *workspace, real *parts) {
    backward_parts(c, l, workspace, parts);
    if (parts && c->filter.gradient) add_parts(c, l, parts);
}

void KERNEL(convolution_backward)(const convolution *c, void *workspace) {
    const layout l = layout_of(c);
    const int threads = threads_for_convolution(c, c->batch);
    real *parts = is_made_apart(c, &l) ? (real *)workspace + (size_t)threads * l.each_thread : NULL;
    WITH_THREADS(threads, backward_all(c, &l, workspace, parts));
    if (!c->dbeta) return;
    if (parts)
        add_row(c, &l, parts, 0, c->dbeta, c->adds_beta);
    else
        add_row(c, &(layout){.parts = 1}, c->filter.gradient, 0, c->dbeta, c->adds_beta);
}
