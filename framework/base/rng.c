#include "base/rng.h"

#include <math.h>

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        if (round > 0) k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        uint64_t p = (uint64_t)0xD2511F53u * c0, q = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(q >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)q;
        c3 = (uint32_t)p;
        c0 = n0;
        c2 = n2;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void rng_block(const rng_stream *s, uint64_t block, uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)block, s->site, s->step, (uint32_t)s->purpose << 24 | s->micro};
    const uint32_t key[2] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32)};
    philox(counter, key, out);
}

uint32_t rng_bits(const rng_stream *s, uint64_t element) {
    uint32_t out[4];
    rng_block(s, element >> 2, out);
    return out[element & 3];
}

uint32_t rng_half(const rng_stream *s, uint64_t element) {
    return rng_bits(s, element >> 1) >> (element & 1 ? 16 : 0) & 0xFFFF;
}

double rng_uniform(const rng_stream *s, uint64_t element) {
    uint32_t out[4];
    rng_block(s, element, out);
    return (double)(((uint64_t)out[0] << 32 | out[1]) >> 11) * 0x1p-53;
}

void rng_normal_block(const rng_stream *s, uint64_t block, double out[4]) {
    uint32_t bits[4];
    rng_block(s, block, bits);
    for (int pair = 0; pair < 4; pair += 2) {
        double u1 = ((bits[pair] >> 8) + 1) * 0x1p-24, u2 = (bits[pair + 1] >> 8) * 0x1p-24;
        double radius = sqrt(-2 * log(u1)), angle = 6.283185307179586476925 * u2;
        out[pair] = radius * cos(angle);
        out[pair + 1] = radius * sin(angle);
    }
}

uint64_t rng_below(const rng_stream *s, uint64_t element, uint64_t limit) {
    uint32_t out[4];
    rng_block(s, element, out);
    uint64_t bits = (uint64_t)out[0] << 32 | out[1];
    return (uint64_t)((unsigned __int128)bits * limit >> 64);
}
