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

// The arguments of an update; first and second are the moments that it keeps.
typedef struct update {
    const update_piece *pieces;
    const optimizer_update *u;
    real *p;
    const real *g;
    real *first, *second;
    bool decoupled;
} update;

static void for_pieces(int count, pool_work *work, const update *all) {
    size_t n = 0;
    for (int k = 0; k < count; k++) n += all->pieces[k].end - all->pieces[k].begin;
    parallel_for(count, (double)n / VEC * COST, work, all);
}

static void sgd_pieces(const void *context, pool_share s) {
    const update *all = context;
    const optimizer_update *u = all->u;
    const update_piece *pieces = all->pieces;
    real *p = all->p, *m = all->first;
    const real *g = all->g;
    for (int k = s.begin; k < s.end; k++) {
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

void update_sgd(int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g,
                real *m) {
    for_pieces(count, sgd_pieces, &(update){pieces, u, p, g, .first = m});
}

static void rmsprop_pieces(const void *context, pool_share s) {
    const update *all = context;
    const optimizer_update *u = all->u;
    const update_piece *pieces = all->pieces;
    real *p = all->p, *v = all->second;
    const real *g = all->g;
    for (int k = s.begin; k < s.end; k++) {
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

void update_rmsprop(int count, const update_piece *pieces, const optimizer_update *u, real *p,
                    const real *g, real *v) {
    for_pieces(count, rmsprop_pieces, &(update){pieces, u, p, g, .second = v});
}

static void adam_pieces(const void *context, pool_share s) {
    const update *all = context;
    const optimizer_update *u = all->u;
    const update_piece *pieces = all->pieces;
    const bool decoupled = all->decoupled;
    real *p = all->p, *m = all->first, *v = all->second;
    const real *g = all->g;
    const real scale = (real)(1 / sqrt(u->correction2));
    for (int k = s.begin; k < s.end; k++) {
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

void update_adam(int count, const update_piece *pieces, const optimizer_update *u, bool decoupled, real *p,
                 const real *g, real *m, real *v) {
    for_pieces(count, adam_pieces, &(update){pieces, u, p, g, m, v, decoupled});
}

static void lion_pieces(const void *context, pool_share s) {
    const update *all = context;
    const optimizer_update *u = all->u;
    const update_piece *pieces = all->pieces;
    real *p = all->p, *m = all->first;
    const real *g = all->g;
    for (int k = s.begin; k < s.end; k++) {
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

void update_lion(int count, const update_piece *pieces, const optimizer_update *u, real *p, const real *g,
                 real *m) {
    for_pieces(count, lion_pieces, &(update){pieces, u, p, g, .first = m});
}

typedef struct average {
    size_t n;
    real decay;
    const real *p;
    real *shadow;
} average;

static void average_pieces(const void *context, pool_share s) {
    const average *a = context;
    const real *p = a->p;
    real *shadow = a->shadow;
    for (int k = s.begin; k < s.end; k++) {
        const size_t start = (size_t)k * UPDATE_PIECE,
                     end = a->n - start < UPDATE_PIECE ? a->n : start + UPDATE_PIECE;
        for (size_t i = start; i < end; i += VEC) {
            const int left = (int)(end - i);
            vec_put(shadow + i,
                    vec_get(shadow + i, left) * a->decay + vec_get(p + i, left) * (1 - a->decay), left);
        }
    }
}

void update_average(size_t n, real decay, const real *p, real *shadow) {
    parallel_for((int)((n + UPDATE_PIECE - 1) / UPDATE_PIECE), (double)n / VEC * 4, average_pieces,
                 &(average){n, decay, p, shadow});
}
