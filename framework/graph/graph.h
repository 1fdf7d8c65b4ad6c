// The graph: tensors, operators in the order in which they run, and the plan that gives every tensor its
// place.
//
// A graph is built once (graph/ops.h appends operators), finished once (gradients and memory are planned),
// then run any number of times without allocating. Shapes never change.
//
// Derived tensors: an operator that is fed by parameters only (packed weights, the filters of a Hyena
// operator and their spectra) runs when the values of the parameters have changed, and not in every run.
// What it makes belongs to the parameter set (parameters_derived), which all graphs of a model share. Its
// gradient step runs once, after the last pass of a training step (graph_backward_derived).
//
// Backward pass: the gradient step of operator k runs at time 2n-1-k. graph_finish walks the operators in
// reverse and gives each input that leads to a parameter a gradient tensor; the first operator to reach it
// overwrites it, later ones add. An operator kind says which of its inputs and outputs its gradient step
// reads (`saves`); everything else is released as soon as the forward pass has used it.
#ifndef RUNEXP_GRAPH_GRAPH_H
#define RUNEXP_GRAPH_GRAPH_H

#include "base/error.h"
#include "base/memory.h"
#include "base/real.h"
#include "base/rng.h"
#include "graph/parameters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OP_MAX_INPUTS = 32, OP_MAX_OUTPUTS = 12 };

typedef struct state_set state_set; // carried state by name: see below

// What a graph is for.
typedef struct graph_options {
    int batch, time;    // sequences of a run, tokens of each
    bool gradients;     // plans gradients, and drops out: training
    bool packs_weights; // several runs see the same weights, so that it pays to pack them beforehand
    state_set *states;  // carried from run to run, so that each goes on where the last one ended; NULL: a
                        // run begins with its first token
    // With states: attention sees the tokens of its run alone, and keeps none of them for the next
    // (training on a stream).
    bool attention_restarts;
} graph_options;

typedef enum tensor_kind {
    TENSOR_TOKENS,     // int32: ids or targets; data is bound by the caller
    TENSOR_PARAMETER,  // data in the parameter set
    TENSOR_ACTIVATION, // placed by the plan
    TENSOR_STATE       // carried from run to run; owned by a state_set
} tensor_kind;

typedef struct graph graph;
typedef struct op op;

typedef struct tensor {
    const char *name; // path of the layer that made it, for messages
    tensor_kind kind;
    int rank, shape[TENSOR_MAX_RANK];
    size_t count;            // product of shape
    real *data;              // NULL until graph_finish (tokens: see ids)
    const int32_t *ids;      // TENSOR_TOKENS only
    parameter *parameter;    // TENSOR_PARAMETER only
    op *producer;            // NULL for tokens, parameters, state
    bool differentiable;     // leads back to a parameter
    struct tensor *gradient; // NULL when no gradient is wanted
    // Plan: the half-open interval of times in which the bytes are alive, and their place.
    struct tensor *shares; // the tensor whose bytes these are, or NULL
    int born, dies;
    size_t offset;
    bool is_derived;                   // made by a derived operator, or the gradient of such a tensor
    derived_tensor *derived;           // then the owner of the bytes (of a gradient: NULL)
    const struct carried_state *state; // TENSOR_STATE: the owner of the bytes
} tensor;

// What a run needs to know besides the tensors.
typedef struct run_context {
    uint64_t seed;
    uint32_t step, micro;  // of the optimizer, and the pass of that step: they choose dropout masks
    int position;          // tokens that came before the first of this run, with carried state
    int lane;              // the first row of this run among the lanes of the state set
    double gradient_scale; // multiplies the gradient of the loss (1 / number of targets in the step)
    bool accumulate;       // gradients of parameters are added to what is there, not overwritten
    // batch x time: tokens that begin a document, before which recurrent layers have no state and windows
    // of convolutions (op_unfold) are zero; not so operators that mix documents. NULL: there are none.
    const bool *begins;
} run_context;

// Operands of an operator, ored: INPUT(X) | OUTPUT(Y). 0: none.
typedef uint64_t operand_set;
#define INPUT(i) ((operand_set)1 << (i))
#define OUTPUT(i) ((operand_set)1 << (OP_MAX_INPUTS + (i)))

typedef struct op_kind {
    const char *name;
    void (*forward)(const graph *g, const run_context *c, const op *o);
    // NULL: nothing to do (a passthrough) or no gradient; graph_finish refuses a training graph that needs
    // a gradient which does not exist (ERR_INTERNAL).
    void (*backward)(const graph *g, const run_context *c, const op *o);
    bool varies;          // the result depends on the run_context, too (dropout, positions): never derived
    bool mixes_documents; // reads earlier tokens, also those before a token that begins a document
    // Sets of operands.
    operand_set saves;      // what backward reads
    operand_set overwrites; // inputs whose gradient backward can only overwrite, never add to: graph_finish
                            // refuses a graph in which another operator reads such an input later
                            // (ERR_INTERNAL)
    operand_set gathers; // inputs of which forward reads no more elements than it writes to out[0]: tables
    // The input whose gradient is that of the output, unchanged (a residual). backward must not write it:
    // the bytes are shared or, where they cannot be (the input has a gradient already, or is a parameter),
    // `passes_apart` is set and graph_backward copies or adds them after the operator's own step.
    operand_set passthrough;
    operand_set slope; // the output that backward multiplies the gradient of out[0] by, first of all.
                       // Where a single operator makes this gradient, and `multiplies`, that one
                       // multiplies on the way (op.factor)
    bool multiplies;   // backward can multiply the gradient of in[0] by op.factor
    // A loss: its forward step makes the gradients of its inputs (graphs with gradients), and so comes
    // before every backward step; a graph has one. The gradient of input 0 takes the bytes of input 0
    // unless a gradient step reads those; where that is not possible, only_in_place refuses the graph
    // (graph_finish: ERR_INTERNAL).
    bool is_loss, only_in_place;
    int least_batch;              // sequences of a run below which it is slow; 0: any number will do
    double (*flops)(const op *o); // of one forward run; NULL: not worth counting
    double (*gradient_flops)(const op *o);           // of one backward run; NULL: those of a product
    size_t (*workspace)(const op *o, bool backward); // bytes, NULL: none
    // Of an operator whose result may not be finite though its inputs are: why, and what to do; or NULL.
    const char *(*why_not_finite)(const op *o);
} op_kind;

struct op {
    const op_kind *kind;
    const char *path; // layer path, for timing and messages
    tensor *in[OP_MAX_INPUTS], *out[OP_MAX_OUTPUTS];
    int in_count, out_count;
    void *settings;    // the kind's own struct
    operand_set adds;  // inputs whose gradient is added to, not overwritten
    bool passes_apart; // see op_kind.passthrough
    tensor *factor;    // see op_kind.slope; NULL: none
    bool slope_done;   // the gradient of out[0] comes multiplied
    uint32_t site;     // dropout site number
    bool is_derived;   // fed by parameters only: runs when their values have changed
};

// A filter over time that an operator applies: the elements of column .. column + channels - 1 of each row
// of taps, row k being lag k.
typedef struct graph_filter {
    const char *path; // of the layer
    tensor *taps;     // (lags, any width): a parameter, or made of parameters
    int column, channels;
} graph_filter;

// Carried state by name, for a number of lanes (streams of text), shared by the graphs that read and write
// the same lanes. Graphs make their states while they are built; all values are zero at first. A graph of
// `batch` rows works on lanes run_context.lane .. lane + batch - 1. Free with states_free.
typedef struct carried_state {
    const char *name; // path of the layer and name
    real *data;
    int shape[2]; // lanes, reals of each
    struct carried_state *next;
} carried_state;

state_set *states_new(int lanes);
void states_free(state_set *s);
void states_reset(state_set *s);                       // all zero: the beginning of a text
const carried_state *states_first(const state_set *s); // the others follow by `next`
// Other states of the same names and sizes, all zero; and a copy of the values from one set to such
// another.
state_set *states_twin(const state_set *s);
void states_copy(const state_set *from, state_set *to);
// Gives every lane of `to` the state of the one lane of `from`; both belong to graphs of one model.
void states_spread(const state_set *from, state_set *to);
size_t states_bytes(const state_set *s);
// Appends the rows of x, (batch, time, width), to those that a state, (batch, rows, width), holds of each
// lane, and drops as many of its oldest.
void state_append_rows(tensor *to, const tensor *x);

// Seconds spent in the two steps of an operator, and how often they ran.
typedef struct op_time {
    double forward, backward;
    int forward_runs, backward_runs;
} op_time;

struct graph {
    arena *memory;
    graph_options options;
    int batch, time; // of the options
    parameter_set *parameters;
    op **ops;
    int op_count, op_capacity;
    tensor **tensors;
    int tensor_count, tensor_capacity;
    graph_filter *filters; // see graph_show_filter
    int filter_count, filter_capacity;
    uint32_t sites;   // dropout sites so far
    const char *path; // of the layer being built
    void *plan_memory;
    bool borrowed;     // plan_memory is another graph's
    size_t plan_bytes; // activations and their gradients
    // Of a block of gradients: those of the parameters, then those of derived tensors.
    size_t gradient_reals;
    uint64_t version; // of the parameters, when derived operators last ran
    int lane;         // to which states are bound; -1: to none
    void *workspace;
    size_t workspace_bytes;
    op_time *times; // of the operators, owned by the caller: runs add to them; NULL: not measured
};

// The parameters and the states must outlive the graph. Free with graph_free.
graph *graph_new(const graph_options *options, parameter_set *parameters);
void graph_free(graph *g);

// Building (used by the operators, graph/ops_*.c).
tensor *graph_tensor(graph *g, tensor_kind kind, int rank, const int *shape);
tensor *graph_parameter(graph *g, parameter *p);
// The state of that name of the operator being appended, one for each call: shape[0] is the batch. The
// forward step overwrites it: a gradient step that reads what it was needs a copy (op_output).
tensor *graph_state(graph *g, const char *name, int rank, const int *shape);
op *graph_append(graph *g, const op_kind *kind, tensor *const *in, int in_count, tensor *out,
                 void *settings);
// The first operator, from number `first` on, that something learns through and that has no gradient step
// (with carried state some have none), or NULL.
const op *graph_without_gradient(const graph *g, int first);
// The first operator that mixes documents (op_kind), or NULL.
const op *graph_mixing_documents(const graph *g);
// The next output of an operator just appended, for its own gradient step: only out[0] goes to other
// operators and has a gradient.
tensor *op_output(graph *g, op *o, int rank, const int *shape);

// Records a filter that the operator being appended applies, for pictures of what a model has learned
// (models/filters.h).
void graph_show_filter(graph *g, tensor *taps, int column, int channels);

// Plans gradients and memory, measures the workspace. keep (may be NULL, NULL-terminated) are tensors that
// must stay readable after the run (logits, losses); operators that lead to none of them, nor to a loss,
// are dropped. ERR_INTERNAL when operators are composed in a way that
// their gradients do not allow. The workspace suits the instruction set and the number of threads in force
// now: changing them means building again.
status graph_finish(graph *g, tensor *const *keep, error *err);

// Gives the tensors of a finished graph their places: in the memory of lender, when there is one and it is
// large enough (the two graphs then overwrite each other's activations, and lender must outlive g), else in
// memory of its own. The parameters must have been allocated; with gradients, those of the set get the
// room that the graph's derived tensors need. ERR_MEMORY.
status graph_place(graph *g, const graph *lender, error *err);

// Lets backward steps write into another block of gradients (graph.gradient_reals reals, 64-byte aligned)
// from now on. At first it is that of the parameter set.
void graph_bind_gradients(graph *g, real *block);

// Runs the derived operators, if the parameters have changed since they last ran, then all others.
void graph_forward(graph *g, const run_context *c);
void graph_derive(graph *g, const run_context *c); // the derived operators alone, under the same condition
void graph_backward(graph *g, const run_context *c); // after graph_forward with the same context
// The gradient steps of the derived operators: once, when the gradients of all passes of a training step
// have been added up in the parameter set's block, to which gradients are bound.
void graph_backward_derived(graph *g, const run_context *c);

// Runs forward (and backward, where there are gradients) again and looks at every result as soon as it is
// made. Returns the tensor in which the first NaN or infinite value appeared, or NULL; *index is the
// element, *is_gradient whether it is in the gradient of that tensor, *maker the operator.
const tensor *graph_find_not_finite(graph *g, const run_context *c, size_t *index, bool *is_gradient,
                                    const op **maker);

// Work of one step of an operator (graph/work.c): floating-point operations of the mathematics, whatever
// the kernels compute again, and bytes of the tensors that it reads and writes (not of its workspace).
// backward is 0 for operators without a gradient step; what a loss does for gradients counts as forward.
double op_flops(const op *o, bool backward);
double op_bytes(const op *o, bool backward);
// Of one forward run, without gradients: of the operators that run every time, or of the derived ones.
double graph_flops(const graph *g, bool derived);

// Sequences of a run below which some operator is slow; 0: any number will do.
int graph_least_batch(const graph *g);

// The stream of dropout masks of an operator in this run.
static inline rng_stream op_dropout_stream(const run_context *c, const op *o) {
    return (rng_stream){c->seed, RNG_DROPOUT, o->site, c->step, c->micro};
}

// Length of the last axis.
static inline int tensor_width(const tensor *t) {
    return t->shape[t->rank - 1];
}

// Where the gradient of a tensor is; NULL where there is none, or no tensor.
static inline real *tensor_gradient(const tensor *t) {
    return t && t->gradient ? t->gradient->data : NULL;
}

// Whether the gradient of input i is to be added to what is there: it has been reached before in this
// backward pass or, where it adds up over the passes of a step, in an earlier one. Derived operators come
// last and see finished sums.
static inline bool op_adds(const run_context *c, const op *o, int i) {
    const bool adds_up = o->in[i]->kind == TENSOR_PARAMETER || o->in[i]->is_derived;
    return (o->adds & INPUT(i)) || (adds_up && c->accumulate && !o->is_derived);
}

#endif
