/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A virtual processor: processor, local APIC, synthetic registers, and MSHV_RUN_VP that joins them.
 *
 * While nobody runs it, its registers are in `state` (regs.h: staged) and whoever holds `lock` may read and change
 * them. MSHV_RUN_VP holds the lock while it executes or waits; inside, the processor has the registers. A request on
 * the partition that names a running VP is a visitor: it makes the run pause between two turns, is served, and the run
 * goes on with what it left.
 */
#ifndef CAISSON_VMM_SOFTHV_VP_H
#define CAISSON_VMM_SOFTHV_VP_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/softhv/hvguest.h"
#include "vmm/softhv/intercept.h"
#include "vmm/softhv/lapic.h"
#include "vmm/softhv/partition.h"
#include "vmm/softhv/regpage.h"
#include "vmm/x86/cpu.h"

/* Pages of a VP, in this order; the first two are shared with the client. */
enum softhv_vp_page {
    SOFTHV_VP_PAGE_REGISTERS,
    SOFTHV_VP_PAGE_INTERCEPT,
    SOFTHV_VP_PAGE_ASSIST,
    SOFTHV_VP_PAGE_MESSAGES,
    SOFTHV_VP_PAGE_EVENTS,
    SOFTHV_VP_PAGES
};

/* Why a callback stopped the processor. */
enum softhv_stop_kind {
    SOFTHV_STOP_NONE,
    SOFTHV_STOP_RETRY, /* nothing for the client: the same instruction again */
    SOFTHV_STOP_GP,    /* the guest gets #GP(0) */
    SOFTHV_STOP_MEMORY,
    SOFTHV_STOP_PORT,
    SOFTHV_STOP_HYPERCALL,
    SOFTHV_STOP_MSR,
    SOFTHV_STOP_CPUID,
    SOFTHV_STOP_EXCEPTION
};

struct softhv_stop {
    enum softhv_stop_kind kind;
    struct softhv_memory_exit memory;
    struct softhv_port_exit port;
    uint32_t msr;
    bool msr_write;
    struct x86_cpuid_regs cpuid; /* what the guest would get */
    struct x86_event event;
};

/* A TLB flush that other VPs have been asked for and may not have done yet. */
struct softhv_flush_ticket {
    bool open;
    uint64_t rsp;             /* with set: tells the hypercall made again from another one in an interrupt handler */
    struct softhv_vp_set set; /* VPs that have not been seen doing it */
    uint64_t turn[MSHV_MAX_VPS];
};

struct softhv_vp {
    /* Constant after softhv_vp_new. */
    struct softhv_partition *p;
    uint32_t index;
    uint8_t *pages;
    struct x86_cpu *cpu;
    struct softhv_lapic *lapic;

    pthread_mutex_t lock; /* held by who runs the VP or serves a request on it; guards what follows */
    struct x86_state state;
    struct softhv_vp_control control;
    struct softhv_hv_vp hv;
    struct softhv_stop stop;
    struct softhv_flush_ticket flush;
    uint64_t stop_rip;           /* where the VP stopped last: an interrupt shadow ends when the client moves on */
    uint64_t retry_gpa;          /* the write that was retried last, */
    uint64_t retry_insns;        /* and when */
    uint64_t reset_insns;        /* instructions completed when the VP was made, or reset by its client */
    uint64_t eoi[4];             /* level-triggered vectors whose EOI is to be reported */
    bool awake;                  /* counted by softhv_partition_awake */
    bool probing;                /* instruction bytes are being looked at: callbacks do not record */
    struct softhv_member member; /* of the guest memory's users */

    struct softhv_cpuid_table cpuid; /* guarded by p->cpuid_lock */

    _Atomic uint64_t turns; /* odd while the processor executes */
    _Atomic uint32_t sints; /* free slots to be reported */
    atomic_bool kicked;     /* a client's kick not yet answered by EINTR */
    atomic_bool id_stale;   /* registered CPUID results may have given the VP another APIC id */

    _Atomic uint32_t visitors; /* requests that are served or wait for the lock */
    atomic_bool running;       /* inside MSHV_RUN_VP; changed under lock */

    int wake_fd; /* eventfd, written by softhv_vp_wake to who sleeps */
    _Atomic uint32_t wake_seq;
    atomic_bool sleeping;

    /* The running thread's own. */
    const sigset_t *open; /* signal mask while it waits: whose handlers may run, and then end the run; NULL: none */
    bool interrupted;     /* a handler ran */
};

/*
 * MSHV_CREATE_VP: a VP after power-on, explicitly suspended; index 0 is the bootstrap processor, others wait for INIT
 * and SIPI. 0 with *out (the partition's), or: EINVAL no such index, EEXIST, EIO not initialised, ENOMEM. Takes the
 * partition's lock.
 */
int softhv_vp_new(struct softhv_partition *p, uint32_t index, struct softhv_vp **out);
/* The VP left the partition's table or never was in it; the partition frees its local APIC later, see vp.c. */
void softhv_vp_free(struct softhv_vp *vp);

/*
 * MSHV_RUN_VP. 0 with a message, -EINTR after softhv_vp_kick (the VP is then explicitly suspended). A kick that finds a
 * message returns the message and is answered by the next call. Waits for other requests on the VP.
 */
int softhv_vp_run(struct softhv_vp *vp, struct hv_message *out);

/*
 * The same for a thread that has blocked its signals: -EINTR also when the handler of a signal ran that is not in
 * `open`. Handlers run only inside of this call then, at its beginning or between two turns, so that a signal sent
 * before the call ends it as well; one that finds a message stays pending.
 */
int softhv_vp_run_open(struct softhv_vp *vp, const sigset_t *open, struct hv_message *out);

/* Make softhv_vp_run return -EINTR, the one in progress or the next. Any thread, also a signal handler. */
void softhv_vp_kick(struct softhv_vp *vp);

/* Let a waiting VP look again whether there is a reason to wait. Any thread, also a signal handler. */
void softhv_vp_wake(struct softhv_vp *vp);

/*
 * Serve a request on a VP: makes it pause if it runs, otherwise takes over what the client wrote to the register page.
 * view: filled for regs.h. Then softhv_vp_end; changed: registers may have changed, the register page is written anew
 * unless the VP runs. Not from inside of the VP's own run.
 */
void softhv_vp_begin(struct softhv_vp *vp, struct softhv_regs_view *view);
void softhv_vp_end(struct softhv_vp *vp, bool changed);

/* What the VP's CPUID depends on, for hvcpuid.h, to be used under p->cpuid_lock. s: its registers. */
struct softhv_cpuid_env softhv_vp_cpuid_env(struct softhv_vp *vp, const struct x86_state *s);
/* What CPUID answers on this VP. Takes p->cpuid_lock. */
struct x86_cpuid_regs softhv_vp_cpuid(struct softhv_vp *vp, const struct x86_state *s, uint32_t leaf, uint32_t subleaf);
/* CPUID results were registered for this VP: its APIC id may follow. Any thread. */
void softhv_vp_cpuid_changed(struct softhv_vp *vp);

/* Page `which` of the VP. */
static inline uint8_t *softhv_vp_page(struct softhv_vp *vp, enum softhv_vp_page which)
{
    return vp->pages + (size_t)which * MSHV_HV_PAGE_SIZE;
}

/* ---- vp_message.c: from a processor that stopped to a message. VP's thread ---- */

/* Where the processor stopped, for the encoders of intercept.h. Copies: looking at instruction bytes runs callbacks. */
struct softhv_vp_frame {
    struct softhv_exit exit;
    struct x86_insn insn;
    uint8_t bytes[15];
};

/* What a frame shows besides the registers. */
enum softhv_vp_shows { SOFTHV_SHOW_REGISTERS, SOFTHV_SHOW_BYTES, SOFTHV_SHOW_INSTRUCTION };

/* Fill a frame, and vp->state, which it points to. Online when more than registers are shown. */
void softhv_vp_frame(struct softhv_vp *vp, enum softhv_vp_shows shows, struct softhv_vp_frame *f);

/*
 * A callback stopped the processor: act on vp->stop. True with a message; false: the VP goes on, at the same
 * instruction or at a fault's handler. Online.
 */
bool softhv_vp_stopped(struct softhv_vp *vp, struct hv_message *out);

/*
 * A triple fault: UNRECOVERABLE_EXCEPTION. Running the VP again meets the same instruction again, as on the real thing,
 * so the processor does not stay shut down.
 */
void softhv_vp_shut_down(struct softhv_vp *vp, struct hv_message *out);

/* ---- vp_string.c: INS and OUTS, which exit once for each element. VP's thread ---- */

/*
 * The processor stopped at a port. A string instruction becomes an access by_element: of a repeated one RCX is counted
 * down here, RSI or RDI and RIP are the client's. Other instructions stay as they are.
 */
void softhv_vp_string_count(struct softhv_vp *vp, struct softhv_port_exit *port);
/* After the message: between two elements an interrupt may come, whatever shadow the first one was in. */
void softhv_vp_string_boundary(struct softhv_vp *vp, const struct softhv_port_exit *port);
/*
 * Is this read the element that OUTS is about to write? The client reads it itself, by translation, so that a device's
 * memory is as good as any.
 */
bool softhv_vp_string_source(struct softhv_vp *vp, const struct x86_mem_access *a);

/* ---- vp_reset.c ---- */

/* What INIT and reset do to a VP besides processor and local APIC: its pages, SINTs, timers, reports. VP's thread. */
void softhv_vp_reset_rest(struct softhv_vp *vp);

/*
 * The client wrote APIC_BASE. No client says "reset", and none touches local APIC, SINTs and timers when it does; so
 * this is taken for one, all of it together:
 *   - the VP has executed something since it was made, or reset like this last, and does not wait for a SIPI;
 *   - the value is that of reset, but for the BSP bit;
 *   - the registers, as written so far, are those of reset: CS:RIP at FFFFFFF0h, CR0 without PE and PG, EFER 0.
 * Then local APIC, SINTs, timers and synthetic pages are as at power-on, and without the BSP bit the VP waits for a
 * SIPI. So the client's first load of registers changes nothing, and neither does what it writes back after an
 * intercept.
 */
void softhv_vp_base_written(struct softhv_vp *vp, uint64_t base);

/* ---- Between vp.c, vp_ops.c (what the processor asks) and vp_hooks.c (what the other modules ask) ---- */

extern const struct x86_ops softhv_vp_x86_ops;
extern const struct softhv_lapic_ops softhv_vp_lapic_ops;
extern const struct softhv_hv_ops softhv_vp_hv_ops;
extern const struct softhv_regs_ops softhv_vp_regs_ops;

#endif
