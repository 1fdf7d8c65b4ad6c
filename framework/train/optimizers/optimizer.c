// The registry of optimizers, and what they share.
#include "train/optimizers/optimizer.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const component *const optimizer_registry[] = {
    &optimizer_sgd.about,
    &optimizer_rmsprop.about,
    &optimizer_adam.about,
    &optimizer_adamw.about,
    &optimizer_lion.about,
    &optimizer_muon.about,
    NULL,
};

struct optimizer {
    const optimizer_type *type;
    const void *settings;
    parameter_set *parameters;
    update_piece *pieces;
    int piece_count;
    real *moments[OPTIMIZER_MAX_MOMENTS];
    void *workspace;
    size_t workspace_bytes;
};

static status check_parts(const parameter_set *set, error *err) {
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        if (p->about.matrix && p->about.parts > 1 && p->about.shape[0] % p->about.parts != 0)
            return fail(err, ERR_INTERNAL, "parameter %s: %d stacked matrices do not divide its %d rows",
                        p->name, p->about.parts, p->about.shape[0]);
    }
    return OK;
}

static int pieces_of(const parameter *p) {
    return (int)((p->count + UPDATE_PIECE - 1) / UPDATE_PIECE);
}

static void cut_into_pieces(optimizer *o) {
    const parameter_set *set = o->parameters;
    size_t most = 0;
    for (int i = 0; i < set->count; i++) most += (size_t)pieces_of(set->items[i]);
    o->pieces = memory_alloc(most * sizeof *o->pieces);
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        if (p->about.matrix && o->type->matrices_apart) continue;
        const size_t end = p->offset + p->count;
        for (size_t begin = p->offset; begin < end; begin += UPDATE_PIECE)
            o->pieces[o->piece_count++] =
                (update_piece){begin, end - begin < UPDATE_PIECE ? end : begin + UPDATE_PIECE,
                               p->about.lr_multiplier, p->about.decay};
    }
}

static status allocate(optimizer *o, error *err) {
    for (int i = 0; i < o->type->moments; i++) {
        void *block = NULL;
        TRY(memory_planned_alloc(&block, o->parameters->block_bytes, "optimizer state", err));
        o->moments[i] = block;
    }
    if (o->type->workspace == NULL) return OK;
    o->workspace_bytes = o->type->workspace(o->settings, o->parameters);
    if (o->workspace_bytes == 0) return OK;
    return memory_planned_alloc(&o->workspace, o->workspace_bytes, "optimizer workspace", err);
}

status optimizer_new(const component_choice *choice, parameter_set *parameters, optimizer **out,
                     error *err) {
    *out = NULL;
    TRY(check_parts(parameters, err));
    optimizer *o = memory_alloc(sizeof *o);
    o->type = (const optimizer_type *)choice->about;
    o->settings = choice->settings;
    o->parameters = parameters;
    cut_into_pieces(o);
    status code = allocate(o, err);
    if (code != OK) {
        optimizer_free(o);
        return code;
    }
    *out = o;
    return OK;
}

void optimizer_free(optimizer *o) {
    if (o == NULL) return;
    for (int i = 0; i < OPTIMIZER_MAX_MOMENTS; i++)
        memory_planned_free(o->moments[i], o->parameters->block_bytes);
    memory_planned_free(o->workspace, o->workspace_bytes);
    free(o->pieces);
    free(o);
}

void optimizer_step(optimizer *o, double lr, double gradient_scale, int64_t step) {
    optimizer_call call = {
        .parameters = o->parameters,
        .values = parameters_write(o->parameters),
        .pieces = o->pieces,
        .piece_count = o->piece_count,
        .lr = lr,
        .gradient_scale = gradient_scale,
        .step = step,
        .workspace = o->workspace,
    };
    memcpy(call.moments, o->moments, sizeof call.moments);
    o->type->update(o->settings, &call);
}

double optimizer_lr(const component_choice *choice) {
    return ((const optimizer_common *)choice->settings)->lr;
}

int optimizer_moments(const optimizer *o) {
    return o->type->moments;
}

const char *optimizer_moment_name(const optimizer *o, int i) {
    return o->type->moment_names[i];
}

real *optimizer_moment(const optimizer *o, int i) {
    return o->moments[i];
}

size_t optimizer_bytes(const optimizer *o) {
    return (size_t)o->type->moments * o->parameters->block_bytes + o->workspace_bytes;
}

double gradient_norm(const parameter_set *parameters) {
    return sqrt(kernels->sum_of_squares(parameters->total, parameters->gradients));
}

double gradient_clip_factor(double norm, double limit) {
    if (limit <= 0) return 1;
    return fmin(1, limit / (norm + 1e-6));
}

optimizer_update optimizer_update_of(const optimizer_call *call, double lr, double weight_decay) {
    return (optimizer_update){
        .lr = lr,
        .weight_decay = weight_decay,
        .gradient_scale = call->gradient_scale,
        .first_step = call->step == 1,
    };
}
