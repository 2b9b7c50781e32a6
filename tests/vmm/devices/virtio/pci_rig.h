/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A virtio device of three queues on a PCI bus, and what a guest's driver does with it: finding its registers by the
 * list of capabilities, features, queues, MSI-X. Shared by pci_test.c and pci_traffic_test.c.
 */
#ifndef CAISSON_TESTS_VMM_DEVICES_VIRTIO_PCI_RIG_H
#define CAISSON_TESTS_VMM_DEVICES_VIRTIO_PCI_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "tests/lib/msi_fake.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/pci.h"

#define ECAM         UINT64_C(0xe0000000)
#define BAR          UINT64_C(0xc0030000)
#define SLOT         3u
#define GSI          40u
#define ADDRESS      UINT64_C(0xfee00000)
#define QUEUES       3u
#define QUEUE_SIZE   32u
#define CONFIG_BYTES 12u
#define FEATURE      VIRTIO_FEATURE(5)
#define NO_VECTOR    0xffffu
#define CAP_VENDOR   0x09u
#define CAP_MSIX     0x11u
#define COMMAND      (PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)
#define RUNNING      15u /* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK */

/* A device that writes its queue's number into each buffer, with a configuration that can be written. */
struct toy {
    struct virtio virtio;
    uint8_t config[CONFIG_BYTES];
    struct virtq_chain chain;
};

struct rig {
    struct vdrv d;
    struct bus bus;
    struct pci_bus pci;
    struct msi_fake fake;
    struct toy toy, other;
    struct virtio_pci *p;
    /* What a driver found in the list of capabilities. */
    unsigned msix, window;
    uint64_t common, notify, isr, device;
    uint32_t multiplier, device_bytes;
};

static inline enum virtio_served toy_serve(void *dev, unsigned queue, struct virtq *q)
{
    struct toy *toy = dev;
    uint8_t number = (uint8_t)queue;
    while (virtq_pop(q, &toy->chain) > 0)
        virtq_push(q, &toy->chain, virtq_chain_write(&toy->chain, 0, &number, 1));
    return VIRTIO_DRAINED;
}

static inline void toy_read_config(void *dev, uint8_t *out)
{
    const struct toy *toy = dev;
    memcpy(out, toy->config, CONFIG_BYTES);
}

static inline void toy_write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct toy *toy = dev;
    memcpy(toy->config + offset, &value, bytes);
}

static const struct virtio_ops toy_ops = {.name = "toy",
                                          .type = VIRTIO_TYPE_NET,
                                          .serve = toy_serve,
                                          .read_config = toy_read_config,
                                          .write_config = toy_write_config};

static inline struct virtio_pci_place place_of(struct rig *r)
{
    return (struct virtio_pci_place){
        .slot = SLOT, .bar = gpa_make(BAR), .first_gsi = GSI, .msi = msi_fake_port(&r->fake)};
}

static inline void make_toy(struct rig *r, struct toy *toy, const struct virtio_ops *ops, uint32_t config_bytes)
{
    struct virtio_config common = {.ops = ops,
                                   .dev = toy,
                                   .memory = &r->d.memory,
                                   .features = FEATURE,
                                   .config_bytes = config_bytes,
                                   .queues = QUEUES,
                                   .queue_size = QUEUE_SIZE};
    for (unsigned i = 0; i < QUEUES; i++)
        common.loops[i] = &r->d.loop;
    for (uint8_t i = 0; i < CONFIG_BYTES; i++)
        toy->config[i] = (uint8_t)(0x10 + i);
    assert_int_equal(virtio_init(&toy->virtio, &common, NULL), 0);
}

/* ---- What a guest does ---- */

static inline uint64_t read_at(struct rig *r, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;
    assert_true(bus_mmio_read(&r->bus, gpa_make(gpa), bytes, &value));
    return value;
}

static inline void write_at(struct rig *r, uint64_t gpa, unsigned bytes, uint64_t value)
{
    assert_true(bus_mmio_write(&r->bus, gpa_make(gpa), bytes, value));
}

static inline uint32_t config_get(struct rig *r, unsigned offset, unsigned bytes)
{
    return (uint32_t)read_at(r, ECAM + (SLOT << 15) + offset, bytes);
}

static inline void config_set(struct rig *r, unsigned offset, unsigned bytes, uint32_t value)
{
    write_at(r, ECAM + (SLOT << 15) + offset, bytes, value);
}

static inline uint64_t get(struct rig *r, unsigned reg, unsigned bytes)
{
    return read_at(r, r->common + reg, bytes);
}

static inline void set(struct rig *r, unsigned reg, unsigned bytes, uint64_t value)
{
    write_at(r, r->common + reg, bytes, value);
}

/* The next capability of an id behind `from` (0: the first); 0: there is none. Linux gives up after 48 steps, too. */
static inline unsigned next_capability(struct rig *r, unsigned from, uint8_t id)
{
    unsigned at = config_get(r, from == 0 ? PCI_CAPABILITIES : from + 1, 1);
    for (unsigned steps = 0; at != 0 && steps < 48; steps++) {
        assert_true(at >= PCI_HEADER_END && at % 4 == 0);
        if (config_get(r, at, 1) == id)
            return at;
        at = config_get(r, at + 1, 1);
    }
    return 0;
}

/* The virtio capability of a type, with the checks that drivers make. */
static inline unsigned part_capability(struct rig *r, uint8_t type, uint64_t *where, uint32_t least, uint32_t alignment)
{
    unsigned at = next_capability(r, 0, CAP_VENDOR);
    while (at != 0 && config_get(r, at + 3, 1) != type)
        at = next_capability(r, at, CAP_VENDOR);
    if (at == 0 || where == NULL)
        return at;
    uint32_t bar = config_get(r, at + 4, 1), offset = config_get(r, at + 8, 4), length = config_get(r, at + 12, 4);
    assert_true(config_get(r, at + 2, 1) >= 16);
    assert_true(bar == 0 && length >= least && offset % alignment == 0);
    assert_true(offset + length <= VIRTIO_PCI_BAR_BYTES);
    *where = (config_get(r, PCI_BAR, 4) & ~0xfu) + offset;
    return at;
}

static inline void probe(struct rig *r)
{
    assert_int_equal(config_get(r, PCI_STATUS, 1) & PCI_STATUS_CAPABILITIES, PCI_STATUS_CAPABILITIES);
    assert_int_not_equal(part_capability(r, VIRTIO_PCI_CAP_COMMON, &r->common, 56, 4), 0);
    unsigned notify = part_capability(r, VIRTIO_PCI_CAP_NOTIFY, &r->notify, 2, 2);
    r->multiplier = config_get(r, notify + 16, 4);
    assert_int_not_equal(part_capability(r, VIRTIO_PCI_CAP_ISR, &r->isr, 1, 1), 0);
    unsigned device = part_capability(r, VIRTIO_PCI_CAP_DEVICE, &r->device, 0, 4);
    r->device_bytes = device == 0 ? 0 : config_get(r, device + 12, 4);
    r->window = part_capability(r, VIRTIO_PCI_CAP_PCI, NULL, 0, 1);
    r->msix = next_capability(r, 0, CAP_MSIX);
    config_set(r, PCI_COMMAND, 2, COMMAND);
}

/* Messages for all vectors: data is 0x30 and the vector. */
static inline void enable_msix(struct rig *r)
{
    uint64_t table = BAR + (config_get(r, r->msix + 4, 4) & ~7u);
    unsigned count = (config_get(r, r->msix + 2, 2) & 0x7ff) + 1;
    config_set(r, r->msix + 2, 2, 0xc000);
    for (unsigned i = 0; i < count; i++) {
        write_at(r, table + 16 * i, 4, ADDRESS);
        write_at(r, table + 16 * i + 4, 4, 0);
        write_at(r, table + 16 * i + 8, 4, 0x30 + i);
        write_at(r, table + 16 * i + 12, 4, 0);
    }
    config_set(r, r->msix + 2, 2, 0x8000);
}

static inline void set_mask(struct rig *r, unsigned vector, bool masked)
{
    write_at(r, BAR + VIRTIO_PCI_TABLE + 16 * vector + 12, 4, masked);
}

static inline void choose_features(struct rig *r, uint64_t features)
{
    set(r, VIRTIO_PCI_STATUS, 1, 0);
    set(r, VIRTIO_PCI_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    set(r, VIRTIO_PCI_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (unsigned half = 0; half < 2; half++) {
        set(r, VIRTIO_PCI_ACCEPTED_SELECT, 4, half);
        set(r, VIRTIO_PCI_ACCEPTED, 4, (uint32_t)(features >> 32 * half));
    }
    set(r, VIRTIO_PCI_STATUS, 1, RUNNING & ~(unsigned)VIRTIO_STATUS_DRIVER_OK);
}

static inline void set_address(struct rig *r, unsigned reg, uint64_t gpa)
{
    set(r, reg, 4, (uint32_t)gpa);
    set(r, reg + 4, 4, gpa >> 32);
}

static inline void make_queue(struct rig *r, unsigned queue, uint16_t vector)
{
    struct vdrv_queue *q = &r->d.queue[queue];
    set(r, VIRTIO_PCI_QUEUE_SELECT, 2, queue);
    *q = (struct vdrv_queue){.size = (uint16_t)get(r, VIRTIO_PCI_QUEUE_SIZE, 2)};
    assert_true(q->size > 0 && get(r, VIRTIO_PCI_QUEUE_ENABLE, 2) == 0);
    q->descriptors = vdrv_alloc(&r->d, 16u * q->size, 16);
    q->available = vdrv_alloc(&r->d, 6 + 2u * q->size, 2);
    q->used = vdrv_alloc(&r->d, 6 + 8u * q->size, 4);
    set(r, VIRTIO_PCI_QUEUE_SIZE, 2, q->size);
    set_address(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, q->descriptors);
    set_address(r, VIRTIO_PCI_QUEUE_DRIVER, q->available);
    set_address(r, VIRTIO_PCI_QUEUE_DEVICE, q->used);
    set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, vector);
    set(r, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
}

/* As a driver starts: vector 0 for the configuration, then one for each queue. */
static inline void start(struct rig *r, uint64_t features, bool with_msix)
{
    choose_features(r, features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    assert_true((get(r, VIRTIO_PCI_STATUS, 1) & VIRTIO_STATUS_FEATURES_OK) != 0);
    if (with_msix)
        enable_msix(r);
    set(r, VIRTIO_PCI_CONFIG_VECTOR, 2, with_msix ? 0 : NO_VECTOR);
    for (unsigned i = 0; i < get(r, VIRTIO_PCI_QUEUES, 2); i++)
        make_queue(r, i, with_msix ? (uint16_t)(i + 1) : NO_VECTOR);
    set(r, VIRTIO_PCI_STATUS, 1, RUNNING);
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), RUNNING);
    vdrv_turn(&r->d);
}

/* Where a queue's doorbell is, as the driver works it out. */
static inline uint64_t doorbell_of(struct rig *r, unsigned queue)
{
    set(r, VIRTIO_PCI_QUEUE_SELECT, 2, queue);
    return r->notify + get(r, VIRTIO_PCI_QUEUE_NOTIFY_OFFSET, 2) * r->multiplier;
}

/* A store: heard by the hypervisor, or an exit. */
static inline void ring(struct rig *r, unsigned queue)
{
    uint64_t at = doorbell_of(r, queue);
    if (!msi_fake_store(&r->fake, at))
        write_at(r, at, 2, queue);
    vdrv_turn(&r->d);
}

static inline void post(struct rig *r, unsigned queue)
{
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 8, 8), .bytes = 8, .writable = true};
    (void)vdrv_post(&r->d, queue, &b, 1);
}

static inline bool take(struct rig *r, unsigned queue)
{
    uint32_t written;
    return vdrv_take(&r->d, queue, NULL, &written) && written == 1;
}

/* ---- Fixture ---- */

static inline int set_up_with(void **state, uint32_t config_bytes)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vdrv_init(&r->d);
    const struct pci_bus_config bus = {.bus = &r->bus, .ecam = gpa_make(ECAM)};
    assert_int_equal(pci_bus_init(&r->pci, &bus, NULL), 0);
    make_toy(r, &r->toy, &toy_ops, config_bytes);
    const struct virtio_pci_place place = place_of(r);
    assert_int_equal(virtio_pci_new(&r->toy.virtio, &r->pci, &place, &r->p, NULL), 0);
    probe(r);
    return 0;
}

static inline int set_up(void **state)
{
    return set_up_with(state, CONFIG_BYTES);
}

static inline int set_up_without_config(void **state)
{
    return set_up_with(state, 0);
}

static inline int tear_down(void **state)
{
    struct rig *r = *state;
    virtio_pci_free(r->p);
    virtio_fini(&r->toy.virtio);
    pci_bus_fini(&r->pci);
    vdrv_fini(&r->d);
    free(r);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
