/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the local APIC, by nobody else. All functions here expect l->lock unless they say otherwise.
 */
#ifndef CAISSON_VMM_SOFTHV_LAPIC_INT_H
#define CAISSON_VMM_SOFTHV_LAPIC_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/softhv/lapic.h"

struct softhv_lapic {
    struct softhv_lapic_config cfg; /* const after softhv_lapic_new */
    pthread_mutex_t lock;
    struct softhv_lapic_regs r; /* lock */
    bool lazy;                  /* lock: "no EOI required" is offered for the highest vector in service */
    _Atomic uint64_t route;     /* softhv_lapic_route; stored under lock, read without */
    _Atomic uint64_t page_gpa;  /* of the xAPIC page, or SOFTHV_LAPIC_NEVER; likewise */
};

/*
 * What remains to be done when the lock is released. Made zero by softhv_lapic_lock, done by softhv_lapic_unlock.
 */
struct softhv_lapic_after {
    unsigned wake;    /* SOFTHV_LAPIC_WAKE_* */
    bool look;        /* something may have become deliverable */
    bool timer;       /* the expiry may have changed */
    bool withdraw;    /* the offer in the assist page is void */
    bool eoi, level;  /* report the end of eoi_vector */
    bool ipi, x2apic; /* send icr */
    uint8_t eoi_vector;
    uint64_t icr;
};

/* Without the lock: take it; release it and run the hooks that a says. */
void softhv_lapic_lock(struct softhv_lapic *l, struct softhv_lapic_after *a);
void softhv_lapic_unlock(struct softhv_lapic *l, const struct softhv_lapic_after *a);

static inline enum softhv_lapic_mode softhv_lapic_mode_of(uint64_t base)
{
    return (enum softhv_lapic_mode)(base >> 10 & 3);
}

static inline enum softhv_lapic_mode softhv_lapic_mode_now(const struct softhv_lapic *l)
{
    return softhv_lapic_mode_of(l->r.base);
}

static inline bool softhv_lapic_enabled(const struct softhv_lapic *l)
{
    return (l->r.svr & SOFTHV_LAPIC_SVR_ENABLE) != 0;
}

static inline bool softhv_lapic_bit(const uint32_t bits[8], unsigned n)
{
    return (bits[n / 32] >> (n % 32) & 1) != 0;
}

static inline void softhv_lapic_put_bit(uint32_t bits[8], unsigned n, bool on)
{
    uint32_t mask = 1u << (n % 32);
    bits[n / 32] = on ? bits[n / 32] | mask : bits[n / 32] & ~mask;
}

/* lapic.c */
void softhv_lapic_publish(struct softhv_lapic *l); /* mode, id, LDR, DFR, SVR changed */
/* Registers as after INIT; base, id, events stay. */
void softhv_lapic_clear(struct softhv_lapic *l, struct softhv_lapic_after *a);
void softhv_lapic_raise(struct softhv_lapic *l, uint8_t vector, bool level, struct softhv_lapic_after *a);
bool softhv_lapic_fire_lvt(struct softhv_lapic *l, unsigned n, uint8_t extint, struct softhv_lapic_after *a);
void softhv_lapic_error(struct softhv_lapic *l, uint32_t bit, struct softhv_lapic_after *a);
void softhv_lapic_complete(struct softhv_lapic *l, struct softhv_lapic_after *a);
uint8_t softhv_lapic_ppr(const struct softhv_lapic *l);
uint8_t softhv_lapic_apr(const struct softhv_lapic *l);
/* Without the lock. VP: an EOI the guest left in the assist page becomes one, an offer ends. */
void softhv_lapic_settle(struct softhv_lapic *l);

/* lapic_timer.c */
void softhv_lapic_timer_sync(struct softhv_lapic *l, struct softhv_lapic_after *a);
uint64_t softhv_lapic_timer_expiry(struct softhv_lapic *l);
uint32_t softhv_lapic_timer_count(struct softhv_lapic *l);
uint64_t softhv_lapic_timer_ticks(struct softhv_lapic *l); /* now */
void softhv_lapic_timer_start(struct softhv_lapic *l, uint32_t initial, uint32_t count);
void softhv_lapic_timer_set_divide(struct softhv_lapic *l, uint32_t divide);
void softhv_lapic_timer_set_lvt(struct softhv_lapic *l, uint32_t lvt);
bool softhv_lapic_timer_is_deadline(const struct softhv_lapic *l);

/* lapic_reg.c */
bool softhv_lapic_base_valid(const struct softhv_lapic *l, uint64_t base);
void softhv_lapic_put_base(struct softhv_lapic *l, uint64_t base, struct softhv_lapic_after *a);
uint32_t softhv_lapic_load(struct softhv_lapic *l, unsigned index); /* any register but ICR as 32 bits */
uint32_t softhv_lapic_lvt_bits(const struct softhv_lapic *l, unsigned n);
uint32_t softhv_lapic_svr_bits(const struct softhv_lapic *l);
void softhv_lapic_put_lvt(struct softhv_lapic *l, unsigned n, uint32_t value);
void softhv_lapic_put_svr(struct softhv_lapic *l, uint32_t value);

#define SOFTHV_LAPIC_LVT_FIRST   SOFTHV_LAPIC_LVT_TIMER
#define SOFTHV_LAPIC_DIVIDE_BITS 0x0bu
#define SOFTHV_LAPIC_ICR_BITS    0xccfffu /* without the delivery status, bit 12 */
#define SOFTHV_LAPIC_ICR_STATUS  0x1000u
#define SOFTHV_LAPIC_DFR_ONES    0x0fffffffu

#endif
