/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic interrupt controller of one VP: sixteen sources (SINT), each with a message slot and 2,048 event flags
 * in pages that the guest shares.
 *
 * A message goes into a slot whose message_type is 0. Otherwise its sender is told so, and the slot's "message pending"
 * flag makes the guest write EOM when it has emptied it. Senders keep their message and try again then; nothing is
 * queued here.
 *
 * The page contents belong to the VP, not to guest memory: they are overlays (the glue places them) and outlive being
 * disabled.
 *
 * Threads: any, under the lock inside. Hooks are called without it. Source: TLFS, inter-partition communication and
 * virtual interrupts.
 */
#ifndef CAISSON_VMM_SOFTHV_SYNIC_H
#define CAISSON_VMM_SOFTHV_SYNIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"

struct softhv_synic_ops {
    /* Assert an edge-triggered interrupt at the VP's local APIC; auto_eoi: no EOI will follow. */
    void (*interrupt)(void *ctx, uint8_t vector, bool auto_eoi);
    /* Slots that softhv_synic_notify asked for are free (bit n: SINTn): message SYNIC_SINT_DELIVERABLE. May be NULL. */
    void (*deliverable)(void *ctx, uint16_t sints);
};

struct softhv_synic {
    const struct softhv_synic_ops *ops; /* constant after init, as are ctx and the pages */
    void *ctx;
    uint8_t *message_page, *event_page; /* 4096 bytes each, page aligned, borrowed for the life of the synic */
    pthread_mutex_t lock;               /* guards all below */
    uint64_t scontrol, siefp, simp;
    uint64_t sint[HV_SYNIC_SINT_COUNT];
    uint16_t notify;
};

/* Make a SynIC in reset state; the pages are zeroed. */
void softhv_synic_init(struct softhv_synic *s, const struct softhv_synic_ops *ops, void *ctx, uint8_t *message_page,
                       uint8_t *event_page);
void softhv_synic_fini(struct softhv_synic *s);
/* Reset values in all registers, zeroes in the pages. The glue has removed the overlays. */
void softhv_synic_reset(struct softhv_synic *s);

/* Registers SCONTROL, SIEFP, SIMP, SINT0-15 by MSR number. msr: one of those. */
uint64_t softhv_synic_read(struct softhv_synic *s, uint32_t msr);
/*
 * Write one. Reserved bits are kept, as the TLFS demands. False, with nothing changed, when a SINT that is neither
 * masked nor polled gets a vector below 16 (#GP); `force` (a VMM restoring state) takes it all the same.
 */
bool softhv_synic_write(struct softhv_synic *s, uint32_t msr, uint64_t value, bool force);

/*
 * Put a message (256 bytes) into the slot of a SINT and interrupt the VP. Its message_flags are ours.
 * Returns a TLFS status: SUCCESS; INVALID_PARAMETER (no such SINT, type 0, payload over 240 bytes);
 * INVALID_SYNIC_STATE (SynIC or message page off); OBJECT_IN_USE: the slot is taken, the guest will write EOM.
 * A masked SINT loses the interrupt, not the message; a polled one wants none.
 */
uint16_t softhv_synic_post(struct softhv_synic *s, uint32_t sint, const uint8_t message[HV_MESSAGE_BYTES]);

/*
 * Set an event flag and, if it was clear, interrupt the VP. *newly: was it clear? Returns a TLFS status: SUCCESS,
 * INVALID_PARAMETER (no such SINT or flag), INVALID_SYNIC_STATE (SynIC or event page off, SINT masked: the flag stays
 * as it was).
 */
uint16_t softhv_synic_signal(struct softhv_synic *s, uint32_t sint, uint32_t flag, bool *newly);

/*
 * The guest wrote EOM, or an EOI for this vector: slots may be free. Reports what softhv_synic_notify waits for; the
 * caller then lets the synthetic timers try again.
 */
void softhv_synic_eom(struct softhv_synic *s);
/* True when the vector belongs to a SINT (then it was as good as an EOM). */
bool softhv_synic_eoi(struct softhv_synic *s, uint8_t vector);

/*
 * Register DELIVERABILITY_NOTIFICATIONS, bits 63:48: tell once, by ops->deliverable, when the slots of these SINTs are
 * free; at once for those that are.
 */
void softhv_synic_notify(struct softhv_synic *s, uint16_t sints);

#endif
