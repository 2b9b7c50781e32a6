/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The local APIC's timer. Nothing ticks: the state says when a count began, and everything else is computed from the
 * clock when somebody looks. Source: Intel SDM volume 3, 11.5.4.
 */
#include "vmm/softhv/lapic.h"
#include "vmm/softhv/lapic_int.h"

#define NS_PER_S 1000000000u

typedef unsigned __int128 u128;

enum timer_mode { ONE_SHOT, PERIODIC, DEADLINE, RESERVED };

static enum timer_mode mode_of(uint32_t lvt)
{
    return (enum timer_mode)(lvt >> 17 & 3);
}

static enum timer_mode mode(const struct softhv_lapic *l)
{
    return mode_of(l->r.lvt[0]);
}

bool softhv_lapic_timer_is_deadline(const struct softhv_lapic *l)
{
    return mode(l) == DEADLINE;
}

static uint64_t clamp(u128 v)
{
    return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

/* a * b / c; c is not 0. */
static uint64_t scale_down(uint64_t a, uint64_t b, uint64_t c)
{
    return clamp((u128)a * b / c);
}

static uint64_t scale_up(uint64_t a, uint64_t b, uint64_t c)
{
    return clamp(((u128)a * b + (c - 1)) / c);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return clamp((u128)a + b);
}

uint64_t softhv_lapic_timer_ticks(struct softhv_lapic *l)
{
    return scale_down(l->cfg.ops->now_ns(l->cfg.ctx), l->cfg.timer_hz, NS_PER_S);
}

/* 0 to 7 mean 2, 4 ... 128, 1; bit 2 of the register is not part of it. */
static unsigned divide_shift(uint32_t divide)
{
    return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

/* Ticks from the beginning of a count to its end; below 2^39. */
static uint64_t period(const struct softhv_lapic *l)
{
    return (uint64_t)l->r.initial << divide_shift(l->r.divide);
}

/* The same, but no less than the owner allows: then a whole number of periods. */
static uint64_t firing_period(const struct softhv_lapic *l)
{
    uint64_t p = period(l), least = scale_up(l->cfg.min_period_ns, l->cfg.timer_hz, NS_PER_S);
    if (mode(l) != PERIODIC || p == 0 || least <= p)
        return p;
    return clamp((u128)(least / p + (least % p != 0)) * p);
}

/* Modulo 2^64, as a restored count may have begun before time did; a clock that goes backwards seems to stand still. */
static uint64_t elapsed(struct softhv_lapic *l)
{
    uint64_t t = softhv_lapic_timer_ticks(l) - l->r.timer_ticks;
    return t >> 63 == 0 ? t : 0;
}

uint32_t softhv_lapic_timer_count(struct softhv_lapic *l)
{
    uint64_t p = period(l);
    if (!l->r.counting || p == 0)
        return 0;
    uint64_t t = elapsed(l);
    if (t >= p && mode(l) != PERIODIC)
        return 0;
    return l->r.initial - (uint32_t)(t % p >> divide_shift(l->r.divide));
}

void softhv_lapic_timer_start(struct softhv_lapic *l, uint32_t initial, uint32_t count)
{
    uint64_t done = count < initial ? (uint64_t)(initial - count) << divide_shift(l->r.divide) : 0;
    l->r.initial = initial;
    l->r.counting = initial != 0 && count != 0 && mode(l) != DEADLINE;
    l->r.timer_ticks = softhv_lapic_timer_ticks(l) - done;
}

/* The count goes on from where it is, at the new speed. */
void softhv_lapic_timer_set_divide(struct softhv_lapic *l, uint32_t divide)
{
    uint32_t count = softhv_lapic_timer_count(l);
    l->r.divide = divide;
    if (l->r.counting)
        softhv_lapic_timer_start(l, l->r.initial, count);
}

/* Changing to or from TSC-deadline mode disarms (SDM volume 3, 11.5.4.1). */
void softhv_lapic_timer_set_lvt(struct softhv_lapic *l, uint32_t lvt)
{
    enum timer_mode old = mode(l), new = mode_of(lvt);
    if (old != new && (old == DEADLINE || new == DEADLINE)) {
        l->r.counting = 0;
        l->r.initial = 0;
        l->r.tsc_deadline = 0;
    }
    l->r.lvt[0] = lvt;
}

static bool deadline_due(const struct softhv_lapic *l)
{
    return l->r.tsc_deadline != 0 && l->cfg.ops->tsc(l->cfg.ctx) >= l->r.tsc_deadline;
}

static bool sync_deadline(struct softhv_lapic *l)
{
    bool due = deadline_due(l);
    if (due)
        l->r.tsc_deadline = 0;
    return due;
}

static bool sync_count(struct softhv_lapic *l)
{
    if (!l->r.counting || mode(l) == RESERVED)
        return false;
    uint64_t t = elapsed(l), p = period(l);
    if (t < firing_period(l))
        return false;
    if (mode(l) == PERIODIC)
        l->r.timer_ticks += t / p * p; /* p > 0: counting */
    else
        l->r.counting = 0;
    return true;
}

/* Several periods that passed unseen are one interrupt, as on hardware whose IRR bit was still set. */
void softhv_lapic_timer_sync(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    if (!(mode(l) == DEADLINE ? sync_deadline(l) : sync_count(l)))
        return;
    softhv_lapic_fire_lvt(l, 0, 0, a);
    a->timer = true;
}

static uint64_t deadline_expiry(const struct softhv_lapic *l)
{
    if (l->r.tsc_deadline == 0)
        return SOFTHV_LAPIC_NEVER;
    uint64_t now = l->cfg.ops->now_ns(l->cfg.ctx), tsc = l->cfg.ops->tsc(l->cfg.ctx);
    if (tsc >= l->r.tsc_deadline)
        return now;
    return add(now, scale_up(l->r.tsc_deadline - tsc, NS_PER_S, l->cfg.tsc_hz));
}

/* A masked timer needs nobody to look: it is computed when it is read. */
uint64_t softhv_lapic_timer_expiry(struct softhv_lapic *l)
{
    if (l->r.lvt[0] & SOFTHV_LAPIC_LVT_MASKED)
        return SOFTHV_LAPIC_NEVER;
    if (mode(l) == DEADLINE)
        return deadline_expiry(l);
    if (!l->r.counting || mode(l) == RESERVED)
        return SOFTHV_LAPIC_NEVER;
    uint64_t t = elapsed(l), end = firing_period(l);
    uint64_t rest = end > t ? end - t : 0;
    return scale_up(add(softhv_lapic_timer_ticks(l), rest), NS_PER_S, l->cfg.timer_hz);
}

uint64_t softhv_lapic_expiry(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    uint64_t expiry = softhv_lapic_timer_expiry(l);
    softhv_lapic_unlock(l, &a);
    return expiry;
}
