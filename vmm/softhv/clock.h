/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Partition time. One quantity advances: the partition's TSC, derived from a counter of the host. Everything else is
 * computed from it, so that nothing can drift apart:
 *
 *     host ticks --ratio--> partition TSC --(tsc * scale >> 64) + offset--> reference counter, 100 ns
 *
 * The second step is the formula of the reference TSC page itself: a guest that computes it from RDTSC gets the very
 * value MSR TIME_REF_COUNT has.
 *
 * Time stands still while it is frozen (property TIME_FREEZE) or suspended (no VP may run): both the TSC and the
 * counter stop and go on where they stopped. uncertain: that the TSC stops too is our choice; it keeps the page valid.
 *
 * Threads: readers on any thread, without a lock. Functions marked "writer" must be called under one lock of the
 * partition. All state hangs from struct softhv_clock.
 */
#ifndef CAISSON_VMM_SOFTHV_CLOCK_H
#define CAISSON_VMM_SOFTHV_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A counter of the host: monotonic, same value on all threads, `hz` ticks a second. */
struct softhv_clock_source {
    uint64_t (*ticks)(void *ctx);
    void *ctx;
    uint64_t hz;
};

/* CLOCK_MONOTONIC in nanoseconds. */
struct softhv_clock_source softhv_clock_monotonic(void);
/*
 * The host's own TSC; hz: its frequency, as softhv_clock_measure_tsc says. Only where the TSC is invariant and
 * synchronised.
 */
struct softhv_clock_source softhv_clock_host_tsc(uint64_t hz);
/*
 * Frequency of the host's TSC, measured against CLOCK_MONOTONIC during `ns` nanoseconds (busy), or 0 when CPUID does
 * not call it invariant.
 */
uint64_t softhv_clock_measure_tsc(uint64_t ns);

#define SOFTHV_CLOCK_MIN_HZ  UINT64_C(20000000) /* of the guest's TSC: the page's scale must fit in 64 bits */
#define SOFTHV_CLOCK_MAX_HZ  UINT64_C(100000000000)
#define SOFTHV_CLOCK_NEVER   UINT64_MAX
#define SOFTHV_CLOCK_REF_HZ  UINT64_C(10000000)  /* the reference counter: 100 ns */
#define SOFTHV_CLOCK_APIC_HZ UINT64_C(200000000) /* what children of the real hypervisor are told */

struct softhv_clock {
    /* Constant after init. */
    struct softhv_clock_source source;
    uint64_t tsc_hz, apic_hz;
    uint64_t ratio_int, ratio_frac; /* guest TSC ticks for each host tick, 64.64 */
    uint64_t scale;                 /* of the reference TSC page */
    /* Guarded by `version`: odd while a writer changes them; readers try again. */
    _Atomic uint32_t version;
    _Atomic bool running;
    _Atomic uint64_t base_host, base_tsc; /* the partition TSC was base_tsc at host tick base_host */
    _Atomic uint64_t ref_offset;          /* two's complement, as in the page */
    _Atomic uint64_t rebased;             /* sum of all jumps of the TSC by softhv_clock_set_tsc */
    /* Writers only. */
    bool frozen, suspended;
    uint32_t page_sequence;
};

/*
 * Start a clock at TSC 0 and reference time 0. It stands still (suspended) until softhv_clock_set_suspended(c, false).
 * source: copied. tsc_hz: the guest's TSC, SOFTHV_CLOCK_MIN_HZ to SOFTHV_CLOCK_MAX_HZ; 0 takes the source's. apic_hz:
 * input clock of the APIC timers; 0 means SOFTHV_CLOCK_APIC_HZ. -EINVAL when a frequency is out of range.
 */
int softhv_clock_init(struct softhv_clock *c, const struct softhv_clock_source *source, uint64_t tsc_hz,
                      uint64_t apic_hz);

/* Property TIME_FREEZE. Writer. */
void softhv_clock_set_frozen(struct softhv_clock *c, bool frozen);
/* Are all VPs explicitly suspended? TLFS: the counter counts as long as one VP is not. Writer. */
void softhv_clock_set_suspended(struct softhv_clock *c, bool suspended);
bool softhv_clock_is_running(const struct softhv_clock *c);

/* Partition TSC, before a VP's own offset. */
uint64_t softhv_clock_tsc(const struct softhv_clock *c);
/* Reference counter, 100 ns: MSR 0x40000020, property REFERENCE_TIME. */
uint64_t softhv_clock_ref(const struct softhv_clock *c);
/* Property REFERENCE_TIME: the counter becomes `ref`, the TSC stays; write the page again. Writer. */
void softhv_clock_set_ref(struct softhv_clock *c, uint64_t ref);
/*
 * The VMM writes a VP's TSC. The whole partition's TSC becomes `tsc`, the counter does not jump; write the page again.
 * A value at most one second behind the present one is taken for a reading given back, or for the same value put on
 * VP after VP, and changes nothing: VPs stay synchronous. Writer. Returns true when something changed.
 * uncertain: on hardware each VP would have an offset of its own, and the reference page would be wrong for it.
 */
bool softhv_clock_set_tsc(struct softhv_clock *c, uint64_t tsc);

/* Nanoseconds that the partition has been running, never set: for timers that count in host-like time. */
uint64_t softhv_clock_ns(const struct softhv_clock *c);

/*
 * Host nanoseconds from now until the partition TSC, the reference counter, softhv_clock_ns() reach `when`: 0 when they
 * have, SOFTHV_CLOCK_NEVER while time stands still; rounded up, so that a wait of that length is long enough. Whoever
 * waits must be woken when a writer changes the clock.
 */
uint64_t softhv_clock_wait_tsc(const struct softhv_clock *c, uint64_t when);
uint64_t softhv_clock_wait_ref(const struct softhv_clock *c, uint64_t when);
uint64_t softhv_clock_wait_ns(const struct softhv_clock *c, uint64_t when);

/*
 * Write the reference TSC page. page: 4096 bytes, 8-byte aligned, shared with running guests; the sequence is 0 while
 * the rest changes, and new and not 0 afterwards. Writer. Source: TLFS, timers, "Reference TSC page mechanism".
 */
void softhv_clock_write_page(struct softhv_clock *c, void *page);

/* ---- One VP's view ---- */

/* Changed by the VP's thread, read by any (deadlines). Zeroed means: no offset. */
struct softhv_vp_tsc {
    _Atomic uint64_t offset; /* added to the partition TSC */
    uint64_t adjust;         /* MSR IA32_TSC_ADJUST; VP's thread */
};

static inline uint64_t softhv_vp_tsc_read(const struct softhv_vp_tsc *v, const struct softhv_clock *c)
{
    return softhv_clock_tsc(c) + atomic_load_explicit(&v->offset, memory_order_relaxed);
}
/* WRMSR by the guest: this VP only; TSC_ADJUST moves with the TSC and the other way round. Source: SDM 3, 18.17.3. */
void softhv_vp_tsc_write(struct softhv_vp_tsc *v, const struct softhv_clock *c, uint64_t tsc);
void softhv_vp_tsc_write_adjust(struct softhv_vp_tsc *v, uint64_t adjust);
/* The same for deadlines in this VP's TSC. */
uint64_t softhv_vp_tsc_wait(const struct softhv_vp_tsc *v, const struct softhv_clock *c, uint64_t when);

#endif
