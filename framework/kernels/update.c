#include "kernels/declarations.h"
#include "kernels/parallel.h"

#include <math.h>

// The vector operations per vector, roughly.
enum { COST = 12 };

// The settings in the precision of the parameters. Complements are taken in double precision: 1 - beta2 of
// a rounded beta2 would be off by a relative 1e-5.
typedef struct factors {
    real lr, beta1, rest1, beta2, rest2, epsilon, weight_decay, gradient_scale, momentum, undampened;
    real shrink, corrected_lr;
} factors;

static factors factors_of(const optimizer_update *u, const update_piece *piece) {
    const double lr = u->lr * piece->lr_multiplier, decay = piece->decay ? u->weight_decay : 0;
    return (factors){.lr = (real)lr,
                     .beta1 = (real)u->beta1,
                     .rest1 = (real)(1 - u->beta1),
                     .beta2 = (real)u->beta2,
                     .rest2 = (real)(1 - u->beta2),
                     .epsilon = (real)u->epsilon,
                     .weight_decay = (real)decay,
                     .shrink = (real)(1 - lr * decay),
                     .corrected_lr = (real)(lr / u->correction1),
                     .gradient_scale = (real)u->gradient_scale,
                     .momentum = (real)u->momentum,
                     .undampened = (real)(1 - u->dampening)};
}

static int threads_for_pieces(int count, const update_piece *pieces) {
    size_t n = 0;
    for (int k = 0; k < count; k++) n += pieces[k].end - pieces[k].begin;
    return threads_for((double)n / VEC * COST);
}

void update_sgd(int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g,
                real *m) {
#pragma omp parallel for schedule(static) num_threads(threads_for_pieces(count, pieces))
    for (int k = 0; k < count; k++) {
        const factors f = factors_of(u, &pieces[k]);
        const size_t end = pieces[k].end;
        for (size_t i = pieces[k].begin; i < end; i += VEC) {
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

void update_rmsprop(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                    const real *g, real *v) {
#pragma omp parallel for schedule(static) num_threads(threads_for_pieces(count, pieces))
    for (int k = 0; k < count; k++) {
        const factors f = factors_of(u, &pieces[k]);
        const size_t end = pieces[k].end;
        for (size_t i = pieces[k].begin; i < end; i += VEC) {
            const int left = (int)(end - i);
            const vec old = vec_get(p + i, left);
            const vec gradient = vec_get(g + i, left) * f.gradient_scale + old * f.weight_decay;
            const vec square = vec_get(v + i, left) * f.beta2 + gradient * gradient * f.rest2;
            vec_put(v + i, square, left);
            vec_put(p + i, old - gradient * f.lr / (vec_sqrt(square) + f.epsilon), left);
        }
    }
}

void update_adam(int count, const update_piece *pieces, const optimizer_update *u, bool decoupled, real *p,
                 const real *g, real *m, real *v) {
    const real scale = (real)(1 / sqrt(u->correction2));
#pragma omp parallel for schedule(static) num_threads(threads_for_pieces(count, pieces))
    for (int k = 0; k < count; k++) {
        const factors f = factors_of(u, &pieces[k]);
        const size_t end = pieces[k].end;
        for (size_t i = pieces[k].begin; i < end; i += VEC) {
            const int left = (int)(end - i);
            const vec old = vec_get(p + i, left);
            const vec gradient =
                vec_get(g + i, left) * f.gradient_scale + old * (decoupled ? 0 : f.weight_decay);
            const vec mean = vec_get(m + i, left) * f.beta1 + gradient * f.rest1;
            const vec square = vec_get(v + i, left) * f.beta2 + gradient * gradient * f.rest2;
            vec_put(m + i, mean, left);
            vec_put(v + i, square, left);
            vec_put(p + i,
                    old * (decoupled ? f.shrink : 1) -
                        mean * f.corrected_lr / (vec_sqrt(square) * scale + f.epsilon),
                    left);
        }
    }
}

void update_lion(int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g,
                 real *m) {
#pragma omp parallel for schedule(static) num_threads(threads_for_pieces(count, pieces))
    for (int k = 0; k < count; k++) {
        const factors f = factors_of(u, &pieces[k]);
        const size_t end = pieces[k].end;
        for (size_t i = pieces[k].begin; i < end; i += VEC) {
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

void update_average(size_t n, real decay, const real *p, real *shadow) {
    enum { PIECE = 4096 };
#pragma omp parallel for schedule(static) num_threads(threads_for((double)n / VEC * 4))
    for (size_t start = 0; start < n; start += PIECE) {
        const size_t end = n - start < PIECE ? n : start + PIECE;
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            vec_put(shadow + i, vec_get(shadow + i, left) * decay + vec_get(p + i, left) * (1 - decay),
                    left);
        }
    }
}
