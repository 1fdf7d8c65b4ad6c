// The cell of a GRU (arXiv 1406.1078) in PyTorch's form, which resets the recurrent product rather than the
// state; gates in the order r, z, n. With the sums a of the input and b of the state:
//     n = tanh(a_n + r b_n),   h' = (1 - z) n + z h
// `saved` holds b_n and, after the backward step, its gradient.
#include "kernels/recurrence/cell.h"

#include "kernels/vector_math.h"

static void forward(const cell_step *s) {
    const int R = s->width;
    const real *recurrent = s->recurrent;
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        real *gate = s->gates + k;
        const real *sum = recurrent + k;
        const vec r = vec_sigmoid(vec_get(gate, left) + vec_get(sum, left));
        const vec z = vec_sigmoid(vec_get(gate + R, left) + vec_get(sum + R, left));
        const vec b = vec_get(sum + 2 * R, left);
        const vec n = vec_tanh(vec_get(gate + 2 * R, left) + r * b);
        vec_put(gate, r, left);
        vec_put(gate + R, z, left);
        vec_put(gate + 2 * R, n, left);
        vec_put(s->saved + k, b, left);
        vec_put(s->h + k, n + z * (vec_get(s->h_prev + k, left) - n), left);
    }
}

static void backward(const cell_gradient *s) {
    const int R = s->width;
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        real *gate = s->gates + k, *sum = s->recurrent + k;
        const vec r = vec_get(gate, left), z = vec_get(gate + R, left), n = vec_get(gate + 2 * R, left);
        const vec dh = vec_get(s->dh + k, left) + vec_get(s->dy + k, left);
        const vec dn = dh * (1 - z) * (1 - n * n);
        const vec dz = dh * (vec_get(s->h_prev + k, left) - n) * z * (1 - z);
        const vec dr = dn * vec_get(s->saved + k, left) * r * (1 - r), db = dn * r;
        vec_put(gate, dr, left), vec_put(sum, dr, left);
        vec_put(gate + R, dz, left), vec_put(sum + R, dz, left);
        vec_put(gate + 2 * R, dn, left), vec_put(sum + 2 * R, db, left);
        vec_put(s->saved + k, db, left);
        vec_put(s->dh + k, dh * z, left);
    }
}

const cell gru_cell = {.forward = forward, .backward = backward};
