// Convolutions of real sequences by Fourier transforms of half the length.
//
// A sequence w of up to 2N values is the N points z_m = w_2m + i w_2m+1. Let Z be their transform, E and O
// those of the filter's even and odd taps, S_k = exp(-2 pi i k / N) the shift by one point. Then the points
// of the circular convolution have the spectrum
//     Y_k = P_k Z_k + Q_k conj(Z_-k),   P = E + i/2 (1 - S) O,   Q = i/2 (1 + S) O,
// and those of the correlation with the filter (the gradient of w for the gradient G of y)
//     W_k = conj(P_k) G_k + Q_-k conj(G_-k),   where Q_-k = -conj(Q_k).
// Bins k and -k always come together, as a pair. A filter is kept as a record for each pair, P_k, P_-k,
// Q_k, six vectors, in the order in which a walk over the blocks of the transform comes by. The gradients
// of even and odd taps have the spectra
//     e_k = (p_k + conj(p_-k)) / 2,   o_k = -i/4 ((1 - conj S) (p_k - conj(p_-k)) + (1 + conj S) q_k),
//     p_k = conj(Z_k) G_k,   q_k = Z_-k G_k - conj(Z_k G_-k),
// summed over the sequences as points e + i o of one transform.
// All of it is divided by N once, where P and Q are made and where e and o are.
#ifndef RUNEXP_KERNELS_CONVOLUTION_SPECTRUM_H
#define RUNEXP_KERNELS_CONVOLUTION_SPECTRUM_H

#include "kernels/convolution/fft.h"

enum { SPECTRUM_RECORD = 6 * VEC, SPECTRUM_POINTS = 4 * VEC }; // of a pair, in reals

typedef enum spectrum_task {
    SPECTRUM_MAKE,    // records of a filter from its points
    SPECTRUM_APPLY,   // points of a sequence become those of its convolution
    SPECTRUM_ADJOINT, // points of G become those of W; of Z and G the filter's gradient is made
    SPECTRUM_FOLLOW,  // points of a sequence are kept, and become those of its convolution plus the sums
    SPECTRUM_ROOTS    // the table of roots
} spectrum_task;

// A walk over the pairs of points whose first level was done: all further levels down, what is
// to be done with the pairs while a part of them is in the cache, all levels but the first up again.
typedef struct spectrum_walk {
    const fft_plan *plan;
    real *roots; // S_k of each pair, cosine and sine
    spectrum_task task;
    real *points;  // of the filter (MAKE), of the sequence (APPLY, FOLLOW), of G (ADJOINT)
    real *others;  // of Z (ADJOINT): only transformed
    real *taps;    // ADJOINT: of the filter's gradient; may be `others`, which they then take the place of
    bool adds;     // ADJOINT: to taps, which hold the spectrum of what other sequences gave,
    bool last;     // and after this one are wanted as points
    real *records; // of the filter
    size_t apart;  // reals from record to record
    real *sums;    // FOLLOW: points of pairs
    real *kept;    // FOLLOW: where the points of the first pair are kept, if they are
    size_t kept_apart;
    const real *beta; // MAKE: added to the filter's first tap, a value for each channel; or NULL
    int channels;
    int pair; // how many pairs the walk has come by; 0 at first
} spectrum_walk;

static inline int spectrum_pairs(int points) {
    return points / 2 + 1;
}

void spectrum_traverse(spectrum_walk *w) ISA_SYMBOL(spectrum_traverse);

// Adds a pair of a convolution, P_k Z_k + Q_k conj(Z_-k) and P_-k Z_-k - conj(Q_k Z_k), to y and y_minus.
static ALWAYS_INLINE void spectrum_apply(const real *record, const fft_point z, const fft_point z_minus,
                                         fft_point *y, fft_point *y_minus) {
    const fft_point p = fft_load(record), p_minus = fft_load(record + 2 * VEC);
    const fft_point q = fft_load(record + 4 * VEC);
    y->re += p.re * z.re;
    y->re -= p.im * z.im;
    y->re += q.re * z_minus.re;
    y->re += q.im * z_minus.im;
    y->im += p.re * z.im;
    y->im += p.im * z.re;
    y->im += q.im * z_minus.re;
    y->im -= q.re * z_minus.im;
    y_minus->re += p_minus.re * z_minus.re;
    y_minus->re -= p_minus.im * z_minus.im;
    y_minus->re -= q.re * z.re;
    y_minus->re += q.im * z.im;
    y_minus->im += p_minus.re * z_minus.im;
    y_minus->im += p_minus.im * z_minus.re;
    y_minus->im += q.re * z.im;
    y_minus->im += q.im * z.re;
}

// S of each pair in the order of a walk: 2 spectrum_pairs(points) reals, in double precision.
void spectrum_tabulate(const fft_plan *plan, real *roots) ISA_SYMBOL(spectrum_tabulate);

#endif
