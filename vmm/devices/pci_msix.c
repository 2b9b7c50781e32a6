/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/pci_msix.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/bytes.h"

#define CAPABILITY_ID     0x11u
#define CAPABILITY_BODY   10u /* bytes behind the header: message control, table, pending bits */
#define CONTROL           2u  /* offset in the capability */
#define CONTROL_BYTES     2u
#define CONTROL_ENABLE    0x8000u
#define CONTROL_MASK      0x4000u
#define ENTRY_ADDRESS_LOW 0u
#define ENTRY_ADDRESS     4u /* upper half */
#define ENTRY_DATA        8u
#define ENTRY_CONTROL     12u
#define ENTRY_MASKED      1u
#define ADDRESS_LOW_BITS  UINT32_C(0xfffffffc) /* a message is 4 aligned bytes */

/* ---- Live vectors: under m->lock --------------------------------------------------------------------------------- */

static void signal_vector(const struct pci_msix *m, unsigned vector)
{
    const uint64_t one = 1;
    /* It fails when nobody took 2^64 - 2 events before this one. */
    (void)!write(m->eventfds[vector], &one, sizeof(one));
}

bool pci_msix_fire(struct pci_msix *m, unsigned vector)
{
    uint32_t bit = UINT32_C(1) << vector;
    pthread_mutex_lock(&m->lock);
    bool collecting = m->collecting;
    if (collecting && (m->live & bit) != 0)
        signal_vector(m, vector);
    else if (collecting)
        m->pending |= bit;
    pthread_mutex_unlock(&m->lock);
    return collecting;
}

bool pci_msix_is_enabled(struct pci_msix *m)
{
    return atomic_load(&m->collecting);
}

void pci_msix_forget(struct pci_msix *m)
{
    pthread_mutex_lock(&m->lock);
    m->pending = 0;
    pthread_mutex_unlock(&m->lock);
}

static void go_live(struct pci_msix *m, unsigned vector)
{
    uint32_t bit = UINT32_C(1) << vector;
    pthread_mutex_lock(&m->lock);
    m->live |= bit;
    if ((m->pending & bit) != 0)
        signal_vector(m, vector);
    m->pending &= ~bit;
    pthread_mutex_unlock(&m->lock);
}

/* When it returns, nobody fires the vector any more. */
static void go_quiet(struct pci_msix *m, unsigned vector)
{
    pthread_mutex_lock(&m->lock);
    m->live &= ~(UINT32_C(1) << vector);
    pthread_mutex_unlock(&m->lock);
}

static void collect(struct pci_msix *m, bool enabled)
{
    pthread_mutex_lock(&m->lock);
    m->collecting = enabled;
    if (!enabled)
        m->pending = 0;
    pthread_mutex_unlock(&m->lock);
}

/* ---- Routes: under m->registers ---------------------------------------------------------------------------------- */

static bool is_unmasked(const struct pci_msix *m, const struct pci_msix_entry *e)
{
    return m->enabled && !m->masked && !e->masked;
}

static bool is_route_current(const struct pci_msix_entry *e)
{
    return e->routed && e->routed_address == e->address && e->routed_data == e->data;
}

/* -EINVAL: the guest's message leads nowhere, as on real hardware. Others are the host's trouble. */
static void complain(struct pci_msix *m, unsigned vector, int code)
{
    if (code != -EINVAL && m->cfg.log != NULL && log_once_first(&m->said))
        log_write(m->cfg.log, LOG_LEVEL_WARN, LOG_NO_VCPU, "%s: interrupt vector %u cannot be routed: %s",
                  m->cfg.function->name, vector, strerror(-code));
}

/* Let the hypervisor know the present message. The vector is quiet. */
static int set_route(struct pci_msix *m, unsigned vector)
{
    struct pci_msix_entry *e = &m->entries[vector];
    const struct msi_port *port = &m->cfg.port;
    uint32_t gsi = m->cfg.first_gsi + vector;
    if (!is_route_current(e)) {
        int code = port->ops->route(port->ctx, gsi, e->address, e->data);
        if (code < 0)
            return code;
        e->routed = true;
        e->routed_address = e->address;
        e->routed_data = e->data;
    }
    int code = e->attached ? 0 : port->ops->attach(port->ctx, m->eventfds[vector], gsi);
    e->attached = code == 0;
    return code;
}

/* Bring a vector where its entry and the function's control want it. */
static void follow(struct pci_msix *m, unsigned vector)
{
    const struct pci_msix_entry *e = &m->entries[vector];
    bool unmasked = is_unmasked(m, e);
    if (!unmasked || !is_route_current(e))
        go_quiet(m, vector);
    int code = unmasked ? set_route(m, vector) : 0;
    if (code < 0)
        complain(m, vector, code);
    else if (unmasked)
        go_live(m, vector);
}

static void drop_route(struct pci_msix *m, unsigned vector)
{
    struct pci_msix_entry *e = &m->entries[vector];
    const struct msi_port *port = &m->cfg.port;
    if (e->routed && port->ops->unroute(port->ctx, m->cfg.first_gsi + vector) == 0)
        e->routed = false;
}

static void set_control(struct pci_msix *m, uint16_t control)
{
    pthread_mutex_lock(&m->registers);
    m->enabled = (control & CONTROL_ENABLE) != 0;
    m->masked = (control & CONTROL_MASK) != 0;
    collect(m, m->enabled);
    for (unsigned i = 0; i < m->cfg.vectors; i++) {
        follow(m, i);
        if (!m->enabled)
            drop_route(m, i);
    }
    pthread_mutex_unlock(&m->registers);
}

void pci_msix_config_written(struct pci_msix *m, unsigned offset, unsigned bytes)
{
    unsigned control = m->capability + CONTROL;
    if (pci_overlap(offset, bytes, control, CONTROL_BYTES))
        set_control(m, bytes_load_le16(m->cfg.function->config + control));
}

/* ---- Table and pending bits -------------------------------------------------------------------------------------- */

static bool is_served(uint64_t offset, unsigned bytes, uint64_t end)
{
    return (bytes == 4 || bytes == 8) && offset % bytes == 0 && checked_range_fits(offset, bytes, end);
}

static uint32_t read_entry(const struct pci_msix_entry *e, unsigned reg)
{
    switch (reg) {
    case ENTRY_ADDRESS_LOW: return (uint32_t)e->address;
    case ENTRY_ADDRESS: return (uint32_t)(e->address >> 32);
    case ENTRY_DATA: return e->data;
    default: return e->masked ? ENTRY_MASKED : 0;
    }
}

static void write_entry(struct pci_msix_entry *e, unsigned reg, uint32_t value)
{
    switch (reg) {
    case ENTRY_ADDRESS_LOW: e->address = (e->address >> 32 << 32) | (value & ADDRESS_LOW_BITS); break;
    case ENTRY_ADDRESS: e->address = (e->address & UINT32_MAX) | (uint64_t)value << 32; break;
    case ENTRY_DATA: e->data = value; break;
    default: e->masked = (value & ENTRY_MASKED) != 0; break;
    }
}

uint64_t pci_msix_read_table(struct pci_msix *m, uint64_t offset, unsigned bytes)
{
    if (!is_served(offset, bytes, (uint64_t)m->cfg.vectors * PCI_MSIX_ENTRY_BYTES))
        return 0;
    const struct pci_msix_entry *e = &m->entries[offset / PCI_MSIX_ENTRY_BYTES];
    unsigned reg = offset % PCI_MSIX_ENTRY_BYTES;
    pthread_mutex_lock(&m->registers);
    uint64_t value = read_entry(e, reg);
    if (bytes == 8)
        value |= (uint64_t)read_entry(e, reg + 4) << 32;
    pthread_mutex_unlock(&m->registers);
    return value;
}

void pci_msix_write_table(struct pci_msix *m, uint64_t offset, unsigned bytes, uint64_t value)
{
    if (!is_served(offset, bytes, (uint64_t)m->cfg.vectors * PCI_MSIX_ENTRY_BYTES))
        return;
    unsigned vector = (unsigned)(offset / PCI_MSIX_ENTRY_BYTES), reg = offset % PCI_MSIX_ENTRY_BYTES;
    pthread_mutex_lock(&m->registers);
    write_entry(&m->entries[vector], reg, (uint32_t)value);
    if (bytes == 8)
        write_entry(&m->entries[vector], reg + 4, (uint32_t)(value >> 32));
    follow(m, vector);
    pthread_mutex_unlock(&m->registers);
}

uint64_t pci_msix_read_pending(struct pci_msix *m, uint64_t offset, unsigned bytes)
{
    if (!is_served(offset, bytes, sizeof(uint64_t)))
        return 0;
    pthread_mutex_lock(&m->lock);
    uint64_t pending = m->pending;
    pthread_mutex_unlock(&m->lock);
    return pending >> 8 * offset;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void add_capability(struct pci_msix *m)
{
    static const uint8_t writable[CAPABILITY_BODY] = {0, (CONTROL_ENABLE | CONTROL_MASK) >> 8};
    uint8_t body[CAPABILITY_BODY];
    bytes_store_le16(body, (uint16_t)(m->cfg.vectors - 1));
    bytes_store_le32(body + 2, m->cfg.table | m->cfg.bar);
    bytes_store_le32(body + 6, m->cfg.pending | m->cfg.bar);
    m->capability = pci_function_add_capability(m->cfg.function, CAPABILITY_ID, body, writable, CAPABILITY_BODY);
}

int pci_msix_init(struct pci_msix *m, const struct pci_msix_config *config, struct err *err)
{
    const struct err_context context = {.attempted = "make the interrupts of PCI device",
                                        .on_what = config->function->name,
                                        .what_to_do = "raise the limit of open files (ulimit -n)"};
    int code = 0;
    assert(config->vectors > 0 && config->vectors <= PCI_MSIX_VECTORS_MAX);
    memset(m, 0, sizeof(*m));
    m->cfg = *config;
    (void)pthread_mutex_init(&m->registers, NULL);
    (void)pthread_mutex_init(&m->lock, NULL);
    for (unsigned i = 0; i < PCI_MSIX_VECTORS_MAX; i++) {
        bool wanted = i < config->vectors && code == 0;
        m->entries[i].masked = true;
        m->eventfds[i] = wanted ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
        code = wanted && m->eventfds[i] < 0 ? -errno : code;
    }
    if (code < 0) {
        pci_msix_fini(m);
        return err_fail(err, code, &context);
    }
    add_capability(m);
    return 0;
}

void pci_msix_fini(struct pci_msix *m)
{
    if (m->cfg.function == NULL)
        return;
    for (unsigned i = 0; i < PCI_MSIX_VECTORS_MAX; i++)
        if (m->eventfds[i] >= 0)
            close(m->eventfds[i]);
    pthread_mutex_destroy(&m->registers);
    pthread_mutex_destroy(&m->lock);
    memset(m, 0, sizeof(*m));
}
