/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A PCI bus: bus 0 behind one host bridge, 32 slots with one function each, no bridges, no interrupt lines, no hot
 * plug.
 *
 *     ECAM ------------------+
 *     ports CF8h, CFCh ------+--> slot --> configuration of a function --> written(): what a register does beyond
 *     a BAR's addresses -----+---------------------------------------> bus_ops of the function    keeping its value
 *
 * A function is 256 bytes of configuration, a mask of the bits that a guest may change, and hooks. Addresses are given
 * out when the machine is built and stay: a base address register reads its size after all its address bits were
 * written as ones, as every driver asks for it, and what else is written leaves it where it is. An operating system
 * that wants to move a function sees the old address when it reads back; none of those we know needs to, as the
 * addresses lie in the window that ACPI describes. Measured boot wants it so: what is where is never the guest's
 * choice.
 *
 * Configuration space ends at 256 bytes; what ECAM has behind them reads as all ones, which Linux takes for
 * "conventional PCI". Absent functions read as all ones too. An access has to stay within 4 aligned bytes.
 *
 * Threads: built by one thread, then everything is for VPs, any number at once. Each function has a lock for its
 * configuration, which is held while its hooks run. Sources: PCI Local Bus 3.0, 3.2.2.3.2 (mechanism 1), 6.1 to 6.7;
 * PCI Express Base 4.0, 7.2.2 (ECAM).
 */
#ifndef CAISSON_VMM_DEVICES_PCI_H
#define CAISSON_VMM_DEVICES_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/bus.h"

#define PCI_SLOTS        32u
#define PCI_BARS         6u
#define PCI_CONFIG_BYTES 256u
#define PCI_ECAM_BYTES   UINT64_C(0x100000) /* of one bus */
#define PCI_PORT_ADDRESS 0x0cf8u
#define PCI_PORT_COUNT   8u

/* Registers of the header (6.1), and the bits of them that there are here. */
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* programming interface, subclass, base class */
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_HEADER_END = 0x40,
};

#define PCI_COMMAND_MEMORY          0x0002u
#define PCI_COMMAND_BUS_MASTER      0x0004u /* kept, without effect */
#define PCI_COMMAND_INTX_DISABLE    0x0400u /* likewise */
#define PCI_STATUS_INTERRUPT        0x0008u
#define PCI_STATUS_CAPABILITIES     0x0010u
#define PCI_CAPABILITY_HEADER_BYTES 2u /* id, next */

struct pci_identity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* base class << 16 | subclass << 8 | programming interface */
    uint8_t revision;
};

/* What registers do. dev: pci_function.dev. On a VP, under the function's lock. Both may be NULL. */
struct pci_function_ops {
    /* These bytes are about to be read: bring the image up to date. */
    void (*reading)(void *dev, unsigned offset, unsigned bytes);
    /* They were written, and the image has what its mask let through. */
    void (*written)(void *dev, unsigned offset, unsigned bytes);
};

struct pci_function;

/* Private to pci.c. */
struct pci_bar {
    struct pci_function *function;
    uint32_t bytes; /* 0: there is none */
    uint32_t base;
    const struct bus_ops *ops;
};

/* Owned by the caller. Private to pci.c but for hooks, which may use `config` of their own capabilities. */
struct pci_function {
    const char *name;
    const struct pci_function_ops *ops;
    void *dev;
    pthread_mutex_t lock; /* guards config */
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES]; /* constant once on a bus, as is all below */
    atomic_bool decodes;                /* memory space is enabled */
    struct pci_bar bars[PCI_BARS];
    unsigned last_capability; /* where its id is; 0: there is none yet */
    unsigned free;            /* where the next capability goes */
};

/* The bus with its host bridge in slot 0. Owned by the caller. Private to pci.c. */
struct pci_bus {
    struct bus *bus;
    struct pci_function *functions[PCI_SLOTS];
    struct pci_function bridge;
    atomic_uint address; /* CF8h */
    const struct bus_ops *reset_control;
    void *reset_control_dev;
};

/* ---- Functions: the building thread ------------------------------------------------------------------------------ */

/*
 * Begin with a function that has no BAR and no capability. name: for messages; name, ops (may be NULL) and dev are
 * borrowed for as long as it is used. pci_function_fini ends it, when no VP runs; it accepts a zeroed one.
 */
void pci_function_init(struct pci_function *f, const char *name, const struct pci_identity *identity,
                       const struct pci_function_ops *ops, void *dev);
void pci_function_fini(struct pci_function *f);

/*
 * Give it memory: 32 bits, not prefetchable. gpa: a multiple of bytes, which is a power of two and at least 16; both
 * are constants of ours. ops get pci_function.dev and offsets from gpa, while memory space is enabled; otherwise reads
 * give all ones and writes vanish. Before pci_bus_add.
 */
void pci_function_set_bar(struct pci_function *f, unsigned bar, gpa_t gpa, uint32_t bytes, const struct bus_ops *ops);

/*
 * Append a capability. body: what follows the two bytes of its header; writable: as many bytes of masks, or NULL for
 * none. Returns where it begins. Capabilities begin at multiples of 4; all of them must fit, which is the caller's
 * business, as there are no more than ours.
 */
unsigned pci_function_add_capability(struct pci_function *f, uint8_t id, const uint8_t *body, const uint8_t *writable,
                                     unsigned bytes);

/* Do [offset, offset + bytes) and [other, other + other_bytes) have a byte in common? For hooks. */
static inline bool pci_overlap(unsigned offset, unsigned bytes, unsigned other, unsigned other_bytes)
{
    return offset < other + other_bytes && other < offset + bytes;
}

/*
 * For functions with a second way to their BARs (virtio's in configuration space): access one, also while memory space
 * is not enabled. False: no such BAR, a width that is not 1, 2 or 4, not aligned, or not all of it inside.
 */
bool pci_function_bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned bytes, uint32_t *value);
bool pci_function_bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned bytes, uint32_t value);

/* ---- Bus --------------------------------------------------------------------------------------------------------- */

struct pci_bus_config {
    struct bus *bus; /* borrowed for as long as the PCI bus is used */
    gpa_t ecam;      /* 1 MiB aligned */
    /*
     * Port CF9h belongs to somebody else, but an access to CF8h covers it: accesses of one byte there are handed on, at
     * offset 0. NULL: nobody is there. See power_reset_control in power.h.
     */
    const struct bus_ops *reset_control;
    void *reset_control_dev;
};

/*
 * Put a bus with its host bridge on the machine's bus. 0, or what bus_add_mmio and bus_add_ports say, with the
 * machine's bus holding a part of it: the machine cannot be built. The building thread, which ends it by pci_bus_fini;
 * that leaves functions to their owners, and accepts a zeroed one.
 */
int pci_bus_init(struct pci_bus *pci, const struct pci_bus_config *config, struct err *err);
void pci_bus_fini(struct pci_bus *pci);

/*
 * Plug a function in, with its BARs. Borrowed until pci_bus_fini. -EINVAL: no such slot; -EEXIST: it is taken; others:
 * bus_add_mmio, with the bus holding a part of its BARs. The building thread, before bus_freeze.
 */
int pci_bus_add(struct pci_bus *pci, unsigned slot, struct pci_function *f, struct err *err);

#endif
