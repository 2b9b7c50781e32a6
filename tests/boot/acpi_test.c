/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/acpi.h"
#include "common/bytes.h"
#include "tests/lib/boot_fixture.h"

#define MEMORY (5 * BOOT_GIB)

struct tables {
    struct boot_parts parts;
    const uint8_t *bytes; /* of the part; address BOOT_ACPI_GPA */
    uint64_t length;
};

static void build(struct tables *t, const struct boot_devices *devices)
{
    assert_int_equal(boot_parts_init(&t->parts, MEMORY, NULL), 0);
    assert_int_equal(boot_devices_check(devices, MEMORY, NULL), 0);
    assert_int_equal(boot_acpi_place(devices, &t->parts, &t->length, NULL), 0);
    assert_int_equal(t->parts.count, 1);
    assert_true(t->parts.part[0].gpa.value == BOOT_ACPI_GPA);
    assert_int_equal(t->parts.part[0].length, t->length);
    t->bytes = t->parts.part[0].bytes;
}

static uint8_t sum(const uint8_t *bytes, size_t length)
{
    uint8_t total = 0;
    for (size_t i = 0; i < length; i++)
        total = (uint8_t)(total + bytes[i]);
    return total;
}

/* A table by the address another one gives, checked: within the part, length and checksum right. */
static const uint8_t *at(const struct tables *t, uint64_t gpa, const char *signature)
{
    assert_true(gpa >= BOOT_ACPI_GPA && gpa % 16 == 0 && gpa + 36 <= BOOT_ACPI_GPA + t->length);
    const uint8_t *table = t->bytes + (gpa - BOOT_ACPI_GPA);
    uint32_t length = bytes_load_le32(table + 4);
    assert_true(length >= 36 && gpa + length <= BOOT_ACPI_GPA + t->length);
    assert_memory_equal(table, signature, 4);
    assert_int_equal(sum(table, length), 0);
    assert_memory_equal(table + 10, "CAISSNCAISSON ", 14);
    return table;
}

/* The index-th table of the XSDT. */
static const uint8_t *listed(const struct tables *t, unsigned index, const char *signature)
{
    const uint8_t *xsdt = at(t, bytes_load_le64(t->bytes + 24), "XSDT");
    assert_true(36 + (index + 1) * 8 <= bytes_load_le32(xsdt + 4));
    return at(t, bytes_load_le64(xsdt + 36 + index * 8), signature);
}

static const uint8_t *dsdt_of(const struct tables *t)
{
    return at(t, bytes_load_le64(listed(t, 0, "FACP") + 140), "DSDT");
}

static const struct boot_devices bare = {.vps = 1};

static void rsdp_is_where_kernels_look(void **state)
{
    struct tables t;
    (void)state;
    build(&t, &bare);
    assert_memory_equal(t.bytes, "RSD PTR CAISSN", 8);
    assert_int_equal(t.bytes[15], 2);
    assert_int_equal(sum(t.bytes, 20), 0);
    assert_int_equal(sum(t.bytes, 36), 0);
    assert_int_equal(bytes_load_le32(t.bytes + 20), 36);
    boot_parts_fini(&t.parts);
}

static void xsdt_lists_two_tables_without_pci_and_three_with(void **state)
{
    struct tables t;
    struct boot_devices devices = {.vps = 1, .pci = boot_pci_default()};
    (void)state;
    build(&t, &bare);
    assert_int_equal(bytes_load_le32(at(&t, bytes_load_le64(t.bytes + 24), "XSDT") + 4), 36 + 2 * 8);
    boot_parts_fini(&t.parts);
    build(&t, &devices);
    assert_int_equal(bytes_load_le32(at(&t, bytes_load_le64(t.bytes + 24), "XSDT") + 4), 36 + 3 * 8);
    boot_parts_fini(&t.parts);
}

static void fadt_is_hardware_reduced(void **state)
{
    struct tables t;
    (void)state;
    build(&t, &bare);
    const uint8_t *fadt = listed(&t, 0, "FACP");
    assert_int_equal(bytes_load_le32(fadt + 4), 276);
    assert_int_equal(fadt[8], 6);
    assert_int_equal(bytes_load_le32(fadt + 112), 0x101435);
    assert_int_equal(bytes_load_le32(fadt + 40), bytes_load_le64(fadt + 140));
    boot_parts_fini(&t.parts);
}

static void fadt_names_reset_and_sleep_ports(void **state)
{
    static const uint8_t reset[13] = {1, 8, 0, 1, 0x02, 6, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t sleep[24] = {1, 8, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 1, 8, 0, 1, 1, 6, 0, 0, 0, 0, 0, 0};
    struct tables t;
    (void)state;
    build(&t, &bare);
    const uint8_t *fadt = listed(&t, 0, "FACP");
    assert_memory_equal(fadt + 116, reset, sizeof(reset));
    assert_memory_equal(fadt + 244, sleep, sizeof(sleep));
    boot_parts_fini(&t.parts);
}

static void fadt_denies_legacy_devices(void **state)
{
    struct tables t;
    struct boot_devices with_clock = {.vps = 1, .rtc = true};
    (void)state;
    build(&t, &bare);
    assert_int_equal(bytes_load_le16(listed(&t, 0, "FACP") + 109), 0x34);
    boot_parts_fini(&t.parts);
    build(&t, &with_clock);
    assert_int_equal(bytes_load_le16(listed(&t, 0, "FACP") + 109), 0x14);
    boot_parts_fini(&t.parts);
}

/* Entries of a kind in the MADT; the last one's address in *last. */
static unsigned madt_entries(const uint8_t *madt, uint8_t kind, const uint8_t **last)
{
    uint32_t length = bytes_load_le32(madt + 4);
    unsigned count = 0;
    uint32_t offset = 44;
    while (offset < length) {
        assert_true(madt[offset + 1] >= 2 && offset + madt[offset + 1] <= length);
        if (madt[offset] == kind) {
            *last = madt + offset;
            count++;
        }
        offset += madt[offset + 1];
    }
    assert_int_equal(offset, length);
    return count;
}

static void madt_has_each_processor(void **state)
{
    static const unsigned counts[] = {1, 2, 16, 255};
    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct tables t;
        struct boot_devices devices = {.vps = counts[i]};
        const uint8_t *entry = NULL;
        build(&t, &devices);
        assert_int_equal(madt_entries(listed(&t, 1, "APIC"), 0, &entry), counts[i]);
        assert_int_equal(entry[2], counts[i] - 1);
        assert_int_equal(entry[3], counts[i] - 1);
        assert_int_equal(bytes_load_le32(entry + 4), 1);
        boot_parts_fini(&t.parts);
    }
}

static void madt_has_one_io_apic_and_no_8259(void **state)
{
    struct tables t;
    const uint8_t *entry = NULL;
    (void)state;
    build(&t, &bare);
    const uint8_t *madt = listed(&t, 1, "APIC");
    assert_int_equal(bytes_load_le32(madt + 36), BOOT_LAPIC_GPA);
    assert_int_equal(bytes_load_le32(madt + 40), 0);
    assert_int_equal(madt_entries(madt, 1, &entry), 1);
    assert_int_equal(bytes_load_le32(entry + 4), BOOT_IOAPIC_GPA);
    assert_int_equal(bytes_load_le32(entry + 8), 0);
    boot_parts_fini(&t.parts);
}

static void madt_wires_nmi_to_lint1_of_all(void **state)
{
    static const uint8_t nmi[6] = {4, 6, 0xff, 0, 0, 1};
    struct tables t;
    const uint8_t *entry = NULL;
    (void)state;
    build(&t, &bare);
    assert_int_equal(madt_entries(listed(&t, 1, "APIC"), 4, &entry), 1);
    assert_memory_equal(entry, nmi, sizeof(nmi));
    boot_parts_fini(&t.parts);
}

static void madt_overrides_inputs_below_16_once_each(void **state)
{
    static const uint8_t last[10] = {2, 10, 0, 15, 15, 0, 0, 0, 5, 0};
    struct boot_devices devices = {
        .vps = 1, .com1 = true, .com2 = true, .virtio_count = 4, .virtio_gsi = {5, 5, 15, 16}};
    struct tables t;
    const uint8_t *entry = NULL;
    (void)state;
    build(&t, &devices);
    assert_int_equal(madt_entries(listed(&t, 1, "APIC"), 2, &entry), 4); /* 3, 4, 5, 15 */
    assert_memory_equal(entry, last, sizeof(last));
    boot_parts_fini(&t.parts);
    build(&t, &bare);
    assert_int_equal(madt_entries(listed(&t, 1, "APIC"), 2, &entry), 0);
    boot_parts_fini(&t.parts);
}

static void mcfg_gives_the_address_of_bus_0(void **state)
{
    struct boot_devices devices = {.vps = 1, .pci = boot_pci_default()};
    struct tables t;
    (void)state;
    devices.pci.first_bus = 2;
    devices.pci.last_bus = 3;
    build(&t, &devices);
    const uint8_t *mcfg = listed(&t, 2, "MCFG");
    assert_int_equal(bytes_load_le32(mcfg + 4), 60);
    assert_true(bytes_load_le64(mcfg + 44) == BOOT_ECAM_GPA - 2 * BOOT_MIB);
    assert_int_equal(bytes_load_le16(mcfg + 52), 0);
    assert_int_equal(mcfg[54], 2);
    assert_int_equal(mcfg[55], 3);
    assert_true(boot_pci_ecam(&devices.pci).bytes == 2 * BOOT_MIB);
    boot_parts_fini(&t.parts);
}

static bool dsdt_has(const struct tables *t, const char *name)
{
    const uint8_t *dsdt = dsdt_of(t);
    return memmem(dsdt, bytes_load_le32(dsdt + 4), name, 4) != NULL;
}

static void dsdt_has_only_the_devices_that_are_there(void **state)
{
    static const char *const names[] = {"COM1", "COM2", "RTC_", "PANC", "VR00", "PCI0", "MBRD"};
    struct boot_devices all = {.vps = 1,
                               .com1 = true,
                               .com2 = true,
                               .rtc = true,
                               .panic = true,
                               .virtio_count = 1,
                               .virtio_gsi = {5},
                               .pci = boot_pci_default()};
    struct tables t;
    (void)state;
    build(&t, &bare);
    assert_true(dsdt_has(&t, "_S5_"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(dsdt_has(&t, names[i]));
    boot_parts_fini(&t.parts);
    build(&t, &all);
    assert_true(dsdt_has(&t, "_S5_"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(dsdt_has(&t, names[i]));
    boot_parts_fini(&t.parts);
}

static void the_largest_machine_fits(void **state)
{
    struct boot_devices devices = {.vps = BOOT_VPS_MAX,
                                   .com1 = true,
                                   .com2 = true,
                                   .rtc = true,
                                   .panic = true,
                                   .virtio_count = BOOT_VIRTIO_MMIO_MAX,
                                   .pci = boot_pci_default()};
    struct tables t;
    (void)state;
    for (unsigned i = 0; i < BOOT_VIRTIO_MMIO_MAX; i++)
        devices.virtio_gsi[i] = (uint8_t)(5 + i % 19);
    devices.pci.last_bus = 255;
    devices.pci.window64 = (struct boot_range){UINT64_C(1) << 40, UINT64_C(1) << 38};
    build(&t, &devices);
    assert_true(dsdt_has(&t, "VR3F"));
    assert_true(t.length <= BOOT_ACPI_TABLES_MAX);
    boot_parts_fini(&t.parts);
}

static void a_used_up_arena_is_reported(void **state)
{
    struct boot_parts parts;
    uint64_t bytes = 7;
    (void)state;
    assert_int_equal(boot_parts_init(&parts, MEMORY, NULL), 0);
    assert_non_null(boot_parts_alloc(&parts, BOOT_ARENA_BYTES, NULL));
    assert_int_equal(boot_acpi_place(&bare, &parts, &bytes, NULL), -ENOMEM);
    assert_int_equal(bytes, 7);
    boot_parts_fini(&parts);
}

/* ---- Descriptions that are refused ---- */

static void refused(const struct boot_devices *devices, const char *words)
{
    struct err err;
    assert_int_equal(boot_devices_check(devices, MEMORY, &err), -EINVAL);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, words);
}

static void processors_are_1_to_255(void **state)
{
    (void)state;
    refused(&(struct boot_devices){.vps = 0}, "1 to 255");
    refused(&(struct boot_devices){.vps = 256}, "1 to 255");
    assert_int_equal(boot_devices_check(&(struct boot_devices){.vps = 255}, MEMORY, NULL), 0);
}

static void virtio_devices_are_bounded_and_have_usable_inputs(void **state)
{
    static const uint8_t wrong[] = {0, 2, 24, 255};
    (void)state;
    refused(&(struct boot_devices){.vps = 1, .virtio_count = 65}, "too many virtio");
    for (size_t i = 0; i < sizeof(wrong); i++)
        refused(&(struct boot_devices){.vps = 1, .virtio_count = 1, .virtio_gsi = {wrong[i]}}, "interrupt input");
}

static struct boot_devices with_pci(uint64_t ecam_gpa, uint8_t first, uint8_t last, struct boot_range window,
                                    struct boot_range window64)
{
    return (struct boot_devices){.vps = 1,
                                 .pci = {.present = true,
                                         .ecam_gpa = ecam_gpa,
                                         .first_bus = first,
                                         .last_bus = last,
                                         .window = window,
                                         .window64 = window64}};
}

static void pci_places_are_checked(void **state)
{
    static const struct boot_range none = {0, 0};
    const struct {
        struct boot_devices devices;
        const char *words;
    } rows[] = {
        {with_pci(BOOT_ECAM_GPA, 1, 0, none, none), "last bus is below"},
        {with_pci(BOOT_ECAM_GPA + 0x1000, 0, 0, none, none), "configuration space"},
        {with_pci(BOOT_HOLE_GPA - BOOT_MIB, 0, 0, none, none), "configuration space"},
        {with_pci(BOOT_VIRTIO_MMIO_GPA - BOOT_MIB, 0, 1, none, none), "configuration space"},
        {with_pci(UINT64_MAX & ~(BOOT_MIB - 1), 0, 255, none, none), "configuration space"},
        {with_pci(BOOT_ECAM_GPA, 0, 0, (struct boot_range){BOOT_ECAM_GPA - 1, 2}, none), "32-bit PCI window"},
        {with_pci(BOOT_ECAM_GPA, 0, 0, (struct boot_range){BOOT_HOLE_GPA - 1, 2}, none), "32-bit PCI window"},
        {with_pci(BOOT_ECAM_GPA, 0, 0, (struct boot_range){BOOT_HOLE_GPA, UINT64_MAX}, none), "32-bit PCI window"},
        {with_pci(BOOT_ECAM_GPA, 0, 0, none, (struct boot_range){6 * BOOT_GIB - 1, 2}), "64-bit PCI window"},
        {with_pci(BOOT_ECAM_GPA, 0, 0, none, (struct boot_range){UINT64_MAX, 2}), "64-bit PCI window"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refused(&rows[i].devices, rows[i].words);
    struct boot_devices touching =
        with_pci(BOOT_VIRTIO_MMIO_GPA - BOOT_MIB, 0, 0, none, (struct boot_range){6 * BOOT_GIB, BOOT_GIB});
    assert_int_equal(boot_devices_check(&touching, MEMORY, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsdp_is_where_kernels_look),
        cmocka_unit_test(xsdt_lists_two_tables_without_pci_and_three_with),
        cmocka_unit_test(fadt_is_hardware_reduced),
        cmocka_unit_test(fadt_names_reset_and_sleep_ports),
        cmocka_unit_test(fadt_denies_legacy_devices),
        cmocka_unit_test(madt_has_each_processor),
        cmocka_unit_test(madt_has_one_io_apic_and_no_8259),
        cmocka_unit_test(madt_wires_nmi_to_lint1_of_all),
        cmocka_unit_test(madt_overrides_inputs_below_16_once_each),
        cmocka_unit_test(mcfg_gives_the_address_of_bus_0),
        cmocka_unit_test(dsdt_has_only_the_devices_that_are_there),
        cmocka_unit_test(the_largest_machine_fits),
        cmocka_unit_test(a_used_up_arena_is_reported),
        cmocka_unit_test(processors_are_1_to_255),
        cmocka_unit_test(virtio_devices_are_bounded_and_have_usable_inputs),
        cmocka_unit_test(pci_places_are_checked),
    };
    return cmocka_run_group_tests_name("boot/acpi", tests, NULL, NULL);
}
