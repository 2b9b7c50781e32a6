/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/irq.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Where local APICs listen for messages: 0xfeexxxxx. */
#define MSI_ADDRESS_BASE UINT64_C(0xfee00000)
#define MSI_ADDRESS_MASK UINT64_C(0xfffffffffff00000)

int mshv_irq_assert(const struct mshv_partition *partition, const struct mshv_interrupt *interrupt, struct err *err)
{
    const struct err_context context = {"assert an interrupt", NULL, "see the kernel's log"};
    const bool vectored =
        interrupt->type == HV_X64_INTERRUPT_TYPE_FIXED || interrupt->type == HV_X64_INTERRUPT_TYPE_LOWESTPRIORITY;
    if (vectored && interrupt->vector < 16) {
        return err_fail_because(err, -EINVAL, &context, "vector %u is reserved for exceptions", interrupt->vector);
    }
    const struct hv_input_assert_virtual_interrupt in = {
        .control = (uint64_t)interrupt->type | (interrupt->level ? HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED : 0) |
                   (interrupt->logical ? HV_INTERRUPT_CONTROL_LOGICAL_DEST : 0),
        .dest_addr = interrupt->destination,
        .vector = interrupt->vector,
    };
    struct mshv_hvcall call = {.code = HVCALL_ASSERT_VIRTUAL_INTERRUPT, .in = &in, .in_bytes = sizeof in};
    int result = mshv_hvcall_simple(partition->port, partition->fd, &call);
    return result < 0 ? mshv_hvcall_error(err, result, &call, &context) : 0;
}

int mshv_irq_clear_extint(const struct mshv_partition *partition, struct err *err)
{
    const struct hv_input_clear_virtual_interrupt in = {0};
    struct mshv_hvcall call = {.code = HVCALL_CLEAR_VIRTUAL_INTERRUPT, .in = &in, .in_bytes = sizeof in};
    int result = mshv_hvcall_simple(partition->port, partition->fd, &call);
    const struct err_context context = {"withdraw an external interrupt", NULL, "see the kernel's log"};
    return result < 0 ? mshv_hvcall_error(err, result, &call, &context) : 0;
}

int mshv_irq_route(uint32_t gsi, uint64_t address, uint32_t data, struct mshv_user_irq_entry *entry)
{
    if (gsi >= MSHV_MAX_GUEST_IRQS || (address & MSI_ADDRESS_MASK) != MSI_ADDRESS_BASE) {
        return -EINVAL;
    }
    *entry = (struct mshv_user_irq_entry){.gsi = gsi, .address_lo = (uint32_t)address, .data = data};
    return 0;
}

/* What the driver checks, so that the text can name the entry. */
static int check_routes(const struct mshv_user_irq_table *table, const struct err_context *context, struct err *err)
{
    uint64_t seen[MSHV_MAX_GUEST_IRQS / 64] = {0};
    if (table->nr > MSHV_MAX_GUEST_IRQS || table->rsvd != 0) {
        return err_fail_because(err, -EINVAL, context, "it has %u entries, %u are the limit", table->nr,
                                MSHV_MAX_GUEST_IRQS);
    }
    for (uint32_t i = 0; i < table->nr; i++) {
        const struct mshv_user_irq_entry *entry = &table->entries[i];
        if (entry->gsi >= MSHV_MAX_GUEST_IRQS || entry->address_hi != 0) {
            return err_fail_because(err, -EINVAL, context, "gsi %u or its upper address 0x%x cannot be routed",
                                    entry->gsi, entry->address_hi);
        }
        const uint64_t bit = UINT64_C(1) << entry->gsi % 64;
        if ((seen[entry->gsi / 64] & bit) != 0) {
            return err_fail_because(err, -EINVAL, context, "gsi %u appears twice", entry->gsi);
        }
        seen[entry->gsi / 64] |= bit;
    }
    return 0;
}

/* The request takes a pointer that is not const, but the driver only reads. */
static int set_routing(const struct mshv_partition *partition, const struct mshv_user_irq_table *table)
{
    union {
        const void *constant;
        void *plain;
    } pointer = {.constant = table};
    return mshv_port_ioctl(partition->port, partition->fd, MSHV_SET_MSI_ROUTING, pointer.plain);
}

int mshv_irq_set_routes(const struct mshv_partition *partition, const struct mshv_user_irq_table *table,
                        struct err *err)
{
    const struct err_context context = {"set the table of interrupt routes", NULL, "see the kernel's log"};
    int result = check_routes(table, &context, err);
    if (result < 0) {
        return result;
    }
    result = set_routing(partition, table);
    return result < 0 ? err_fail(err, result, &context) : 0;
}

static int irqfd(const struct mshv_partition *partition, struct mshv_user_irqfd args, const struct err_context *context,
                 struct err *err)
{
    int result = mshv_port_ioctl(partition->port, partition->fd, MSHV_IRQFD, &args);
    return result < 0 ? err_fail(err, result, context) : 0;
}

int mshv_irq_attach(const struct mshv_partition *partition, int eventfd, uint32_t gsi, int resamplefd, struct err *err)
{
    struct mshv_user_irqfd args = {.fd = eventfd, .resamplefd = -1, .gsi = gsi};
    struct err_context context = {"attach an eventfd to an interrupt route", NULL, "see the kernel's log"};
    if (resamplefd >= 0) {
        args.resamplefd = resamplefd;
        args.flags = 1u << MSHV_IRQFD_BIT_RESAMPLE;
        context.what_to_do = "give it a level-triggered route first; before Linux 7, serve the EOI exit instead";
    }
    return irqfd(partition, args, &context, err);
}

int mshv_irq_detach(const struct mshv_partition *partition, int eventfd, uint32_t gsi, struct err *err)
{
    const struct err_context context = {"detach an eventfd from an interrupt route", NULL, "see the kernel's log"};
    const struct mshv_user_irqfd args = {
        .fd = eventfd, .resamplefd = -1, .gsi = gsi, .flags = 1u << MSHV_IRQFD_BIT_DEASSIGN};
    return irqfd(partition, args, &context, err);
}

static bool store_size_is_known(uint32_t bytes)
{
    return bytes <= 8 && (bytes & (bytes - 1)) == 0;
}

static int ioeventfd(const struct mshv_partition *partition, const struct mshv_doorbell *doorbell, uint32_t flags,
                     const char *attempted, struct err *err)
{
    char where[32];
    snprintf(where, sizeof where, "0x%" PRIx64, doorbell->gpa.value);
    const struct err_context context = {attempted, where, "see the kernel's log"};
    gpa_t end;
    if (!store_size_is_known(doorbell->bytes) || !gpa_add(doorbell->gpa, doorbell->bytes, &end)) {
        return err_fail_because(err, -EINVAL, &context, "no store of %u bytes can go there", doorbell->bytes);
    }
    struct mshv_user_ioeventfd args = {
        .datamatch = doorbell->match ? doorbell->datamatch : 0,
        .addr = doorbell->gpa.value,
        .len = doorbell->bytes,
        .fd = doorbell->eventfd,
        .flags = flags | (doorbell->match ? 1u << MSHV_IOEVENTFD_BIT_DATAMATCH : 0),
    };
    int result = mshv_port_ioctl(partition->port, partition->fd, MSHV_IOEVENTFD, &args);
    return result < 0 ? err_fail(err, result, &context) : 0;
}

int mshv_doorbell_attach(const struct mshv_partition *partition, const struct mshv_doorbell *doorbell, struct err *err)
{
    return ioeventfd(partition, doorbell, 0, "attach an eventfd to stores at", err);
}

int mshv_doorbell_detach(const struct mshv_partition *partition, const struct mshv_doorbell *doorbell, struct err *err)
{
    return ioeventfd(partition, doorbell, 1u << MSHV_IOEVENTFD_BIT_DEASSIGN, "detach an eventfd from stores at", err);
}
