/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/pci.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"

#define CAPABILITY_ALIGN 4u
#define BAR_BYTES        4u
#define BAR_FLAGS        0x0fu /* read-only bits below the address: memory, 32 bits, not prefetchable */

/* QEMU's generic host bridge, which no driver binds to. */
#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_DEVICE 0x0008u
#define BRIDGE_CLASS  0x060000u

/* CF8h: enable, register bits 11:8 (an extension, which selects what we do not have), bus, slot, function, register. */
#define ADDRESS_ENABLE UINT32_C(0x80000000)
#define ADDRESS_KEPT   UINT32_C(0x8ffffffc)
#define RESET_CONTROL  1u /* offsets from CF8h */
#define DATA           4u

/* A place in configuration space, as both mechanisms say it. */
struct place {
    unsigned bus, slot, function, offset;
};

static uint32_t all_ones(unsigned bytes)
{
    return UINT32_MAX >> (32 - 8 * bytes);
}

/* ---- Functions --------------------------------------------------------------------------------------------------- */

void pci_function_init(struct pci_function *f, const char *name, const struct pci_identity *identity,
                       const struct pci_function_ops *ops, void *dev)
{
    static const struct pci_function_ops nothing = {NULL, NULL};
    memset(f, 0, sizeof(*f));
    f->name = name;
    f->ops = ops != NULL ? ops : &nothing;
    f->dev = dev;
    f->free = PCI_HEADER_END;
    (void)pthread_mutex_init(&f->lock, NULL);
    bytes_store_le16(f->config + PCI_VENDOR_ID, identity->vendor);
    bytes_store_le16(f->config + PCI_DEVICE_ID, identity->device);
    bytes_store_le16(f->config + PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
    bytes_store_le16(f->config + PCI_SUBSYSTEM_ID, identity->subsystem);
    bytes_store_le32(f->config + PCI_REVISION, identity->class_code << 8 | identity->revision);
}

void pci_function_fini(struct pci_function *f)
{
    if (f->name == NULL)
        return;
    pthread_mutex_destroy(&f->lock);
    memset(f, 0, sizeof(*f));
}

static void store_bar(struct pci_function *f, unsigned bar, uint32_t value)
{
    bytes_store_le32(f->config + PCI_BAR + BAR_BYTES * bar, value);
}

void pci_function_set_bar(struct pci_function *f, unsigned bar, gpa_t gpa, uint32_t bytes, const struct bus_ops *ops)
{
    assert(bar < PCI_BARS && bytes > BAR_FLAGS && checked_is_aligned(gpa.value, bytes));
    assert(checked_range_fits(gpa.value, bytes, UINT64_C(1) << 32));
    f->bars[bar] = (struct pci_bar){.function = f, .bytes = bytes, .base = (uint32_t)gpa.value, .ops = ops};
    store_bar(f, bar, f->bars[bar].base);
    bytes_store_le16(f->writable + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER | PCI_COMMAND_INTX_DISABLE);
}

unsigned pci_function_add_capability(struct pci_function *f, uint8_t id, const uint8_t *body, const uint8_t *writable,
                                     unsigned bytes)
{
    unsigned at = f->free, end = at + PCI_CAPABILITY_HEADER_BYTES + bytes;
    assert(end <= PCI_CONFIG_BYTES);
    f->config[at] = id;
    memcpy(f->config + at + PCI_CAPABILITY_HEADER_BYTES, body, bytes);
    if (writable != NULL)
        memcpy(f->writable + at + PCI_CAPABILITY_HEADER_BYTES, writable, bytes);
    f->config[f->last_capability == 0 ? PCI_CAPABILITIES : f->last_capability + 1] = (uint8_t)at;
    f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    f->last_capability = at;
    f->free = (end + CAPABILITY_ALIGN - 1) & ~(CAPABILITY_ALIGN - 1);
    return at;
}

/* ---- Configuration: under the function's lock -------------------------------------------------------------------- */

/* A write reaches the bytes of a BAR: only the question for its size changes what it reads as. */
static void write_bar(struct pci_function *f, unsigned bar, unsigned offset, unsigned bytes, uint32_t value)
{
    const struct pci_bar *b = &f->bars[bar];
    bool asks = offset % BAR_BYTES == 0 && bytes == BAR_BYTES && (value | BAR_FLAGS) == UINT32_MAX;
    if (b->bytes > 0)
        store_bar(f, bar, asks ? ~(b->bytes - 1) : b->base);
}

static void write_config(struct pci_function *f, unsigned offset, unsigned bytes, uint32_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t mask = f->writable[offset + i], byte = (uint8_t)(value >> 8 * i);
        f->config[offset + i] = (uint8_t)((f->config[offset + i] & ~mask) | (byte & mask));
    }
    if (offset >= PCI_BAR && offset < PCI_BAR + BAR_BYTES * PCI_BARS)
        write_bar(f, (offset - PCI_BAR) / BAR_BYTES, offset, bytes, value);
    atomic_store(&f->decodes, (f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY) != 0);
    if (f->ops->written != NULL)
        f->ops->written(f->dev, offset, bytes);
}

static uint32_t read_config(struct pci_function *f, unsigned offset, unsigned bytes)
{
    uint32_t value = 0;
    if (f->ops->reading != NULL)
        f->ops->reading(f->dev, offset, bytes);
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)f->config[offset + i] << 8 * i;
    return value;
}

/* Who answers there; NULL: nobody. */
static struct pci_function *find(const struct pci_bus *pci, const struct place *at, unsigned bytes)
{
    bool inside = bytes <= 4 && at->offset % 4 + bytes <= 4 && at->offset < PCI_CONFIG_BYTES;
    return inside && at->bus == 0 && at->function == 0 ? pci->functions[at->slot] : NULL;
}

static uint64_t config_read(const struct pci_bus *pci, const struct place *at, unsigned bytes)
{
    struct pci_function *f = find(pci, at, bytes);
    if (f == NULL)
        return UINT64_MAX;
    pthread_mutex_lock(&f->lock);
    uint32_t value = read_config(f, at->offset, bytes);
    pthread_mutex_unlock(&f->lock);
    return value;
}

static void config_write(const struct pci_bus *pci, const struct place *at, unsigned bytes, uint64_t value)
{
    struct pci_function *f = find(pci, at, bytes);
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    write_config(f, at->offset, bytes, (uint32_t)value);
    pthread_mutex_unlock(&f->lock);
}

/* ---- The two mechanisms ------------------------------------------------------------------------------------------ */

static struct place ecam_place(uint64_t offset)
{
    return (struct place){.bus = 0,
                          .slot = (unsigned)(offset >> 15 & 0x1f),
                          .function = (unsigned)(offset >> 12 & 7),
                          .offset = (unsigned)(offset & 0xfff)};
}

static uint64_t ecam_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct place at = ecam_place(offset);
    return config_read(dev, &at, bytes);
}

static void ecam_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct place at = ecam_place(offset);
    config_write(dev, &at, bytes, value);
}

/* The place that CF8h names, for an access at CFCh + byte. False: CFCh is switched off. */
static bool port_place(struct pci_bus *pci, unsigned byte, struct place *at)
{
    uint32_t address = atomic_load(&pci->address);
    *at = (struct place){.bus = address >> 16 & 0xff,
                         .slot = address >> 11 & 0x1f,
                         .function = address >> 8 & 7,
                         .offset = (address >> 24 & 0xf) << 8 | (address & 0xfc) | byte};
    return (address & ADDRESS_ENABLE) != 0;
}

static bool is_reset_control(const struct pci_bus *pci, uint64_t offset, unsigned bytes)
{
    return offset == RESET_CONTROL && bytes == 1 && pci->reset_control != NULL;
}

static uint64_t ports_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct pci_bus *pci = dev;
    struct place at;
    if (offset >= DATA)
        return port_place(pci, (unsigned)offset - DATA, &at) ? config_read(pci, &at, bytes) : UINT64_MAX;
    if (is_reset_control(pci, offset, bytes))
        return pci->reset_control->read(pci->reset_control_dev, 0, 1);
    return offset == 0 && bytes == 4 ? atomic_load(&pci->address) : UINT64_MAX;
}

static void ports_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct pci_bus *pci = dev;
    struct place at;
    if (offset >= DATA) {
        if (port_place(pci, (unsigned)offset - DATA, &at))
            config_write(pci, &at, bytes, value);
    } else if (is_reset_control(pci, offset, bytes)) {
        pci->reset_control->write(pci->reset_control_dev, 0, 1, value);
    } else if (offset == 0 && bytes == 4) {
        atomic_store(&pci->address, (uint32_t)value & ADDRESS_KEPT);
    }
}

/* ---- BARs -------------------------------------------------------------------------------------------------------- */

static uint64_t bar_read(void *dev, uint64_t offset, unsigned bytes)
{
    const struct pci_bar *bar = dev;
    return atomic_load(&bar->function->decodes) ? bar->ops->read(bar->function->dev, offset, bytes) : UINT64_MAX;
}

static void bar_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    const struct pci_bar *bar = dev;
    if (atomic_load(&bar->function->decodes))
        bar->ops->write(bar->function->dev, offset, bytes, value);
}

static const struct pci_bar *bar_for(const struct pci_function *f, unsigned bar, uint64_t offset, unsigned bytes)
{
    bool good = bar < PCI_BARS && (bytes == 1 || bytes == 2 || bytes == 4) && offset % bytes == 0 &&
                checked_range_fits(offset, bytes, f->bars[bar].bytes);
    return good ? &f->bars[bar] : NULL;
}

bool pci_function_bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned bytes, uint32_t *value)
{
    const struct pci_bar *b = bar_for(f, bar, offset, bytes);
    if (b == NULL)
        return false;
    *value = (uint32_t)b->ops->read(f->dev, offset, bytes) & all_ones(bytes);
    return true;
}

bool pci_function_bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned bytes, uint32_t value)
{
    const struct pci_bar *b = bar_for(f, bar, offset, bytes);
    if (b == NULL)
        return false;
    b->ops->write(f->dev, offset, bytes, value & all_ones(bytes));
    return true;
}

/* ---- Bus --------------------------------------------------------------------------------------------------------- */

int pci_bus_init(struct pci_bus *pci, const struct pci_bus_config *config, struct err *err)
{
    static const struct pci_identity identity = {
        .vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class_code = BRIDGE_CLASS};
    static const struct bus_ops ecam = {ecam_read, ecam_write};
    static const struct bus_ops ports = {ports_read, ports_write};
    assert(checked_is_aligned(config->ecam.value, PCI_ECAM_BYTES));
    memset(pci, 0, sizeof(*pci));
    pci->bus = config->bus;
    pci->reset_control = config->reset_control;
    pci->reset_control_dev = config->reset_control_dev;
    pci_function_init(&pci->bridge, "PCI host bridge", &identity, NULL, NULL);
    pci->functions[0] = &pci->bridge;
    int code = bus_add_mmio(pci->bus, "PCI configuration space", config->ecam, PCI_ECAM_BYTES, &ecam, pci, err);
    if (code == 0)
        code = bus_add_ports(pci->bus, "PCI configuration ports", PCI_PORT_ADDRESS, PCI_PORT_COUNT, &ports, pci, err);
    if (code < 0)
        pci_bus_fini(pci);
    return code;
}

void pci_bus_fini(struct pci_bus *pci)
{
    pci_function_fini(&pci->bridge);
    memset(pci, 0, sizeof(*pci));
}

int pci_bus_add(struct pci_bus *pci, unsigned slot, struct pci_function *f, struct err *err)
{
    static const struct bus_ops ops = {bar_read, bar_write};
    const struct err_context context = {
        .attempted = "plug in PCI device", .on_what = f->name, .what_to_do = "give it another slot"};
    if (slot >= PCI_SLOTS)
        return err_fail_because(err, -EINVAL, &context, "there is no slot %u", slot);
    if (pci->functions[slot] != NULL)
        return err_fail_because(err, -EEXIST, &context, "slot %u holds %s", slot, pci->functions[slot]->name);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &f->bars[i];
        int code =
            bar->bytes == 0 ? 0 : bus_add_mmio(pci->bus, f->name, gpa_make(bar->base), bar->bytes, &ops, bar, err);
        if (code < 0)
            return code;
    }
    pci->functions[slot] = f;
    return 0;
}
