/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One local APIC: xAPIC page, x2APIC MSRs, priorities, timer.
 *
 * It knows neither the processor nor the partition: time, the wish to wake its VP and the report of an EOI go through
 * struct softhv_lapic_ops, messages to others through the bus. Nothing is allocated after softhv_lapic_new, every call
 * is bounded, and nothing a guest writes can make a call fail other than with the #GP the manuals ask for.
 *
 * Threads: one mutex per local APIC guards its registers; no thread ever holds two. Functions marked "VP" belong to
 * the thread that runs the VP, or to one that knows it is not running; all others may be called by any thread at any
 * time. Hooks marked "locked" run under the mutex and must not call back; all other hooks run without it.
 *
 * How a VP's thread uses it:
 *   - wake(INTR): x86_cpu_signal(X86_SIG_INTR) and wake a halted VP; x86_ops.intr_ack is softhv_lapic_ack.
 *   - wake(EVENT): kick the VP; before it runs again, softhv_lapic_take_events says INIT, SIPI and NMI.
 *   - before waiting in HLT: softhv_lapic_pending, and no longer than to softhv_lapic_expiry.
 *   - timer(expiry) or softhv_lapic_expiry tells when softhv_lapic_poll must be called, while the VP runs, too.
 *
 * Sources: Intel SDM volume 3, chapter 11; AMD APM volume 2, chapter 16.
 */
#ifndef CAISSON_VMM_SOFTHV_LAPIC_H
#define CAISSON_VMM_SOFTHV_LAPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/softhv/apic_bus.h"

/* ---- Registers, by x2APIC index: MSR 0x800 + n, xAPIC offset n * 16, register name 0x84800 + n ---- */

enum softhv_lapic_reg {
    SOFTHV_LAPIC_ID = 0x02,
    SOFTHV_LAPIC_VERSION = 0x03,
    SOFTHV_LAPIC_TPR = 0x08,
    SOFTHV_LAPIC_APR = 0x09,
    SOFTHV_LAPIC_PPR = 0x0a,
    SOFTHV_LAPIC_EOI = 0x0b,
    SOFTHV_LAPIC_REMOTE_READ = 0x0c,
    SOFTHV_LAPIC_LDR = 0x0d,
    SOFTHV_LAPIC_DFR = 0x0e,
    SOFTHV_LAPIC_SVR = 0x0f,
    SOFTHV_LAPIC_ISR = 0x10, /* eight each */
    SOFTHV_LAPIC_TMR = 0x18,
    SOFTHV_LAPIC_IRR = 0x20,
    SOFTHV_LAPIC_ESR = 0x28,
    SOFTHV_LAPIC_CMCI = 0x2f, /* not there */
    SOFTHV_LAPIC_ICR = 0x30,
    SOFTHV_LAPIC_ICR_HIGH = 0x31,
    SOFTHV_LAPIC_LVT_TIMER = 0x32,
    SOFTHV_LAPIC_LVT_THERMAL = 0x33,
    SOFTHV_LAPIC_LVT_PERF = 0x34,
    SOFTHV_LAPIC_LVT_LINT0 = 0x35,
    SOFTHV_LAPIC_LVT_LINT1 = 0x36,
    SOFTHV_LAPIC_LVT_ERROR = 0x37,
    SOFTHV_LAPIC_INITIAL = 0x38,
    SOFTHV_LAPIC_CURRENT = 0x39,
    SOFTHV_LAPIC_DIVIDE = 0x3e,
    SOFTHV_LAPIC_SELF_IPI = 0x3f
};
#define SOFTHV_LAPIC_LVTS 6u

#define SOFTHV_LAPIC_MSR_BASE         0x01bu
#define SOFTHV_LAPIC_MSR_TSC_DEADLINE 0x6e0u
#define SOFTHV_LAPIC_MSR_X2APIC       0x800u
#define SOFTHV_LAPIC_MSR_X2APIC_END   0x900u

/* APIC_BASE. */
#define SOFTHV_LAPIC_BASE_BSP    0x100u
#define SOFTHV_LAPIC_BASE_X2APIC 0x400u
#define SOFTHV_LAPIC_BASE_ENABLE 0x800u
#define SOFTHV_LAPIC_BASE_RESET  0xfee00000u

/* SVR, LVT and ESR bits. */
#define SOFTHV_LAPIC_SVR_ENABLE       0x100u
#define SOFTHV_LAPIC_SVR_NO_BROADCAST 0x1000u
#define SOFTHV_LAPIC_LVT_REMOTE_IRR   0x4000u
#define SOFTHV_LAPIC_LVT_LEVEL        0x8000u
#define SOFTHV_LAPIC_LVT_MASKED       0x10000u
#define SOFTHV_LAPIC_LVT_PERIODIC     0x20000u
#define SOFTHV_LAPIC_LVT_DEADLINE     0x40000u
#define SOFTHV_LAPIC_ESR_SEND_VECTOR  0x20u
#define SOFTHV_LAPIC_ESR_RECV_VECTOR  0x40u
#define SOFTHV_LAPIC_ESR_REGISTER     0x80u

/* ---- Making one ---- */

#define SOFTHV_LAPIC_WAKE_INTR    1u /* softhv_lapic_ack would return a vector */
#define SOFTHV_LAPIC_WAKE_EVENT   2u /* softhv_lapic_take_events has something */
#define SOFTHV_LAPIC_WAKE_REQUEST 4u /* a vector came, deliverable or not; to the hook only, with or without INTR */

#define SOFTHV_LAPIC_NEVER UINT64_MAX

struct softhv_lapic_ops {
    /* Locked. The partition's time in ns: never backwards, standing still while time is frozen. */
    uint64_t (*now_ns)(void *ctx);
    /* Locked. The VP's time-stamp counter as the guest reads it. */
    uint64_t (*tsc)(void *ctx);
    /* The VP should look: SOFTHV_LAPIC_WAKE_*. Any thread. May be called without need. */
    void (*wake)(void *ctx, unsigned what);
    /*
     * An interrupt was completed: by EOI, by a lazy EOI found late, or on delivery (auto EOI). level: it was
     * level-triggered and the EOI is to be reported (X64_APIC_EOI). VP. May be NULL.
     */
    void (*eoi)(void *ctx, uint8_t vector, bool level);
    /* softhv_lapic_expiry changed to this. Any thread; calls of several threads may pass each other. May be NULL. */
    void (*timer)(void *ctx, uint64_t expiry_ns);
    /*
     * "No EOI required", both or neither. VP. offer: set the bit in the VP assist page; false when there is no page.
     * withdraw: atomically clear it; true when the guest had cleared it already, that is, completed the interrupt.
     */
    bool (*lazy_offer)(void *ctx);
    bool (*lazy_withdraw)(void *ctx);
};

struct softhv_lapic_config {
    const struct softhv_lapic_ops *ops; /* outlives the local APIC, as do ctx and bus */
    void *ctx;
    struct softhv_apic_bus *bus;
    uint32_t id;            /* initial APIC id */
    bool bsp;               /* bootstrap processor: runs from reset; others wait for a SIPI */
    bool x2apic;            /* the mode exists */
    bool tsc_deadline;      /* the timer mode and its MSR exist */
    bool suppress_eoi;      /* SVR bit 12 exists */
    uint8_t phys_bits;      /* of guest physical addresses, 32 to 52 */
    uint64_t timer_hz;      /* input of the divider: what MSR 0x40000023 says; not 0 */
    uint64_t tsc_hz;        /* not 0 when tsc_deadline */
    uint64_t min_period_ns; /* a periodic timer does not expire more often; 0: as the guest says */
};

/*
 * A local APIC after power-on; it is not on the bus yet (softhv_apic_bus_attach). cfg is copied. NULL: out of memory or
 * a configuration without ops, bus or frequency.
 */
struct softhv_lapic *softhv_lapic_new(const struct softhv_lapic_config *cfg);
/* NULL is fine. Nobody may use it or its bus any more. */
void softhv_lapic_free(struct softhv_lapic *l);

/* Power-on reset: all registers, mode and base included; nothing is pending. The initial id and auto EOI stay. VP. */
void softhv_lapic_reset(struct softhv_lapic *l);
/*
 * Another initial APIC id (register INITIAL_APIC_ID), in force at once. VP.
 */
void softhv_lapic_set_id(struct softhv_lapic *l, uint32_t id);
uint32_t softhv_lapic_id(const struct softhv_lapic *l);

/* ---- Interrupts in ---- */

/*
 * Take a message that is meant for this local APIC. type: enum softhv_apic_type, LOWEST as FIXED. Returns false when
 * it is refused: local APIC off or software-disabled (fixed), vector below 16 (fixed; ESR tells), no such type, LVT
 * entry masked (LINT0, LINT1). SMI is accepted and ignored. A SIPI that finds the VP neither waiting nor about to is
 * ignored; an NMI that finds it waiting, too.
 */
bool softhv_lapic_accept(struct softhv_lapic *l, unsigned type, uint8_t vector, bool level);

/* Withdraw an ExtINT not yet acknowledged. */
void softhv_lapic_clear_extint(struct softhv_lapic *l);

/* A local source fires: thermal or performance counters (an LVT entry masks itself in the second case). */
void softhv_lapic_fire(struct softhv_lapic *l, enum softhv_lapic_reg lvt);

/* Let the timer expire if it is time. Owner's timer, or VP before it waits; needless calls do no harm. */
void softhv_lapic_poll(struct softhv_lapic *l);
/* When softhv_lapic_poll should be called next, in the time of ops->now_ns; SOFTHV_LAPIC_NEVER when not. */
uint64_t softhv_lapic_expiry(struct softhv_lapic *l);

/* Arbitration priority, for the bus. */
uint8_t softhv_lapic_arbitration(struct softhv_lapic *l);

/* ---- The VP's side ---- */

/*
 * The interrupt to deliver now, acknowledged: an ExtINT's vector if there is one (it passes the task priority), else
 * the highest requested one above the processor priority, which is then in service; -1: none. For x86_ops.intr_ack.
 * There is no window in which the spurious vector could be delivered: acknowledging and deciding are one step.
 * VP.
 */
int softhv_lapic_ack(struct softhv_lapic *l);

/* SOFTHV_LAPIC_WAKE_*: what a halted VP would wake up for (INTR without regard to RFLAGS.IF). VP. */
unsigned softhv_lapic_pending(struct softhv_lapic *l);

/*
 * Whether the wait of a VP that has read the guest idle MSR is over, or may not begin:
 *   - by a request or an event of any kind, were it only to be delivered later. Linux waits for its spinlocks in that
 *     way, with interrupts off and in handlers that have not written EOI yet, where the vector that ends the wait may
 *     be below the one in service;
 *   - while the local APIC is off or software-disabled: it would refuse the interrupt that is to end the wait. Linux's
 *     further processors take locks (rcu_cpu_starting) before they enable theirs; who holds such a lock sends one
 *     interrupt when he lets go of it, and never again.
 * Returning early is harmless: who waits looks at his condition again. VP. Source: TLFS, virtual processor idle sleep
 * state; it does not say what holds for the second case.
 */
bool softhv_lapic_ends_idle(struct softhv_lapic *l);

#define SOFTHV_LAPIC_EV_INIT 1u /* reset the processor by INIT; the local APIC has reset itself */
#define SOFTHV_LAPIC_EV_SIPI 2u /* then start it at vector * 4096 */
#define SOFTHV_LAPIC_EV_NMI  4u
/*
 * Take what is not an interrupt. Returns SOFTHV_LAPIC_EV_*, to be obeyed in that order; *sipi_vector is written with
 * SIPI. Whether the VP waits for a SIPI afterwards: softhv_lapic_waiting. Source: SDM volume 3, 9.4.3, 11.4.7.3.
 * VP.
 */
unsigned softhv_lapic_take_events(struct softhv_lapic *l, uint8_t *sipi_vector);

/* Whether the VP waits for a SIPI: bit startup_suspend of INTERNAL_ACTIVITY_STATE. Setting: VP. */
bool softhv_lapic_waiting(struct softhv_lapic *l);
void softhv_lapic_set_waiting(struct softhv_lapic *l, bool waiting);

/* CR8, x86_ops.cr8_read and cr8_write. Writing values above 15 is -EINVAL (#GP). VP. */
uint64_t softhv_lapic_cr8(struct softhv_lapic *l);
int softhv_lapic_set_cr8(struct softhv_lapic *l, uint64_t value);
/* Whole task priority, 8 bits (MSR 0x40000072; VP.TPR). VP. */
uint8_t softhv_lapic_tpr(struct softhv_lapic *l);
void softhv_lapic_set_tpr(struct softhv_lapic *l, uint8_t value);
/* EOI by any path (MSR 0x40000070). VP. */
void softhv_lapic_eoi(struct softhv_lapic *l);
/* Both halves of the ICR (MSR 0x40000071); writing sends. -EINVAL: #GP, reserved bits in x2APIC mode. VP. */
uint64_t softhv_lapic_icr(struct softhv_lapic *l);
int softhv_lapic_set_icr(struct softhv_lapic *l, uint64_t value);
/* The vector completes itself when it is delivered (AutoEOI of a SINT). */
void softhv_lapic_set_auto_eoi(struct softhv_lapic *l, uint8_t vector, bool on);

/* Whether this page (4 KiB aligned) is the local APIC's now. No lock; for x86_ops.page, read and write. */
bool softhv_lapic_claims(const struct softhv_lapic *l, uint64_t page_gpa);
/*
 * Access to that page. offset + len <= 4096, len 1 to 64 (else nothing is done and zeros are read). Reads see the
 * register in bytes 0 to 3 of each 16 and zeros in the others; what spans several registers sees the first. Writes
 * must be 4 bytes at a multiple of 16, others are ignored: hardware leaves both undefined (SDM volume 3, 11.4.1).
 * VP.
 */
void softhv_lapic_mmio_read(struct softhv_lapic *l, uint32_t offset, uint32_t len, void *out);
void softhv_lapic_mmio_write(struct softhv_lapic *l, uint32_t offset, uint32_t len, const void *in);

static inline bool softhv_lapic_owns_msr(uint32_t msr)
{
    return msr == SOFTHV_LAPIC_MSR_BASE || msr == SOFTHV_LAPIC_MSR_TSC_DEADLINE ||
           (msr >= SOFTHV_LAPIC_MSR_X2APIC && msr < SOFTHV_LAPIC_MSR_X2APIC_END);
}
/* The MSRs above, as the guest accesses them. -EINVAL: #GP(0), nothing changed. VP. */
int softhv_lapic_msr_read(struct softhv_lapic *l, uint32_t msr, uint64_t *value);
int softhv_lapic_msr_write(struct softhv_lapic *l, uint32_t msr, uint64_t value);

/* ---- State, for the client ---- */

/* APIC_BASE from outside: any mode may follow any other. -EINVAL: reserved bits, or x2APIC without enable. VP. */
uint64_t softhv_lapic_base(struct softhv_lapic *l);
int softhv_lapic_set_base(struct softhv_lapic *l, uint64_t value);

#define SOFTHV_LAPIC_STATE_BYTES 176u
/*
 * VP state type 0 (MSHV_VP_STATE_LAPIC). Offsets, each u32, little-endian: id 0, version 4, LDR 8, DFR 12, SVR 16, ISR
 * 20, TMR 52, IRR 84, ESR 116, ICR high 120, low 124, LVTs timer 128 thermal 132 performance 136 LINT0 140 LINT1 144
 * error 148 CMCI 152, errors not yet in ESR 156, initial count 160, current count 164, divide 168, remote read 172.
 * Task priority, base, TSC deadline and what is pending besides IRR are not in it. Reserved bits and read-only fields
 * (id, version, CMCI, remote read) are ignored when set, so it cannot fail. VP.
 */
void softhv_lapic_get_state(struct softhv_lapic *l, uint8_t out[SOFTHV_LAPIC_STATE_BYTES]);
void softhv_lapic_set_state(struct softhv_lapic *l, const uint8_t in[SOFTHV_LAPIC_STATE_BYTES]);

/*
 * One register by its index: HvX64Register 0x84802 to 0x8483f less 0x84800. Setting loads it and has no other effect:
 * nothing is sent, completed or reported; EOI and self IPI are accepted and do nothing. -EINVAL: no such register,
 * reserved bits, or a value other than the present one for id, version and PPR. VP.
 */
int softhv_lapic_get_reg(struct softhv_lapic *l, unsigned index, uint64_t *value);
int softhv_lapic_set_reg(struct softhv_lapic *l, unsigned index, uint64_t value);

/* Everything, as plain data: the registers themselves. */
struct softhv_lapic_regs {
    uint64_t base;
    uint64_t tsc_deadline;
    uint64_t timer_ticks; /* divider input ticks since the count began; inside the local APIC: when it began */
    uint32_t id;
    uint32_t tpr, ldr, dfr, svr; /* ldr and dfr are the xAPIC's */
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t auto_eoi[8];
    uint32_t esr, esr_next; /* as read; errors since the last write */
    uint32_t icr_low, icr_high;
    uint32_t lvt[SOFTHV_LAPIC_LVTS];
    uint32_t initial, divide;
    uint8_t counting;    /* one-shot or periodic count under way */
    uint8_t events;      /* SOFTHV_LAPIC_EV_* not yet taken */
    uint8_t sipi_vector; /* with EV_SIPI */
    uint8_t waiting;     /* for a SIPI */
    uint8_t extint;      /* an ExtINT is asserted */
    uint8_t extint_vector;
    uint8_t pad[2];
};

/* Copy all out. VP. */
void softhv_lapic_save(struct softhv_lapic *l, struct softhv_lapic_regs *out);
/*
 * Take all over, id included; reserved bits and impossible pairs are dropped. -EINVAL, nothing changed: a base that
 * cannot be. VP.
 */
int softhv_lapic_restore(struct softhv_lapic *l, const struct softhv_lapic_regs *in);

/*
 * How the bus sees it. Bits 31:0 APIC id, 39:32 xAPIC logical id, 43:40 DFR model, 45:44 mode (enum softhv_lapic_mode),
 * 46 software-enabled. No lock.
 */
enum softhv_lapic_mode { SOFTHV_LAPIC_OFF = 0, SOFTHV_LAPIC_XAPIC = 2, SOFTHV_LAPIC_X2APIC = 3 };
#define SOFTHV_LAPIC_ROUTE_LDR     32
#define SOFTHV_LAPIC_ROUTE_MODEL   40
#define SOFTHV_LAPIC_ROUTE_MODE    44
#define SOFTHV_LAPIC_ROUTE_ENABLED 46
uint64_t softhv_lapic_route(const struct softhv_lapic *l);

#endif
