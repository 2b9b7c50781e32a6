/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* One of the two address spaces while it is built. */
struct space {
    struct bus_range *ranges;
    size_t *count;
    size_t capacity;
    uint64_t last;    /* highest address there is */
    const char *noun; /* what its addresses are called in messages */
};

static struct space port_space(struct bus *bus)
{
    return (struct space){bus->ports, &bus->port_count, BUS_PORT_RANGES, UINT16_MAX, "ports"};
}

static struct space mmio_space(struct bus *bus)
{
    return (struct space){bus->mmio, &bus->mmio_count, BUS_MMIO_RANGES, UINT64_MAX, "addresses"};
}

/* Index of the first range that ends at or behind the address; count if there is none. */
static size_t find(const struct bus_range *ranges, size_t count, uint64_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int refuse_overlap(const struct bus_range *range, const struct bus_range *other, const char *noun,
                          struct err *err)
{
    const struct err_context context = {
        .attempted = "add device",
        .on_what = range->name,
        .what_to_do = "move one of the two or leave it out",
    };
    return err_fail_because(err, -EEXIST, &context,
                            "its %s 0x%" PRIx64 " to 0x%" PRIx64 " overlap those of %s, 0x%" PRIx64 " to 0x%" PRIx64,
                            noun, range->first, range->last, other->name, other->first, other->last);
}

static int refuse(const struct bus_range *range, int code, const char *why, const char *what_to_do, struct err *err)
{
    const struct err_context context = {.attempted = "add device", .on_what = range->name, .what_to_do = what_to_do};
    return err_fail_because(err, code, &context, "%s", why);
}

static int insert(const struct space *s, const struct bus_range *range, struct err *err)
{
    size_t at = find(s->ranges, *s->count, range->first);
    if (at < *s->count && s->ranges[at].first <= range->last) {
        return refuse_overlap(range, &s->ranges[at], s->noun, err);
    }
    if (*s->count == s->capacity) {
        return refuse(range, -ENOSPC, "the bus is full", "configure fewer devices", err);
    }
    memmove(&s->ranges[at + 1], &s->ranges[at], (*s->count - at) * sizeof(s->ranges[0]));
    s->ranges[at] = *range;
    ++*s->count;
    return 0;
}

static int add(const struct bus *bus, const struct space *s, struct bus_range *range, uint64_t bytes, struct err *err)
{
    assert(range->ops->read != NULL && range->ops->write != NULL);
    if (bus->frozen) {
        return refuse(range, -EBUSY, "the machine already runs", "add devices before it starts", err);
    }
    if (bytes == 0 || range->first > s->last || bytes - 1 > s->last - range->first) {
        return refuse(range, -EINVAL, "its range is empty or leaves the address space", "give it another place", err);
    }
    range->last = range->first + (bytes - 1);
    return insert(s, range, err);
}

int bus_add_ports(struct bus *bus, const char *name, uint16_t first, uint32_t count, const struct bus_ops *ops,
                  void *dev, struct err *err)
{
    struct space s = port_space(bus);
    struct bus_range range = {.first = first, .name = name, .ops = ops, .dev = dev};
    return add(bus, &s, &range, count, err);
}

int bus_add_mmio(struct bus *bus, const char *name, gpa_t base, uint64_t bytes, const struct bus_ops *ops, void *dev,
                 struct err *err)
{
    struct space s = mmio_space(bus);
    struct bus_range range = {.first = base.value, .name = name, .ops = ops, .dev = dev};
    return add(bus, &s, &range, bytes, err);
}

void bus_freeze(struct bus *bus)
{
    bus->frozen = true;
}

static bool is_width(unsigned bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* The range that holds all bytes of the access, or NULL. */
static const struct bus_range *look_up(const struct bus_range *ranges, size_t count, uint64_t address, unsigned bytes)
{
    size_t at = find(ranges, count, address);
    if (at == count || address < ranges[at].first || bytes - 1 > ranges[at].last - address) {
        return NULL;
    }
    return &ranges[at];
}

static uint64_t cut(uint64_t value, unsigned bytes)
{
    return bytes == 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

static bool read_range(const struct bus_range *range, uint64_t address, unsigned bytes, uint64_t *value)
{
    if (range == NULL) {
        return false;
    }
    *value = cut(range->ops->read(range->dev, address - range->first, bytes), bytes);
    return true;
}

static bool write_range(const struct bus_range *range, uint64_t address, unsigned bytes, uint64_t value)
{
    if (range == NULL) {
        return false;
    }
    range->ops->write(range->dev, address - range->first, bytes, cut(value, bytes));
    return true;
}

static const struct bus_range *port_range(const struct bus *bus, uint16_t port, unsigned bytes)
{
    return is_width(bytes) && bytes != 8 ? look_up(bus->ports, bus->port_count, port, bytes) : NULL;
}

static const struct bus_range *mmio_range(const struct bus *bus, gpa_t gpa, unsigned bytes)
{
    return is_width(bytes) ? look_up(bus->mmio, bus->mmio_count, gpa.value, bytes) : NULL;
}

bool bus_port_read(const struct bus *bus, uint16_t port, unsigned bytes, uint64_t *value)
{
    return read_range(port_range(bus, port, bytes), port, bytes, value);
}

bool bus_port_write(const struct bus *bus, uint16_t port, unsigned bytes, uint64_t value)
{
    return write_range(port_range(bus, port, bytes), port, bytes, value);
}

bool bus_mmio_read(const struct bus *bus, gpa_t gpa, unsigned bytes, uint64_t *value)
{
    return read_range(mmio_range(bus, gpa, bytes), gpa.value, bytes, value);
}

bool bus_mmio_write(const struct bus *bus, gpa_t gpa, unsigned bytes, uint64_t value)
{
    return write_range(mmio_range(bus, gpa, bytes), gpa.value, bytes, value);
}
