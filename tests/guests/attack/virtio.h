/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A driver's side of virtio on PCI that can do everything wrong: devices are set up as they should be, and what lies in
 * rings is up to the attack.
 */
#ifndef CAISSON_TESTS_GUESTS_ATTACK_VIRTIO_H
#define CAISSON_TESTS_GUESTS_ATTACK_VIRTIO_H

#include "tests/guests/attack/attack.h"

/* Slots of vmm/devices/table.h, as the runner fills them. */
enum slot {
    SLOT_CONSOLE = 1,
    SLOT_VSOCK = 2,
    SLOT_RNG = 3,
    SLOT_BALLOON = 4,
    SLOT_DISK = 8, /* two queues */
    SLOT_DISK_RO = 9,
    SLOT_SHARE = 16,
    SLOT_NET = 20,
};
#define SLOTS 32u

#define BAR(slot)  (UINT64_C(0xc0000000) + (uint64_t)(slot)*0x10000)
#define BAR_BYTES  0x8000u
#define BAR_ISR    0x1000u
#define BAR_CONFIG 0x2000u
#define BAR_NOTIFY 0x3000u
#define BAR_TABLE  0x4000u
#define BAR_BITS   0x5000u

enum common {
    FEATURES_SELECT = 0x00,
    FEATURES = 0x04,
    ACCEPTED_SELECT = 0x08,
    ACCEPTED = 0x0c,
    CONFIG_VECTOR = 0x10,
    QUEUES = 0x12,
    STATUS = 0x14,
    GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_OFFSET = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
};

#define ACKNOWLEDGE 1u
#define DRIVER      2u
#define DRIVER_OK   4u
#define FEATURES_OK 8u
#define NEEDS_RESET 0x40u
#define FAILED      0x80u

#define F_INDIRECT  (UINT64_C(1) << 28)
#define F_EVENT_IDX (UINT64_C(1) << 29)
#define F_VERSION_1 (UINT64_C(1) << 32)
#define F_PACKED    (UINT64_C(1) << 34)

#define NEXT      1u
#define WRITE     2u
#define INDIRECT  4u
#define AVAIL_BIT 0x80u
#define USED_BIT  0x8000u

struct desc {
    uint64_t gpa;
    uint32_t bytes;
    uint16_t flags, next;
};

struct packed_desc {
    uint64_t gpa;
    uint32_t bytes;
    uint16_t id, flags;
};

struct used_entry {
    uint32_t id, bytes;
};

struct ring {
    unsigned slot, queue;
    uint16_t size;
    uint16_t posted; /* available index */
    uint16_t seen;   /* used index */
    struct desc *desc;
    volatile uint16_t *avail; /* flags, index, entries, event */
    volatile uint16_t *used;  /* flags, index, entries of 8 bytes */
};

/* Configuration space by the ports CF8h and CFCh. */
uint32_t pci_read(unsigned slot, unsigned offset);
void pci_write(unsigned slot, unsigned offset, uint32_t value);
/* Where MSI-X control is; must be there. */
unsigned pci_msix_at(unsigned slot);

void device_reset(unsigned slot);
uint64_t device_features(unsigned slot);
/* Reset, acknowledge, accept these features as far as they are offered, FEATURES_OK. */
void device_begin(unsigned slot, uint64_t features);
void device_ok(unsigned slot);
uint8_t device_status(unsigned slot);
/* Does it wait for a reset? Waits until it does; the attack is lost if it never does. */
void device_must_break(unsigned slot);

/* Make a ring of a queue's largest size and give it to the device. */
void ring_make(struct machine *m, struct ring *r, unsigned slot, unsigned queue);
/* The same memory once more, emptied, after a reset. */
void ring_again(struct ring *r);
void ring_kick(const struct ring *r);
/* Post a head, without a kick. */
void ring_post(struct ring *r, uint16_t head);
void ring_set(struct ring *r, uint16_t i, uint64_t gpa, uint32_t bytes, uint16_t flags, uint16_t next);
/* Has the device used anything since? */
bool ring_has_used(const struct ring *r);
/* Wait for it, and take it: bytes written. The attack is lost if nothing comes. */
uint32_t ring_take(struct ring *r);
/* The same without losing: false if the device is broken or nothing comes for a while. */
bool ring_try(struct ring *r, uint32_t *bytes);
volatile struct used_entry *ring_used_entry(const struct ring *r, uint16_t index);

/* One good request to the disk and the random number device: they are well, or the attack is lost. */
void disk_must_work(struct machine *m, unsigned slot);
void rng_must_work(struct machine *m);
/* Every device can be set up and does the simplest thing it can. */
void all_must_work(struct machine *m);

#endif
