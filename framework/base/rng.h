// Random numbers without state: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3", SC'11). A value is a pure function of (seed, purpose, site, step, micro-batch, element), so it does
// not depend on threads, on the order of evaluation, or on whether a run was interrupted.
#ifndef RUNEXP_BASE_RNG_H
#define RUNEXP_BASE_RNG_H

#include <stdint.h>

typedef enum rng_purpose { RNG_INIT = 0, RNG_DROPOUT = 1, RNG_DATA = 2, RNG_SAMPLING = 3 } rng_purpose;

// One stream of random numbers: everything but the element index.
//   site   parameter number (init), dropout site (dropout), stream number (data order, sampling)
//   step   optimizer step (0 for init); token number for sampling
//   micro  micro-batch within the step
typedef struct rng_stream {
    uint64_t seed;
    rng_purpose purpose;
    uint32_t site, step, micro;
} rng_stream;

// The raw generator: four outputs for a 128-bit counter and a 64-bit key.
void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// The four 32-bit values of elements 4*block .. 4*block+3 of a stream.
void rng_block(const rng_stream *s, uint64_t block, uint32_t out[4]);

// The 32-bit value of one element (element < 2^34).
uint32_t rng_bits(const rng_stream *s, uint64_t element);

// The 16-bit value of one element (element < 2^35): half element % 2, the low one first, of word
// element / 2 % 4 of block element / 8.
uint32_t rng_half(const rng_stream *s, uint64_t element);

// Uniform in [0,1) with 53 bits: lanes 0 and 1 of block `element`.
double rng_uniform(const rng_stream *s, uint64_t element);

// The four standard normals of elements 4*block .. 4*block+3 (Box-Muller in double precision).
void rng_normal_block(const rng_stream *s, uint64_t block, double out[4]);

// A number in [0, limit), limit >= 1, from 64 bits by multiply-shift (bias below 2^-32 for limit < 2^32).
uint64_t rng_below(const rng_stream *s, uint64_t element, uint64_t limit);

#endif
