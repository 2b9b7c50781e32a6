/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MSRs that the processor core leaves to the hypervisor: the synthetic ones, and ordinary ones such as MTRRs. Which
 * there are, what may be written to them and which right or feature they need is in const tables (hvmsr_synth.c,
 * hvmsr_cpu.c).
 *
 * Two kinds of access: by the guest (RDMSR, WRMSR), with all checks, and by the VMM (VP registers), which restores
 * state and needs no rights. The local APIC's registers, among them APIC_BASE, are passed to it by hooks.
 *
 * struct softhv_hv is the partition's part, struct softhv_hv_vp one VP's; both live in the owner's memory.
 *
 * Threads: a VP's registers belong to the VP's thread, or to who holds the VP. Partition-wide ones may be reached
 * through any VP at once: they are guarded by the lock inside. Hooks may be called with that lock held where it says
 * so. Source: TLFS; Intel SDM volume 4; AMD APM volume 2.
 */
#ifndef CAISSON_VMM_SOFTHV_HVMSR_H
#define CAISSON_VMM_SOFTHV_HVMSR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/gpa.h"
#include "vmm/softhv/clock.h"
#include "vmm/softhv/hvfeature.h"
#include "vmm/softhv/installed.h"
#include "vmm/softhv/stimer.h"
#include "vmm/softhv/synic.h"

/* Pages that a synthetic MSR puts over guest memory. */
enum softhv_overlay {
    SOFTHV_OVERLAY_HYPERCALL,     /* partition-wide; read and execute, writes are #GP */
    SOFTHV_OVERLAY_REFERENCE_TSC, /* partition-wide; read-only */
    SOFTHV_OVERLAY_VP_ASSIST,     /* the others: of one VP, read and write */
    SOFTHV_OVERLAY_MESSAGES,
    SOFTHV_OVERLAY_EVENTS,
    SOFTHV_OVERLAY_COUNT
};

/* What the modules here need of the rest of softhv. ctx is that of the VP. NULL is allowed where it says so. */
struct softhv_hv_ops {
    /*
     * Show a page at guest frame gfn from now on, hiding what is there, and no longer where it was; on false, nowhere.
     * For the partition-wide ones the lock is held.
     */
    void (*overlay)(void *ctx, enum softhv_overlay which, bool on, uint64_t gfn);
    /*
     * Registers of the local APIC: APIC_BASE, x2APIC, TSC_DEADLINE, and EOI, ICR, TPR under their synthetic numbers.
     * by_vmm: set without the checks and the effects of a guest's access. False: #GP.
     */
    bool (*lapic_read)(void *ctx, uint32_t msr, bool by_vmm, uint64_t *value);
    bool (*lapic_write)(void *ctx, uint32_t msr, bool by_vmm, uint64_t value);
    void (*interrupt)(void *ctx, uint8_t vector, bool auto_eoi); /* edge-triggered, fixed, this VP */
    void (*deliverable)(void *ctx, uint16_t sints);              /* see synic.h; may be NULL */
    uint64_t (*runtime)(void *ctx);                              /* 100 ns that this VP has run; NULL: reads 0 */
    void (*idle)(
        void *ctx); /* GUEST_IDLE was read: wait for any interrupt, masked or not, before the next instruction */
    /* The guest reports a crash: P0 to P4 and CTL. May be NULL. */
    void (*crash)(void *ctx, const uint64_t parameters[5], uint64_t control);
    /* Time jumped, stopped or started: whoever waits for a deadline must compute it again. May be NULL. Lock held. */
    void (*time_changed)(void *ctx);
    /* The guest moved this VP's own TSC: its TSC deadline is to be computed again. May be NULL. */
    void (*tsc_changed)(void *ctx);
    /* Others have executed something and this VP has not: it takes their time as it is. NULL: no. */
    bool (*joins)(void *ctx);
};

/* ---- Partition ---- */

struct softhv_hv_config {
    const struct softhv_features *features; /* borrowed, constant */
    bool amd;
    uint8_t phys_bits;       /* overlays lie below 1 << phys_bits */
    uint64_t partition_id;   /* what HvCallGetPartitionId says */
    uint8_t *hypercall_page; /* 4096 bytes each, page aligned, borrowed; filled here */
    uint8_t *tsc_page;
};

struct softhv_hv {
    struct softhv_hv_config config;    /* constant after init */
    struct softhv_clock *clock;        /* borrowed; written under the lock */
    atomic_bool ignore_unknown;        /* property UNIMPLEMENTED_MSR_ACTION, 0x50017 */
    struct softhv_installed installed; /* written under the lock, as the next */
    struct softhv_msr_results results; /* registered for any VP */
    _Atomic uint64_t guest_os_id, hypercall, tsc_invariant;
    pthread_mutex_t lock; /* for writers of the above, and all below */
    uint64_t reference_tsc;
    uint64_t crash[5];
};

/* Set up the partition's part; clock is initialised by the caller. Fills both pages. */
void softhv_hv_init(struct softhv_hv *hv, const struct softhv_hv_config *config, struct softhv_clock *clock);
void softhv_hv_fini(struct softhv_hv *hv);

/* Is the hypercall page on? The hypercall instructions are #UD without. */
static inline bool softhv_hv_calls_on(const struct softhv_hv *hv)
{
    return (atomic_load_explicit(&hv->hypercall, memory_order_acquire) & HV_MSR_PAGE_ENABLE) != 0;
}

/*
 * Time under the lock, the reference page following: properties TIME_FREEZE and REFERENCE_TIME, and "no VP can run".
 * The caller wakes VPs that wait for a deadline.
 */
void softhv_hv_freeze(struct softhv_hv *hv, bool frozen);
void softhv_hv_suspend(struct softhv_hv *hv, bool suspended);
void softhv_hv_set_reference_time(struct softhv_hv *hv, uint64_t ref);

/* ---- VP ---- */

#define SOFTHV_MTRR_PAIRS 16u
#define SOFTHV_MTRR_FIXED 11u

/* Ordinary MSRs with memory. */
struct softhv_cpu_msrs {
    uint64_t mtrr_def_type;
    uint64_t mtrr_base[SOFTHV_MTRR_PAIRS], mtrr_mask[SOFTHV_MTRR_PAIRS], mtrr_fixed[SOFTHV_MTRR_FIXED];
    uint64_t misc_enable, debug_ctl, mcg_status, hwcr;
};

struct softhv_hv_vp_config {
    const struct softhv_hv_ops *ops; /* borrowed */
    void *ctx;
    uint32_t index;
    uint8_t *assist_page, *message_page, *event_page; /* 4096 bytes each, page aligned, borrowed, zeroed here */
};

struct softhv_hv_vp {
    struct softhv_hv *hv;
    struct softhv_hv_vp_config config;
    struct softhv_vp_tsc tsc;
    struct softhv_synic synic;
    struct softhv_stimers stimers;
    struct softhv_cpu_msrs cpu;
    uint64_t vp_assist;
    struct softhv_msr_results results; /* registered for this VP; written under hv->lock, read by the VP's thread */
};

void softhv_hv_vp_init(struct softhv_hv_vp *vp, struct softhv_hv *hv, const struct softhv_hv_vp_config *config);
void softhv_hv_vp_fini(struct softhv_hv_vp *vp);
/* Reset values everywhere, overlays of this VP gone. init: INIT, which ordinary MSRs and the TSC survive. */
void softhv_hv_vp_reset(struct softhv_hv_vp *vp, bool init);

/* ---- Access ---- */

enum softhv_msr_by { SOFTHV_BY_GUEST, SOFTHV_BY_VMM };

enum softhv_msr_result {
    SOFTHV_MSR_OK,
    SOFTHV_MSR_GP,       /* the guest gets #GP(0); to the VMM: INVALID_REGISTER_VALUE */
    SOFTHV_MSR_UNKNOWN,  /* no such register */
    SOFTHV_MSR_INTERCEPT /* no such register, and the client is to be asked: message MSR_INTERCEPT */
};

/* One access. *value is written on SOFTHV_MSR_OK only. */
enum softhv_msr_result softhv_msr_read(struct softhv_hv_vp *vp, uint32_t msr, enum softhv_msr_by by, uint64_t *value);
enum softhv_msr_result softhv_msr_write(struct softhv_hv_vp *vp, uint32_t msr, enum softhv_msr_by by, uint64_t value);

/*
 * RDMSR and WRMSR for the processor core: OK, GP or INTERCEPT. What decides about registers that do not exist, in this
 * order: a result registered for this VP, one registered for any, intercept X64_MSR, property 0x50017.
 * uncertain: that order, and that results say nothing about registers that do exist.
 */
enum softhv_msr_result softhv_msr_guest_read(struct softhv_hv_vp *vp, uint32_t msr, uint64_t *value);
enum softhv_msr_result softhv_msr_guest_write(struct softhv_hv_vp *vp, uint32_t msr, uint64_t value);

/* Expire synthetic timers; the time until the next in host nanoseconds, or SOFTHV_CLOCK_NEVER. VP's thread. */
uint64_t softhv_hv_vp_tick(struct softhv_hv_vp *vp);
/* The guest ended an interrupt of this vector: its SINT's slot may be free. VP's thread. */
void softhv_hv_vp_eoi(struct softhv_hv_vp *vp, uint8_t vector);

/*
 * "No EOI required" in the VP assist page, for a local APIC that offers lazy EOI. offer: false when the page is off.
 * withdraw: true when the guest had cleared it, that is, completed the interrupt. VP's thread.
 */
bool softhv_hv_vp_lazy_offer(struct softhv_hv_vp *vp);
bool softhv_hv_vp_lazy_withdraw(struct softhv_hv_vp *vp);

#endif
