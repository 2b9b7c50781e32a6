/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest in the registers of the I/O APIC, devices at its pins, and EOIs of any vector.
 *
 * Input: actions of 8 bytes: kind, a byte, u16, u32. A rest shorter than that is ignored. Checked: only messages that
 * are valid are sent, one action sends at most one for each pin, read-only bits fit the rest of their entry, routes
 * told are routes in force, reading changes nothing.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/devices/ioapic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTION_BYTES 8u

struct world {
    struct ioapic io;
    bool refuse;
    unsigned sent; /* in the present action */
    uint32_t told; /* pins whose route was told to send */
};

struct action {
    uint8_t kind, small;
    uint16_t medium;
    uint32_t large;
};

static int hook_deliver(void *ctx, const struct ioapic_msg *msg)
{
    struct world *w = ctx;
    bool vector_counts = msg->mode == IOAPIC_MODE_FIXED || msg->mode == IOAPIC_MODE_LOWEST;
    assert(msg->dest <= 0xff);
    assert(vector_counts || msg->mode == IOAPIC_MODE_NMI || msg->mode == IOAPIC_MODE_INIT);
    assert(!vector_counts || msg->vector >= 16);
    assert(vector_counts || !msg->level);
    if (w->refuse) {
        return -1;
    }
    w->sent++;
    return 0;
}

static void hook_changed(void *ctx, unsigned pin)
{
    struct world *w = ctx;
    struct ioapic_msg msg;
    bool sends = ioapic_route(&w->io, pin, &msg);
    assert(pin < IOAPIC_PINS);
    w->told = (w->told & ~(1u << pin)) | (uint32_t)sends << pin;
}

static uint32_t entry_low(struct world *w, unsigned pin)
{
    ioapic_write(&w->io, 0x00, 4, 0x10 + 2 * pin);
    return (uint32_t)ioapic_read(&w->io, 0x10, 4);
}

static void check(struct world *w)
{
    uint64_t index = ioapic_read(&w->io, 0x00, 4);
    struct ioapic_msg msg;
    assert(index <= 0xff);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint32_t low = entry_low(w, pin);
        bool sends = ioapic_route(&w->io, pin, &msg);
        assert((low & ~0x1ffffu) == 0);
        assert((low & 1u << 14) == 0 || (low & 1u << 15) != 0); /* remote IRR with levels only */
        assert((low & 1u << 12) == 0 || (low & 1u << 16) == 0); /* masked pins wait for nothing */
        assert((low & 1u << 12) == 0 || (low & 1u << 14) == 0); /* nor do those that wait for an EOI */
        assert(sends == ((w->told >> pin & 1) != 0));
    }
    ioapic_write(&w->io, 0x00, 4, index);
}

static void act(struct world *w, const struct action *a)
{
    unsigned pin = a->small % (IOAPIC_PINS + 2), sends;
    w->sent = 0;
    switch (a->kind % 7) {
    case 0: ioapic_set(&w->io, pin, (a->medium & 1) != 0); break;
    case 1: ioapic_eoi(&w->io, a->small); break;
    case 2: ioapic_write(&w->io, a->medium % IOAPIC_MMIO_BYTES, 1u << (a->small & 3), a->large); break;
    case 3: (void)ioapic_read(&w->io, a->medium % IOAPIC_MMIO_BYTES, 1u << (a->small & 3)); break;
    case 4: /* an entry, as a driver writes it */
        ioapic_write(&w->io, 0x00, 4, 0x10 + 2 * pin + (a->medium & 1));
        ioapic_write(&w->io, 0x10, 4, a->large);
        break;
    case 5: ioapic_write(&w->io, 0x40, 4, a->small); break;
    default: w->refuse = (a->small & 1) != 0; break;
    }
    sends = w->sent;
    assert(sends <= IOAPIC_PINS);
    check(w);
    assert(w->sent == sends); /* looking sends nothing */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    struct ioapic_config config = {.deliver = hook_deliver, .changed = hook_changed, .ctx = &w};
    if (ioapic_init(&w.io, &config) != 0) {
        return 0;
    }
    for (; size >= ACTION_BYTES; data += ACTION_BYTES, size -= ACTION_BYTES) {
        struct action a = {.kind = data[0], .small = data[1]};
        a.medium = bytes_load_le16(data + 2);
        a.large = bytes_load_le32(data + 4);
        act(&w, &a);
    }
    ioapic_fini(&w.io);
    return 0;
}
