/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Local APIC: life, acceptance, priorities, acknowledgement, EOI, INIT and SIPI. Registers: lapic_reg.c.
 */
#include "vmm/softhv/lapic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/softhv/lapic_int.h"

#define FIRST_VECTOR 16u

enum { LVT_THERMAL = 1, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR };

/* ---- Lock, and what follows when it is released ---- */

void softhv_lapic_lock(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    memset(a, 0, sizeof(*a));
    pthread_mutex_lock(&l->lock);
}

static int highest(const uint32_t bits[8])
{
    for (int i = 7; i >= 0; i--)
        if (bits[i] != 0)
            return i * 32 + 31 - __builtin_clz(bits[i]);
    return -1;
}

/* The vector that softhv_lapic_ack would take from IRR, or -1. */
static int deliverable(const struct softhv_lapic *l)
{
    int v = softhv_lapic_mode_now(l) == SOFTHV_LAPIC_OFF ? -1 : highest(l->r.irr);
    return v >= 0 && (v >> 4) > (softhv_lapic_ppr(l) >> 4) ? v : -1;
}

static bool interrupt_open(const struct softhv_lapic *l)
{
    return l->r.extint || deliverable(l) >= 0;
}

void softhv_lapic_unlock(struct softhv_lapic *l, const struct softhv_lapic_after *a)
{
    const struct softhv_lapic_ops *ops = l->cfg.ops;
    unsigned wake = a->wake | (a->look && interrupt_open(l) ? SOFTHV_LAPIC_WAKE_INTR : 0);
    uint64_t expiry = a->timer && ops->timer != NULL ? softhv_lapic_timer_expiry(l) : 0;
    pthread_mutex_unlock(&l->lock);
    if (a->withdraw)
        (void)ops->lazy_withdraw(l->cfg.ctx);
    if (a->eoi && ops->eoi != NULL)
        ops->eoi(l->cfg.ctx, a->eoi_vector, a->level);
    if (a->timer && ops->timer != NULL)
        ops->timer(l->cfg.ctx, expiry);
    if (wake != 0)
        ops->wake(l->cfg.ctx, wake);
    if (a->ipi)
        softhv_apic_bus_ipi(l->cfg.bus, l, a->icr, a->x2apic);
}

/* ---- Life ---- */

void softhv_lapic_publish(struct softhv_lapic *l)
{
    const struct softhv_lapic_regs *r = &l->r;
    enum softhv_lapic_mode mode = softhv_lapic_mode_now(l);
    uint64_t route = r->id | (uint64_t)(r->ldr >> 24) << SOFTHV_LAPIC_ROUTE_LDR |
                     (uint64_t)(r->dfr >> 28) << SOFTHV_LAPIC_ROUTE_MODEL | (uint64_t)mode << SOFTHV_LAPIC_ROUTE_MODE |
                     (uint64_t)softhv_lapic_enabled(l) << SOFTHV_LAPIC_ROUTE_ENABLED;
    atomic_store_explicit(&l->route, route, memory_order_release);
    uint64_t page = mode == SOFTHV_LAPIC_XAPIC ? r->base & ~(uint64_t)0xfff : SOFTHV_LAPIC_NEVER;
    atomic_store_explicit(&l->page_gpa, page, memory_order_release);
}

uint64_t softhv_lapic_route(const struct softhv_lapic *l)
{
    return atomic_load_explicit(&l->route, memory_order_acquire);
}

bool softhv_lapic_claims(const struct softhv_lapic *l, uint64_t page_gpa)
{
    return atomic_load_explicit(&l->page_gpa, memory_order_acquire) == page_gpa;
}

/* SDM volume 3, 11.4.7.1 and 11.4.7.3: base, mode, id, events and what the hypervisor keeps beside are not touched. */
void softhv_lapic_clear(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    struct softhv_lapic_regs fresh = {.base = l->r.base,
                                      .id = l->r.id,
                                      .dfr = 0xffffffffu,
                                      .svr = 0xffu,
                                      .events = l->r.events,
                                      .sipi_vector = l->r.sipi_vector,
                                      .waiting = l->r.waiting,
                                      .extint = l->r.extint,
                                      .extint_vector = l->r.extint_vector};
    for (unsigned i = 0; i < SOFTHV_LAPIC_LVTS; i++)
        fresh.lvt[i] = SOFTHV_LAPIC_LVT_MASKED;
    memcpy(fresh.auto_eoi, l->r.auto_eoi, sizeof(fresh.auto_eoi));
    l->r = fresh;
    a->withdraw |= l->lazy;
    l->lazy = false;
    softhv_lapic_publish(l);
}

static void power_on(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    l->r.base = SOFTHV_LAPIC_BASE_RESET | SOFTHV_LAPIC_BASE_ENABLE | (l->cfg.bsp ? SOFTHV_LAPIC_BASE_BSP : 0);
    l->r.events = 0;
    l->r.extint = 0;
    l->r.waiting = !l->cfg.bsp;
    softhv_lapic_clear(l, a);
}

static bool config_usable(const struct softhv_lapic_config *cfg)
{
    const struct softhv_lapic_ops *ops = cfg->ops;
    return ops != NULL && cfg->bus != NULL && ops->now_ns != NULL && ops->wake != NULL && cfg->timer_hz != 0 &&
           (!cfg->tsc_deadline || (ops->tsc != NULL && cfg->tsc_hz != 0)) && cfg->phys_bits >= 32 &&
           cfg->phys_bits <= 52 && (ops->lazy_offer == NULL) == (ops->lazy_withdraw == NULL);
}

struct softhv_lapic *softhv_lapic_new(const struct softhv_lapic_config *cfg)
{
    struct softhv_lapic *l = config_usable(cfg) ? calloc(1, sizeof(*l)) : NULL;
    if (l == NULL)
        return NULL;
    l->cfg = *cfg;
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        free(l);
        return NULL;
    }
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    l->r.id = cfg->id;
    power_on(l, &a);
    softhv_lapic_unlock(l, &a);
    return l;
}

void softhv_lapic_free(struct softhv_lapic *l)
{
    if (l == NULL)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void softhv_lapic_reset(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    power_on(l, &a);
    a.timer = true;
    softhv_lapic_unlock(l, &a);
}

void softhv_lapic_set_id(struct softhv_lapic *l, uint32_t id)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    l->r.id = id;
    softhv_lapic_publish(l);
    softhv_lapic_unlock(l, &a);
}

uint32_t softhv_lapic_id(const struct softhv_lapic *l)
{
    return (uint32_t)softhv_lapic_route(l);
}

/* ---- Priorities ---- */

/* SDM volume 3, 11.8.3.1. With equal classes the sub-class is TPR's, which the manual allows. */
uint8_t softhv_lapic_ppr(const struct softhv_lapic *l)
{
    int in_service = highest(l->r.isr);
    uint32_t service = in_service < 0 ? 0 : (uint32_t)in_service;
    return (uint8_t)(l->r.tpr >> 4 >= service >> 4 ? l->r.tpr : service & 0xf0u);
}

/* AMD APM volume 2, 16.6.3. */
uint8_t softhv_lapic_apr(const struct softhv_lapic *l)
{
    int v = highest(l->r.isr), w = highest(l->r.irr);
    uint32_t service = v < 0 ? 0 : (uint32_t)v & 0xf0u, requested = w < 0 ? 0 : (uint32_t)w & 0xf0u;
    uint32_t task = l->r.tpr & 0xf0u;
    if (task >= requested && task > service)
        return (uint8_t)l->r.tpr;
    uint32_t most = task > requested ? task : requested;
    return (uint8_t)(most > service ? most : service);
}

uint8_t softhv_lapic_arbitration(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    uint8_t priority = softhv_lapic_apr(l);
    softhv_lapic_unlock(l, &a);
    return priority;
}

/* ---- Acceptance ---- */

/* A fixed interrupt into IRR; the local APIC is on and the vector legal. */
static void request(struct softhv_lapic *l, uint8_t vector, bool level, struct softhv_lapic_after *a)
{
    softhv_lapic_put_bit(l->r.irr, vector, true);
    softhv_lapic_put_bit(l->r.tmr, vector, level);
    a->look = true;
    a->wake |= SOFTHV_LAPIC_WAKE_REQUEST;
    /* What is in service may be complete already, by the assist page: only the VP can find out. */
    if (l->lazy)
        a->wake |= SOFTHV_LAPIC_WAKE_INTR;
}

void softhv_lapic_error(struct softhv_lapic *l, uint32_t bit, struct softhv_lapic_after *a)
{
    bool news = (l->r.esr_next & bit) == 0;
    l->r.esr_next |= bit;
    uint32_t lvt = l->r.lvt[LVT_ERROR];
    if (!news || (lvt & SOFTHV_LAPIC_LVT_MASKED))
        return;
    if ((lvt & 0xff) >= FIRST_VECTOR)
        request(l, (uint8_t)lvt, false, a);
    else
        l->r.esr_next |= SOFTHV_LAPIC_ESR_RECV_VECTOR;
}

void softhv_lapic_raise(struct softhv_lapic *l, uint8_t vector, bool level, struct softhv_lapic_after *a)
{
    if (vector >= FIRST_VECTOR)
        request(l, vector, level, a);
    else
        softhv_lapic_error(l, SOFTHV_LAPIC_ESR_RECV_VECTOR, a);
}

static void post_extint(struct softhv_lapic *l, uint8_t vector, struct softhv_lapic_after *a)
{
    l->r.extint = 1;
    l->r.extint_vector = vector;
    a->look = true;
}

static void post_event(struct softhv_lapic *l, unsigned event, struct softhv_lapic_after *a)
{
    l->r.events |= (uint8_t)event;
    a->wake |= SOFTHV_LAPIC_WAKE_EVENT;
}

static bool starting(const struct softhv_lapic *l)
{
    return l->r.waiting || (l->r.events & SOFTHV_LAPIC_EV_INIT) != 0;
}

/* INIT takes NMI and SIPI that came before it along; of several SIPIs the first counts, as it would have started. */
static void post_init(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    l->r.events = 0;
    post_event(l, SOFTHV_LAPIC_EV_INIT, a);
}

static void post_sipi(struct softhv_lapic *l, uint8_t vector, struct softhv_lapic_after *a)
{
    if (!starting(l) || (l->r.events & SOFTHV_LAPIC_EV_SIPI))
        return;
    l->r.sipi_vector = vector;
    post_event(l, SOFTHV_LAPIC_EV_SIPI, a);
}

/* A processor that waits for a SIPI does not remember NMIs; it could not handle one in its first instruction. */
static void post_nmi(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    if (!starting(l))
        post_event(l, SOFTHV_LAPIC_EV_NMI, a);
}

/* LINT0 alone knows level-triggered fixed interrupts (SDM volume 3, 11.5.1, trigger mode). */
static bool fire_fixed(struct softhv_lapic *l, unsigned n, struct softhv_lapic_after *a)
{
    bool level = n == LVT_LINT0 && (l->r.lvt[n] & SOFTHV_LAPIC_LVT_LEVEL);
    if (level && (l->r.lvt[n] & SOFTHV_LAPIC_LVT_REMOTE_IRR))
        return false;
    uint8_t vector = (uint8_t)l->r.lvt[n];
    if (level && vector >= FIRST_VECTOR)
        l->r.lvt[n] |= SOFTHV_LAPIC_LVT_REMOTE_IRR;
    softhv_lapic_raise(l, vector, level, a);
    return vector >= FIRST_VECTOR;
}

/* Timer and error have no delivery mode: theirs reads 0, fixed. */
bool softhv_lapic_fire_lvt(struct softhv_lapic *l, unsigned n, uint8_t extint, struct softhv_lapic_after *a)
{
    uint32_t lvt = l->r.lvt[n];
    if (lvt & SOFTHV_LAPIC_LVT_MASKED)
        return false;
    switch (lvt >> 8 & 7) {
    case SOFTHV_APIC_FIXED: return fire_fixed(l, n, a);
    case SOFTHV_APIC_NMI: post_nmi(l, a); return true;
    case SOFTHV_APIC_INIT: post_init(l, a); return true;
    case SOFTHV_APIC_EXTINT: post_extint(l, extint, a); return true;
    case SOFTHV_APIC_SMI: return true;
    default: return false; /* reserved encodings */
    }
}

/* With the local APIC off its pins are the processor's INTR and NMI (SDM volume 3, 11.4.3). */
static bool accept_pin(struct softhv_lapic *l, unsigned n, uint8_t vector, struct softhv_lapic_after *a)
{
    if (softhv_lapic_mode_now(l) != SOFTHV_LAPIC_OFF)
        return softhv_lapic_fire_lvt(l, n, vector, a);
    if (n == LVT_LINT0)
        post_extint(l, vector, a);
    else
        post_nmi(l, a);
    return true;
}

static bool accept_fixed(struct softhv_lapic *l, uint8_t vector, bool level, struct softhv_lapic_after *a)
{
    if (!softhv_lapic_enabled(l))
        return false;
    softhv_lapic_raise(l, vector, level, a);
    return vector >= FIRST_VECTOR;
}

/* Software-disabled, a local APIC still takes INIT, NMI, SMI and SIPI (SDM volume 3, 11.4.7.2). */
static bool accept_on(struct softhv_lapic *l, unsigned type, uint8_t vector, bool level, struct softhv_lapic_after *a)
{
    switch (type) {
    case SOFTHV_APIC_FIXED:
    case SOFTHV_APIC_LOWEST: return accept_fixed(l, vector, level, a);
    case SOFTHV_APIC_SMI: return true;
    case SOFTHV_APIC_NMI: post_nmi(l, a); return true;
    case SOFTHV_APIC_INIT: post_init(l, a); return true;
    case SOFTHV_APIC_SIPI: post_sipi(l, vector, a); return true;
    default: return false;
    }
}

static bool accept(struct softhv_lapic *l, unsigned type, uint8_t vector, bool level, struct softhv_lapic_after *a)
{
    if (type == SOFTHV_APIC_LINT0 || type == SOFTHV_APIC_LINT1)
        return accept_pin(l, type == SOFTHV_APIC_LINT0 ? LVT_LINT0 : LVT_LINT1, vector, a);
    if (type == SOFTHV_APIC_EXTINT) {
        post_extint(l, vector, a);
        return true;
    }
    return softhv_lapic_mode_now(l) != SOFTHV_LAPIC_OFF && accept_on(l, type, vector, level, a);
}

bool softhv_lapic_accept(struct softhv_lapic *l, unsigned type, uint8_t vector, bool level)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    bool accepted = accept(l, type, vector, level, &a);
    softhv_lapic_unlock(l, &a);
    return accepted;
}

void softhv_lapic_clear_extint(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    l->r.extint = 0;
    softhv_lapic_unlock(l, &a);
}

void softhv_lapic_fire(struct softhv_lapic *l, enum softhv_lapic_reg lvt)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    if (lvt == SOFTHV_LAPIC_LVT_THERMAL)
        softhv_lapic_fire_lvt(l, LVT_THERMAL, 0, &a);
    if (lvt == SOFTHV_LAPIC_LVT_PERF) {
        softhv_lapic_fire_lvt(l, LVT_PERF, 0, &a);
        l->r.lvt[LVT_PERF] |= SOFTHV_LAPIC_LVT_MASKED;
    }
    softhv_lapic_unlock(l, &a);
}

void softhv_lapic_poll(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    softhv_lapic_unlock(l, &a);
}

/* ---- EOI ---- */

/* Remote IRR of LINT0 falls when its level-triggered interrupt is completed. */
static void end_pin(struct softhv_lapic *l, unsigned vector)
{
    uint32_t *lvt = &l->r.lvt[LVT_LINT0];
    if ((*lvt & 0xff) == vector)
        *lvt &= ~SOFTHV_LAPIC_LVT_REMOTE_IRR;
}

void softhv_lapic_complete(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    int vector = highest(l->r.isr);
    if (vector < 0)
        return;
    softhv_lapic_put_bit(l->r.isr, (unsigned)vector, false);
    bool level = softhv_lapic_bit(l->r.tmr, (unsigned)vector);
    if (level)
        end_pin(l, (unsigned)vector);
    a->eoi = true;
    a->eoi_vector = (uint8_t)vector;
    a->level = level && !(l->r.svr & SOFTHV_LAPIC_SVR_NO_BROADCAST);
    a->look = true;
}

void softhv_lapic_settle(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    if (l->cfg.ops->lazy_withdraw == NULL)
        return;
    softhv_lapic_lock(l, &a);
    bool offered = l->lazy;
    l->lazy = false;
    softhv_lapic_unlock(l, &a);
    if (!offered || !l->cfg.ops->lazy_withdraw(l->cfg.ctx))
        return;
    softhv_lapic_lock(l, &a);
    softhv_lapic_complete(l, &a);
    softhv_lapic_unlock(l, &a);
}

void softhv_lapic_eoi(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    softhv_lapic_complete(l, &a);
    softhv_lapic_unlock(l, &a);
}

void softhv_lapic_set_auto_eoi(struct softhv_lapic *l, uint8_t vector, bool on)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    softhv_lapic_put_bit(l->r.auto_eoi, vector, on);
    softhv_lapic_unlock(l, &a);
}

/* ---- Acknowledgement ---- */

/* Move the deliverable vector from IRR to ISR. */
static int take_fixed(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    int v = deliverable(l);
    if (v < 0)
        return -1;
    softhv_lapic_put_bit(l->r.irr, (unsigned)v, false);
    if (softhv_lapic_bit(l->r.auto_eoi, (unsigned)v)) {
        a->eoi = true;
        a->eoi_vector = (uint8_t)v;
        a->look = true;
    } else {
        softhv_lapic_put_bit(l->r.isr, (unsigned)v, true);
    }
    return v;
}

static int take_vector(struct softhv_lapic *l, struct softhv_lapic_after *a)
{
    if (!l->r.extint)
        return take_fixed(l, a);
    l->r.extint = 0;
    a->look = true;
    return l->r.extint_vector;
}

/* The guest may skip the EOI of an edge-triggered interrupt when nothing waits for it: TLFS, virtual interrupts. */
static bool lazy_possible(const struct softhv_lapic *l, int vector)
{
    return vector >= 0 && l->cfg.ops->lazy_offer != NULL && highest(l->r.isr) == vector && highest(l->r.irr) < 0 &&
           !softhv_lapic_bit(l->r.tmr, (unsigned)vector);
}

static void cancel_lazy(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    l->lazy = false;
    a.look = true;
    softhv_lapic_unlock(l, &a);
}

int softhv_lapic_ack(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    bool external = l->r.extint;
    int vector = take_vector(l, &a);
    /*
     * Said before the page says it, under the lock that requests take: a request that comes from here on sees lazy
     * and wakes the VP.
     */
    bool offer = !external && lazy_possible(l, vector);
    l->lazy = offer;
    softhv_lapic_unlock(l, &a);
    if (offer && !l->cfg.ops->lazy_offer(l->cfg.ctx))
        cancel_lazy(l);
    return vector;
}

unsigned softhv_lapic_pending(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    unsigned what = (interrupt_open(l) ? SOFTHV_LAPIC_WAKE_INTR : 0) | (l->r.events ? SOFTHV_LAPIC_WAKE_EVENT : 0);
    softhv_lapic_unlock(l, &a);
    return what;
}

/* No message of the kind that ends a wait would be taken now, whoever sent it. */
static bool is_deaf(const struct softhv_lapic *l)
{
    return softhv_lapic_mode_now(l) == SOFTHV_LAPIC_OFF || !softhv_lapic_enabled(l);
}

bool softhv_lapic_ends_idle(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    bool ends = l->r.extint || l->r.events != 0 || highest(l->r.irr) >= 0 || is_deaf(l);
    softhv_lapic_unlock(l, &a);
    return ends;
}

/* ---- INIT, SIPI, NMI ---- */

unsigned softhv_lapic_take_events(struct softhv_lapic *l, uint8_t *sipi_vector)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    unsigned events = l->r.events;
    l->r.events = 0;
    if (events & SOFTHV_LAPIC_EV_INIT) {
        softhv_lapic_clear(l, &a);
        l->r.extint = 0;
        l->r.waiting = !(l->r.base & SOFTHV_LAPIC_BASE_BSP);
        a.timer = true;
    }
    if (!l->r.waiting)
        events &= ~SOFTHV_LAPIC_EV_SIPI;
    if (events & SOFTHV_LAPIC_EV_SIPI) {
        l->r.waiting = 0;
        *sipi_vector = l->r.sipi_vector;
    }
    softhv_lapic_unlock(l, &a);
    return events;
}

bool softhv_lapic_waiting(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    bool waiting = l->r.waiting;
    softhv_lapic_unlock(l, &a);
    return waiting;
}

void softhv_lapic_set_waiting(struct softhv_lapic *l, bool waiting)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    l->r.waiting = waiting;
    if (waiting)
        l->r.events &= (uint8_t)~SOFTHV_LAPIC_EV_NMI;
    softhv_lapic_unlock(l, &a);
}

/* ---- Task priority ---- */

uint8_t softhv_lapic_tpr(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    uint8_t tpr = (uint8_t)l->r.tpr;
    softhv_lapic_unlock(l, &a);
    return tpr;
}

void softhv_lapic_set_tpr(struct softhv_lapic *l, uint8_t value)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    l->r.tpr = value;
    a.look = true;
    softhv_lapic_unlock(l, &a);
}

uint64_t softhv_lapic_cr8(struct softhv_lapic *l)
{
    return softhv_lapic_tpr(l) >> 4;
}

int softhv_lapic_set_cr8(struct softhv_lapic *l, uint64_t value)
{
    if (value > 15)
        return -EINVAL;
    softhv_lapic_set_tpr(l, (uint8_t)(value << 4));
    return 0;
}
