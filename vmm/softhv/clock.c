/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Partition time. Source: TLFS, timers.
 */
#include "vmm/softhv/clock.h"

#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <x86intrin.h>

#define NS_PER_S UINT64_C(1000000000)

typedef unsigned __int128 u128;

static uint64_t mul_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((u128)a * b >> 64);
}

/* a * b / d, SOFTHV_CLOCK_NEVER when it does not fit; rounded up. */
static uint64_t mul_div_up(uint64_t a, uint64_t b, uint64_t d)
{
    u128 q = ((u128)a * b + (d - 1)) / d;
    return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

/* ---- Sources ---- */

static uint64_t monotonic_ticks(void *ctx)
{
    (void)ctx;
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t host_tsc_ticks(void *ctx)
{
    (void)ctx;
    /* Neither before nor behind its place: readers and writers of the clock depend on the order. */
    _mm_lfence();
    uint64_t tsc = __rdtsc();
    _mm_lfence();
    return tsc;
}

struct softhv_clock_source softhv_clock_monotonic(void)
{
    return (struct softhv_clock_source){.ticks = monotonic_ticks, .hz = NS_PER_S};
}

struct softhv_clock_source softhv_clock_host_tsc(uint64_t hz)
{
    return (struct softhv_clock_source){.ticks = host_tsc_ticks, .hz = hz};
}

static bool host_tsc_is_invariant(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0;
}

uint64_t softhv_clock_measure_tsc(uint64_t ns)
{
    uint64_t t0, t1, c0, c1;
    if (!host_tsc_is_invariant() || ns == 0)
        return 0;
    t0 = monotonic_ticks(NULL);
    c0 = __rdtsc();
    do {
        t1 = monotonic_ticks(NULL);
        c1 = __rdtsc();
    } while (t1 - t0 < ns);
    return (uint64_t)((u128)(c1 - c0) * NS_PER_S / (t1 - t0));
}

/* ---- Readers ---- */

/* A consistent copy of what writers change, and the host's time when it was true. */
struct snapshot {
    bool running;
    uint64_t base_host, base_tsc, ref_offset, rebased;
    uint64_t host; /* only when running */
};

static void snapshot_load(const struct softhv_clock *c, struct snapshot *s)
{
    s->running = atomic_load_explicit(&c->running, memory_order_relaxed);
    s->base_host = atomic_load_explicit(&c->base_host, memory_order_relaxed);
    s->base_tsc = atomic_load_explicit(&c->base_tsc, memory_order_relaxed);
    s->ref_offset = atomic_load_explicit(&c->ref_offset, memory_order_relaxed);
    s->rebased = atomic_load_explicit(&c->rebased, memory_order_relaxed);
    s->host = s->running ? c->source.ticks(c->source.ctx) : 0;
}

/* The host's time is read inside: nobody sees a later time than that at which a writer then stops the clock. */
static void snapshot_take(const struct softhv_clock *c, struct snapshot *s)
{
    uint32_t before, after;
    do {
        before = atomic_load_explicit(&c->version, memory_order_acquire);
        snapshot_load(c, s);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&c->version, memory_order_relaxed);
    } while (before != after || (before & 1) != 0);
}

static uint64_t ticks_to_tsc(const struct softhv_clock *c, uint64_t ticks)
{
    return ticks * c->ratio_int + mul_high(ticks, c->ratio_frac);
}

static uint64_t tsc_at(const struct softhv_clock *c, const struct snapshot *s)
{
    /* A host whose counters differ a little between processors must not turn time back by 2^64. */
    if (!s->running || s->host <= s->base_host)
        return s->base_tsc;
    return s->base_tsc + ticks_to_tsc(c, s->host - s->base_host);
}

static uint64_t ref_at(const struct softhv_clock *c, const struct snapshot *s)
{
    return mul_high(tsc_at(c, s), c->scale) + s->ref_offset;
}

bool softhv_clock_is_running(const struct softhv_clock *c)
{
    return atomic_load_explicit(&c->running, memory_order_acquire);
}

uint64_t softhv_clock_tsc(const struct softhv_clock *c)
{
    struct snapshot s;
    snapshot_take(c, &s);
    return tsc_at(c, &s);
}

uint64_t softhv_clock_ref(const struct softhv_clock *c)
{
    struct snapshot s;
    snapshot_take(c, &s);
    return ref_at(c, &s);
}

/* TSC ticks that the partition has run. */
static uint64_t elapsed(const struct softhv_clock *c, const struct snapshot *s)
{
    return tsc_at(c, s) - s->rebased;
}

uint64_t softhv_clock_ns(const struct softhv_clock *c)
{
    struct snapshot s;
    snapshot_take(c, &s);
    return (uint64_t)((u128)elapsed(c, &s) * NS_PER_S / c->tsc_hz);
}

/* ---- Waits ---- */

/* Host time for so many ticks of the guest's TSC. */
static uint64_t wait_ticks(const struct softhv_clock *c, const struct snapshot *s, uint64_t tsc_ticks)
{
    if (tsc_ticks == 0)
        return 0;
    return s->running ? mul_div_up(tsc_ticks, NS_PER_S, c->tsc_hz) : SOFTHV_CLOCK_NEVER;
}

uint64_t softhv_clock_wait_tsc(const struct softhv_clock *c, uint64_t when)
{
    struct snapshot s;
    snapshot_take(c, &s);
    uint64_t now = tsc_at(c, &s);
    return wait_ticks(c, &s, when > now ? when - now : 0);
}

uint64_t softhv_clock_wait_ref(const struct softhv_clock *c, uint64_t when)
{
    struct snapshot s;
    snapshot_take(c, &s);
    uint64_t now = ref_at(c, &s);
    uint64_t ticks = when > now ? mul_div_up(when - now, c->tsc_hz, SOFTHV_CLOCK_REF_HZ) : 0;
    return wait_ticks(c, &s, ticks);
}

uint64_t softhv_clock_wait_ns(const struct softhv_clock *c, uint64_t when)
{
    struct snapshot s;
    snapshot_take(c, &s);
    uint64_t now = (uint64_t)((u128)elapsed(c, &s) * NS_PER_S / c->tsc_hz);
    if (when <= now)
        return 0;
    return s.running ? when - now : SOFTHV_CLOCK_NEVER;
}

/* ---- Writers ---- */

/* From here on readers wait; then look at the time. */
static void write_begin(struct softhv_clock *c, struct snapshot *s)
{
    uint32_t v = atomic_load_explicit(&c->version, memory_order_relaxed);
    atomic_store_explicit(&c->version, v + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    snapshot_load(c, s);
}

static void write_end(struct softhv_clock *c)
{
    uint32_t v = atomic_load_explicit(&c->version, memory_order_relaxed);
    atomic_store_explicit(&c->version, v + 1, memory_order_release);
}

/* Move the base to now and run or stand still from there. */
static void settle(struct softhv_clock *c)
{
    struct snapshot s;
    bool run = !c->frozen && !c->suspended;
    if (run == atomic_load_explicit(&c->running, memory_order_relaxed))
        return;
    write_begin(c, &s);
    uint64_t host = run ? c->source.ticks(c->source.ctx) : s.host;
    atomic_store_explicit(&c->base_tsc, tsc_at(c, &s), memory_order_relaxed);
    atomic_store_explicit(&c->base_host, host, memory_order_relaxed);
    atomic_store_explicit(&c->running, run, memory_order_relaxed);
    write_end(c);
}

int softhv_clock_init(struct softhv_clock *c, const struct softhv_clock_source *source, uint64_t tsc_hz,
                      uint64_t apic_hz)
{
    tsc_hz = tsc_hz != 0 ? tsc_hz : source->hz;
    if (source->hz == 0 || tsc_hz < SOFTHV_CLOCK_MIN_HZ || tsc_hz > SOFTHV_CLOCK_MAX_HZ)
        return -EINVAL;
    *c = (struct softhv_clock){.source = *source, .tsc_hz = tsc_hz, .suspended = true};
    c->apic_hz = apic_hz != 0 ? apic_hz : SOFTHV_CLOCK_APIC_HZ;
    c->ratio_int = tsc_hz / source->hz;
    /* Rounded up, both: after a wait that was rounded up the time has come, not one tick before. */
    c->ratio_frac = (uint64_t)((((u128)(tsc_hz % source->hz) << 64) + source->hz - 1) / source->hz);
    c->scale = (uint64_t)((((u128)SOFTHV_CLOCK_REF_HZ << 64) + tsc_hz - 1) / tsc_hz);
    return 0;
}

void softhv_clock_set_frozen(struct softhv_clock *c, bool frozen)
{
    c->frozen = frozen;
    settle(c);
}

void softhv_clock_set_suspended(struct softhv_clock *c, bool suspended)
{
    c->suspended = suspended;
    settle(c);
}

void softhv_clock_set_ref(struct softhv_clock *c, uint64_t ref)
{
    struct snapshot s;
    write_begin(c, &s);
    atomic_store_explicit(&c->ref_offset, ref - mul_high(tsc_at(c, &s), c->scale), memory_order_relaxed);
    write_end(c);
}

/* The base moves by as much as the TSC does, the offset the other way. */
static void jump(struct softhv_clock *c, const struct snapshot *s, uint64_t now, uint64_t tsc)
{
    uint64_t offset = mul_high(now, c->scale) + s->ref_offset - mul_high(tsc, c->scale);
    atomic_store_explicit(&c->base_tsc, s->base_tsc + (tsc - now), memory_order_relaxed);
    atomic_store_explicit(&c->ref_offset, offset, memory_order_relaxed);
    atomic_store_explicit(&c->rebased, s->rebased + (tsc - now), memory_order_relaxed);
}

bool softhv_clock_set_tsc(struct softhv_clock *c, uint64_t tsc)
{
    struct snapshot s;
    write_begin(c, &s);
    uint64_t now = tsc_at(c, &s);
    bool moves = tsc > now || now - tsc > c->tsc_hz;
    if (moves)
        jump(c, &s, now, tsc);
    write_end(c);
    return moves;
}

/* ---- The page ---- */

struct tsc_page {
    uint32_t sequence, reserved;
    uint64_t scale, offset;
};

void softhv_clock_write_page(struct softhv_clock *c, void *page)
{
    struct tsc_page *p = page;
    uint64_t offset = atomic_load_explicit(&c->ref_offset, memory_order_relaxed);
    __atomic_store_n(&p->sequence, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&p->scale, c->scale, __ATOMIC_RELEASE);
    __atomic_store_n(&p->offset, offset, __ATOMIC_RELEASE);
    /* 0xffffffff also meant "invalid" in early versions of the specification. */
    c->page_sequence = c->page_sequence >= UINT32_MAX - 1 ? 1 : c->page_sequence + 1;
    __atomic_store_n(&p->sequence, c->page_sequence, __ATOMIC_RELEASE);
}

/* ---- One VP's view ---- */

void softhv_vp_tsc_write(struct softhv_vp_tsc *v, const struct softhv_clock *c, uint64_t tsc)
{
    uint64_t jump = tsc - softhv_vp_tsc_read(v, c);
    v->offset += jump;
    v->adjust += jump;
}

void softhv_vp_tsc_write_adjust(struct softhv_vp_tsc *v, uint64_t adjust)
{
    v->offset += adjust - v->adjust;
    v->adjust = adjust;
}

uint64_t softhv_vp_tsc_wait(const struct softhv_vp_tsc *v, const struct softhv_clock *c, uint64_t when)
{
    uint64_t tsc = softhv_clock_tsc(c);
    uint64_t now = tsc + atomic_load_explicit(&v->offset, memory_order_relaxed);
    if (when <= now)
        return 0;
    return softhv_clock_wait_tsc(c, when - now > UINT64_MAX - tsc ? UINT64_MAX : tsc + (when - now));
}
