// The equation of a liquid time-constant network whose synapses are a layer of neurons (arXiv 2006.04439,
// equation 1): N = f A and L = 1/tau + phi, where f = act(x W^T + input).
#include "kernels/recurrence/ltc.h"
#include "kernels/recurrence/rows.h"

#include "kernels/vector_math.h"

// phi is f without some of its bits: all, the sign, or none.
static ivec bits_of_phi(const ltc *l) {
    const lane_int bits = l->adaptive ? l->abs_gate ? LANE_INT_MAX : -1 : 0;
    return bits - (ivec){0};
}

static ALWAYS_INLINE void put_terms(const ltc *l, ivec phi, vec f, int i, real *drive, real *decay,
                                    const real *rate) {
    const int left = l->width - i;
    vec_put(drive + i, f * vec_get(l->amplitude + i, left), left);
    vec_put(decay + i, vec_get(rate + i, left) + (vec)((ivec)f & phi), left);
}

static ALWAYS_INLINE void evaluate_with(const bool is_tanh, const ltc *l, const real *sums,
                                        const real *input, const real *rate, real *kept, real *drive,
                                        real *decay) {
    const ivec phi = bits_of_phi(l);
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        const vec sum = vec_get(sums + i, left) + vec_get(input + i, left);
        const vec f = is_tanh ? vec_tanh(sum) : vec_sigmoid(sum);
        if (kept) vec_put(kept + i, f, left);
        put_terms(l, phi, f, i, drive, decay, rate);
    }
}

static void evaluate(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const real *sums = ltc_at(l, s->sums, row->slot);
    const real *input = l->input + row_offset(l->time, l->width, row->b, row->t);
    real *kept = k->kept ? ltc_on_tape(k, k->kept, l->width, row) : NULL;
    real *drive = ltc_at(l, s->drive, row->slot), *decay = ltc_at(l, s->decay, row->slot);
    if (l->act == ACTIVATION_TANH)
        evaluate_with(true, l, sums, input, s->rate, kept, drive, decay);
    else
        evaluate_with(false, l, sums, input, s->rate, kept, drive, decay);
}

static void recall(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const real *kept = ltc_on_tape(k, k->kept, l->width, row);
    real *drive = ltc_at(l, k->s.drive, row->slot), *decay = ltc_at(l, k->s.decay, row->slot);
    const ivec phi = bits_of_phi(l);
    for (int i = 0; i < l->width; i += VEC)
        put_terms(l, phi, vec_get(kept + i, l->width - i), i, drive, decay, k->s.rate);
}

// d phi / d f
static ALWAYS_INLINE vec slope_of_phi(const ltc *l, vec f) {
    if (!l->adaptive) return (vec){0};
    if (!l->abs_gate) return vec_set(1);
    return vec_select(f > 0, vec_set(1), vec_select(f < 0, vec_set(-1), (vec){0}));
}

static void pull_back(const ltc_tokens *k, const ltc_row *row) {
    const ltc *l = k->l;
    const ltc_scratch *s = &k->s;
    const real *ddrive = ltc_at(l, s->drive, row->slot), *ddecay = ltc_at(l, s->decay, row->slot);
    real *damplitude = ltc_at(l, s->damplitude, row->b), *drate = ltc_at(l, s->drate, row->b);
    real *dinput = row_at(l->dinput, l->time, l->width, row->b, row->t);
    real *dsums = ltc_at(l, s->dsums, row->slot), *kept = ltc_on_tape(k, k->kept, l->width, row);
    const bool is_tanh = l->act == ACTIVATION_TANH;
    for (int i = 0; i < l->width; i += VEC) {
        const int left = l->width - i;
        const vec f = vec_get(kept + i, left), dn = vec_get(ddrive + i, left),
                  dl = vec_get(ddecay + i, left);
        vec_add_to(damplitude + i, dn * f, left);
        vec_add_to(drate + i, dl, left);
        const vec df = dn * vec_get(l->amplitude + i, left) + dl * slope_of_phi(l, f);
        const vec dsum = df * (is_tanh ? 1 - f * f : f * (1 - f));
        vec_add_to(dinput + i, dsum, left);
        vec_put(dsums + i, dsum, left);
        vec_put(kept + i, dsum, left);
    }
}

const ltc_equation ltc_neural = {1, evaluate, recall, pull_back};
