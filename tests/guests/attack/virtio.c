/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CAP_MSIX       0x11u
/* Turns of a loop, each with a read of memory: far more than any answer takes, also on a busy host. */
#define PATIENCE  UINT64_C(400000000)
#define TRY_TURNS UINT64_C(2000)

/* ---- PCI ---- */

static void pci_select(unsigned slot, unsigned offset)
{
    out32(CONFIG_ADDRESS, 0x80000000u | slot << 11 | (offset & 0xfc));
}

uint32_t pci_read(unsigned slot, unsigned offset)
{
    pci_select(slot, offset);
    return in32(CONFIG_DATA);
}

void pci_write(unsigned slot, unsigned offset, uint32_t value)
{
    pci_select(slot, offset);
    out32(CONFIG_DATA, value);
}

unsigned pci_msix_at(unsigned slot)
{
    unsigned at = pci_read(slot, 0x34) & 0xff;
    while (at != 0 && (pci_read(slot, at) & 0xff) != CAP_MSIX)
        at = pci_read(slot, at) >> 8 & 0xff;
    must(at != 0, "a device without MSI-X");
    return at;
}

/* ---- Devices ---- */

uint8_t device_status(unsigned slot)
{
    return get8(BAR(slot) + STATUS);
}

void device_reset(unsigned slot)
{
    set8(BAR(slot) + STATUS, 0);
    must(device_status(slot) == 0, "a reset that is not done");
}

uint64_t device_features(unsigned slot)
{
    set32(BAR(slot) + FEATURES_SELECT, 1);
    uint64_t high = get32(BAR(slot) + FEATURES);
    set32(BAR(slot) + FEATURES_SELECT, 0);
    return high << 32 | get32(BAR(slot) + FEATURES);
}

void device_begin(unsigned slot, uint64_t features)
{
    pci_write(slot, 4, 6); /* memory space and bus master */
    device_reset(slot);
    set8(BAR(slot) + STATUS, ACKNOWLEDGE);
    set8(BAR(slot) + STATUS, ACKNOWLEDGE | DRIVER);
    features = (features & device_features(slot)) | F_VERSION_1;
    set32(BAR(slot) + ACCEPTED_SELECT, 0);
    set32(BAR(slot) + ACCEPTED, (uint32_t)features);
    set32(BAR(slot) + ACCEPTED_SELECT, 1);
    set32(BAR(slot) + ACCEPTED, (uint32_t)(features >> 32));
    set8(BAR(slot) + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    must((device_status(slot) & FEATURES_OK) != 0, "a device does not accept its own features");
}

void device_ok(unsigned slot)
{
    set8(BAR(slot) + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

void device_must_break(unsigned slot)
{
    uint64_t left = PATIENCE / 64;
    while ((device_status(slot) & NEEDS_RESET) == 0)
        must(left-- > 0, "a device does not notice a broken ring");
}

/* ---- Rings ---- */

static void ring_place(const struct ring *r)
{
    uint64_t bar = BAR(r->slot);
    set16(bar + QUEUE_SELECT, (uint16_t)r->queue);
    set16(bar + QUEUE_SIZE, r->size);
    set64(bar + QUEUE_DESC, address_of(r->desc));
    set64(bar + QUEUE_DRIVER, address_of(r->avail));
    set64(bar + QUEUE_DEVICE, address_of(r->used));
    set16(bar + QUEUE_ENABLE, 1);
}

void ring_make(struct machine *m, struct ring *r, unsigned slot, unsigned queue)
{
    set16(BAR(slot) + QUEUE_SELECT, (uint16_t)queue);
    uint16_t size = get16(BAR(slot) + QUEUE_SIZE);
    must(size != 0 && size <= 1024, "a queue without a size");
    *r = (struct ring){.slot = slot, .queue = queue, .size = size};
    r->desc = memory_take(m, size * sizeof(struct desc));
    r->avail = memory_take(m, 6 + 2u * size);
    r->used = memory_take(m, 6 + 8u * size);
    ring_place(r);
}

void ring_again(struct ring *r)
{
    r->posted = r->seen = 0;
    for (unsigned i = 0; i < r->size; i++)
        r->desc[i] = (struct desc){.gpa = 0};
    for (unsigned i = 0; i < 3u + r->size; i++)
        r->avail[i] = 0;
    for (unsigned i = 0; i < 3u + 4u * r->size; i++)
        r->used[i] = 0;
    ring_place(r);
}

void ring_kick(const struct ring *r)
{
    set16(BAR(r->slot) + BAR_NOTIFY + 4u * r->queue, (uint16_t)r->queue);
}

void ring_post(struct ring *r, uint16_t head)
{
    r->avail[2 + r->posted % r->size] = head;
    r->posted++;
    __atomic_store_n(&r->avail[1], r->posted, __ATOMIC_RELEASE);
}

void ring_set(struct ring *r, uint16_t i, uint64_t gpa, uint32_t bytes, uint16_t flags, uint16_t next)
{
    r->desc[i] = (struct desc){.gpa = gpa, .bytes = bytes, .flags = flags, .next = next};
}

bool ring_has_used(const struct ring *r)
{
    return __atomic_load_n(&r->used[1], __ATOMIC_ACQUIRE) != r->seen;
}

volatile struct used_entry *ring_used_entry(const struct ring *r, uint16_t index)
{
    return (volatile struct used_entry *)pointer_to(address_of(r->used + 2) + 8u * (index % r->size));
}

static uint32_t take(struct ring *r)
{
    uint32_t bytes = ring_used_entry(r, r->seen)->bytes;
    r->seen++;
    return bytes;
}

uint32_t ring_take(struct ring *r)
{
    uint64_t left = PATIENCE;
    while (!ring_has_used(r)) {
        must((left & 0xffff) != 0 || (device_status(r->slot) & NEEDS_RESET) == 0, "a device refuses what is right");
        must(left-- > 0, "a device does not answer");
    }
    return take(r);
}

bool ring_try(struct ring *r, uint32_t *bytes)
{
    for (uint64_t left = TRY_TURNS; !ring_has_used(r); left--)
        if (left == 0 || ((left & 0xff) == 0 && (device_status(r->slot) & NEEDS_RESET) != 0))
            return false;
    *bytes = take(r);
    return true;
}

/* ---- Devices that are well ---- */

struct disk_header {
    uint32_t type, reserved;
    uint64_t sector;
};

void disk_must_work(struct machine *m, unsigned slot)
{
    uint64_t heap = m->heap;
    struct ring r;
    device_begin(slot, 0);
    ring_make(m, &r, slot, 0);
    device_ok(slot);
    uint8_t *page = memory_take(m, PAGE);
    struct disk_header *h = (struct disk_header *)(void *)page;
    *h = (struct disk_header){.type = 0, .sector = 1};
    page[600] = 0xff;
    ring_set(&r, 0, address_of(page), sizeof(*h), NEXT, 1);
    ring_set(&r, 1, address_of(page + 1024), 512, NEXT | WRITE, 2);
    ring_set(&r, 2, address_of(page + 600), 1, WRITE, 0);
    ring_post(&r, 0);
    ring_kick(&r);
    must(ring_take(&r) == 513 && page[600] == 0, "the disk does not read");
    /* The runner fills each sector with its number. */
    must(page[1024] == 1 && page[1024 + 511] == 1, "the disk reads something else");
    device_reset(slot);
    m->heap = heap;
}

void rng_must_work(struct machine *m)
{
    uint64_t heap = m->heap;
    struct ring r;
    device_begin(SLOT_RNG, 0);
    ring_make(m, &r, SLOT_RNG, 0);
    device_ok(SLOT_RNG);
    ring_set(&r, 0, address_of(memory_take(m, PAGE)), 64, WRITE, 0);
    ring_post(&r, 0);
    ring_kick(&r);
    must(ring_take(&r) == 64, "no random numbers");
    device_reset(SLOT_RNG);
    m->heap = heap;
}

/* Something that each device answers on one of its queues: an empty buffer, or one that it has nothing to say to. */
static void must_answer(struct machine *m, unsigned slot, unsigned queue)
{
    uint64_t heap = m->heap;
    struct ring r;
    device_begin(slot, 0);
    ring_make(m, &r, slot, queue);
    device_ok(slot);
    ring_set(&r, 0, address_of(memory_take(m, PAGE)), 64, 0, 0);
    ring_post(&r, 0);
    ring_kick(&r);
    (void)ring_take(&r);
    device_reset(slot);
    m->heap = heap;
}

void all_must_work(struct machine *m)
{
    disk_must_work(m, SLOT_DISK);
    disk_must_work(m, SLOT_DISK_RO);
    rng_must_work(m);
    must_answer(m, SLOT_CONSOLE, 1);
    must_answer(m, SLOT_VSOCK, 1);
    must_answer(m, SLOT_BALLOON, 1);
    must_answer(m, SLOT_SHARE, 1);
    must_answer(m, SLOT_NET, 1);
}
