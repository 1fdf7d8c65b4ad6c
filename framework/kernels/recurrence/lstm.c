// The cell of an LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), gates in
// PyTorch's order i, f, g, o:
//     c' = f c + i g,   h' = o tanh(c')
#include "kernels/recurrence/cell.h"

#include "kernels/vector_math.h"

static void forward(const cell_step *s) {
    const int R = s->width;
    const real *recurrent = s->recurrent;
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        real *gate = s->gates + k;
        const real *sum = recurrent + k;
        const vec i = vec_sigmoid(vec_get(gate, left) + vec_get(sum, left));
        const vec f = vec_sigmoid(vec_get(gate + R, left) + vec_get(sum + R, left));
        const vec g = vec_tanh(vec_get(gate + 2 * R, left) + vec_get(sum + 2 * R, left));
        const vec o = vec_sigmoid(vec_get(gate + 3 * R, left) + vec_get(sum + 3 * R, left));
        const vec c = f * vec_get(s->c_prev + k, left) + i * g;
        vec_put(gate, i, left);
        vec_put(gate + R, f, left);
        vec_put(gate + 2 * R, g, left);
        vec_put(gate + 3 * R, o, left);
        vec_put(s->saved + k, c, left);
        vec_put(s->h + k, o * vec_tanh(c), left);
    }
}

static void backward(const cell_gradient *s) {
    const int R = s->width;
    for (int k = 0; k < R; k += VEC) {
        const int left = R - k;
        real *gate = s->gates + k, *sum = s->recurrent + k;
        const vec i = vec_get(gate, left), f = vec_get(gate + R, left), g = vec_get(gate + 2 * R, left),
                  o = vec_get(gate + 3 * R, left);
        const vec dh = vec_get(s->dh + k, left) + vec_get(s->dy + k, left);
        const vec t = vec_tanh(vec_get(s->saved + k, left));
        const vec dc = vec_get(s->dc + k, left) + dh * o * (1 - t * t);
        const vec di = dc * g * i * (1 - i), df = dc * vec_get(s->c_prev + k, left) * f * (1 - f),
                  dg = dc * i * (1 - g * g), d_o = dh * t * o * (1 - o);
        vec_put(gate, di, left), vec_put(sum, di, left);
        vec_put(gate + R, df, left), vec_put(sum + R, df, left);
        vec_put(gate + 2 * R, dg, left), vec_put(sum + 2 * R, dg, left);
        vec_put(gate + 3 * R, d_o, left), vec_put(sum + 3 * R, d_o, left);
        vec_put(s->dc + k, dc * f, left);
        vec_put(s->dh + k, (vec){0}, left);
    }
}

const cell lstm_cell = {.forward = forward, .backward = backward};
