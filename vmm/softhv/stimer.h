/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The four synthetic timers of one VP. They count in the partition's reference time (100 ns), which every function
 * takes as `now`. An expired timer asserts its vector (direct mode) or posts TIMER_EXPIRED to its SINT; a message whose
 * slot is taken is kept and tried again by softhv_stimer_run.
 *
 * Threads: owned by the VP's thread (or who holds the VP). Source: TLFS, timers, "Synthetic timers".
 */
#ifndef CAISSON_VMM_SOFTHV_STIMER_H
#define CAISSON_VMM_SOFTHV_STIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"

#define SOFTHV_STIMER_NEVER UINT64_MAX
/* A periodic timer expires at most this often (100 us), whatever period the guest asks for. uncertain: our choice. */
#define SOFTHV_STIMER_MIN_PERIOD UINT64_C(1000)

struct softhv_stimer_ops {
    /* Direct mode: assert an edge-triggered interrupt at the VP's local APIC. */
    void (*interrupt)(void *ctx, uint8_t vector);
    /* Post a message, as softhv_synic_post. */
    uint16_t (*post)(void *ctx, uint32_t sint, const uint8_t message[HV_MESSAGE_BYTES]);
};

struct softhv_stimer {
    uint64_t config, count;
    uint64_t due;            /* next expiry, SOFTHV_STIMER_NEVER when not armed */
    bool undelivered;        /* expired, its message waits for the slot */
    uint64_t undelivered_at; /* expiration time in that message */
};

struct softhv_stimers {
    const struct softhv_stimer_ops *ops;
    void *ctx;
    bool direct; /* is direct mode offered? */
    struct softhv_stimer timer[HV_SYNIC_STIMER_COUNT];
};

/* All off. direct: synthetic feature "direct synthetic timers". */
void softhv_stimer_init(struct softhv_stimers *t, const struct softhv_stimer_ops *ops, void *ctx, bool direct);
void softhv_stimer_reset(struct softhv_stimers *t);

/* MSRs; n 0 to 3. Writing CONFIG false, with nothing changed: reserved bits, or direct mode not offered (#GP). */
uint64_t softhv_stimer_config(const struct softhv_stimers *t, unsigned n);
uint64_t softhv_stimer_count(const struct softhv_stimers *t, unsigned n);
bool softhv_stimer_set_config(struct softhv_stimers *t, unsigned n, uint64_t config, uint64_t now);
void softhv_stimer_set_count(struct softhv_stimers *t, unsigned n, uint64_t count, uint64_t now);

/* Earliest expiry, or SOFTHV_STIMER_NEVER. Messages that wait for their slot do not count. */
uint64_t softhv_stimer_next(const struct softhv_stimers *t);
/* Expire what is due and try waiting messages again. To be called when `next` is reached, at EOM and at EOI. */
void softhv_stimer_run(struct softhv_stimers *t, uint64_t now);

/*
 * VP state SYNTHETIC_TIMERS. uncertain: "adjustment" is not described; here it is the absolute time of the next expiry
 * of an armed timer, and 0 on loading starts it anew.
 */
void softhv_stimer_save(const struct softhv_stimers *t, struct hv_synthetic_timers_state *out);
/* False, with nothing changed, when a config has reserved bits. */
bool softhv_stimer_load(struct softhv_stimers *t, const struct hv_synthetic_timers_state *in, uint64_t now);

#endif
