/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <immintrin.h>

#include "common/crypto/digest_block.h"

#define LEAF_1_ECX_OSXSAVE (1u << 27)
#define LEAF_7_EBX_BMI1    (1u << 3)
#define LEAF_7_EBX_AVX2    (1u << 5)
#define LEAF_7_EBX_BMI2    (1u << 8)
#define LEAF_7_EBX_WANTED  (LEAF_7_EBX_BMI1 | LEAF_7_EBX_AVX2 | LEAF_7_EBX_BMI2)
#define XCR0_SSE_AND_AVX   6u

/* FIPS 180-4, 4.2.3. */
#define ROUNDS 80u
static const uint64_t round_constants[ROUNDS] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

__attribute__((target("xsave"))) static bool kernel_keeps_avx(void)
{
    return (_xgetbv(0) & XCR0_SSE_AND_AVX) == XCR0_SSE_AND_AVX;
}

bool digest_block_has_sha512(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & LEAF_7_EBX_WANTED) != LEAF_7_EBX_WANTED)
        return false;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & LEAF_1_ECX_OSXSAVE) != 0 && kernel_keeps_avx();
}

/* Inlined come what may: as calls the rounds would keep their words in memory, at half the speed. */
#define BY_PROCESSOR __attribute__((target("avx2,bmi,bmi2"), always_inline)) static inline

/* ---- The schedule, four words at a time ---- */

BY_PROCESSOR __m256i rotate4(__m256i x, int bits)
{
    return _mm256_or_si256(_mm256_srli_epi64(x, bits), _mm256_slli_epi64(x, 64 - bits));
}

BY_PROCESSOR __m128i rotate2(__m128i x, int bits)
{
    return _mm_or_si128(_mm_srli_epi64(x, bits), _mm_slli_epi64(x, 64 - bits));
}

BY_PROCESSOR __m256i small_sigma0(__m256i x)
{
    return _mm256_xor_si256(_mm256_xor_si256(rotate4(x, 1), rotate4(x, 8)), _mm256_srli_epi64(x, 7));
}

BY_PROCESSOR __m128i small_sigma1(__m128i x)
{
    return _mm_xor_si128(_mm_xor_si128(rotate2(x, 19), rotate2(x, 61)), _mm_srli_epi64(x, 6));
}

/* Words 1 to 4 of the eight in low and high. */
BY_PROCESSOR __m256i shift_by_one(__m256i low, __m256i high)
{
    return _mm256_alignr_epi8(_mm256_permute2x128_si256(low, high, 0x21), low, 8);
}

/*
 * The next four words from the sixteen before them; the oldest come first. The last two depend on the first two, so
 * that part is done by halves.
 */
BY_PROCESSOR __m256i four_words(__m256i w16, __m256i w12, __m256i w8, __m256i w4)
{
    __m256i sum = _mm256_add_epi64(w16, small_sigma0(shift_by_one(w16, w12)));
    sum = _mm256_add_epi64(sum, shift_by_one(w8, w4));
    __m128i low = _mm_add_epi64(_mm256_castsi256_si128(sum), small_sigma1(_mm256_extracti128_si256(w4, 1)));
    __m128i high = _mm_add_epi64(_mm256_extracti128_si256(sum, 1), small_sigma1(low));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

BY_PROCESSOR __m256i load_big_endian(const uint8_t *from)
{
    const __m256i order = _mm256_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, /* and again */
                                          8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(const void *)from), order);
}

/* Words and constants are added before the rounds need them. */
BY_PROCESSOR void store_sums(uint64_t *to, __m256i words, const uint64_t *constants)
{
    __m256i k = _mm256_loadu_si256((const __m256i *)(const void *)constants);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_add_epi64(words, k));
}

/* ---- The rounds, which are a chain of single words ---- */

BY_PROCESSOR uint64_t rotate(uint64_t x, unsigned bits)
{
    return x >> bits | x << (64 - bits);
}

BY_PROCESSOR void one_round(uint64_t a, uint64_t b, uint64_t c, uint64_t *d, uint64_t e, uint64_t f, uint64_t g,
                            uint64_t *h, uint64_t sum)
{
    uint64_t t = *h + sum + (rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41)) + ((e & f) ^ (~e & g));
    *d += t;
    *h = t + (rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39)) + ((a & b) | (c & (a | b)));
}

/* Four rounds after which the words have moved by four places, so that two of these restore the order. */
BY_PROCESSOR void four_rounds(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t *e, uint64_t *f, uint64_t *g,
                              uint64_t *h, const uint64_t *sums)
{
    one_round(*a, *b, *c, d, *e, *f, *g, h, sums[0]);
    one_round(*h, *a, *b, c, *d, *e, *f, g, sums[1]);
    one_round(*g, *h, *a, b, *c, *d, *e, f, sums[2]);
    one_round(*f, *g, *h, a, *b, *c, *d, e, sums[3]);
}

BY_PROCESSOR void compress_block(uint64_t state[8], const uint8_t *block)
{
    uint64_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint64_t e = state[4], f = state[5], g = state[6], h = state[7];
    uint64_t sums[16];
    __m256i w0 = load_big_endian(block), w1 = load_big_endian(block + 32);
    __m256i w2 = load_big_endian(block + 64), w3 = load_big_endian(block + 96);
    store_sums(sums, w0, round_constants);
    store_sums(sums + 4, w1, round_constants + 4);
    store_sums(sums + 8, w2, round_constants + 8);
    store_sums(sums + 12, w3, round_constants + 12);
    for (const uint64_t *k = round_constants + 16; k < round_constants + ROUNDS; k += 16) {
        w0 = four_words(w0, w1, w2, w3);
        four_rounds(&a, &b, &c, &d, &e, &f, &g, &h, sums);
        store_sums(sums, w0, k);
        w1 = four_words(w1, w2, w3, w0);
        four_rounds(&e, &f, &g, &h, &a, &b, &c, &d, sums + 4);
        store_sums(sums + 4, w1, k + 4);
        w2 = four_words(w2, w3, w0, w1);
        four_rounds(&a, &b, &c, &d, &e, &f, &g, &h, sums + 8);
        store_sums(sums + 8, w2, k + 8);
        w3 = four_words(w3, w0, w1, w2);
        four_rounds(&e, &f, &g, &h, &a, &b, &c, &d, sums + 12);
        store_sums(sums + 12, w3, k + 12);
    }
    four_rounds(&a, &b, &c, &d, &e, &f, &g, &h, sums);
    four_rounds(&e, &f, &g, &h, &a, &b, &c, &d, sums + 4);
    four_rounds(&a, &b, &c, &d, &e, &f, &g, &h, sums + 8);
    four_rounds(&e, &f, &g, &h, &a, &b, &c, &d, sums + 12);
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

__attribute__((target("avx2,bmi,bmi2"))) void digest_block_sha512(uint64_t state[8], const uint8_t *bytes,
                                                                  size_t blocks)
{
    for (; blocks > 0; blocks--, bytes += DIGEST_BLOCK_SHA512)
        compress_block(state, bytes);
}
