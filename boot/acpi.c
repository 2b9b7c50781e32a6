/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/acpi.h"

#include <errno.h>
#include <string.h>

#include "boot/dsdt.h"
#include "common/bytes.h"
#include "common/checked.h"

#define HEADER_BYTES 36u
#define ALIGNMENT    16u
#define RSDP_BYTES   36u
#define FADT_BYTES   276u
#define MCFG_BYTES   60u

/* Tables under construction. The arena's bytes are zero, so fields that are not mentioned are 0. */
struct builder {
    uint8_t *bytes;
    size_t length;
};

/* ---- Checks ---- */

struct boot_pci boot_pci_default(void)
{
    return (struct boot_pci){
        .present = true, .ecam_gpa = BOOT_ECAM_GPA, .window = {.gpa = BOOT_PCI32_GPA, .bytes = BOOT_PCI32_BYTES}};
}

struct boot_range boot_pci_ecam(const struct boot_pci *pci)
{
    if (!pci->present)
        return (struct boot_range){0, 0};
    return (struct boot_range){pci->ecam_gpa, ((uint64_t)pci->last_bus - pci->first_bus + 1) * BOOT_ECAM_BYTES_PER_BUS};
}

static int refuse(const char *what_to_do, struct err *err, const char *why)
{
    return err_fail_because(err, -EINVAL, &(struct err_context){"describe the machine to its kernel", NULL, what_to_do},
                            "%s", why);
}

static bool is_in_hole(struct boot_range r)
{
    return r.gpa >= BOOT_HOLE_GPA && checked_range_fits(r.gpa, r.bytes, BOOT_VIRTIO_MMIO_GPA);
}

static bool overlap(struct boot_range a, struct boot_range b)
{
    return a.gpa < b.gpa + b.bytes && b.gpa < a.gpa + a.bytes;
}

static int check_pci(const struct boot_pci *pci, uint64_t memory_bytes, struct err *err)
{
    struct boot_range ram[2], ecam = boot_pci_ecam(pci);
    if (!pci->present)
        return 0;
    (void)boot_ram_ranges(memory_bytes, ram);
    if (pci->first_bus > pci->last_bus)
        return refuse("give bus numbers in rising order", err, "the PCI bridge's last bus is below its first");
    if (!checked_is_aligned(pci->ecam_gpa, BOOT_ECAM_BYTES_PER_BUS) || !is_in_hole(ecam))
        return refuse("use the default address and fewer buses", err,
                      "PCI configuration space is not within the hole below 4 GiB");
    if (pci->window.bytes > 0 && (!is_in_hole(pci->window) || overlap(pci->window, ecam)))
        return refuse("use the default window", err,
                      "the 32-bit PCI window is not within the hole below 4 GiB, or covers the configuration space");
    uint64_t end64 = 0;
    if (pci->window64.bytes > 0 && (pci->window64.gpa < BOOT_HIGH_RAM_GPA + ram[1].bytes ||
                                    !checked_add_u64(pci->window64.gpa, pci->window64.bytes - 1, &end64)))
        return refuse("place the window above the machine's RAM", err,
                      "the 64-bit PCI window covers RAM or does not fit 64 bits");
    return 0;
}

int boot_devices_check(const struct boot_devices *devices, uint64_t memory_bytes, struct err *err)
{
    if (devices->vps < 1 || devices->vps > BOOT_VPS_MAX)
        return refuse("give it 1 to 255 virtual processors", err, "the number of virtual processors is out of range");
    if (devices->virtio_count > BOOT_VIRTIO_MMIO_MAX)
        return refuse("use at most 64 virtio devices without PCI", err, "there are too many virtio devices");
    for (unsigned i = 0; i < devices->virtio_count; i++) {
        if (!boot_gsi_is_usable(devices->virtio_gsi[i]))
            return refuse("use input 1 or 3 to 23", err, "a virtio device has an interrupt input that does not work");
    }
    return check_pci(&devices->pci, memory_bytes, err);
}

/* ---- Tables ---- */

static uint8_t checksum(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)(0u - sum);
}

static uint64_t gpa_of(const struct builder *b, const uint8_t *table)
{
    return BOOT_ACPI_GPA + (uint64_t)(table - b->bytes);
}

/* Start a table behind the last; its bytes are there up to BOOT_ACPI_TABLES_MAX. */
static uint8_t *begin_table(struct builder *b, const char *signature, uint8_t revision)
{
    uint8_t *t = b->bytes + b->length;
    memcpy(t, signature, 4);
    t[8] = revision;
    memcpy(t + 10, "CAISSN", 6);
    memcpy(t + 16, "CAISSON ", 8);
    bytes_store_le32(t + 24, 1);
    memcpy(t + 28, "CSSN", 4);
    bytes_store_le32(t + 32, 1);
    return t;
}

static void end_table(struct builder *b, uint8_t *table, size_t length)
{
    bytes_store_le32(table + 4, (uint32_t)length);
    table[9] = checksum(table, length);
    b->length += (length + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* A register of one byte in I/O space (generic address structure, 5.2.3.2). */
static void put_port(uint8_t *to, uint16_t port)
{
    to[0] = 1; /* I/O space */
    to[1] = 8; /* bits */
    to[3] = 1; /* accessed by bytes */
    bytes_store_le64(to + 4, port);
}

enum {
    FADT_DSDT = 40,
    FADT_PROFILE = 45,
    FADT_BOOT_ARCH = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_MINOR = 131,
    FADT_X_DSDT = 140,
    FADT_SLEEP_CONTROL = 244,
    FADT_SLEEP_STATUS = 256,

    BOOT_ARCH_NO_VGA = 1 << 2,
    BOOT_ARCH_NO_ASPM = 1 << 4,
    BOOT_ARCH_NO_CMOS_RTC = 1 << 5,

    FLAG_WBINVD = 1 << 0,
    FLAG_PROC_C1 = 1 << 2,
    FLAG_NO_POWER_BUTTON = 1 << 4,
    FLAG_NO_SLEEP_BUTTON = 1 << 5,
    FLAG_RESET_REG = 1 << 10,
    FLAG_HEADLESS = 1 << 12,
    FLAG_HW_REDUCED = 1 << 20,
};

/* Boot architecture bits that are not set say: no legacy devices, no keyboard controller, MSI is supported. */
static const uint8_t *add_fadt(struct builder *b, const struct boot_devices *devices, uint64_t dsdt_gpa)
{
    uint8_t *t = begin_table(b, "FACP", 6);
    uint16_t arch = BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM;
    if (!devices->rtc)
        arch |= BOOT_ARCH_NO_CMOS_RTC;
    bytes_store_le32(t + FADT_DSDT, (uint32_t)dsdt_gpa);
    t[FADT_PROFILE] = 4; /* enterprise server */
    bytes_store_le16(t + FADT_BOOT_ARCH, arch);
    bytes_store_le32(t + FADT_FLAGS, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_POWER_BUTTON | FLAG_NO_SLEEP_BUTTON |
                                         FLAG_RESET_REG | FLAG_HEADLESS | FLAG_HW_REDUCED);
    put_port(t + FADT_RESET_REG, BOOT_PORT_RESET);
    t[FADT_RESET_VALUE] = BOOT_RESET_VALUE;
    t[FADT_MINOR] = 3;
    bytes_store_le64(t + FADT_X_DSDT, dsdt_gpa);
    put_port(t + FADT_SLEEP_CONTROL, BOOT_PORT_SLEEP_CONTROL);
    put_port(t + FADT_SLEEP_STATUS, BOOT_PORT_SLEEP_STATUS);
    end_table(b, t, FADT_BYTES);
    return t;
}

static size_t put_override(uint8_t *to, uint8_t gsi)
{
    to[0] = 2; /* interrupt source override */
    to[1] = 10;
    to[3] = gsi; /* of the ISA bus (0) */
    bytes_store_le32(to + 4, gsi);
    bytes_store_le16(to + 8, 1 | 1 << 2); /* active high, edge */
    return 10;
}

/* Inputs below 16 that a device uses, as a mask. */
static uint32_t legacy_inputs(const struct boot_devices *devices)
{
    uint32_t mask = (devices->com1 ? 1u << BOOT_GSI_COM1 : 0) | (devices->com2 ? 1u << BOOT_GSI_COM2 : 0);
    for (unsigned i = 0; i < devices->virtio_count; i++)
        mask |= 1u << devices->virtio_gsi[i];
    return mask & 0xffff;
}

static const uint8_t *add_madt(struct builder *b, const struct boot_devices *devices)
{
    uint8_t *t = begin_table(b, "APIC", 5);
    uint32_t inputs = legacy_inputs(devices);
    size_t at = 44;
    bytes_store_le32(t + 36, (uint32_t)BOOT_LAPIC_GPA);
    for (unsigned i = 0; i < devices->vps; i++, at += 8) {
        t[at] = 0; /* local APIC; ids below 255 need no x2APIC entry, also for kernels that use x2APIC mode */
        t[at + 1] = 8;
        t[at + 2] = (uint8_t)i;
        t[at + 3] = (uint8_t)i;
        bytes_store_le32(t + at + 4, 1); /* enabled */
    }
    t[at] = 1; /* I/O APIC with id 0, inputs from 0 on */
    t[at + 1] = 12;
    bytes_store_le32(t + at + 4, (uint32_t)BOOT_IOAPIC_GPA);
    at += 12;
    for (uint8_t gsi = 0; gsi < 16; gsi++) {
        if ((inputs >> gsi & 1) != 0)
            at += put_override(t + at, gsi);
    }
    t[at] = 4; /* NMI: LINT1 of all processors */
    t[at + 1] = 6;
    t[at + 2] = 0xff;
    t[at + 5] = 1;
    end_table(b, t, at + 6);
    return t;
}

static const uint8_t *add_mcfg(struct builder *b, const struct boot_pci *pci)
{
    uint8_t *t = begin_table(b, "MCFG", 1);
    /* The address is that of bus 0, also where the first bus is another. */
    bytes_store_le64(t + 44, pci->ecam_gpa - pci->first_bus * BOOT_ECAM_BYTES_PER_BUS);
    t[54] = pci->first_bus;
    t[55] = pci->last_bus;
    end_table(b, t, MCFG_BYTES);
    return t;
}

static void put_rsdp(uint8_t *t, uint64_t xsdt_gpa)
{
    memcpy(t, "RSD PTR ", 8);
    memcpy(t + 9, "CAISSN", 6);
    t[15] = 2; /* revision */
    bytes_store_le32(t + 20, RSDP_BYTES);
    bytes_store_le64(t + 24, xsdt_gpa);
    t[8] = checksum(t, 20);
    t[32] = checksum(t, RSDP_BYTES);
}

int boot_acpi_place(const struct boot_devices *devices, struct boot_parts *parts, uint64_t *bytes, struct err *err)
{
    struct builder b = {.bytes = boot_parts_alloc(parts, BOOT_ACPI_TABLES_MAX, err)};
    if (b.bytes == NULL)
        return -ENOMEM;
    b.length = (RSDP_BYTES + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    uint8_t *dsdt = begin_table(&b, "DSDT", 2);
    size_t dsdt_bytes = boot_dsdt_write(devices, dsdt + HEADER_BYTES, BOOT_ACPI_TABLES_MAX / 2);
    if (dsdt_bytes == 0)
        return refuse("describe fewer devices", err, "the ACPI tables would be too large");
    end_table(&b, dsdt, HEADER_BYTES + dsdt_bytes);
    const uint8_t *tables[3] = {add_fadt(&b, devices, gpa_of(&b, dsdt)), add_madt(&b, devices)};
    unsigned count = 2;
    if (devices->pci.present)
        tables[count++] = add_mcfg(&b, &devices->pci);
    uint8_t *xsdt = begin_table(&b, "XSDT", 1);
    for (unsigned i = 0; i < count; i++)
        bytes_store_le64(xsdt + HEADER_BYTES + i * 8, gpa_of(&b, tables[i]));
    end_table(&b, xsdt, HEADER_BYTES + count * 8);
    put_rsdp(b.bytes, gpa_of(&b, xsdt));
    *bytes = b.length;
    struct boot_part part = {
        .gpa = gpa_make(BOOT_ACPI_GPA), .bytes = b.bytes, .length = b.length, .kind = BOOT_PART_ACPI};
    return boot_parts_add(parts, &part, err);
}
