#include "graph/parameters.h"

#include "base/rng.h"
#include "graph/orthogonal.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 }; // reals

parameter_set *parameters_new(void) {
    parameter_set *set = memory_alloc(sizeof *set);
    set->memory = arena_new();
    return set;
}

void parameters_free(parameter_set *set) {
    if (!set) return;
    memory_planned_free((real *)set->values, set->block_bytes);
    memory_planned_free(set->gradients, set->gradient_reals * sizeof(real));
    for (int i = 0; i < set->derived_count; i++)
        memory_planned_free(set->derived[i]->data, set->derived[i]->count * sizeof(real));
    free(set->derived);
    arena_free(set->memory);
    free(set->items);
    free(set);
}

parameter *parameters_find(const parameter_set *set, const char *name) {
    for (int i = 0; i < set->count; i++)
        if (strcmp(set->items[i]->name, name) == 0) return set->items[i];
    return NULL;
}

static bool same_shape(const parameter_declaration *a, const parameter_declaration *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) == 0;
}

status parameters_declare(parameter_set *set, const char *name, const parameter_declaration *about,
                          parameter **out, error *err) {
    *out = parameters_find(set, name);
    if (*out) {
        if (same_shape(&(*out)->about, about)) return OK;
        return fail(err, ERR_INTERNAL, "parameter %s was declared twice with different shapes", name);
    }
    if (set->values)
        return fail(err, ERR_INTERNAL, "parameter %s was declared after the weights were placed", name);
    parameter *p = arena_alloc(set->memory, sizeof *p);
    p->name = arena_copy_text(set->memory, name);
    p->about = *about;
    if (p->about.parts == 0) p->about.parts = 1;
    if (p->about.lr_multiplier == 0) p->about.lr_multiplier = 1;
    p->count = 1;
    for (int i = 0; i < about->rank; i++) p->count *= (size_t)about->shape[i];
    p->offset = set->total;
    p->number = set->count;
    set->total += (p->count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    set->learned += p->count;
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? 2 * set->capacity : 64;
        set->items = memory_resize(set->items, (size_t)set->capacity * sizeof *set->items);
    }
    set->items[set->count++] = p;
    *out = p;
    return OK;
}

status parameters_allocate(parameter_set *set, bool with_gradients, error *err) {
    set->block_bytes = set->total * sizeof(real);
    void *values;
    TRY(memory_planned_alloc(&values, set->block_bytes, "the weights", err));
    set->values = values;
    set->version = 1;
    return with_gradients ? parameters_place_gradients(set, 0, err) : OK;
}

// Four values of a distribution.
static void draw(const parameter_declaration *about, const rng_stream *stream, size_t block,
                 double drawn[4]) {
    if (about->init == INIT_NORMAL) {
        rng_normal_block(stream, block, drawn);
        for (int lane = 0; lane < 4; lane++) drawn[lane] *= about->init_value;
        return;
    }
    uint32_t bits[4];
    rng_block(stream, block, bits);
    for (int lane = 0; lane < 4; lane++) {
        const double share = (bits[lane] >> 8) * 0x1p-24;
        if (about->init == INIT_UNIFORM) {
            drawn[lane] = about->init_value * (2 * share - 1);
        } else {
            drawn[lane] = about->init_value + share * (about->init_last - about->init_value);
            if (about->map) drawn[lane] = about->map(drawn[lane]);
        }
    }
}

static void initialise(const parameter *p, uint64_t seed, real *values) {
    const parameter_declaration *about = &p->about;
    if (about->init == INIT_CONSTANT) {
        for (size_t i = 0; i < p->count; i++) values[i] = (real)about->init_value;
        return;
    }
    if (about->init == INIT_FORMULA) {
        for (size_t i = 0; i < p->count; i++) values[i] = (real)about->formula(about, i);
        return;
    }
    if (about->init == INIT_ORTHOGONAL) {
        orthogonal_rows(seed, (uint32_t)p->number, about->shape[0], about->shape[1], about->init_value,
                        values);
        return;
    }
    const rng_stream stream = {seed, RNG_INIT, (uint32_t)p->number, 0, 0};
    for (size_t block = 0; 4 * block < p->count; block++) {
        double drawn[4];
        draw(about, &stream, block, drawn);
        for (size_t lane = 0; lane < 4 && 4 * block + lane < p->count; lane++)
            values[4 * block + lane] = (real)drawn[lane];
    }
}

static void initialise_constant(const parameter *p, real *values) {
    const parameter_part *part = &p->about.constant;
    const size_t each = p->count / (size_t)p->about.shape[0];
    for (size_t i = (size_t)part->begin * each; i < (size_t)part->end * each; i++)
        values[i] = (real)part->value;
}

void parameters_initialise(parameter_set *set, uint64_t seed) {
    real *values = parameters_write(set);
    for (int i = 0; i < set->count; i++) {
        initialise(set->items[i], seed, values + set->items[i]->offset);
        initialise_constant(set->items[i], values + set->items[i]->offset);
    }
}

real *parameters_write(parameter_set *set) {
    set->version++;
    return (real *)set->values;
}

status parameters_place_gradients(parameter_set *set, size_t derived_reals, error *err) {
    const size_t reals = set->total + derived_reals;
    if (reals <= set->gradient_reals) return OK;
    memory_planned_free(set->gradients, set->gradient_reals * sizeof(real));
    set->gradients = NULL;
    set->gradient_reals = 0;
    TRY(memory_planned_alloc((void **)&set->gradients, reals * sizeof(real), "the gradients", err));
    set->gradient_reals = reals;
    return OK;
}

// --- derived tensors

static derived_tensor *find_derived(const parameter_set *set, const char *name, size_t count) {
    for (int i = 0; i < set->derived_count; i++)
        if (set->derived[i]->count == count && strcmp(set->derived[i]->name, name) == 0)
            return set->derived[i];
    return NULL;
}

status parameters_derived(parameter_set *set, const char *name, size_t count, derived_tensor **out,
                          error *err) {
    derived_tensor *d = find_derived(set, name, count);
    if (!d) {
        d = arena_alloc(set->memory, sizeof *d);
        *d = (derived_tensor){.name = arena_copy_text(set->memory, name), .count = count};
        TRY(memory_planned_alloc((void **)&d->data, count * sizeof(real), "what follows from the weights",
                                 err));
        set->derived = memory_resize(set->derived, (size_t)(set->derived_count + 1) * sizeof *set->derived);
        set->derived[set->derived_count++] = d;
    }
    d->version = 0;
    *out = d;
    return OK;
}

size_t parameters_derived_bytes(const parameter_set *set) {
    size_t bytes = 0;
    for (int i = 0; i < set->derived_count; i++) bytes += set->derived[i]->count * sizeof(real);
    return bytes;
}
