// The parts of a liquid time-constant network: the equation (ltc_neural.c), its solvers (ltc_solvers.c),
// the choice of steps (ltc_dopri5.c), and the way through the tokens (ltc.c).
#ifndef RUNEXP_KERNELS_RECURRENCE_LTC_H
#define RUNEXP_KERNELS_RECURRENCE_LTC_H

#include "kernels/declarations.h"
#include "kernels/sizes.h"

enum { LTC_STAGES = 7 }; // of a solver, at most

// Where a row is in a token, for a solver that chooses its steps.
typedef struct ltc_progress {
    double done, length; // of the token; of the step
    double last_error;   // of the last step that was accepted
    int tried, taken;    // steps
} ltc_progress;

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
    real *synaptic;           // see ltc_synaptic.c
    // One for each row.
    ltc_progress *progress;
    int *chosen; // rows that take the step, from the first of a group on
    int *places; // batch x time: on a tape of tokens whose numbers of evaluations differ; NULL: they do not
} ltc_scratch;

// Some tokens of the block, and the tape of them.
typedef struct ltc_tokens {
    const ltc *l;
    ltc_scratch s;
    int first, count;
    bool again;          // the forward step, in the backward step
    real *points, *kept; // batch x count x evaluations x n; NULL: nothing is kept
} ltc_tokens;

// A row of the batch within a token. Where products are made of some rows only, those stand together in
// point, sums, dsums and dpoint: at `slot`.
typedef struct ltc_row {
    int b, slot, t;
    int evaluation; // of the token
} ltc_row;

// Rows that take a step: `count` of them, of which row i is first + i or, with `rows`, rows[i], and stands
// at slot first + i.
typedef struct ltc_group {
    int first, count;
    const int *rows;
} ltc_group;

static inline int ltc_evaluations(const ltc *l) { // of a token
    return l->steps * solver_stages(l->solver);
}

// A thread takes rows of the batch by groups, so that what is summed up for a group is in the same order
// whoever does it: one row each, but for sums over synapses, which are large.
enum { LTC_GROUPS = 64 };

static inline int ltc_rows_of_group(const ltc *l) {
    return l->synapses ? divide_up(l->batch, LTC_GROUPS) : 1;
}

static inline int ltc_row_groups(const ltc *l) {
    return divide_up(l->batch, ltc_rows_of_group(l));
}

// Row b of scratch memory.
static inline real *ltc_at(const ltc *l, real *of, int b) {
    return of + (size_t)b * (size_t)l->width;
}

// The row's place on one of the tapes, of so many values for each evaluation.
static inline real *ltc_on_tape(const ltc_tokens *k, real *tape, int width, const ltc_row *row) {
    const ltc *l = k->l;
    const size_t token = (size_t)row->b * (size_t)k->count + (size_t)(row->t - k->first);
    const size_t first = k->s.places
                             ? (size_t)k->s.places[(size_t)row->b * (size_t)l->time + (size_t)row->t]
                             : token * (size_t)ltc_evaluations(l);
    return tape + (first + (size_t)row->evaluation) * (size_t)width;
}

// An equation at a row's point.
typedef struct ltc_equation {
    int kept; // values on the tape for each neuron
    // drive = N, decay = L, from point and sums. Where the tape is kept, it leaves there what it likes.
    void (*evaluate)(const ltc_tokens *k, const ltc_row *row);
    // The same again, from the tape.
    void (*recall)(const ltc_tokens *k, const ltc_row *row);
    // From the gradients of N and L in `drive` and `decay`, those of all that they depend on; of the
    // stage's point, it adds to dpoint what does not come through sums.
    void (*pull_back)(const ltc_tokens *k, const ltc_row *row);
} ltc_equation;

extern const ltc_equation ltc_neural ISA_SYMBOL(ltc_neural);
extern const ltc_equation ltc_synaptic ISA_SYMBOL(ltc_synaptic);

static inline const ltc_equation *ltc_equation_of(const ltc *l) {
    return l->synapses ? &ltc_synaptic : &ltc_neural;
}

// The slope at a stage, from N and L and the point.
void ltc_put_slope(const ltc_tokens *k, const ltc_row *row, int stage) ISA_SYMBOL(ltc_put_slope);
// The point of a stage of an explicit solver from the slopes before it; after the last, the end of the
// step.
void ltc_put_point(const ltc_tokens *k, const ltc_row *row, int stage) ISA_SYMBOL(ltc_put_point);
// From N and L at stage i = evaluation mod stages, the next point; at the end of a step, the state.
void ltc_step(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_step);
// From the gradient of the state after the step, in dstate, those of N and L, in their place, and of the
// point, in dpoint of the stage, without what comes through them.
void ltc_step_back(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_step_back);
// At the end of a step back, the gradient of the state before it.
void ltc_step_end(const ltc_tokens *k, const ltc_row *row) ISA_SYMBOL(ltc_step_end);

// Work on the rows of a group, shared out where a thread does not have them to itself.
typedef void ltc_work(const ltc_tokens *k, const ltc_row *row);
void ltc_for_rows(const ltc_tokens *k, ltc_work *work, const ltc_group *group, int t, int evaluation)
    ISA_SYMBOL(ltc_for_rows);
// The products of a group's points with the weight, which an evaluation begins with.
void ltc_multiply(const ltc_tokens *k, const ltc_group *group) ISA_SYMBOL(ltc_multiply);

// Sums of the gradients of synapses and membranes: reals of scratch memory; their beginning, as zero; and
// what becomes of them at the end.
size_t ltc_synaptic_sums(const ltc *l) ISA_SYMBOL(ltc_synaptic_sums);
void ltc_synaptic_begin(const ltc_tokens *k) ISA_SYMBOL(ltc_synaptic_begin);
void ltc_synaptic_end(const ltc_tokens *k) ISA_SYMBOL(ltc_synaptic_end);

// Takes the group's rows through token t by steps that it chooses.
void ltc_choose_steps(const ltc_tokens *k, const ltc_group *group, int t) ISA_SYMBOL(ltc_choose_steps);
// The rows begin to end - 1 that took a step of that number in token t, with its length in their progress.
ltc_group ltc_group_of_step(const ltc_tokens *k, int t, int step, int begin, int end)
    ISA_SYMBOL(ltc_group_of_step);
int ltc_steps_taken(const ltc *l, int b, int t) ISA_SYMBOL(ltc_steps_taken);

#endif
