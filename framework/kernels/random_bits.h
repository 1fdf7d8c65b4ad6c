// Philox4x32-10 (see base/rng.h) on whole vectors: the same bits, many blocks at once.
#ifndef RUNEXP_KERNELS_RANDOM_BITS_H
#define RUNEXP_KERNELS_RANDOM_BITS_H

#include "base/rng.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"

// Each 64-bit lane holds one of the four words of one block in its low half.
typedef uint64_t word_lanes __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
typedef uint64_t word_lanes_anywhere
    __attribute__((vector_size(KERNEL_VECTOR_BYTES), aligned(4), may_alias));

enum { RANDOM_LANES = KERNEL_VECTOR_BYTES / 8, RANDOM_STEP = 8 * RANDOM_LANES };

// Low half times low half. x86 has an instruction for it that compilers do not find by themselves, and on
// it hangs the speed of dropout.
static ALWAYS_INLINE word_lanes multiply_low_halves(word_lanes a, word_lanes b) {
#if defined(__AVX512F__)
    return (word_lanes)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (word_lanes)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (word_lanes)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

static const word_lanes word_numbers = {
    0, 1,
#if KERNEL_VECTOR_BYTES > 16
    2, 3,
#endif
#if KERNEL_VECTOR_BYTES > 32
    4, 5, 6, 7,
#endif
};

static ALWAYS_INLINE word_lanes words_set(uint64_t x) {
    return x - (word_lanes){0};
}

// The four words of the blocks numbered in the low halves of `blocks`. The high halves of the results mean
// nothing.
static ALWAYS_INLINE void random_words(const rng_stream *s, word_lanes blocks, word_lanes words[4]) {
    word_lanes c0 = blocks, c1 = words_set(s->site), c2 = words_set(s->step);
    word_lanes c3 = words_set((uint32_t)s->purpose << 24 | s->micro);
    uint32_t k0 = (uint32_t)s->seed, k1 = (uint32_t)(s->seed >> 32);
    // The high halves carry products' high words along; they are never read.
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        word_lanes p = multiply_low_halves(c0, words_set(0xD2511F53u));
        word_lanes q = multiply_low_halves(c2, words_set(0xCD9E8D57u));
        c0 = (q >> 32) ^ c1 ^ words_set(k0);
        c2 = (p >> 32) ^ c3 ^ words_set(k1);
        c1 = q;
        c3 = p;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

// The 16 bits of elements 8*block .. 8*block + RANDOM_STEP - 1 of a stream.
static inline void random_bits(const rng_stream *s, uint64_t block, uint16_t *out) {
    word_lanes words[4];
    random_words(s, word_numbers + (uint32_t)block, words);
    word_lanes left = (words[0] & 0xFFFFFFFFu) | words[1] << 32;
    word_lanes right = (words[2] & 0xFFFFFFFFu) | words[3] << 32;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    left = left << 48 | (left << 16 & 0xFFFF00000000u) | (left >> 16 & 0xFFFF0000u) | left >> 48;
    right = right << 48 | (right << 16 & 0xFFFF00000000u) | (right >> 16 & 0xFFFF0000u) | right >> 48;
#endif
    const word_lanes pairs = word_numbers / 2 + (word_numbers & 1) * RANDOM_LANES;
    word_lanes_anywhere *to = (word_lanes_anywhere *)out;
    to[0] = __builtin_shuffle(left, right, pairs);
    to[1] = __builtin_shuffle(left, right, pairs + RANDOM_LANES / 2);
}

// Values that dropout_factors may write beyond those asked for.
enum { DROPOUT_SLACK = RANDOM_STEP + 8 };

// Returns a pointer f into buffer such that f[i], 0 <= i < count, is 0 where element first + i of the
// stream is dropped, else the factor of what is kept. buffer has room for count + DROPOUT_SLACK values.
static inline const real *dropout_factors(const dropout_mask *mask, uint64_t first, int count,
                                          real *buffer) {
    const uint16_t below = (uint16_t)dropout_threshold(mask->p);
    const real keep = dropout_factor(mask->p);
    uint16_t bits[RANDOM_STEP] __attribute__((aligned(64)));
    const int skipped = (int)(first & 7); // blocks begin at multiples of eight
    uint64_t block = first >> 3;
    for (int done = 0; done < skipped + count; done += RANDOM_STEP, block += RANDOM_LANES) {
        random_bits(&mask->random, block, bits);
        for (int i = 0; i < RANDOM_STEP; i++) buffer[done + i] = bits[i] < below ? 0 : keep;
    }
    return buffer + skipped;
}

#endif
