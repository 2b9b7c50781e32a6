/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest in the configuration space, ports and BAR of a virtio device on PCI, with queues, interrupts and
 * a hypervisor that refuses things.
 *
 * Input: actions of 8 bytes: kind, a byte, u16, u32. A rest shorter than that is ignored. Checked: identity, BAR and
 * list of capabilities never change, vectors read as ones that there are, nothing is fired behind a mask, an
 * interrupt does not stay pending in front of none, every number has one eventfd and that only with a route
 * (tests/lib/msi_fake.c).
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/lib/msi_fake.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTION_BYTES 8u
#define ECAM         UINT64_C(0xe0000000)
#define BAR          UINT64_C(0xc0030000)
#define SLOT         3u
#define GSI          40u
#define QUEUES       2u
#define VECTORS      (QUEUES + 1)
#define QUEUE_SIZE   8u
#define CONFIG_BYTES 12u
#define RINGS        UINT64_C(0x1000) /* in guest memory; a page for each queue */
#define CONTROL      (w->msix + 2)    /* message control */
#define RUNNING      15u

struct world {
    struct vdrv d;
    struct bus bus;
    struct pci_bus pci;
    struct msi_fake fake;
    struct virtio virtio;
    struct virtio_pci *p;
    struct virtq_chain chain;
    uint8_t config[CONFIG_BYTES];
    unsigned msix; /* where the MSI-X capability is */
    bool refused;  /* the hypervisor refused something once: it is tried again at the next write, which need not come */
    uint8_t heads[PCI_CONFIG_BYTES];
};

struct action {
    uint8_t kind, small;
    uint16_t medium;
    uint32_t large;
};

/* ---- The device ---- */

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct world *w = dev;
    (void)queue;
    for (int i = 0; i < 16; i++) {
        if (virtq_pop(q, &w->chain) <= 0)
            return VIRTIO_DRAINED;
        virtq_push(q, &w->chain, virtq_chain_write(&w->chain, 0, "x", 1));
    }
    return VIRTIO_MORE;
}

static void read_config(void *dev, uint8_t *out)
{
    const struct world *w = dev;
    memcpy(out, w->config, CONFIG_BYTES);
}

static void write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct world *w = dev;
    assert(offset + bytes <= CONFIG_BYTES);
    memcpy(w->config + offset, &value, bytes);
}

static const struct virtio_ops ops = {
    .name = "fuzz", .type = VIRTIO_TYPE_NET, .serve = serve, .read_config = read_config, .write_config = write_config};

/* ---- Accesses ---- */

static uint64_t load(struct world *w, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;
    (void)bus_mmio_read(&w->bus, gpa_make(gpa), bytes, &value);
    return value;
}

static void store(struct world *w, uint64_t gpa, unsigned bytes, uint64_t value)
{
    (void)bus_mmio_write(&w->bus, gpa_make(gpa), bytes, value);
}

static uint64_t ecam(unsigned offset)
{
    return ECAM + (SLOT << 15) + offset;
}

/* ---- What holds always ---- */

static void check_config(struct world *w)
{
    uint32_t bar = (uint32_t)load(w, ecam(PCI_BAR), 4);
    assert(load(w, ecam(0), 4) == 0x10411af4);
    assert(bar == BAR || bar == 0xffff8000);
    assert((load(w, ecam(PCI_COMMAND), 2) & ~0x406u) == 0);
    for (unsigned at = (unsigned)load(w, ecam(PCI_CAPABILITIES), 1); at != 0; at = w->heads[at + 1])
        assert(load(w, ecam(at), 2) == bytes_load_le16(w->heads + at));
}

static bool is_decoding(struct world *w)
{
    return (load(w, ecam(PCI_COMMAND), 2) & PCI_COMMAND_MEMORY) != 0;
}

/* A bit for each vector that the table lets through. Only while memory space is enabled. */
static unsigned unmasked(struct world *w)
{
    uint64_t control = load(w, ecam(CONTROL), 2);
    unsigned bits = 0;
    for (unsigned i = 0; (control & 0xc000) == 0x8000 && i < VECTORS; i++)
        bits |= (load(w, BAR + VIRTIO_PCI_TABLE + 16 * i + 12, 4) == 0 ? 1u : 0) << i;
    return bits;
}

static void check_vectors(struct world *w)
{
    uint64_t config = load(w, BAR + VIRTIO_PCI_CONFIG_VECTOR, 2), queue = load(w, BAR + VIRTIO_PCI_QUEUE_VECTOR, 2);
    assert(config < VECTORS || config == VIRTIO_PCI_NO_VECTOR);
    assert(queue < VECTORS || queue == VIRTIO_PCI_NO_VECTOR);
}

static bool is_good_message(struct world *w, unsigned vector)
{
    return load(w, BAR + VIRTIO_PCI_TABLE + 16 * vector, 8) >> 20 == 0xfee;
}

/* through: vectors that were let through before or after the action. */
static void check_interrupts(struct world *w, unsigned through, unsigned now)
{
    uint64_t pending = load(w, BAR + VIRTIO_PCI_PENDING, 8);
    assert(pending >> VECTORS == 0);
    assert(pending == 0 || (load(w, ecam(CONTROL), 2) & 0x8000) != 0);
    for (unsigned i = 0; i < VECTORS; i++) {
        bool fired = msi_fake_take(&w->fake, GSI + i) != 0;
        assert(!fired || (through >> i & 1) != 0);
        if ((now >> i & 1) != 0 && (pending >> i & 1) != 0)
            assert(w->refused || !is_good_message(w, i));
    }
}

/* ---- Actions ---- */

/* Queues at fixed places, as a driver makes them; what is in them is up to other actions. */
static void start(struct world *w, uint8_t small)
{
    store(w, ecam(PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
    store(w, BAR + VIRTIO_PCI_STATUS, 1, 0);
    store(w, BAR + VIRTIO_PCI_ACCEPTED_SELECT, 4, 0);
    store(w, BAR + VIRTIO_PCI_ACCEPTED, 4, (uint32_t)(small & 3) << VIRTIO_RING_F_INDIRECT_DESC);
    store(w, BAR + VIRTIO_PCI_ACCEPTED_SELECT, 4, 1);
    store(w, BAR + VIRTIO_PCI_ACCEPTED, 4, 1);
    store(w, BAR + VIRTIO_PCI_STATUS, 1, RUNNING & ~(unsigned)VIRTIO_STATUS_DRIVER_OK);
    for (unsigned i = 0; i < QUEUES; i++) {
        uint64_t ring = RINGS + 0x1000 * i;
        store(w, BAR + VIRTIO_PCI_QUEUE_SELECT, 2, i);
        store(w, BAR + VIRTIO_PCI_QUEUE_DESCRIPTORS, 8, ring);
        store(w, BAR + VIRTIO_PCI_QUEUE_DRIVER, 8, ring + 0x100);
        store(w, BAR + VIRTIO_PCI_QUEUE_DEVICE, 8, ring + 0x200);
        store(w, BAR + VIRTIO_PCI_QUEUE_VECTOR, 2, i + 1);
        store(w, BAR + VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
    }
    store(w, BAR + VIRTIO_PCI_CONFIG_VECTOR, 2, 0);
    store(w, BAR + VIRTIO_PCI_STATUS, 1, RUNNING);
}

/* One more buffer in a queue. */
static void post(struct world *w, const struct action *a)
{
    uint8_t *ring = vdrv_at(&w->d, RINGS + 0x1000 * (a->small & 1), 0x1000);
    uint16_t index = bytes_load_le16(ring + 0x102), slot = index % QUEUE_SIZE;
    bytes_store_le64(ring + 16u * slot, a->large);
    bytes_store_le32(ring + 16u * slot + 8, a->medium);
    bytes_store_le32(ring + 16u * slot + 12, 2);
    bytes_store_le16(ring + 0x104 + 2u * slot, slot);
    bytes_store_le16(ring + 0x102, (uint16_t)(index + 1));
}

static void refuse(struct world *w, uint16_t how)
{
    w->refused |= (how & 3) != 0;
    w->fake.route_fails = (how & 1) != 0 ? -ENOMEM : 0;
    w->fake.attach_fails = (how & 2) != 0 ? -ENOMEM : 0;
    w->fake.unroute_fails = (how & 4) != 0 ? -ENOMEM : 0;
}

static void program(struct world *w, const struct action *a)
{
    uint64_t entry = BAR + VIRTIO_PCI_TABLE + 16u * (a->small % VECTORS);
    store(w, entry, 8, 0xfee00000 | (uint64_t)a->medium << 4);
    store(w, entry + 8, 8, a->large | (uint64_t)(a->small >> 7) << 32);
}

static void act(struct world *w, const struct action *a)
{
    unsigned bytes = 1u << (a->small & 3);
    uint64_t wide = a->large | (uint64_t)a->large << 32, value;
    uint16_t port = (uint16_t)(PCI_PORT_ADDRESS + (a->small >> 2 & 7));
    switch (a->kind % 13) {
    case 0: store(w, ECAM + (a->medium | (uint64_t)(a->small >> 4 & 1) << 16), bytes, wide); break;
    case 1: (void)load(w, ECAM + (a->medium | (uint64_t)(a->small >> 4) << 16), bytes); break;
    case 2: (void)bus_port_write(&w->bus, port, bytes, a->large); break;
    case 3: (void)bus_port_read(&w->bus, port, bytes, &value); break;
    case 4: store(w, BAR + a->medium % VIRTIO_PCI_BAR_BYTES, bytes, wide); break;
    case 5: (void)load(w, BAR + a->medium % VIRTIO_PCI_BAR_BYTES, bytes); break;
    case 6: bytes_store_le32(vdrv_at(&w->d, RINGS + (a->medium & 0x1ffc), 4), a->large); break;
    case 7: post(w, a); break;
    case 8: vdrv_turn(&w->d); break;
    case 9: start(w, a->small); break;
    case 10: program(w, a); break;
    case 11: virtio_config_changed(&w->virtio); break;
    default: refuse(w, a->medium); break;
    }
    if (a->kind % 13 == 7 && !msi_fake_store(&w->fake, BAR + VIRTIO_PCI_NOTIFY + 4 * (a->small >> 1 & 3)))
        store(w, BAR + VIRTIO_PCI_NOTIFY + 4 * (a->small >> 1 & 3), 2, 0);
}

static void step(struct world *w, const struct action *a)
{
    bool before = is_decoding(w);
    unsigned through = before ? unmasked(w) : 0;
    act(w, a);
    check_config(w);
    if (!is_decoding(w))
        return;
    unsigned now = unmasked(w);
    check_vectors(w);
    /* An action that enabled memory space may have fired with masks that could not be seen before. */
    check_interrupts(w, before ? through | now : ~0u, now);
}

/* ---- World ---- */

static void begin(struct world *w)
{
    struct virtio_config common = {.ops = &ops,
                                   .dev = w,
                                   .memory = &w->d.memory,
                                   .config_bytes = CONFIG_BYTES,
                                   .queues = QUEUES,
                                   .queue_size = QUEUE_SIZE,
                                   .loops = {&w->d.loop, &w->d.loop}};
    const struct pci_bus_config bus = {.bus = &w->bus, .ecam = gpa_make(ECAM)};
    const struct virtio_pci_place place = {
        .slot = SLOT, .bar = gpa_make(BAR), .first_gsi = GSI, .msi = msi_fake_port(&w->fake)};
    vdrv_init(&w->d);
    if (virtio_init(&w->virtio, &common, NULL) < 0 || pci_bus_init(&w->pci, &bus, NULL) < 0 ||
        virtio_pci_new(&w->virtio, &w->pci, &place, &w->p, NULL) < 0)
        abort();
    for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++)
        w->heads[i] = (uint8_t)load(w, ecam(i), 1);
    for (unsigned at = w->heads[PCI_CAPABILITIES]; at != 0; at = w->heads[at + 1])
        w->msix = w->heads[at] == 0x11 ? at : w->msix;
}

static void end(struct world *w)
{
    virtio_pci_free(w->p);
    virtio_fini(&w->virtio);
    pci_bus_fini(&w->pci);
    vdrv_fini(&w->d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return 0;
    begin(w);
    for (; size >= ACTION_BYTES; data += ACTION_BYTES, size -= ACTION_BYTES) {
        struct action a = {data[0], data[1], bytes_load_le16(data + 2), bytes_load_le32(data + 4)};
        step(w, &a);
    }
    end(w);
    free(w);
    return 0;
}
