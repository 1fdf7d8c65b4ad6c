// Implicit filters of the Hyena operator (arXiv 2302.10866, section 3.3 and appendix D.3): a small network
// of sines over the position, times a window that decays.
//
// All in double precision: rounding errors grow by the frequency in every sine. Positions are cut into
// chunks, whose number depends on their number alone, and chunks into blocks that fit the cache. A chunk
// has its own sums of the gradients, which are added up in order. Activations are rows of a position each,
// padded to whole vectors with zeros; weights are copied into whole vectors once a call, both ways round.
#include "kernels/convolution/filter_features.h"
#include "kernels/convolution/filter_product.h"
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/wide.h"

#include <string.h>

enum { BLOCK = 32, CHUNK_MINIMUM = 64, CHUNKS = 16 };

static size_t padded(int n) {
    return (size_t)(n + WIDE - 1) / WIDE * WIDE;
}

// Where channel d of filter o stands in row `position` of the filters.
static size_t element(const filter_shape *s, int position, int o, int d) {
    return ((size_t)position * (size_t)s->filters + (size_t)o) * (size_t)s->width + (size_t)d;
}

// Rows that are computed: all of the grid where a sum over it is wanted.
static int rows_of(const filter_shape *s) {
    return s->normalised ? s->grid : s->taps;
}

static int chunk_rows(int rows) {
    const int length = (rows + CHUNKS - 1) / CHUNKS;
    return length < CHUNK_MINIMUM ? CHUNK_MINIMUM : (length + BLOCK - 1) / BLOCK * BLOCK;
}

static int chunks_of(int rows) {
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

// --- where things are in the workspace

typedef struct layout {
    size_t in[FILTER_LAYERS]; // padded widths: of each layer's input,
    size_t hidden, width;     // of the layers, of one filter,
    size_t channels;          // and of all filters side by side
    int rows, chunks, blocks; // blocks: threads that have a chunk, each with room for one
    // Doubles from the beginning of the workspace.
    size_t forward[FILTER_LAYERS]; // weights, in x hidden
    size_t back[FILTER_LAYERS];    // and hidden x in
    size_t bias[FILTER_LAYERS], frequency;
    size_t out_forward, out_back; // hidden x channels, channels x hidden
    size_t rates, signs;          // of decay: magnitudes, and 1 or -1
    size_t ratios;                // of the window, from position to position
    size_t turns;                 // cosine and sine of what each band turns from position to position
    size_t sums, sums_each;       // of the gradients, or of |h|: one for each chunk
    size_t projection;            // normalised: sum over the taps of dh h
    size_t block, block_each;
    size_t total;
    // Within the sums of a chunk, laid out like the weights above.
    size_t sum_back[FILTER_LAYERS], sum_bias[FILTER_LAYERS], sum_frequency, sum_out, sum_rates;
    // Within a block.
    size_t activation[FILTER_LAYERS + 1], before[FILTER_LAYERS], cosine[FILTER_LAYERS], window, taps,
        upstream, change, other;
} layout;

static size_t take(size_t *at, size_t doubles) {
    const size_t begin = *at;
    *at += (doubles + 7) / 8 * 8;
    return begin;
}

static layout layout_of(const filter_shape *s, int threads, bool backward) {
    layout l = {.hidden = padded(s->hidden), .width = padded(s->width), .rows = rows_of(s)};
    l.channels = (size_t)s->filters * l.width;
    l.chunks = chunks_of(l.rows);
    l.blocks = threads < l.chunks ? threads : l.chunks;
    for (int i = 0; i < s->layers; i++) {
        l.in[i] = i == 0 ? padded(s->features) : l.hidden;
        l.forward[i] = take(&l.total, l.in[i] * l.hidden);
        l.back[i] = take(&l.total, l.in[i] * l.hidden);
        l.bias[i] = take(&l.total, l.hidden);
    }
    l.frequency = take(&l.total, l.hidden);
    l.out_forward = take(&l.total, l.hidden * l.channels);
    l.out_back = take(&l.total, l.hidden * l.channels);
    l.rates = take(&l.total, l.channels);
    l.signs = take(&l.total, l.channels);
    l.ratios = take(&l.total, l.channels);
    l.turns = take(&l.total, (size_t)s->features);
    for (int i = 0; i < s->layers && backward; i++) {
        l.sum_back[i] = take(&l.sums_each, l.in[i] * l.hidden);
        l.sum_bias[i] = take(&l.sums_each, l.hidden);
    }
    if (backward) {
        l.sum_frequency = take(&l.sums_each, l.hidden);
        l.sum_out = take(&l.sums_each, l.hidden * l.channels);
    }
    l.sum_rates = take(&l.sums_each, l.channels); // and |h| on the way forward
    l.sums = take(&l.total, l.sums_each * (size_t)l.chunks);
    l.projection = take(&l.total, l.channels);
    l.activation[0] = take(&l.block_each, BLOCK * l.in[0]);
    for (int i = 0; i < s->layers; i++) {
        l.activation[i + 1] = take(&l.block_each, BLOCK * l.hidden);
        l.before[i] = take(&l.block_each, BLOCK * l.hidden);
        l.cosine[i] = take(&l.block_each, BLOCK * l.hidden);
    }
    l.window = take(&l.block_each, l.channels);
    l.taps = take(&l.block_each, BLOCK * l.channels);
    if (backward) {
        const size_t widest = l.in[0] > l.hidden ? l.in[0] : l.hidden;
        l.upstream = take(&l.block_each, BLOCK * l.channels);
        l.change = take(&l.block_each, BLOCK * widest);
        l.other = take(&l.block_each, BLOCK * widest);
    }
    l.block = take(&l.total, l.block_each * (size_t)l.blocks);
    return l;
}

size_t filter_workspace(const filter_shape *shape, int threads, bool backward) {
    return layout_of(shape, threads, backward).total * sizeof(double);
}

// What a call works on.
typedef struct filter {
    const filter_shape *s;
    const filter_parameters *p;
    layout l;
    double *memory;
    real *made; // forward: the filters and what normalises them
    real *normaliser;
    const real *h, *used, *dh; // backward: the same two, and the gradient of the filters
    const filter_gradients *to;
} filter;

// --- weights in double precision

static void copy_vector(int n, const real *from, double *to, size_t to_n) {
    for (size_t i = 0; i < to_n; i++) to[i] = i < (size_t)n ? (double)from[i] : 0;
}

// Channel c of the parameters is filter c mod filters at width c / filters; here filters stand side by
// side.
static size_t place_of(const filter *f, int filter_number, int column) {
    return (size_t)filter_number * f->l.width + (size_t)column;
}

// Row r of the weights of a layer, both ways round.
static void copy_row(const filter *f, int layer, int r) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    const int width = layer == 0 ? s->features : s->hidden;
    const size_t ld = l->in[layer];
    double *row = f->memory + l->back[layer] + (size_t)r * ld, *transposed = f->memory + l->forward[layer];
    copy_vector(r < s->hidden ? width : 0, f->p->weight[layer] + (size_t)r * (size_t)width, row, ld);
    for (size_t c = 0; c < ld; c++) transposed[c * l->hidden + (size_t)r] = row[c];
}

// The weights of a channel of the output, both ways round.
static void copy_output_row(const filter *f, int o, int d) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    double *row = f->memory + l->out_back + place_of(f, o, d) * l->hidden,
           *transposed = f->memory + l->out_forward + place_of(f, o, d);
    copy_vector(d < s->width ? s->hidden : 0, f->p->out + (size_t)(d * s->filters + o) * (size_t)s->hidden,
                row, l->hidden);
    for (size_t k = 0; k < l->hidden; k++) transposed[k * l->channels] = row[k];
}

static void prepare_vectors(const filter *f) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    double *at = f->memory;
    const double step = s->grid > 1 ? 1.0 / (s->grid - 1) : 0;
    for (int i = 0; i < s->layers; i++) copy_vector(s->hidden, f->p->bias[i], at + l->bias[i], l->hidden);
    copy_vector(s->hidden, f->p->frequency, at + l->frequency, l->hidden);
    for (int o = 0; o < s->filters; o++)
        for (int d = 0; d < (int)l->width; d++) {
            const double rate = d < s->width ? (double)f->p->rates[d * s->filters + o] : 0;
            at[l->rates + place_of(f, o, d)] = fabs(rate);
            at[l->signs + place_of(f, o, d)] = rate < 0 ? -1 : 1;
            at[l->ratios + place_of(f, o, d)] = exp(-fabs(rate) * step);
        }
    const int bands = (s->features - 1) / 2;
    for (int b = 0; b < bands; b++) {
        at[l->turns + (size_t)b] = cos(filter_band(b, bands) * 2 * M_PI / s->grid);
        at[l->turns + (size_t)(bands + b)] = sin(filter_band(b, bands) * 2 * M_PI / s->grid);
    }
}

// Pieces: the rows of the layers' weights, those of the output's, and the vectors.
static void prepare_pieces(const void *context, pool_share share) {
    const filter *f = context;
    const int hidden = (int)f->l.hidden, width = (int)f->l.width;
    const int outputs = f->s->layers * hidden, vectors = outputs + (int)f->l.channels;
    for (int i = share.begin; i < share.end; i++) {
        if (i < outputs)
            copy_row(f, i / hidden, i % hidden);
        else if (i < vectors)
            copy_output_row(f, (i - outputs) / width, (i - outputs) % width);
        else
            prepare_vectors(f);
    }
}

static double weight_count(const filter *f) {
    return (double)f->l.hidden *
           ((double)f->l.in[0] + (double)(f->s->layers - 1) * (double)f->l.hidden + (double)f->l.channels);
}

static void prepare(const filter *f) {
    parallel_for(f->s->layers * (int)f->l.hidden + (int)f->l.channels + 1, 2 * weight_count(f),
                 prepare_pieces, f);
}

// --- the network, a block of positions at a time

// Features of `count` positions from `first` on, exact for the first, the others by turning on.
static void make_features(const filter *f, int first, int count, double *to) {
    const filter_shape *s = f->s;
    const size_t ld = f->l.in[0];
    const int bands = (s->features - 1) / 2;
    const double *turn = f->memory + f->l.turns;
    memset(to, 0, (size_t)count * ld * sizeof *to);
    if (f->p->features) {
        for (int r = 0; r < count; r++)
            for (int e = 0; e < s->features; e++)
                to[(size_t)r * ld + (size_t)e] =
                    (double)f->p->features[(size_t)(first + r) * (size_t)s->features + (size_t)e];
        return;
    }
    for (int e = 0; e < s->features; e++) to[e] = filter_feature(s->grid, s->features, first, e);
    for (int r = 1; r < count; r++) {
        const double *before = to + (size_t)(r - 1) * ld;
        double *row = to + (size_t)r * ld;
        row[0] = filter_feature(s->grid, s->features, first + r, 0);
        for (int b = 0; b < bands; b++) {
            const double cosine = before[1 + b], minus_sine = before[1 + bands + b];
            row[1 + b] = cosine * turn[b] + minus_sine * turn[bands + b];
            row[1 + bands + b] = minus_sine * turn[b] - cosine * turn[bands + b];
        }
    }
}

// sine and cosine of frequency * u for `count` rows.
static void sine_layer(const filter *f, int count, const double *u, double *sine, double *cosine) {
    const size_t width = f->l.hidden, n = (size_t)count * width;
    const double *frequency = f->memory + f->l.frequency;
    wide worst = {0};
    for (size_t i = 0; i < n; i += width)
        for (size_t k = 0; k < width; k += WIDE) {
            const wide x = wide_load(u + i + k) * wide_load(frequency + k);
            worst = wide_max(wide_abs(x), worst);
            wide c;
            wide_store(sine + i + k, wide_sincos(x, &c));
            wide_store(cosine + i + k, c);
        }
    double most = 0;
    for (int lane = 0; lane < WIDE; lane++) most = fmax(most, worst[lane]);
    if (most <= WIDE_SINCOS_MOST) return;
    for (size_t i = 0; i < n; i++) {
        sine[i] = sin(u[i] * frequency[i % width]);
        cosine[i] = cos(u[i] * frequency[i % width]);
    }
}

// Everything up to the last layer's sines.
static void run_layers(const filter *f, int first, int count, double *block) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    make_features(f, first, count, block + l->activation[0]);
    for (int i = 0; i < s->layers; i++) {
        double *u = block + l->before[i];
        product(count, l->hidden, i == 0 ? s->features : s->hidden, block + l->activation[i], l->in[i], 1,
                f->memory + l->forward[i], l->hidden, u, l->hidden, f->memory + l->bias[i], false);
        sine_layer(f, count, u, block + l->activation[i + 1], block + l->cosine[i]);
    }
}

// The last product: the taps without their window.
static void run_output(const filter *f, int count, double *block) {
    const layout *l = &f->l;
    product(count, l->channels, f->s->hidden, block + l->activation[f->s->layers], l->hidden, 1,
            f->memory + l->out_forward, l->channels, block + l->taps, l->channels, NULL, false);
}

static void window_at(const filter *f, int position, double *block) {
    const double t = f->s->grid > 1 ? (double)position / (f->s->grid - 1) : 0;
    for (size_t c = 0; c < f->l.channels; c++) block[f->l.window + c] = exp(-t * f->memory[f->l.rates + c]);
}

static double *block_of(const filter *f, int thread) {
    return f->memory + f->l.block + (size_t)thread * f->l.block_each;
}

static int chunk_end(const filter *f, int chunk) {
    const int length = chunk_rows(f->l.rows);
    return f->l.rows - chunk * length < length ? f->l.rows : (chunk + 1) * length;
}

// --- forward

// Windows the taps of a block's rows and hands out those that are wanted; adds |h| to the chunk's sums.
static void put_taps(const filter *f, int first, int count, double *block, real *h, double *sums) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    double *window = block + l->window;
    for (int r = 0; r < count; r++)
        for (int o = 0; o < s->filters; o++) {
            const size_t row = (size_t)r * l->channels;
            for (int d = 0; d < s->width; d += WIDE) {
                const size_t c = place_of(f, o, d);
                const wide w = wide_load(window + c);
                const wide tap = wide_load(block + l->taps + row + c) * (w + s->shift);
                wide_store(window + c, w * wide_load(f->memory + l->ratios + c));
                if (first + r < s->taps) wide_put_reals(h + element(s, first + r, o, d), tap, s->width - d);
                if (s->normalised) wide_store(sums + c, wide_load(sums + c) + wide_abs(tap));
            }
        }
}

static void forward_chunks(const void *context, pool_share share) {
    const filter *f = context;
    const layout *l = &f->l;
    double *block = block_of(f, share.thread);
    for (int chunk = share.begin; chunk < share.end; chunk++) {
        double *sums = f->memory + l->sums + (size_t)chunk * l->sums_each + l->sum_rates;
        const int begin = chunk * chunk_rows(l->rows), end = chunk_end(f, chunk);
        memset(sums, 0, l->channels * sizeof *sums);
        window_at(f, begin, block);
        for (int first = begin; first < end; first += BLOCK) {
            const int count = end - first < BLOCK ? end - first : BLOCK;
            run_layers(f, first, count, block);
            run_output(f, count, block);
            put_taps(f, first, count, block, f->made, sums);
        }
    }
}

// Divides channels by the sums of their magnitudes; keeps the reciprocals, and tap 0 before the skip term.
static void normalise(const void *context, pool_share share) {
    const filter *f = context;
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    real *h = f->made;
    for (int i = share.begin; i < share.end; i++) {
        const int o = i / s->width, d = i % s->width;
        double sum = 0;
        for (int chunk = 0; chunk < l->chunks; chunk++)
            sum += f->memory[l->sums + (size_t)chunk * l->sums_each + l->sum_rates + place_of(f, o, d)];
        const real reciprocal = sum > 0 ? (real)(1 / sum) : 0;
        for (int p = 0; p < s->taps; p++) h[element(s, p, o, d)] *= reciprocal;
        f->normaliser[element(s, 0, o, d)] = reciprocal;
        f->normaliser[element(s, 1, o, d)] = h[element(s, 0, o, d)];
    }
}

static void add_skip(const filter *f, real *h) {
    for (int o = 0; o < f->s->filters; o++)
        for (int d = 0; d < f->s->width; d++)
            h[element(f->s, 0, o, d)] += f->p->skip[d * f->s->filters + o];
}

static filter filter_of(const filter_shape *shape, const filter_parameters *p, bool backward,
                        void *workspace) {
    return (filter){
        .s = shape, .p = p, .l = layout_of(shape, kernels_thread_count, backward), .memory = workspace};
}

// Of running the network over all positions once.
static double operations_of(const filter *f) {
    return f->l.rows * weight_count(f) / WIDE;
}

void filter_forward(const filter_shape *shape, const filter_parameters *parameters, real *h,
                    real *normaliser, void *workspace) {
    filter f = filter_of(shape, parameters, false, workspace);
    f.made = h;
    f.normaliser = normaliser;
    prepare(&f);
    parallel_for(f.l.chunks, operations_of(&f), forward_chunks, &f);
    if (shape->normalised)
        parallel_for(shape->filters * shape->width, (double)shape->taps * shape->filters * shape->width,
                     normalise, &f);
    add_skip(&f, h);
}

// --- backward

// dh of a block's rows before normalisation; with it, all rows of the grid have one, and the taps (before
// their window) are in the block.
static ALWAYS_INLINE wide upstream_of(const filter *f, int position, int o, int d, wide tap,
                                      wide normaliser, const real *dh) {
    const filter_shape *s = f->s;
    const wide given =
        position < s->taps ? wide_get_reals(dh + element(s, position, o, d), s->width - d) : (wide){0};
    if (!s->normalised) return given;
    const wide projection = wide_load(f->memory + f->l.projection + place_of(f, o, d));
    const wide_int sign = (wide_int)tap & INT64_MIN;
    const wide signed_projection = (wide)((wide_int)projection ^ sign);
    return (given - wide_select(tap != 0, signed_projection, (wide){0})) * normaliser;
}

// The gradients of the taps without their window, and of the rates.
static void take_upstream(const filter *f, int first, int count, double *block, const real *dh,
                          const real *normaliser, bool rates, double *sums) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    double *window = block + l->window;
    for (int r = 0; r < count; r++) {
        const double t = s->grid > 1 ? (double)(first + r) / (s->grid - 1) : 0;
        for (int o = 0; o < s->filters; o++)
            for (int d = 0; d < (int)l->width; d += WIDE) {
                const size_t c = place_of(f, o, d), at = (size_t)r * l->channels + c;
                const wide w = wide_load(window + c), all = w + s->shift;
                const wide g = s->normalised || rates ? wide_load(block + l->taps + at) : (wide){0};
                const wide scale = s->normalised
                                       ? wide_get_reals(normaliser + element(s, 0, o, d), s->width - d)
                                       : (wide){0};
                const wide change = upstream_of(f, first + r, o, d, g * all, scale, dh);
                wide_store(block + l->upstream + at, change * all);
                wide_store(window + c, w * wide_load(f->memory + l->ratios + c));
                if (rates)
                    wide_store(sums + l->sum_rates + c,
                               wide_load(sums + l->sum_rates + c) -
                                   change * g * w * t * wide_load(f->memory + l->signs + c));
            }
    }
}

// From the gradient of the last sines (in block->change) down to the features.
static void layers_backward(const filter *f, int first, int count, double *block, double *sums,
                            bool overwrite, const filter_gradients *gradients) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    const double *frequency = f->memory + l->frequency;
    double *change = block + l->change, *below = block + l->other;
    for (int i = s->layers - 1; i >= 0; i--) {
        const double *u = block + l->before[i], *cosine = block + l->cosine[i];
        for (int r = 0; r < count; r++)
            for (size_t k = 0; k < l->hidden; k += WIDE) {
                const size_t at = (size_t)r * l->hidden + k;
                const wide q = wide_load(change + at) * wide_load(cosine + at);
                const wide du = q * wide_load(frequency + k);
                double *to_bias = sums + l->sum_bias[i] + k, *to_frequency = sums + l->sum_frequency + k;
                wide_store(to_frequency, wide_load(to_frequency) + q * wide_load(u + at));
                wide_store(to_bias, wide_load(to_bias) + du);
                wide_store(change + at, du);
            }
        product(s->hidden, l->in[i], count, change, 1, l->hidden, block + l->activation[i], l->in[i],
                sums + l->sum_back[i], l->in[i], NULL, !overwrite);
        if (i == 0 && !gradients->features) return;
        product(count, l->in[i], s->hidden, change, l->hidden, 1, f->memory + l->back[i], l->in[i], below,
                l->in[i], NULL, false);
        double *swap = change;
        change = below, below = swap;
    }
    for (int r = 0; r < count; r++) {
        real *to = gradients->features + (size_t)(first + r) * (size_t)s->features;
        for (int e = 0; e < s->features; e++) {
            const real d = (real)change[(size_t)r * l->in[0] + (size_t)e];
            to[e] = gradients->accumulate ? to[e] + d : d;
        }
    }
}

static void backward_chunks(const void *context, pool_share share) {
    const filter *f = context;
    const filter_shape *s = f->s;
    const filter_gradients *gradients = f->to;
    const layout *l = &f->l;
    double *block = block_of(f, share.thread);
    for (int chunk = share.begin; chunk < share.end; chunk++) {
        double *sums = f->memory + l->sums + (size_t)chunk * l->sums_each;
        const int begin = chunk * chunk_rows(l->rows), end = chunk_end(f, chunk);
        memset(sums + l->sum_rates, 0, l->channels * sizeof *sums);
        memset(sums + l->sum_frequency, 0, l->hidden * sizeof *sums);
        for (int i = 0; i < s->layers; i++) memset(sums + l->sum_bias[i], 0, l->hidden * sizeof *sums);
        window_at(f, begin, block);
        for (int first = begin; first < end; first += BLOCK) {
            const int count = end - first < BLOCK ? end - first : BLOCK;
            run_layers(f, first, count, block);
            if (s->normalised || gradients->rates) run_output(f, count, block);
            take_upstream(f, first, count, block, f->dh, f->used, gradients->rates, sums);
            product((int)l->channels, l->hidden, count, block + l->upstream, 1, l->channels,
                    block + l->activation[s->layers], l->hidden, sums + l->sum_out, l->hidden, NULL,
                    first != begin);
            product(count, l->hidden, (int)l->channels, block + l->upstream, l->channels, 1,
                    f->memory + l->out_back, l->hidden, block + l->change, l->hidden, NULL, false);
            layers_backward(f, first, count, block, sums, first == begin, gradients);
        }
    }
}

// The sums over the taps of dh h, both normalised, h without the skip term: pieces are vectors of channels.
static void project(const void *context, pool_share share) {
    const filter *f = context;
    const filter_shape *s = f->s;
    const int vectors = (int)(f->l.width / WIDE);
    for (int i = share.begin; i < share.end; i++) {
        const int o = i / vectors, d = i % vectors * WIDE, left = s->width - d;
        wide sum = wide_get_reals(f->dh + element(s, 0, o, d), left) *
                   wide_get_reals(f->used + element(s, 1, o, d), left);
        for (int p = 1; p < s->taps; p++)
            sum += wide_get_reals(f->dh + element(s, p, o, d), left) *
                   wide_get_reals(f->h + element(s, p, o, d), left);
        wide_store(f->memory + f->l.projection + place_of(f, o, d), sum);
    }
}

// to[n] (+)= the sums of all chunks at `at`.
static void collect(const filter *f, size_t at, int n, real *to, bool accumulate) {
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int chunk = 0; chunk < f->l.chunks; chunk++)
            sum += f->memory[f->l.sums + (size_t)chunk * f->l.sums_each + at + (size_t)i];
        to[i] = (real)(accumulate ? (double)to[i] + sum : sum);
    }
}

// Channel c of the parameters.
static void collect_output(const filter *f, int c) {
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    const filter_gradients *to = f->to;
    const int o = c % s->filters, d = c / s->filters;
    collect(f, l->sum_out + place_of(f, o, d) * l->hidden, s->hidden,
            to->out + (size_t)c * (size_t)s->hidden, to->accumulate);
    if (to->rates) collect(f, l->sum_rates + place_of(f, o, d), 1, to->rates + c, to->accumulate);
    to->skip[c] = (to->accumulate ? to->skip[c] : 0) + f->dh[element(s, 0, o, d)];
}

// Pieces: the rows of the layers' weights, channels of the output, and the vectors.
static void collect_pieces(const void *context, pool_share share) {
    const filter *f = context;
    const filter_shape *s = f->s;
    const layout *l = &f->l;
    const filter_gradients *to = f->to;
    const int outputs = s->layers * s->hidden, vectors = outputs + s->filters * s->width;
    for (int i = share.begin; i < share.end; i++) {
        if (i < outputs) {
            const int layer = i / s->hidden, r = i % s->hidden, in = layer == 0 ? s->features : s->hidden;
            collect(f, l->sum_back[layer] + (size_t)r * l->in[layer], in,
                    to->weight[layer] + (size_t)r * (size_t)in, to->accumulate);
        } else if (i < vectors) {
            collect_output(f, i - outputs);
        } else {
            for (int layer = 0; layer < s->layers; layer++)
                collect(f, l->sum_bias[layer], s->hidden, to->bias[layer], to->accumulate);
            collect(f, l->sum_frequency, s->hidden, to->frequency, to->accumulate);
        }
    }
}

void filter_backward(const filter_shape *shape, const filter_parameters *parameters, const real *h,
                     const real *normaliser, const real *dh, const filter_gradients *gradients,
                     void *workspace) {
    filter f = filter_of(shape, parameters, true, workspace);
    f.h = h;
    f.used = normaliser;
    f.dh = dh;
    f.to = gradients;
    const size_t features = (size_t)shape->features, seen = (size_t)f.l.rows * features;
    if (gradients->features && !gradients->accumulate)
        memset(gradients->features + seen, 0, ((size_t)shape->grid * features - seen) * sizeof(real));
    const int channels = shape->filters * shape->width;
    prepare(&f);
    if (shape->normalised)
        parallel_for(shape->filters * (int)(f.l.width / WIDE), (double)shape->taps * channels / WIDE * 2,
                     project, &f);
    parallel_for(f.l.chunks, 3 * operations_of(&f), backward_chunks, &f);
    parallel_for(shape->layers * shape->hidden + channels + 1, f.l.chunks * weight_count(&f),
                 collect_pieces, &f);
}
