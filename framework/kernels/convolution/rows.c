#include "kernels/convolution/rows.h"

#include <string.h>

// Rows are too far apart for the hardware to prefetch them. They are prefetched this many rows ahead, into
// L2: L1 has no room for all that is under way.
enum { AHEAD = 32 };

// The rows of a matrix, NULL for none.
typedef struct rows {
    real *at;
    ptrdiff_t ld;
} rows;

// Vector k of row t; it has `lanes` values unless it is full.
static ALWAYS_INLINE vec get(rows r, int t, int k, const bool full, int lanes) {
    const real *from = r.at + r.ld * t + (ptrdiff_t)VEC * k;
    __builtin_prefetch(from + r.ld * AHEAD, 0, 2);
    return full ? vec_load(from) : vec_load_some(from, lanes);
}

static ALWAYS_INLINE void put(rows out, rows factor, bool adds, int t, int k, vec value, const bool full,
                              int lanes) {
    real *to = out.at + out.ld * t + (ptrdiff_t)VEC * k;
    if (factor.at) value *= get(factor, t, k, full, lanes);
    if (adds)
        value += get(out, t, k, full, lanes);
    else
        __builtin_prefetch(to + out.ld * AHEAD, 1, 2);
    if (full)
        vec_store(to, value);
    else
        vec_store_some(to, value, lanes);
}

static ALWAYS_INLINE void pack(const row_source *from, real *packed, size_t apart) {
    const int count = from->count, full = from->channels / VEC, lanes = from->channels % VEC;
    const rows x = {(real *)from->x, from->ld}, gate = {(real *)from->gate, from->ld_gate};
    const rows out = {from->product.out, from->product.ld_out};
    const rows factor = {(real *)from->product.factor, from->product.ld_factor};
    const bool adds = from->product.adds;
    for (int t = 0; t < count; t++, packed += VEC) {
        for (int k = 0; k < full; k++) {
            vec value = get(x, t, k, true, VEC);
            if (out.at) put(out, factor, adds, t, k, value, true, VEC);
            if (gate.at) value *= get(gate, t, k, true, VEC);
            vec_store(packed + apart * k, value);
        }
        if (lanes) {
            vec value = get(x, t, full, false, lanes);
            if (out.at) put(out, factor, adds, t, full, value, false, lanes);
            if (gate.at) value *= get(gate, t, full, false, lanes);
            vec_store(packed + apart * full, value);
        }
    }
}

void pack_rows(const row_source *from, int end, real *packed, size_t apart) {
    pack(from, packed, apart);
    for (int k = 0; k < blocks_of(from->channels); k++)
        memset(packed + apart * k + (ptrdiff_t)VEC * from->count, 0,
               (size_t)(end - from->count) * VEC * sizeof(real));
}

void unpack_rows(const real *packed, size_t apart, const row_sink *to) {
    const int count = to->count, full = to->channels / VEC, lanes = to->channels % VEC;
    for (int i = 0; i < 2; i++) {
        const row_product *p = &to->product[i];
        const rows out = {p->out, p->ld_out}, factor = {(real *)p->factor, p->ld_factor};
        const bool adds = p->adds;
        if (!out.at) continue;
        for (int t = 0; t < count; t++) {
            const real *from = packed + (ptrdiff_t)VEC * t;
            for (int k = 0; k < full; k++)
                put(out, factor, adds, t, k, vec_load(from + apart * k), true, VEC);
            if (lanes) put(out, factor, adds, t, full, vec_load(from + apart * full), false, lanes);
        }
    }
}
