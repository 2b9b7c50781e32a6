/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hypercalls that a guest makes. The glue hands over the registers of VMCALL or VMMCALL; what a call does to other VPs
 * goes through hooks.
 *
 * Parameters in guest memory are copied once, at most one page of them; a rep call does at most SOFTHV_CALL_BATCH
 * elements, then lets the guest take its interrupts and comes back by itself: RIP stays, the rep start has moved.
 *
 * Threads: the calling VP's thread. Nothing is kept between calls. Source: TLFS, hypercall interface.
 */
#ifndef CAISSON_VMM_SOFTHV_HVGUEST_H
#define CAISSON_VMM_SOFTHV_HVGUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/softhv/hvmsr.h"
#include "vmm/softhv/vpset.h"

#define SOFTHV_CALL_BATCH 128u

/* Pages to forget: `pages` from gva on. */
struct softhv_gva_range {
    uint64_t gva;
    uint32_t pages; /* 1 to 4096 */
};

/* What to flush from the TLBs of a set of VPs. */
struct softhv_flush {
    uint64_t space; /* CR3 whose translations go, unless all_spaces */
    bool all_spaces;
    bool non_global_only; /* global translations may stay */
    const struct softhv_gva_range *ranges;
    unsigned count; /* of ranges; 0: every address */
};

struct softhv_call_ops {
    /* Guest memory; len bytes inside one page. False: not readable (writable) RAM. */
    bool (*read)(void *ctx, uint64_t gpa, void *buf, uint32_t len);
    bool (*write)(void *ctx, uint64_t gpa, const void *buf, uint32_t len);
    /*
     * Flush on those VPs of the set that exist; when it returns true, none of them uses an old translation. False: not
     * done yet, the guest calls again (after having let its own requests be served).
     */
    bool (*flush)(void *ctx, const struct softhv_vp_set *set, const struct softhv_flush *flush);
    /* A fixed, edge-triggered interrupt at those VPs of the set that exist. */
    void (*ipi)(void *ctx, const struct softhv_vp_set *set, uint8_t vector);
    /* The guest spins for a lock: give way. May be NULL. */
    void (*spin)(void *ctx);
};

/* General registers in the processor's order: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8. */
enum { SOFTHV_CALL_GPRS = 9 };

struct softhv_call {
    uint64_t gpr[SOFTHV_CALL_GPRS]; /* in and out; only those the TLFS names change */
    bool wide;                      /* 64-bit code: EFER.LMA and CS.L */
    bool protected_mode;            /* CR0.PE */
    uint8_t cpl;
};

enum softhv_call_outcome {
    SOFTHV_CALL_DONE,     /* registers hold the result; go on behind the instruction */
    SOFTHV_CALL_AGAIN,    /* registers hold what is left to do; RIP stays */
    SOFTHV_CALL_UD,       /* #UD, registers as they were */
    SOFTHV_CALL_INTERCEPT /* for the VMM (HYPERCALL_INTERCEPT), registers as they were */
};

/* Make the call that the registers describe. ops and ctx: hooks, ctx that of the VP. hv: the VP's partition. */
enum softhv_call_outcome softhv_guest_call(struct softhv_hv *hv, const struct softhv_call_ops *ops, void *ctx,
                                           struct softhv_call *call);

#endif
