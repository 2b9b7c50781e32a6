/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/ioapic.h"

#include <assert.h>
#include <string.h>

#define OFFSET_INDEX  0x00
#define OFFSET_WINDOW 0x10
#define OFFSET_EOI    0x40

#define REG_ID          0x00
#define REG_VERSION     0x01
#define REG_ARBITRATION 0x02
#define REG_ENTRIES     0x10

#define VERSION 0x20u
#define ID_MASK 0x0f000000u

/* Lower half of an entry. */
#define ENTRY_VECTOR      0xffu
#define ENTRY_MODE_SHIFT  8
#define ENTRY_MODE        0x7u
#define ENTRY_LOGICAL     (1u << 11)
#define ENTRY_SEND_STATUS (1u << 12) /* read-only */
#define ENTRY_REMOTE_IRR  (1u << 14) /* read-only */
#define ENTRY_LEVEL       (1u << 15)
#define ENTRY_MASKED      (1u << 16)
#define ENTRY_WRITABLE    (0x1ffffu & ~(ENTRY_SEND_STATUS | ENTRY_REMOTE_IRR))
/* Upper half. */
#define ENTRY_DEST_SHIFT 24
#define ENTRY_DEST       0xff000000u

#define LOWEST_VECTOR 16u

static uint8_t entry_mode(const struct ioapic_pin *p)
{
    return (uint8_t)(p->low >> ENTRY_MODE_SHIFT & ENTRY_MODE);
}

static bool entry_has_vector(const struct ioapic_pin *p)
{
    uint8_t mode = entry_mode(p);
    return mode == IOAPIC_MODE_FIXED || mode == IOAPIC_MODE_LOWEST;
}

/* NMI and INIT are edges whatever the entry says (82093AA, 3.2.4). */
static bool entry_is_level(const struct ioapic_pin *p)
{
    return (p->low & ENTRY_LEVEL) != 0 && entry_has_vector(p);
}

static bool entry_is_masked(const struct ioapic_pin *p)
{
    return (p->low & ENTRY_MASKED) != 0;
}

static bool entry_is_sendable(const struct ioapic_pin *p)
{
    uint8_t mode = entry_mode(p);
    if (entry_has_vector(p)) {
        return (p->low & ENTRY_VECTOR) >= LOWEST_VECTOR;
    }
    return mode == IOAPIC_MODE_NMI || mode == IOAPIC_MODE_INIT;
}

static struct ioapic_msg entry_message(const struct ioapic_pin *p)
{
    return (struct ioapic_msg){
        .dest = p->high >> ENTRY_DEST_SHIFT,
        .vector = (uint8_t)(p->low & ENTRY_VECTOR),
        .mode = entry_mode(p),
        .logical = (p->low & ENTRY_LOGICAL) != 0,
        .level = entry_is_level(p),
    };
}

/* What the wire asks for and has not got. */
static bool pin_wants_to_send(const struct ioapic_pin *p)
{
    if (entry_is_masked(p)) {
        return false;
    }
    return entry_is_level(p) ? p->line && (p->low & ENTRY_REMOTE_IRR) == 0 : p->pending;
}

static void serve(struct ioapic *io, struct ioapic_pin *p)
{
    if (!pin_wants_to_send(p)) {
        return;
    }
    if (!entry_is_sendable(p)) {
        io->stats.dropped++;
        p->pending = false;
        return;
    }
    struct ioapic_msg msg = entry_message(p);
    if (io->config.deliver(io->config.ctx, &msg) < 0) {
        io->stats.refused++;
        return;
    }
    io->stats.sent++;
    p->pending = false;
    if (msg.level) {
        p->low |= ENTRY_REMOTE_IRR;
    }
}

int ioapic_init(struct ioapic *io, const struct ioapic_config *config)
{
    assert(config->deliver != NULL);
    *io = (struct ioapic){.config = *config};
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        io->pins[i].low = ENTRY_MASKED;
    }
    return -pthread_mutex_init(&io->lock, NULL);
}

void ioapic_fini(struct ioapic *io)
{
    pthread_mutex_destroy(&io->lock);
}

/* ---- Wires and completions ---- */

void ioapic_set(struct ioapic *io, unsigned pin, bool level)
{
    if (pin >= IOAPIC_PINS) {
        return;
    }
    struct ioapic_pin *p = &io->pins[pin];
    pthread_mutex_lock(&io->lock);
    bool rises = level && !p->line;
    p->line = level;
    if (rises && !entry_is_level(p) && !entry_is_masked(p)) {
        p->pending = true;
    }
    serve(io, p);
    pthread_mutex_unlock(&io->lock);
}

static void set_by_line(void *ctx, unsigned gsi, bool level)
{
    ioapic_set(ctx, gsi, level);
}

struct irq_line ioapic_line(struct ioapic *io, unsigned pin)
{
    return (struct irq_line){.set = set_by_line, .ctx = io, .gsi = pin};
}

/* All pins are served, not only those completed: it is also the second chance of messages that were refused. */
static void complete(struct ioapic *io, uint8_t vector)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        struct ioapic_pin *p = &io->pins[i];
        if ((p->low & ENTRY_VECTOR) == vector) {
            p->low &= ~ENTRY_REMOTE_IRR;
        }
        serve(io, p);
    }
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
    pthread_mutex_lock(&io->lock);
    complete(io, vector);
    pthread_mutex_unlock(&io->lock);
}

/* ---- Routes ---- */

static bool pin_route(const struct ioapic_pin *p, struct ioapic_msg *msg)
{
    bool sends = !entry_is_masked(p) && entry_is_sendable(p);
    *msg = sends ? entry_message(p) : (struct ioapic_msg){0};
    return sends;
}

bool ioapic_route(struct ioapic *io, unsigned pin, struct ioapic_msg *msg)
{
    if (pin >= IOAPIC_PINS) {
        *msg = (struct ioapic_msg){0};
        return false;
    }
    pthread_mutex_lock(&io->lock);
    bool sends = pin_route(&io->pins[pin], msg);
    pthread_mutex_unlock(&io->lock);
    return sends;
}

static bool same_route(const struct ioapic_pin *a, const struct ioapic_pin *b)
{
    struct ioapic_msg m, n;
    return pin_route(a, &m) == pin_route(b, &n) && m.dest == n.dest && m.vector == n.vector && m.mode == n.mode &&
           m.logical == n.logical && m.level == n.level;
}

void ioapic_msg_to_msi(const struct ioapic_msg *msg, uint64_t *address, uint32_t *data)
{
    /* Bit 14 of data is "assert", which level messages need and edge messages ignore. */
    *address = UINT64_C(0xfee00000) | (uint64_t)(msg->dest & 0xff) << 12 | (msg->logical ? 1u << 2 : 0);
    *data = msg->vector | (uint32_t)msg->mode << 8 | (msg->level ? 3u << 14 : 0);
}

void ioapic_stats(struct ioapic *io, struct ioapic_stats *out)
{
    pthread_mutex_lock(&io->lock);
    *out = io->stats;
    pthread_mutex_unlock(&io->lock);
}

/* ---- Registers ---- */

static uint32_t read_entry(const struct ioapic_pin *p, bool upper)
{
    if (upper) {
        return p->high;
    }
    return p->low | (pin_wants_to_send(p) ? ENTRY_SEND_STATUS : 0);
}

/*
 * A new lower half. Edge mode has no remote IRR: software without an EOI register completes an entry by going through
 * it. What waits for delivery goes with the mode it came from, or with the mask.
 */
static void write_entry_low(struct ioapic_pin *p, uint32_t value)
{
    uint32_t kept = (value & ENTRY_LEVEL) != 0 ? p->low & ENTRY_REMOTE_IRR : 0;
    p->low = (value & ENTRY_WRITABLE) | kept;
    if (entry_is_masked(p) || entry_is_level(p)) {
        p->pending = false;
    }
}

static uint32_t read_window(const struct ioapic *io)
{
    unsigned entry = io->index - REG_ENTRIES;
    switch (io->index) {
    case REG_ID:
    case REG_ARBITRATION: return io->id;
    case REG_VERSION: return (IOAPIC_PINS - 1) << 16 | VERSION;
    default:
        return io->index >= REG_ENTRIES && entry / 2 < IOAPIC_PINS ? read_entry(&io->pins[entry / 2], entry % 2 != 0)
                                                                   : 0;
    }
}

/* Returns the pin whose route changed, or IOAPIC_PINS. */
static unsigned write_window(struct ioapic *io, uint32_t value)
{
    unsigned entry = io->index - REG_ENTRIES, pin = entry / 2;
    if (io->index == REG_ID) {
        io->id = value & ID_MASK;
    }
    if (io->index < REG_ENTRIES || pin >= IOAPIC_PINS) {
        return IOAPIC_PINS;
    }
    struct ioapic_pin *p = &io->pins[pin];
    struct ioapic_pin before = *p;
    if (entry % 2 != 0) {
        p->high = value & ENTRY_DEST;
    } else {
        write_entry_low(p, value);
    }
    serve(io, p);
    return same_route(&before, p) ? IOAPIC_PINS : pin;
}

uint64_t ioapic_read(struct ioapic *io, uint64_t offset, unsigned bytes)
{
    (void)bytes; /* the bus cuts what is read to the width */
    uint64_t value = 0;
    pthread_mutex_lock(&io->lock);
    if (offset == OFFSET_INDEX) {
        value = io->index;
    } else if (offset == OFFSET_WINDOW) {
        value = read_window(io);
    }
    pthread_mutex_unlock(&io->lock);
    return value;
}

void ioapic_write(struct ioapic *io, uint64_t offset, unsigned bytes, uint64_t value)
{
    unsigned changed = IOAPIC_PINS;
    pthread_mutex_lock(&io->lock);
    if (offset == OFFSET_INDEX) {
        io->index = (uint8_t)value;
    } else if (offset == OFFSET_WINDOW && bytes >= 4) {
        changed = write_window(io, (uint32_t)value);
    } else if (offset == OFFSET_EOI) {
        complete(io, (uint8_t)value);
    }
    pthread_mutex_unlock(&io->lock);
    if (changed != IOAPIC_PINS && io->config.changed != NULL) {
        io->config.changed(io->config.ctx, changed);
    }
}

static uint64_t read_by_bus(void *dev, uint64_t offset, unsigned bytes)
{
    return ioapic_read(dev, offset, bytes);
}

static void write_by_bus(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    ioapic_write(dev, offset, bytes, value);
}

int ioapic_attach(struct ioapic *io, struct bus *bus, gpa_t base, struct err *err)
{
    static const struct bus_ops ops = {.read = read_by_bus, .write = write_by_bus};
    return bus_add_mmio(bus, "ioapic", base, IOAPIC_MMIO_BYTES, &ops, io, err);
}
