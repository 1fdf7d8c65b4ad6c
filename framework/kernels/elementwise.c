#include "kernels/activation.h"
#include "kernels/declarations.h"
#include "kernels/parallel.h"
#include "kernels/random_bits.h"

#include <string.h>

// Arrays are cut into pieces of this many elements.
enum { PIECE = 4096 };

// Vector operations per vector, roughly, for the decision to go parallel.
enum { COST_COPY = 2, COST_ACTIVATION = 30, COST_RANDOM = 24 };

// The arguments of any loop of this file.
typedef struct loop {
    size_t n; // elements of the arrays
    const real *a, *b;
    real *y;
    bool accumulate;
    activation act;
    real factor;
    const dropout_mask *mask;
    int width, lda, ldy; // of rows
} loop;

static size_t first_element(pool_share s) {
    return (size_t)s.begin * PIECE;
}

static size_t end_element(const loop *l, pool_share s) {
    const size_t end = (size_t)s.end * PIECE;
    return end < l->n ? end : l->n;
}

static ALWAYS_INLINE int lanes_left(size_t i, size_t end) {
    return end - i < VEC ? (int)(end - i) : VEC;
}

static void for_array(pool_work *work, int cost, const loop *l) {
    parallel_for((int)((l->n + PIECE - 1) / PIECE), (double)l->n / VEC * cost, work, l);
}

static void for_rows(int rows, pool_work *work, int cost, const loop *l) {
    parallel_for(rows, (double)rows * l->width / VEC * cost, work, l);
}

static void activate(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec_put(l->y + i, activation_value(l->act, vec_get(l->a + i, left)), left);
    }
}

void activation_forward(activation act, size_t n, const real *x, real *y) {
    for_array(activate, COST_ACTIVATION, &(loop){.act = act, .n = n, .a = x, .y = y});
}

// a: before the activation; b: dy
static void activate_backward(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec slope;
        activation_slope(l->act, vec_get(l->a + i, left), &slope);
        slope *= vec_get(l->b + i, left);
        if (l->accumulate) slope += vec_get(l->y + i, left);
        vec_put(l->y + i, slope, left);
    }
}

void activation_backward(activation act, size_t n, const real *pre, const real *dy, real *dx,
                         bool accumulate) {
    for_array(activate_backward, COST_ACTIVATION,
              &(loop){.act = act, .n = n, .a = pre, .b = dy, .y = dx, .accumulate = accumulate});
}

static void add_softplus(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec_put(l->y + i, l->factor + vec_softplus(vec_get(l->a + i, left)), left);
    }
}

void softplus_forward(size_t n, real least, const real *x, real *y) {
    for_array(add_softplus, COST_ACTIVATION, &(loop){.n = n, .factor = least, .a = x, .y = y});
}

static void softplus_slope(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec dx = vec_get(l->b + i, left) * vec_sigmoid(vec_get(l->a + i, left));
        if (l->accumulate) dx += vec_get(l->y + i, left);
        vec_put(l->y + i, dx, left);
    }
}

void softplus_backward(size_t n, const real *x, const real *dy, real *dx, bool accumulate) {
    for_array(softplus_slope, COST_ACTIVATION,
              &(loop){.n = n, .a = x, .b = dy, .y = dx, .accumulate = accumulate});
}

static void gate(const void *context, pool_share s) {
    const loop *l = context;
    const int F = l->width;
    for (int r = s.begin; r < s.end; r++) {
        const real *a = l->a + (size_t)r * 2 * F, *u = a + F;
        real *to = l->y + (size_t)r * F;
        for (int i = 0; i < F; i += VEC)
            vec_put(to + i, activation_value(l->act, vec_get(a + i, F - i)) * vec_get(u + i, F - i), F - i);
    }
}

void gated_forward(activation act, int rows, int F, const real *ab, real *y) {
    for_rows(rows, gate, COST_ACTIVATION, &(loop){.act = act, .width = F, .a = ab, .y = y});
}

static void gate_backward(const void *context, pool_share s) {
    const loop *l = context;
    const int F = l->width;
    for (int r = s.begin; r < s.end; r++) {
        const real *a = l->a + (size_t)r * 2 * F, *u = a + F, *upstream = l->b + (size_t)r * F;
        real *da = l->y + (size_t)r * 2 * F, *du = da + F;
        for (int i = 0; i < F; i += VEC) {
            vec slope, value = activation_slope(l->act, vec_get(a + i, F - i), &slope);
            vec above = vec_get(upstream + i, F - i), opening = vec_get(u + i, F - i);
            vec_put(da + i, above * opening * slope, F - i);
            vec_put(du + i, above * value, F - i);
        }
    }
}

void gated_backward(activation act, int rows, int F, const real *ab, const real *dy, real *dab) {
    for_rows(rows, gate_backward, COST_ACTIVATION,
             &(loop){.act = act, .width = F, .a = ab, .b = dy, .y = dab});
}

static void add_pieces(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec_put(l->y + i, vec_get(l->a + i, left) + vec_get(l->b + i, left), left);
    }
}

void add(size_t n, const real *a, const real *b, real *y) {
    for_array(add_pieces, COST_COPY, &(loop){.n = n, .a = a, .b = b, .y = y});
}

static void multiply_pieces(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec v = vec_get(l->a + i, left) * vec_get(l->b + i, left);
        if (l->accumulate) v += vec_get(l->y + i, left);
        vec_put(l->y + i, v, left);
    }
}

void multiply(size_t n, const real *a, const real *b, real *y, bool accumulate) {
    for_array(multiply_pieces, COST_COPY,
              &(loop){.n = n, .a = a, .b = b, .y = y, .accumulate = accumulate});
}

static void scale_pieces(const void *context, pool_share s) {
    const loop *l = context;
    const size_t end = end_element(l, s);
    for (size_t i = first_element(s); i < end; i += VEC) {
        const int left = lanes_left(i, end);
        vec v = vec_get(l->a + i, left) * l->factor;
        if (l->accumulate) v += vec_get(l->y + i, left);
        vec_put(l->y + i, v, left);
    }
}

void scale(size_t n, real factor, const real *x, real *y, bool accumulate) {
    for_array(scale_pieces, COST_COPY,
              &(loop){.n = n, .factor = factor, .a = x, .y = y, .accumulate = accumulate});
}

// y (+)= dropped x (+ residual), of elements that are the stream's from number `element` on.
static ALWAYS_INLINE void drop(const dropout_mask *mask, uint64_t element, size_t n, const real *x,
                               const real *residual, real *y, bool accumulate) {
    enum { GROUP = 512 };
    real buffer[GROUP + DROPOUT_SLACK] __attribute__((aligned(KERNEL_VECTOR_BYTES)));
    const real *factors = buffer;
    if (!(mask->p > 0))
        for (int i = 0; i < GROUP; i++) buffer[i] = 1;
    for (size_t first = 0; first < n; first += GROUP) {
        const int count = n - first < GROUP ? (int)(n - first) : GROUP;
        if (mask->p > 0) factors = dropout_factors(mask, element + first, count, buffer);
        for (int i = 0; i < count; i += VEC) {
            vec v = vec_get(x + first + i, count - i) * vec_load(factors + i);
            if (residual) v += vec_get(residual + first + i, count - i);
            if (accumulate) v += vec_get(y + first + i, count - i);
            vec_put(y + first + i, v, count - i);
        }
    }
}

static int dropout_cost(const dropout_mask *mask) {
    return mask->p > 0 ? COST_RANDOM : COST_COPY;
}

static void drop_pieces(const void *context, pool_share s) {
    const loop *l = context;
    const size_t begin = first_element(s);
    drop(l->mask, begin, end_element(l, s) - begin, l->a + begin, l->b ? l->b + begin : NULL, l->y + begin,
         l->accumulate);
}

void dropout(size_t n, const dropout_mask *mask, const real *x, const real *residual, real *y,
             bool accumulate) {
    for_array(drop_pieces, dropout_cost(mask),
              &(loop){.n = n, .mask = mask, .a = x, .b = residual, .y = y, .accumulate = accumulate});
}

static void drop_rows(const void *context, pool_share s) {
    const loop *l = context;
    for (int r = s.begin; r < s.end; r++)
        drop(l->mask, (uint64_t)r * (uint64_t)l->width, (size_t)l->width, l->a + (ptrdiff_t)r * l->lda,
             NULL, l->y + (ptrdiff_t)r * l->ldy, l->accumulate);
}

void dropout_columns(int rows, int width, const dropout_mask *mask, const real *x, int ldx, real *y,
                     int ldy, bool accumulate) {
    for_rows(rows, drop_rows, dropout_cost(mask),
             &(loop){.mask = mask,
                     .width = width,
                     .a = x,
                     .lda = ldx,
                     .y = y,
                     .ldy = ldy,
                     .accumulate = accumulate});
}
