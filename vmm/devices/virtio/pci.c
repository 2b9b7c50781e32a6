/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "vmm/devices/pci_msix.h"

#define VENDOR      0x1af4u
#define DEVICE_BASE 0x1040u
#define REVISION    1u /* no transitional device */
#define BAR         0u
#define NAME_BYTES  40
#define ISR_QUEUE   1u
#define ISR_CONFIG  2u

/* A capability of virtio's behind its two bytes of header: length, type, BAR, id, padding, offset and length in it. */
#define CAP_VENDOR       0x09u
#define CAP_LENGTH       0u
#define CAP_TYPE         1u
#define CAP_BAR          2u
#define CAP_PART_OFFSET  6u
#define CAP_PART_LENGTH  10u
#define CAP_MORE         14u /* of two types: multiplier of doorbells, data of PCI_CFG */
#define CAP_MORE_BYTES   4u
#define CAP_BYTES        14u
#define CAP_HEADER_BYTES PCI_CAPABILITY_HEADER_BYTES

struct virtio_pci {
    struct virtio *v;
    char name[NAME_BYTES];
    struct pci_function function;
    struct pci_msix msix;
    unsigned window; /* where the body of the PCI_CFG capability is */
    atomic_uint features_select, accepted_select, queue_select;
    pthread_mutex_t lock; /* guards what follows */
    uint8_t isr;
    uint16_t config_vector, queue_vector[VIRTIO_QUEUES_MAX];
};

/* ---- Interrupts -------------------------------------------------------------------------------------------------- */

/*
 * 4.1.4.5.1: a change of configuration always shows in the interrupt status, before its interrupt; used buffers only
 * while MSI-X is off.
 */
static void interrupt(void *ctx, uint32_t queue)
{
    struct virtio_pci *p = ctx;
    bool config = queue == VIRTIO_CONFIG_CHANGE, msix = pci_msix_is_enabled(&p->msix);
    pthread_mutex_lock(&p->lock);
    uint16_t vector = config ? p->config_vector : p->queue_vector[queue];
    if (config || !msix)
        p->isr |= config ? ISR_CONFIG : ISR_QUEUE;
    if (vector != VIRTIO_PCI_NO_VECTOR)
        pci_msix_fire(&p->msix, vector);
    pthread_mutex_unlock(&p->lock);
}

static uint8_t take_isr(struct virtio_pci *p)
{
    pthread_mutex_lock(&p->lock);
    uint8_t isr = p->isr;
    p->isr = 0;
    pthread_mutex_unlock(&p->lock);
    return isr;
}

static bool is_interrupting(struct virtio_pci *p)
{
    pthread_mutex_lock(&p->lock);
    uint8_t isr = p->isr;
    pthread_mutex_unlock(&p->lock);
    return isr != 0 && !pci_msix_is_enabled(&p->msix);
}

/* The register of the chosen queue or of the configuration; NULL: there is no such queue. */
static uint16_t *vector_of(struct virtio_pci *p, uint64_t reg)
{
    unsigned queue = atomic_load(&p->queue_select);
    if (reg == VIRTIO_PCI_CONFIG_VECTOR)
        return &p->config_vector;
    return queue < p->v->cfg.queues ? &p->queue_vector[queue] : NULL;
}

static uint16_t read_vector(struct virtio_pci *p, uint64_t reg)
{
    pthread_mutex_lock(&p->lock);
    const uint16_t *vector = vector_of(p, reg);
    uint16_t value = vector == NULL ? VIRTIO_PCI_NO_VECTOR : *vector;
    pthread_mutex_unlock(&p->lock);
    return value;
}

/* 4.1.5.1.2.1: a vector that there is not cannot be had, which the driver sees when it reads back. */
static void write_vector(struct virtio_pci *p, uint64_t reg, uint16_t value)
{
    pthread_mutex_lock(&p->lock);
    uint16_t *vector = vector_of(p, reg);
    if (vector != NULL)
        *vector = value < p->msix.cfg.vectors ? value : VIRTIO_PCI_NO_VECTOR;
    pthread_mutex_unlock(&p->lock);
}

/* ---- Common configuration ---------------------------------------------------------------------------------------- */

static void clear_registers(struct virtio_pci *p)
{
    atomic_store(&p->features_select, 0);
    atomic_store(&p->accepted_select, 0);
    atomic_store(&p->queue_select, 0);
    pthread_mutex_lock(&p->lock);
    p->isr = 0;
    p->config_vector = VIRTIO_PCI_NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
        p->queue_vector[i] = VIRTIO_PCI_NO_VECTOR;
    pthread_mutex_unlock(&p->lock);
}

/* After a reset there are no rings, so nothing is fired for them any more. */
static void write_status(struct virtio_pci *p, uint8_t status)
{
    virtio_set_status(p->v, status);
    if (status != 0)
        return;
    clear_registers(p);
    pci_msix_forget(&p->msix);
}

/* The width at which a register is served; 0: there is none. Those of 64 bits count as two. */
static unsigned width_of(uint64_t reg)
{
    switch (reg) {
    case VIRTIO_PCI_STATUS:
    case VIRTIO_PCI_GENERATION: return 1;
    case VIRTIO_PCI_CONFIG_VECTOR:
    case VIRTIO_PCI_QUEUES:
    case VIRTIO_PCI_QUEUE_SELECT:
    case VIRTIO_PCI_QUEUE_SIZE:
    case VIRTIO_PCI_QUEUE_VECTOR:
    case VIRTIO_PCI_QUEUE_ENABLE:
    case VIRTIO_PCI_QUEUE_NOTIFY_OFFSET: return 2;
    default: return reg % 4 == 0 && reg < VIRTIO_PCI_COMMON_BYTES ? 4 : 0;
    }
}

/* Halves of addresses lie in the order of their names in virtio.h. */
static enum virtio_queue_register half_at(uint64_t reg)
{
    return (enum virtio_queue_register)(VIRTIO_QUEUE_DESCRIPTORS_LOW + (reg - VIRTIO_PCI_QUEUE_DESCRIPTORS) / 4);
}

static uint32_t read_register(struct virtio_pci *p, uint64_t reg)
{
    unsigned queue = atomic_load(&p->queue_select);
    switch (reg) {
    case VIRTIO_PCI_FEATURES_SELECT: return atomic_load(&p->features_select);
    case VIRTIO_PCI_FEATURES: return virtio_get_offered(p->v, atomic_load(&p->features_select));
    case VIRTIO_PCI_ACCEPTED_SELECT: return atomic_load(&p->accepted_select);
    case VIRTIO_PCI_ACCEPTED: return virtio_get_accepted(p->v, atomic_load(&p->accepted_select));
    case VIRTIO_PCI_QUEUES: return p->v->cfg.queues;
    case VIRTIO_PCI_STATUS: return virtio_get_status(p->v);
    case VIRTIO_PCI_GENERATION: return virtio_get_generation(p->v);
    case VIRTIO_PCI_QUEUE_SELECT: return queue;
    case VIRTIO_PCI_QUEUE_SIZE: return virtio_get_queue(p->v, queue, VIRTIO_QUEUE_SIZE);
    case VIRTIO_PCI_QUEUE_ENABLE: return virtio_get_queue(p->v, queue, VIRTIO_QUEUE_ENABLE);
    case VIRTIO_PCI_QUEUE_NOTIFY_OFFSET: return queue < p->v->cfg.queues ? queue : 0;
    case VIRTIO_PCI_CONFIG_VECTOR:
    case VIRTIO_PCI_QUEUE_VECTOR: return read_vector(p, reg);
    default: return virtio_get_queue(p->v, queue, half_at(reg));
    }
}

static void write_register(struct virtio_pci *p, uint64_t reg, uint32_t value)
{
    unsigned queue = atomic_load(&p->queue_select);
    switch (reg) {
    case VIRTIO_PCI_FEATURES_SELECT: atomic_store(&p->features_select, value); break;
    case VIRTIO_PCI_ACCEPTED_SELECT: atomic_store(&p->accepted_select, value); break;
    case VIRTIO_PCI_ACCEPTED: virtio_set_accepted(p->v, atomic_load(&p->accepted_select), value); break;
    case VIRTIO_PCI_STATUS: write_status(p, (uint8_t)value); break;
    case VIRTIO_PCI_QUEUE_SELECT: atomic_store(&p->queue_select, value); break;
    case VIRTIO_PCI_QUEUE_SIZE: virtio_set_queue(p->v, queue, VIRTIO_QUEUE_SIZE, value); break;
    case VIRTIO_PCI_QUEUE_ENABLE: virtio_set_queue(p->v, queue, VIRTIO_QUEUE_ENABLE, value); break;
    case VIRTIO_PCI_CONFIG_VECTOR:
    case VIRTIO_PCI_QUEUE_VECTOR: write_vector(p, reg, (uint16_t)value); break;
    case VIRTIO_PCI_FEATURES:
    case VIRTIO_PCI_QUEUES:
    case VIRTIO_PCI_GENERATION:
    case VIRTIO_PCI_QUEUE_NOTIFY_OFFSET: break;
    default: virtio_set_queue(p->v, queue, half_at(reg), value);
    }
}

static bool is_whole_address(uint64_t reg, unsigned bytes)
{
    return bytes == 8 && reg % 8 == 0 && reg >= VIRTIO_PCI_QUEUE_DESCRIPTORS && reg < VIRTIO_PCI_COMMON_BYTES;
}

static uint64_t read_common(struct virtio_pci *p, uint64_t reg, unsigned bytes)
{
    if (is_whole_address(reg, bytes))
        return read_register(p, reg) | (uint64_t)read_register(p, reg + 4) << 32;
    return width_of(reg) == bytes ? read_register(p, reg) : 0;
}

static void write_common(struct virtio_pci *p, uint64_t reg, unsigned bytes, uint64_t value)
{
    if (is_whole_address(reg, bytes)) {
        write_register(p, reg, (uint32_t)value);
        write_register(p, reg + 4, (uint32_t)(value >> 32));
    } else if (width_of(reg) == bytes) {
        write_register(p, reg, (uint32_t)value);
    }
}

/* ---- The BAR ----------------------------------------------------------------------------------------------------- */

/* Where the hypervisor does not take them. What is written does not matter: the address says which queue. */
static void ring_doorbell(struct virtio_pci *p, uint64_t offset)
{
    uint64_t queue = offset / VIRTIO_PCI_NOTIFY_BYTES;
    if (offset % VIRTIO_PCI_NOTIFY_BYTES == 0 && queue < p->v->cfg.queues)
        virtio_kick(p->v, (unsigned)queue);
}

static uint64_t read_bar(void *dev, uint64_t offset, unsigned bytes)
{
    struct virtio_pci *p = dev;
    uint64_t part = offset & ~(GUEST_PAGE_BYTES - 1), inside = offset - part;
    switch (part) {
    case VIRTIO_PCI_COMMON: return read_common(p, inside, bytes);
    case VIRTIO_PCI_ISR: return inside == 0 && bytes == 1 ? take_isr(p) : 0;
    case VIRTIO_PCI_DEVICE: return virtio_read_config(p->v, inside, bytes);
    case VIRTIO_PCI_TABLE: return pci_msix_read_table(&p->msix, inside, bytes);
    case VIRTIO_PCI_PENDING: return pci_msix_read_pending(&p->msix, inside, bytes);
    default: return 0;
    }
}

static void write_bar(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct virtio_pci *p = dev;
    uint64_t part = offset & ~(GUEST_PAGE_BYTES - 1), inside = offset - part;
    switch (part) {
    case VIRTIO_PCI_COMMON: write_common(p, inside, bytes, value); break;
    case VIRTIO_PCI_DEVICE: virtio_write_config(p->v, inside, bytes, value); break;
    case VIRTIO_PCI_NOTIFY: ring_doorbell(p, inside); break;
    case VIRTIO_PCI_TABLE: pci_msix_write_table(&p->msix, inside, bytes, value); break;
    default: break;
    }
}

/* ---- Configuration space ----------------------------------------------------------------------------------------- */

/* 4.1.4.9: what the driver wrote into PCI_CFG says which bytes of the BAR its data stand for. */
static void read_window(struct virtio_pci *p)
{
    uint8_t *window = p->function.config + p->window;
    uint32_t length = bytes_load_le32(window + CAP_PART_LENGTH), value;
    if (!pci_function_bar_read(&p->function, window[CAP_BAR], bytes_load_le32(window + CAP_PART_OFFSET), length,
                               &value))
        return;
    for (uint32_t i = 0; i < length; i++)
        window[CAP_MORE + i] = (uint8_t)(value >> 8 * i);
}

static void write_window(struct virtio_pci *p)
{
    const uint8_t *window = p->function.config + p->window;
    (void)pci_function_bar_write(&p->function, window[CAP_BAR], bytes_load_le32(window + CAP_PART_OFFSET),
                                 bytes_load_le32(window + CAP_PART_LENGTH), bytes_load_le32(window + CAP_MORE));
}

static bool is_window_data(const struct virtio_pci *p, unsigned offset, unsigned bytes)
{
    return pci_overlap(offset, bytes, p->window + CAP_MORE, CAP_MORE_BYTES);
}

static void on_config_reading(void *dev, unsigned offset, unsigned bytes)
{
    struct virtio_pci *p = dev;
    uint8_t *status = p->function.config + PCI_STATUS;
    if (pci_overlap(offset, bytes, PCI_STATUS, 1))
        *status = (uint8_t)((*status & ~PCI_STATUS_INTERRUPT) | (is_interrupting(p) ? PCI_STATUS_INTERRUPT : 0));
    if (is_window_data(p, offset, bytes))
        read_window(p);
}

static void on_config_written(void *dev, unsigned offset, unsigned bytes)
{
    struct virtio_pci *p = dev;
    pci_msix_config_written(&p->msix, offset, bytes);
    if (is_window_data(p, offset, bytes))
        write_window(p);
}

/* What other monitors give, as programs of guests sort by it. */
static uint32_t class_of(enum virtio_type type)
{
    switch (type) {
    case VIRTIO_TYPE_NET: return 0x020000;   /* Ethernet */
    case VIRTIO_TYPE_BLOCK: return 0x010000; /* SCSI storage */
    case VIRTIO_TYPE_FS: return 0x018000;    /* other storage */
    case VIRTIO_TYPE_CONSOLE:
    case VIRTIO_TYPE_VSOCK: return 0x078000; /* other communication */
    case VIRTIO_TYPE_RNG:
    case VIRTIO_TYPE_BALLOON: break;
    }
    return 0x00ff00; /* none of the classes */
}

/* A capability that describes a part of the BAR, with more_bytes (0 or 4) of more. Returns where its body is. */
static unsigned add_part(struct virtio_pci *p, enum virtio_pci_capability type, uint32_t offset, uint32_t length,
                         uint32_t more, unsigned more_bytes)
{
    uint8_t body[CAP_BYTES + CAP_MORE_BYTES] = {[CAP_LENGTH] = (uint8_t)(CAP_HEADER_BYTES + CAP_BYTES + more_bytes),
                                                [CAP_TYPE] = (uint8_t)type,
                                                [CAP_BAR] = BAR};
    bytes_store_le32(body + CAP_PART_OFFSET, offset);
    bytes_store_le32(body + CAP_PART_LENGTH, length);
    bytes_store_le32(body + CAP_MORE, more);
    return CAP_HEADER_BYTES + pci_function_add_capability(&p->function, CAP_VENDOR, body, NULL, CAP_BYTES + more_bytes);
}

static unsigned add_window(struct virtio_pci *p)
{
    static const uint8_t body[CAP_BYTES + CAP_MORE_BYTES] = {
        [CAP_LENGTH] = CAP_HEADER_BYTES + CAP_BYTES + CAP_MORE_BYTES, [CAP_TYPE] = VIRTIO_PCI_CAP_PCI};
    uint8_t writable[CAP_BYTES + CAP_MORE_BYTES] = {[CAP_BAR] = 0xff};
    bytes_store_le32(writable + CAP_PART_OFFSET, UINT32_MAX);
    bytes_store_le32(writable + CAP_PART_LENGTH, UINT32_MAX);
    bytes_store_le32(writable + CAP_MORE, UINT32_MAX);
    return CAP_HEADER_BYTES +
           pci_function_add_capability(&p->function, CAP_VENDOR, body, writable, CAP_BYTES + CAP_MORE_BYTES);
}

static void add_parts(struct virtio_pci *p)
{
    uint32_t doorbells = p->v->cfg.queues * VIRTIO_PCI_NOTIFY_BYTES, config = p->v->cfg.config_bytes;
    (void)add_part(p, VIRTIO_PCI_CAP_COMMON, VIRTIO_PCI_COMMON, VIRTIO_PCI_COMMON_BYTES, 0, 0);
    (void)add_part(p, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_NOTIFY, doorbells, VIRTIO_PCI_NOTIFY_BYTES, CAP_MORE_BYTES);
    (void)add_part(p, VIRTIO_PCI_CAP_ISR, VIRTIO_PCI_ISR, 1, 0, 0);
    if (config > 0)
        (void)add_part(p, VIRTIO_PCI_CAP_DEVICE, VIRTIO_PCI_DEVICE, config, 0, 0);
    p->window = add_window(p);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void make_function(struct virtio_pci *p, const struct virtio_pci_place *place)
{
    static const struct pci_function_ops hooks = {.reading = on_config_reading, .written = on_config_written};
    static const struct bus_ops bar = {read_bar, write_bar};
    const struct virtio_ops *ops = p->v->cfg.ops;
    const struct pci_identity identity = {.vendor = VENDOR,
                                          .device = (uint16_t)(DEVICE_BASE + ops->type),
                                          .subsystem_vendor = VENDOR,
                                          .subsystem = (uint16_t)(DEVICE_BASE + ops->type),
                                          .class_code = class_of(ops->type),
                                          .revision = REVISION};
    (void)snprintf(p->name, sizeof(p->name), "virtio-%s in slot %u", ops->name, place->slot);
    pci_function_init(&p->function, p->name, &identity, &hooks, p);
    pci_function_set_bar(&p->function, BAR, place->bar, VIRTIO_PCI_BAR_BYTES, &bar);
}

/* Those that the hypervisor does not take are stores to the BAR. */
static void attach_doorbells(struct virtio_pci *p, const struct virtio_pci_place *place)
{
    for (unsigned i = 0; i < p->v->cfg.queues; i++) {
        gpa_t at = gpa_make(place->bar.value + VIRTIO_PCI_NOTIFY + i * VIRTIO_PCI_NOTIFY_BYTES);
        (void)place->msi.ops->doorbell(place->msi.ctx, at, p->v->queue[i].kick_fd);
    }
}

static int make(struct virtio_pci *p, struct pci_bus *bus, const struct virtio_pci_place *place, struct err *err)
{
    const struct pci_msix_config msix = {.function = &p->function,
                                         .bar = BAR,
                                         .table = VIRTIO_PCI_TABLE,
                                         .pending = VIRTIO_PCI_PENDING,
                                         .vectors = p->v->cfg.queues + 1,
                                         .first_gsi = place->first_gsi,
                                         .port = place->msi,
                                         .log = p->v->cfg.log};
    (void)pthread_mutex_init(&p->lock, NULL);
    clear_registers(p);
    make_function(p, place);
    int code = pci_msix_init(&p->msix, &msix, err);
    if (code < 0)
        return code;
    add_parts(p);
    return pci_bus_add(bus, place->slot, &p->function, err);
}

int virtio_pci_new(struct virtio *v, struct pci_bus *bus, const struct virtio_pci_place *place, struct virtio_pci **out,
                   struct err *err)
{
    const struct err_context context = {
        .attempted = "plug in the virtio device", .on_what = v->cfg.ops->name, .what_to_do = "free memory on the host"};
    struct virtio_pci *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return err_fail(err, -ENOMEM, &context);
    p->v = v;
    int code = make(p, bus, place, err);
    if (code < 0) {
        virtio_pci_free(p);
        return code;
    }
    attach_doorbells(p, place);
    virtio_attach(v, &(struct virtio_transport){.interrupt = interrupt, .ctx = p});
    *out = p;
    return 0;
}

void virtio_pci_free(struct virtio_pci *p)
{
    if (p == NULL)
        return;
    pci_msix_fini(&p->msix);
    pci_function_fini(&p->function);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
