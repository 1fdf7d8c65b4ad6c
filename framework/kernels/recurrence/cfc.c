// A closed-form continuous-time network through time (struct cfc): a token takes one product with the state
// before it and one for each further map.
#include "kernels/recurrence/mixed_memory.h"
#include "kernels/recurrence/rows.h"
#include "kernels/recurrence/through_time.h"

#include "kernels/sizes.h"
#include "kernels/vector_math.h"

#include <string.h>

// Of the vector functions, for a vector of a layer's units or of hidden units.
enum { LAYER_OPERATIONS = 40, HEADS_OPERATIONS = 120 };

// LeCun's tanh: phi(p) = SCALE tanh(SLOPE p).
#define SCALE ((real)1.7159)
#define SLOPE ((real)0.666)

static int in_width(const cfc *c, int map) {
    return map == 0 ? c->width : c->units;
}

static int out_width(const cfc *c, int map) {
    return map < c->layers ? c->units : cfc_heads(c->mode) * c->width;
}

// Where row b of token t begins in a tensor batch x time x width.
static size_t row_of(const cfc *c, int width, int b, int t) {
    return row_offset(c->time, width, b, t);
}

// --- the functions between the products, each of one row of the batch

static void layer_forward(int units, real *sums) {
    for (int k = 0; k < units; k += VEC)
        vec_put(sums + k, SCALE * vec_tanh(SLOPE * vec_get(sums + k, units - k)), units - k);
}

// From the gradient of a = phi(p) to that of p.
static void layer_backward(int units, const real *a, real *gradient) {
    for (int k = 0; k < units; k += VEC) {
        const int left = units - k;
        const vec value = vec_get(a + k, left);
        vec_put(gradient + k, vec_get(gradient + k, left) * (SCALE * SLOPE - SLOPE / SCALE * value * value),
                left);
    }
}

static vec pure_decay(vec w, vec s) {
    return vec_exp(-(vec_abs(w) + vec_abs(s)));
}

static void pure_forward(const cfc *c, const real *heads, real *h) {
    const int R = c->width;
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        const vec A = vec_get(c->constants + k, left), w = vec_get(c->constants + R + k, left);
        const vec s = vec_get(heads + k, left);
        vec_put(h + k, A - A * pure_decay(w, s) * s, left);
    }
}

static vec times_sign(vec x, vec of) {
    return vec_select(of > 0, x, vec_select(of < 0, -x, (vec){0}));
}

// dconstants grows by this token's part.
static void pure_backward(const cfc *c, const real *heads, const real *dh, real *dsums, real *dconstants) {
    const int R = c->width;
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        const vec A = vec_get(c->constants + k, left), w = vec_get(c->constants + R + k, left);
        const vec s = vec_get(heads + k, left), g = vec_get(dh + k, left);
        const vec decay = pure_decay(w, s), through_decay = g * A * s * decay;
        vec_put(dsums + k, times_sign(through_decay, s) - g * A * decay, left);
        vec_add_to(dconstants + k, g * (1 - decay * s), left);
        vec_add_to(dconstants + R + k, times_sign(through_decay, w), left);
    }
}

static ALWAYS_INLINE void gated_forward_of(const bool no_gate, int R, real *heads, real *h) {
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        const vec f = vec_tanh(vec_get(heads + k, left)), g = vec_tanh(vec_get(heads + R + k, left));
        const vec t = vec_sigmoid(vec_get(heads + 2 * R + k, left));
        vec_put(heads + k, f, left);
        vec_put(heads + R + k, g, left);
        vec_put(heads + 2 * R + k, t, left);
        vec_put(h + k, no_gate ? f + t * g : f + t * (g - f), left);
    }
}

static ALWAYS_INLINE void gated_backward_of(const bool no_gate, int R, const real *heads, const real *dh,
                                            real *dsums) {
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        const vec f = vec_get(heads + k, left), g = vec_get(heads + R + k, left);
        const vec t = vec_get(heads + 2 * R + k, left), d = vec_get(dh + k, left);
        vec_put(dsums + k, (no_gate ? d : d * (1 - t)) * (1 - f * f), left);
        vec_put(dsums + R + k, d * t * (1 - g * g), left);
        vec_put(dsums + 2 * R + k, d * (no_gate ? g : g - f) * t * (1 - t), left);
    }
}

static void cell_forward(const cfc *c, real *heads, real *h) {
    if (c->mode == CFC_DEFAULT)
        gated_forward_of(false, c->width, heads, h);
    else if (c->mode == CFC_NO_GATE)
        gated_forward_of(true, c->width, heads, h);
    else
        pure_forward(c, heads, h);
}

static void cell_backward(const cfc *c, const real *heads, const real *dh, real *dsums, real *dconstants) {
    if (c->mode == CFC_DEFAULT)
        gated_backward_of(false, c->width, heads, dh, dsums);
    else if (c->mode == CFC_NO_GATE)
        gated_backward_of(true, c->width, heads, dh, dsums);
    else
        pure_backward(c, heads, dh, dsums, dconstants);
}

// --- a token, in some rows of the batch

typedef struct multiplied {
    const cfc *c;
    int map;
} multiplied;

// Where the h of the token before stands, for every token.
static real *states_before(const cfc *c) {
    return c->memory ? c->memory->h_before : c->before;
}

// h goes to the token that follows, unless that begins a document.
static void carry(const cfc *c, int b, int t) {
    if (t + 1 == c->time) return;
    const size_t R = (size_t)c->width, at = row_of(c, c->width, b, t);
    real *next = states_before(c) + at + R;
    if (row_begins(c->begins, c->time, b, t + 1))
        memset(next, 0, R * sizeof(real));
    else
        memcpy(next, c->h + at, R * sizeof(real));
}

static void rows_forward(const void *of, int t, int begin, int end) {
    const multiplied *k = of;
    const cfc *c = k->c;
    for (int b = begin; b < end; b++)
        if (k->map < c->layers) {
            layer_forward(c->units, c->layer[k->map] + row_of(c, c->units, b, t));
        } else {
            cell_forward(c, c->heads + row_of(c, out_width(c, c->layers), b, t),
                         c->h + row_of(c, c->width, b, t));
            carry(c, b, t);
        }
}

static void add_row(int n, const real *x, real *to) {
    for (int k = 0; k < n; k += VEC) vec_add_to(to + k, vec_get(x + k, n - k), n - k);
}

static void rows_backward(const void *of, int t, int begin, int end) {
    const multiplied *k = of;
    const cfc *c = k->c;
    const int R = c->width, N = out_width(c, c->layers), units = c->units;
    for (int b = begin; b < end; b++)
        if (k->map == c->layers) {
            real *dh = c->dh_next + (size_t)b * (size_t)R;
            add_row(R, c->dh + row_of(c, R, b, t), dh);
            cell_backward(c, c->heads + row_of(c, N, b, t), dh, c->dsums[c->layers] + row_of(c, N, b, t),
                          c->dconstants + (size_t)b * 2 * (size_t)R);
        } else {
            const size_t at = row_of(c, units, b, t);
            layer_backward(units, c->layer[k->map] + at, c->dsums[k->map] + at);
        }
}

static void share_map(const cfc *c, int map, token_step *work, int t, int begin, int end) {
    const bool is_layer = map < c->layers;
    const int vectors = divide_up(is_layer ? c->units : c->width, VEC);
    const int operations = is_layer ? LAYER_OPERATIONS : HEADS_OPERATIONS;
    share_rows(work, &(multiplied){c, map}, t, begin, end, (double)vectors * operations);
}

static void advance(const void *of, int t, int begin, int end) {
    const cfc *c = of;
    if (c->memory) mixed_memory_advance(c->memory, t, begin, end);
    for (int map = 0; map <= c->layers; map++) {
        const int in = in_width(c, map), out = out_width(c, map);
        const real *from = map == 0 ? c->before : c->layer[map - 1];
        real *to = map < c->layers ? c->layer[map] : c->heads;
        const size_t at = row_of(c, out, begin, t);
        const gemm_epilogue epilogue = {.bias = c->bias[map], .residual = map == 0 ? c->sums + at : NULL};
        gemm_packed(false, end - begin, out, in, from + row_of(c, in, begin, t), c->time * in,
                    c->weight[map], to + at, c->time * out, &epilogue);
        share_map(c, map, rows_forward, t, begin, end);
    }
}

// The gradient of the state before token t, for the token before; none goes back beyond the first.
static void retreat_state(const cfc *c, int t, int begin, int end) {
    if (t == 0 && !c->memory) return;
    const int R = c->width, K = out_width(c, 0);
    gemm_packed(false, end - begin, R, K, c->dsums[0] + row_of(c, K, begin, t), c->time * K, c->weight[0],
                c->dh_next + (size_t)begin * (size_t)R, R, NULL);
    if (c->memory) mixed_memory_retreat(c->memory, c->dh_next, t, begin, end);
    for (int b = begin; b < end; b++)
        if (row_begins(c->begins, c->time, b, t))
            memset(c->dh_next + (size_t)b * (size_t)R, 0, (size_t)R * sizeof(real));
}

static void retreat(const void *of, int t, int begin, int end) {
    const cfc *c = of;
    share_map(c, c->layers, rows_backward, t, begin, end);
    for (int map = c->layers; map > 0; map--) {
        const int in = in_width(c, map), out = out_width(c, map);
        gemm_packed(false, end - begin, in, out, c->dsums[map] + row_of(c, out, begin, t), c->time * out,
                    c->weight[map], c->dsums[map - 1] + row_of(c, in, begin, t), c->time * in, NULL);
        share_map(c, map - 1, rows_backward, t, begin, end);
    }
    retreat_state(c, t, begin, end);
}

void cfc_forward(const cfc *c) {
    const size_t R = (size_t)c->width;
    for (int b = 0; b < c->batch; b++)
        memcpy(states_before(c) + row_of(c, c->width, b, 0), c->h_first + (size_t)b * R, R * sizeof(real));
    through_time(c->batch, c->time, false, advance, c);
}

void cfc_backward(const cfc *c) {
    const size_t bytes = (size_t)c->batch * (size_t)c->width * sizeof(real);
    memset(c->dh_next, 0, bytes);
    if (c->mode == CFC_PURE) memset(c->dconstants, 0, 2 * bytes);
    if (c->memory) memset(c->memory->dc, 0, bytes);
    through_time(c->batch, c->time, true, retreat, c);
}
