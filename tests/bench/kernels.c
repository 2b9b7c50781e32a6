/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/kernels.h"

#include <emmintrin.h>
#include <string.h>

/* No stack protector: its canary lives in thread storage, which a guest without an operating system does not have. */
#define KERNEL __attribute__((noinline, no_stack_protector, aligned(64)))
#define INLINE static inline __attribute__((always_inline))

/* Places in the block of memory. */
#define SHA_K       0u        /* 64 words */
#define SHA_DATA    0x1000u   /* 4 KiB message */
#define CHASE       0x100000u /* 8 MiB of 64-byte cells */
#define CHASE_CELLS 131072u
#define COPY_FROM   0x10000u
#define COPY_TO     0x40000u
#define COPY_BYTES  0x20000u

/* Arithmetic, logic, multiplication, a data-dependent branch, one load and one store: a mix like compiled code. */
KERNEL uint64_t bench_integer(uint8_t *mem, uint64_t n)
{
    uint64_t a = 1, b = 0x9e3779b97f4a7c15u, c = 0;
    volatile uint64_t *slot = (volatile uint64_t *)(void *)(mem + COPY_TO);
    for (uint64_t i = 0; i < n; i++) {
        a += b ^ (a >> 7);
        b = b * 3 + i;
        if (a & 1)
            c += a;
        else
            c ^= b;
        slot[i & 63] = c;
        a -= slot[(i + 9) & 63] & 0xff;
    }
    return a ^ b ^ c;
}

INLINE uint32_t ror(uint32_t x, unsigned k)
{
    return x >> k | x << (32 - k);
}

INLINE void sha_block(uint32_t h[8], const uint32_t *k, const uint8_t *p)
{
    uint32_t w[64];
    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (unsigned i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (ror(x, 7) ^ ror(x, 18) ^ x >> 3) + w[i - 7] + (ror(y, 17) ^ ror(y, 19) ^ y >> 10);
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], q = h[7];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = q + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
        uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        q = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += q;
}

/* n times 4 KiB. Source of the algorithm: FIPS 180-4. */
KERNEL uint64_t bench_sha256(uint8_t *mem, uint64_t n)
{
    uint32_t h[8];
    for (unsigned i = 0; i < 8; i++)
        h[i] = 0x6a09e667u + i * 0x9e3779b9u;
    for (uint64_t round = 0; round < n; round++)
        for (unsigned off = 0; off < 4096; off += 64)
            sha_block(h, (const uint32_t *)(const void *)(mem + SHA_K), mem + SHA_DATA + off);
    return (uint64_t)h[0] << 32 | h[7];
}

/* n times 128 KiB by REP MOVSQ. */
KERNEL uint64_t bench_copy_rep(uint8_t *mem, uint64_t n)
{
    for (uint64_t round = 0; round < n; round++) {
        void *to = mem + COPY_TO;
        const void *from = mem + COPY_FROM;
        uint64_t count = COPY_BYTES / 8;
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    }
    return mem[COPY_TO + COPY_BYTES - 1];
}

/* n times 128 KiB by 16-byte vector moves. */
KERNEL uint64_t bench_copy_sse(uint8_t *mem, uint64_t n)
{
    for (uint64_t round = 0; round < n; round++) {
        for (unsigned i = 0; i < COPY_BYTES; i += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(mem + COPY_FROM + i));
            _mm_storeu_si128((__m128i *)(void *)(mem + COPY_TO + i), v);
        }
        __asm__ volatile("" : : : "memory");
    }
    return mem[COPY_TO + COPY_BYTES - 1];
}

/* n dependent loads over 8 MiB. */
KERNEL uint64_t bench_chase(uint8_t *mem, uint64_t n)
{
    uint64_t at = 0;
    for (uint64_t i = 0; i < n; i++)
        at = *(volatile uint64_t *)(void *)(mem + CHASE + at);
    return at;
}

static uint64_t next_random(uint64_t *s)
{
    uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* One cycle through all cells (Sattolo's shuffle), so that no prefetcher guesses the next. */
static void prepare_chase(uint8_t *mem, uint64_t *seed)
{
    uint64_t *cell = (uint64_t *)(void *)(mem + CHASE);
    for (uint64_t i = 0; i < CHASE_CELLS; i++)
        cell[i * 8] = i * 64;
    for (uint64_t i = CHASE_CELLS - 1; i > 0; i--) {
        uint64_t j = next_random(seed) % i, t = cell[i * 8];
        cell[i * 8] = cell[j * 8];
        cell[j * 8] = t;
    }
}

void bench_prepare(uint8_t *mem)
{
    uint64_t seed = 1;
    for (unsigned i = 0; i < 64; i++) {
        uint32_t k = (uint32_t)next_random(&seed);
        memcpy(mem + SHA_K + 4 * i, &k, 4);
    }
    for (unsigned i = 0; i < 4096; i++)
        mem[SHA_DATA + i] = (uint8_t)next_random(&seed);
    for (unsigned i = 0; i < COPY_BYTES; i++)
        mem[COPY_FROM + i] = (uint8_t)next_random(&seed);
    prepare_chase(mem, &seed);
}
