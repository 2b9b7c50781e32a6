/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_IRQ_H
#define CAISSON_VMM_MSHV_IRQ_H

/*
 * Interrupts into a partition: asserted one by one, or by eventfds along a table of routes; and eventfds the other way,
 * written when the guest stores to an address. All of it goes through the partition's descriptor, so it never waits for
 * a VP that runs. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/mshv/partition.h"

struct mshv_interrupt {
    enum hv_interrupt_type type;
    uint8_t vector;       /* 0 for NMI, INIT, ExtINT */
    uint32_t destination; /* APIC id, or a logical id */
    bool logical;
    bool level; /* the guest's EOI then comes back as MSHV_EXIT_APIC_EOI */
};

/*
 * Assert an interrupt. -EINVAL: a fixed or lowest-priority one with a vector below 16. Others: the driver's errno.
 * There is no way to de-assert, except for ExtINT. Source: HVCALL_ASSERT_VIRTUAL_INTERRUPT.
 */
int mshv_irq_assert(const struct mshv_partition *partition, const struct mshv_interrupt *interrupt, struct err *err);

/* Take an asserted ExtINT back. */
int mshv_irq_clear_extint(const struct mshv_partition *partition, struct err *err);

/*
 * Make the table entry of a message-signalled interrupt. gsi: 0..4095. address, data: as the guest programmed them.
 * -EINVAL: such a gsi or address (upper half not 0, not in the range of local APICs) cannot be routed; *entry
 * untouched.
 */
int mshv_irq_route(uint32_t gsi, uint64_t address, uint32_t data, struct mshv_user_irq_entry *entry);

/*
 * Replace the whole table. table: nr entries follow; borrowed for the call. nr = 0 empties it.
 * -EINVAL: more than 4096 entries, a gsi out of range or twice, an upper address. The old table then stays.
 */
int mshv_irq_set_routes(const struct mshv_partition *partition, const struct mshv_user_irq_table *table,
                        struct err *err);

/*
 * From now on each write to eventfd asserts what gsi's route says at that moment. resamplefd: -1, or an eventfd that is
 * written at the guest's EOI; needs a route that is level-triggered now, and a kernel after 6.19 (others: -EINVAL; they
 * also compare the vector with the gsi, so give both the same number).
 * -EBUSY: eventfd serves another gsi. -EBADF, -EINVAL: no eventfd.
 */
int mshv_irq_attach(const struct mshv_partition *partition, int eventfd, uint32_t gsi, int resamplefd, struct err *err);

/* Undo that; when it returns, no interrupt is on its way. Succeeds if there was nothing to undo. */
int mshv_irq_detach(const struct mshv_partition *partition, int eventfd, uint32_t gsi, struct err *err);

struct mshv_doorbell {
    gpa_t gpa;
    uint32_t bytes;     /* 1, 2, 4, 8, or 0 for a store of any size */
    bool match;         /* only stores of this value */
    uint64_t datamatch; /* 0 unless match */
    int eventfd;
};

/*
 * From now on such a store adds 1 to eventfd instead of leaving the guest. -EINVAL: size or end of the address space.
 * -EEXIST: another doorbell hears the same stores. Only stores to memory; ports cannot be had.
 */
int mshv_doorbell_attach(const struct mshv_partition *partition, const struct mshv_doorbell *doorbell, struct err *err);

/* Undo that; all fields have to be what they were. -ENOENT: there is no such doorbell. */
int mshv_doorbell_detach(const struct mshv_partition *partition, const struct mshv_doorbell *doorbell, struct err *err);

#endif
