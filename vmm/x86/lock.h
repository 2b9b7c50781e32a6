/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locked operations on guest memory at any alignment, atomic against every other processor of the host. The compiler's
 * own atomics promise that for aligned addresses only, and guest operands may be misaligned or cross a cache line,
 * hence the instructions by name. All are full barriers. p: host address, from x86_rmw_begin. Source: Intel SDM volume
 * 3, 9.1.2 (bus locking) and 9.2.5 (ordering).
 */
#ifndef CAISSON_VMM_X86_LOCK_H
#define CAISSON_VMM_X86_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Compare *p with *old; equal: store `new` and return true; else load the value found into *old and return false. */
static inline bool lock_cas8(uint8_t *p, uint8_t *old, uint8_t new)
{
    bool ok;
    __asm__ volatile("lock cmpxchgb %3, (%2)" : "=@ccz"(ok), "+a"(*old) : "r"(p), "q"(new) : "memory");
    return ok;
}

static inline bool lock_cas16(uint8_t *p, uint16_t *old, uint16_t new)
{
    bool ok;
    __asm__ volatile("lock cmpxchgw %3, (%2)" : "=@ccz"(ok), "+a"(*old) : "r"(p), "r"(new) : "memory");
    return ok;
}

static inline bool lock_cas32(uint8_t *p, uint32_t *old, uint32_t new)
{
    bool ok;
    __asm__ volatile("lock cmpxchgl %3, (%2)" : "=@ccz"(ok), "+a"(*old) : "r"(p), "r"(new) : "memory");
    return ok;
}

static inline bool lock_cas64(uint8_t *p, uint64_t *old, uint64_t new)
{
    bool ok;
    __asm__ volatile("lock cmpxchgq %3, (%2)" : "=@ccz"(ok), "+a"(*old) : "r"(p), "r"(new) : "memory");
    return ok;
}

/* The same for 16 bytes, as two halves, low first. p must be a multiple of 16: the instruction faults otherwise. */
static inline bool lock_cas128(uint8_t *p, uint64_t old[2], const uint64_t new[2])
{
    bool ok;
    __asm__ volatile("lock cmpxchg16b (%3)"
                     : "=@ccz"(ok), "+a"(old[0]), "+d"(old[1])
                     : "r"(p), "b"(new[0]), "c"(new[1])
                     : "memory");
    return ok;
}

/* Compare and swap of `size` bytes (1, 2, 4, 8); on failure *old is the value found, zero-extended. */
static inline bool lock_cas(uint8_t *p, unsigned size, uint64_t *old, uint64_t new)
{
    bool ok;
    switch (size) {
    case 1: {
        uint8_t o = (uint8_t)*old;
        ok = lock_cas8(p, &o, (uint8_t) new);
        *old = o;
        return ok;
    }
    case 2: {
        uint16_t o = (uint16_t)*old;
        ok = lock_cas16(p, &o, (uint16_t) new);
        *old = o;
        return ok;
    }
    case 4: {
        uint32_t o = (uint32_t)*old;
        ok = lock_cas32(p, &o, (uint32_t) new);
        *old = o;
        return ok;
    }
    default: return lock_cas64(p, old, new);
    }
}

/* *p = v; returns what was there, zero-extended. size: 1, 2, 4, 8. XCHG locks by itself. */
static inline uint64_t lock_exchange(uint8_t *p, unsigned size, uint64_t v)
{
    uint8_t b = (uint8_t)v;
    uint16_t w = (uint16_t)v;
    uint32_t d = (uint32_t)v;
    switch (size) {
    case 1: __asm__ volatile("xchgb %0, (%1)" : "+q"(b) : "r"(p) : "memory"); return b;
    case 2: __asm__ volatile("xchgw %0, (%1)" : "+r"(w) : "r"(p) : "memory"); return w;
    case 4: __asm__ volatile("xchgl %0, (%1)" : "+r"(d) : "r"(p) : "memory"); return d;
    default: __asm__ volatile("xchgq %0, (%1)" : "+r"(v) : "r"(p) : "memory"); return v;
    }
}

/* *p += v; returns what was there, zero-extended. size: 1, 2, 4, 8. */
static inline uint64_t lock_fetch_add(uint8_t *p, unsigned size, uint64_t v)
{
    uint8_t b = (uint8_t)v;
    uint16_t w = (uint16_t)v;
    uint32_t d = (uint32_t)v;
    switch (size) {
    case 1: __asm__ volatile("lock xaddb %0, (%1)" : "+q"(b) : "r"(p) : "memory", "cc"); return b;
    case 2: __asm__ volatile("lock xaddw %0, (%1)" : "+r"(w) : "r"(p) : "memory", "cc"); return w;
    case 4: __asm__ volatile("lock xaddl %0, (%1)" : "+r"(d) : "r"(p) : "memory", "cc"); return d;
    default: __asm__ volatile("lock xaddq %0, (%1)" : "+r"(v) : "r"(p) : "memory", "cc"); return v;
    }
}

#endif
