/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/dsdt.h"

#include "boot/aml.h"

static void add_serial(struct aml *a, const char *name, unsigned uid, uint16_t port, uint32_t gsi)
{
    size_t device = aml_open_device(a, name);
    aml_name_eisa_id(a, "_HID", "PNP0501");
    aml_name_integer(a, "_UID", uid);
    size_t resources = aml_open_resources(a);
    aml_io(a, port, BOOT_PORT_COM_COUNT);
    aml_interrupt_edge_high(a, gsi);
    aml_close_resources(a, resources);
    aml_close(a, device);
}

static void add_rtc(struct aml *a)
{
    size_t device = aml_open_device(a, "RTC_");
    aml_name_eisa_id(a, "_HID", "PNP0B00");
    size_t resources = aml_open_resources(a);
    aml_io(a, BOOT_PORT_RTC, 2);
    aml_close_resources(a, resources);
    aml_close(a, device);
}

static void add_panic(struct aml *a)
{
    size_t device = aml_open_device(a, "PANC");
    aml_name_string(a, "_HID", "QEMU0001");
    size_t resources = aml_open_resources(a);
    aml_io(a, BOOT_PORT_PANIC, 1);
    aml_close_resources(a, resources);
    aml_close(a, device);
}

static void add_virtio(struct aml *a, unsigned index, uint8_t gsi)
{
    const char *digits = "0123456789ABCDEF";
    char name[5] = {'V', 'R', digits[index >> 4 & 0xf], digits[index & 0xf], '\0'};
    size_t device = aml_open_device(a, name);
    aml_name_string(a, "_HID", "LNRO0005");
    aml_name_integer(a, "_UID", index);
    size_t resources = aml_open_resources(a);
    aml_memory32_fixed(a, (uint32_t)(BOOT_VIRTIO_MMIO_GPA + index * BOOT_VIRTIO_MMIO_BYTES),
                       (uint32_t)BOOT_VIRTIO_MMIO_BYTES);
    aml_interrupt_edge_high(a, gsi);
    aml_close_resources(a, resources);
    aml_close(a, device);
}

/* Without interrupt routing (_PRT): devices here signal by MSI-X only. */
static void add_pci(struct aml *a, const struct boot_pci *pci)
{
    size_t device = aml_open_device(a, "PCI0");
    aml_name_eisa_id(a, "_HID", "PNP0A08");
    aml_name_eisa_id(a, "_CID", "PNP0A03");
    aml_name_integer(a, "_SEG", 0);
    aml_name_integer(a, "_UID", 0);
    aml_name_integer(a, "_BBN", pci->first_bus);
    size_t resources = aml_open_resources(a);
    aml_bus_numbers(a, pci->first_bus, pci->last_bus);
    if (pci->window.bytes > 0)
        aml_window32(a, (uint32_t)pci->window.gpa, (uint32_t)pci->window.bytes);
    if (pci->window64.bytes > 0)
        aml_window64(a, pci->window64.gpa, pci->window64.bytes);
    aml_close_resources(a, resources);
    aml_close(a, device);

    /* PCI Firmware 4.1.2: configuration space belongs to a motherboard resource; Linux ignores it otherwise. */
    struct boot_range ecam = boot_pci_ecam(pci);
    device = aml_open_device(a, "MBRD");
    aml_name_eisa_id(a, "_HID", "PNP0C02");
    aml_name_integer(a, "_UID", 0);
    resources = aml_open_resources(a);
    aml_memory32_fixed(a, (uint32_t)ecam.gpa, (uint32_t)ecam.bytes);
    aml_close_resources(a, resources);
    aml_close(a, device);
}

size_t boot_dsdt_write(const struct boot_devices *devices, uint8_t *out, size_t size)
{
    static const uint8_t off[4] = {BOOT_SLEEP_TYPE_OFF, BOOT_SLEEP_TYPE_OFF, 0, 0};
    struct aml a;
    aml_init(&a, out, size);
    aml_name_package(&a, "_S5_", off, sizeof(off));
    size_t scope = aml_open_scope(&a, "_SB_");
    if (devices->com1)
        add_serial(&a, "COM1", 1, BOOT_PORT_COM1, BOOT_GSI_COM1);
    if (devices->com2)
        add_serial(&a, "COM2", 2, BOOT_PORT_COM2, BOOT_GSI_COM2);
    if (devices->rtc)
        add_rtc(&a);
    if (devices->panic)
        add_panic(&a);
    for (unsigned i = 0; i < devices->virtio_count; i++)
        add_virtio(&a, i, devices->virtio_gsi[i]);
    if (devices->pci.present)
        add_pci(&a, &devices->pci);
    aml_close(&a, scope);
    return a.failed ? 0 : a.length;
}
