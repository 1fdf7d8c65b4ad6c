// The parts of a liquid time-constant network: the equation (ltc_neural.c), its solvers (ltc_solvers.c), and
// the way through the tokens (ltc.c).
#ifndef RUNEXP_KERNELS_RECURRENCE_LTC_H
#define RUNEXP_KERNELS_RECURRENCE_LTC_H

#include "kernels/declarations.h"

enum { LTC_STAGES = 4 }; // of a solver, at most

// Scratch memory. n values for each row of the batch, where nothing else is said.
typedef struct ltc_scratch {
    real *rate;              // n: 1 / tau
    real *state;             // x at the beginning of a step
    real *point;             // where the equation is evaluated
    real *sums;              // point W^T
    real *drive;             // N
    real *decay;             // L
    real *slope[LTC_STAGES]; // N - L x
    // Of the backward step.
    real *dstate;             // gradient of x after a token, then before it
    real *dpoint[LTC_STAGES]; // gradients of the points
    real *dsums;
    real *damplitude, *drate; // sums over the tokens
    real *points, *kept;      // a tape of some tokens
    void *product;            // of gemm
} ltc_scratch;

// Some tokens of the block, and the tape of them.
typedef struct ltc_tokens {
    const ltc *l;
    ltc_scratch s;
    int first, count;
    real *points, *kept; // batch x count x evaluations x n; NULL: nothing is kept
} ltc_tokens;

// A row of the batch within a token.
typedef struct ltc_row {
    int b, t;
    int evaluation; // of the token
} ltc_row;

static inline int ltc_evaluations(const ltc *l) { // of a token
    return l->steps * solver_stages(l->solver);
}

// Row b of scratch memory.
static inline real *ltc_at(const ltc *l, real *of, int b) {
    return of + (size_t)b * (size_t)l->width;
}

// The row's place on one of the tapes.
static inline real *ltc_on_tape(const ltc_tokens *k, real *tape, const ltc_row *row) {
    const size_t token = (size_t)row->b * (size_t)k->count + (size_t)(row->t - k->first);
    const size_t evaluation = token * (size_t)ltc_evaluations(k->l) + (size_t)row->evaluation;
    return tape + evaluation * (size_t)k->l->width;
}

// The equation, at a row's point. Where the tape is kept, f goes there.
//     drive = N, decay = L          from point and sums
void ltc_evaluate(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_evaluate);
//     drive = N, decay = L          again, from f
void ltc_recall(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_recall);
// From the gradients of N and L in `drive` and `decay`, those of sums, to dsums and in place of f, and of the
// rest.
void ltc_pull_back(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_pull_back);

// From the values of N and L at stage i = evaluation mod stages, the next point.
void ltc_step(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_step);
// From the gradient of the state after the step, in dstate, those of N and L, in their place, and of the
// point, in dpoint of the stage, without what comes through them.
void ltc_step_back(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_step_back);
// At the end of a step back, the gradient of the state before it.
void ltc_step_end(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_step_end);

#endif
