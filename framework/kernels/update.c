#include "kernels/members.h"
#include "kernels/parallel.h"

#include <math.h>

// A thread takes neighbouring pieces of this many parameters; COST is the vector operations per vector,
// roughly.
enum { PIECE = 4096, COST = 12 };

static size_t piece_end(size_t start, size_t n) {
    return n - start < PIECE ? n : start + PIECE;
}

// The settings in the precision of the parameters. Complements are taken in double precision: 1 - beta2 of
// a rounded beta2 would be off by a relative 1e-5.
typedef struct factors {
    real lr, beta1, rest1, beta2, rest2, epsilon, weight_decay, gradient_scale, momentum, undampened;
} factors;

static factors factors_of(const optimizer_update *u) {
    return (factors){.lr = (real)u->lr,
                     .beta1 = (real)u->beta1,
                     .rest1 = (real)(1 - u->beta1),
                     .beta2 = (real)u->beta2,
                     .rest2 = (real)(1 - u->beta2),
                     .epsilon = (real)u->epsilon,
                     .weight_decay = (real)u->weight_decay,
                     .gradient_scale = (real)u->gradient_scale,
                     .momentum = (real)u->momentum,
                     .undampened = (real)(1 - u->dampening)};
}

static int threads_for_parameters(size_t n) {
    return threads_for((double)n / VEC * COST);
}

void KERNEL(update_sgd)(size_t n, const optimizer_update *u, real *p, const real *g, real *m) {
    const factors f = factors_of(u);
#pragma omp parallel for schedule(static) num_threads(threads_for_parameters(n))
    for (size_t start = 0; start < n; start += PIECE) {
        const size_t end = piece_end(start, n);
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            const vec old = vec_get(p + i, left);
            vec gradient = vec_get(g + i, left) * f.gradient_scale + old * f.weight_decay;
            vec direction = gradient;
            if (f.momentum != 0) {
                vec velocity = gradient;
                if (!u->first_step) velocity = vec_get(m + i, left) * f.momentum + gradient * f.undampened;
                vec_put(m + i, velocity, left);
                direction = u->nesterov ? gradient + velocity * f.momentum : velocity;
            }
            vec_put(p + i, old - direction * f.lr, left);
        }
    }
}

void KERNEL(update_rmsprop)(size_t n, const optimizer_update *u, real *p, const real *g, real *v) {
    const factors f = factors_of(u);
#pragma omp parallel for schedule(static) num_threads(threads_for_parameters(n))
    for (size_t start = 0; start < n; start += PIECE) {
        const size_t end = piece_end(start, n);
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            const vec old = vec_get(p + i, left);
            const vec gradient = vec_get(g + i, left) * f.gradient_scale + old * f.weight_decay;
            const vec square = vec_get(v + i, left) * f.beta2 + gradient * gradient * f.rest2;
            vec_put(v + i, square, left);
            vec_put(p + i, old - gradient * f.lr / (vec_sqrt(square) + f.epsilon), left);
        }
    }
}

void KERNEL(update_adam)(size_t n, const optimizer_update *u, bool decoupled, real *p, const real *g,
                         real *m, real *v) {
    const factors f = factors_of(u);
    const real coupled_decay = decoupled ? 0 : f.weight_decay;
    const real shrink = decoupled ? (real)(1 - u->lr * u->weight_decay) : 1;
    const real rate = (real)(u->lr / u->correction1), scale = (real)(1 / sqrt(u->correction2));
#pragma omp parallel for schedule(static) num_threads(threads_for_parameters(n))
    for (size_t start = 0; start < n; start += PIECE) {
        const size_t end = piece_end(start, n);
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            const vec old = vec_get(p + i, left);
            const vec gradient = vec_get(g + i, left) * f.gradient_scale + old * coupled_decay;
            const vec mean = vec_get(m + i, left) * f.beta1 + gradient * f.rest1;
            const vec square = vec_get(v + i, left) * f.beta2 + gradient * gradient * f.rest2;
            vec_put(m + i, mean, left);
            vec_put(v + i, square, left);
            vec_put(p + i, old * shrink - mean * rate / (vec_sqrt(square) * scale + f.epsilon), left);
        }
    }
}

void KERNEL(update_lion)(size_t n, const optimizer_update *u, real *p, const real *g, real *m) {
    const factors f = factors_of(u);
#pragma omp parallel for schedule(static) num_threads(threads_for_parameters(n))
    for (size_t start = 0; start < n; start += PIECE) {
        const size_t end = piece_end(start, n);
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            const vec old = vec_get(p + i, left), gradient = vec_get(g + i, left) * f.gradient_scale;
            const vec momentum = vec_get(m + i, left);
            const vec mix = momentum * f.beta1 + gradient * f.rest1;
            const vec sign = vec_select(mix > 0, vec_set(1), vec_select(mix < 0, vec_set(-1), (vec){0}));
            vec_put(m + i, momentum * f.beta2 + gradient * f.rest2, left);
            vec_put(p + i, old - (sign + old * f.weight_decay) * f.lr, left);
        }
    }
}

void KERNEL(update_average)(size_t n, real decay, const real *p, real *shadow) {
#pragma omp parallel for schedule(static) num_threads(threads_for_parameters(n))
    for (size_t start = 0; start < n; start += PIECE) {
        const size_t end = piece_end(start, n);
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            vec_put(shadow + i, vec_get(shadow + i, left) * decay + vec_get(p + i, left) * (1 - decay),
                    left);
        }
    }
}
