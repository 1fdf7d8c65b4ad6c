#include "graph/parameters.h"

#include "base/rng.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 };        // reals
enum { PACKED_ALIGNMENT = 64 }; // bytes

parameter_set *parameters_new(void) {
    parameter_set *set = memory_alloc(sizeof *set);
    set->memory = arena_new();
    return set;
}

void parameters_free(parameter_set *set) {
    if (!set) return;
    memory_planned_free(set->values, set->block_bytes);
    memory_planned_free(set->gradients, set->block_bytes);
    memory_planned_free(set->packed, set->packed_bytes);
    for (int i = 0; i < set->constant_count; i++)
        memory_planned_free(set->constants[i].data, set->constants[i].count * sizeof(real));
    free(set->constants);
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
    TRY(memory_planned_alloc((void **)&set->values, set->block_bytes, "the weights", err));
    if (with_gradients)
        TRY(memory_planned_alloc((void **)&set->gradients, set->block_bytes, "the gradients", err));
    return OK;
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
    const rng_stream stream = {seed, RNG_INIT, (uint32_t)p->number, 0, 0};
    for (size_t block = 0; 4 * block < p->count; block++) {
        double drawn[4];
        if (about->init == INIT_NORMAL) {
            rng_normal_block(&stream, block, drawn);
        } else {
            uint32_t bits[4];
            rng_block(&stream, block, bits);
            for (int lane = 0; lane < 4; lane++) drawn[lane] = 2 * ((bits[lane] >> 8) * 0x1p-24) - 1;
        }
        for (size_t lane = 0; lane < 4 && 4 * block + lane < p->count; lane++)
            values[4 * block + lane] = (real)(about->init_value * drawn[lane]);
    }
}

void parameters_initialise(parameter_set *set, uint64_t seed) {
    for (int i = 0; i < set->count; i++)
        initialise(set->items[i], seed, set->values + set->items[i]->offset);
}

// Of a packed matrix.
static int rows_of(const parameter *p) {
    return p->about.shape[0];
}

static int columns_of(const parameter *p) {
    return (int)(p->count / (size_t)p->about.shape[0]);
}

status parameters_place_packed(parameter_set *set, error *err) {
    size_t total = 0;
    for (int i = 0; i < set->count; i++) {
        parameter *p = set->items[i];
        if (!p->packs) continue;
        p->packed_offset = total;
        total += kernels->gemm_packed_bytes(rows_of(p), columns_of(p));
        total = (total + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
    }
    set->packed_behind = true;
    if (total == set->packed_bytes) return OK;
    memory_planned_free(set->packed, set->packed_bytes);
    set->packed = NULL;
    set->packed_bytes = 0;
    TRY(memory_planned_alloc((void **)&set->packed, total, "the packed weights", err));
    set->packed_bytes = total;
    return OK;
}

void parameters_pack(parameter_set *set) {
    for (int i = 0; i < set->count; i++) {
        const parameter *p = set->items[i];
        if (p->packs)
            kernels->gemm_pack(true, rows_of(p), columns_of(p), set->values + p->offset, columns_of(p),
                               set->packed + p->packed_offset);
    }
    set->packed_behind = false;
}

status parameters_place_constant(parameter_set *set, int number, size_t count, real **data, error *err) {
    if (number == set->constant_count) {
        set->constants = memory_resize(set->constants, (size_t)(number + 1) * sizeof *set->constants);
        set->constants[set->constant_count++] = (parameter_constant){0};
    }
    parameter_constant *c = &set->constants[number];
    if (c->count != count) {
        memory_planned_free(c->data, c->count * sizeof(real));
        *c = (parameter_constant){0};
        TRY(memory_planned_alloc((void **)&c->data, count * sizeof(real), "what decoding keeps", err));
        c->count = count;
    }
    *data = c->data;
    return OK;
}
