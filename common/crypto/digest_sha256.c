/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <immintrin.h>

#include "common/crypto/digest_block.h"

#define LEAF_7_EBX_SHA (1u << 29)

/* FIPS 180-4, 4.2.2. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* Every processor with the SHA extensions has SSSE3 and SSE4.1, which the same code uses. */
bool digest_block_has_sha256(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & LEAF_7_EBX_SHA) != 0;
}

#define BY_PROCESSOR __attribute__((target("sha,sse4.1,ssse3")))

/* The eight words in the order that the instructions want, highest first: a b e f, and c d g h. */
struct sha_state {
    __m128i abef, cdgh;
};

BY_PROCESSOR static inline void four_rounds(struct sha_state *s, __m128i words, const uint32_t *constants)
{
    __m128i sum = _mm_add_epi32(words, _mm_loadu_si128((const __m128i *)constants));
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, sum);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/* Four words of the schedule from the sixteen before them; the oldest come first. */
BY_PROCESSOR static inline __m128i four_words(__m128i w16, __m128i w12, __m128i w8, __m128i w4)
{
    __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w16, w12), _mm_alignr_epi8(w4, w8, 4));
    return _mm_sha256msg2_epu32(sum, w4);
}

BY_PROCESSOR static inline __m128i load_big_endian(const uint8_t *from)
{
    const __m128i order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)from), order);
}

BY_PROCESSOR static inline void compress_block(struct sha_state *s, const uint8_t *block)
{
    __m128i w0 = load_big_endian(block), w1 = load_big_endian(block + 16);
    __m128i w2 = load_big_endian(block + 32), w3 = load_big_endian(block + 48);
    const struct sha_state before = *s;
    for (unsigned round = 0;; round += 16) {
        four_rounds(s, w0, &round_constants[round]);
        four_rounds(s, w1, &round_constants[round + 4]);
        four_rounds(s, w2, &round_constants[round + 8]);
        four_rounds(s, w3, &round_constants[round + 12]);
        if (round == 48)
            break;
        w0 = four_words(w0, w1, w2, w3);
        w1 = four_words(w1, w2, w3, w0);
        w2 = four_words(w2, w3, w0, w1);
        w3 = four_words(w3, w0, w1, w2);
    }
    s->abef = _mm_add_epi32(s->abef, before.abef);
    s->cdgh = _mm_add_epi32(s->cdgh, before.cdgh);
}

BY_PROCESSOR void digest_block_sha256(uint32_t state[8], const uint8_t *bytes, size_t blocks)
{
    __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
    __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
    struct sha_state s = {.abef = _mm_alignr_epi8(badc, hgfe, 8), .cdgh = _mm_blend_epi16(hgfe, badc, 0xf0)};
    for (; blocks > 0; blocks--, bytes += DIGEST_BLOCK_SHA256)
        compress_block(&s, bytes);
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
