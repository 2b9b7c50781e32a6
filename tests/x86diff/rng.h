/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers that are the same everywhere: xoshiro256**, seeded by splitmix64. Source: Blackman and Vigna,
 * "Scrambled linear pseudorandom number generators", 2019.
 */
#ifndef CAISSON_TESTS_X86DIFF_RNG_H
#define CAISSON_TESTS_X86DIFF_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

static inline uint64_t rng_mix(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t rng_rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

/* A generator of its own for every (seed, number). */
static inline struct rng rng_make(uint64_t seed, uint64_t number)
{
    struct rng r;
    uint64_t x = seed;
    uint64_t y = rng_mix(&x) ^ number * UINT64_C(0xd1342543de82ef95);
    for (unsigned i = 0; i < 4; i++)
        r.s[i] = rng_mix(&y);
    return r;
}

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t out = rng_rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rng_rotl(r->s[3], 45);
    return out;
}

/* 0 to n-1. */
static inline unsigned rng_below(struct rng *r, unsigned n)
{
    return (unsigned)((rng_next(r) >> 32) * n >> 32);
}

/* True in `percent` of 100. */
static inline bool rng_chance(struct rng *r, unsigned percent)
{
    return rng_below(r, 100) < percent;
}

#endif
