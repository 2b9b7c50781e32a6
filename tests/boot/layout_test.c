/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/acpi.h"
#include "boot/cpu_state.h"
#include "boot/layout.h"
#include "common/gpa.h"

static void small_memory_is_one_range(void **state)
{
    struct boot_range ram[2];
    (void)state;
    assert_int_equal(boot_ram_ranges(16 * BOOT_MIB, ram), 1);
    assert_true(ram[0].gpa == 0 && ram[0].bytes == 16 * BOOT_MIB);
}

static void memory_up_to_the_hole_is_one_range(void **state)
{
    struct boot_range ram[2];
    (void)state;
    assert_int_equal(boot_ram_ranges(BOOT_HOLE_GPA, ram), 1);
    assert_true(ram[0].bytes == BOOT_HOLE_GPA);
}

static void one_page_more_goes_above_4_gib(void **state)
{
    struct boot_range ram[2];
    (void)state;
    assert_int_equal(boot_ram_ranges(BOOT_HOLE_GPA + GUEST_PAGE_BYTES, ram), 2);
    assert_true(ram[0].bytes == BOOT_HOLE_GPA);
    assert_true(ram[1].gpa == BOOT_HIGH_RAM_GPA && ram[1].bytes == GUEST_PAGE_BYTES);
}

static void memory_of_1_tib_is_split_without_loss(void **state)
{
    struct boot_range ram[2];
    (void)state;
    assert_int_equal(boot_ram_ranges(UINT64_C(1) << 40, ram), 2);
    assert_true(ram[0].bytes + ram[1].bytes == UINT64_C(1) << 40);
}

/* The map at the head of layout.h, as rows: nothing reaches into the next. */
static void fixed_places_do_not_overlap(void **state)
{
    static const struct boot_range places[] = {
        {BOOT_GDT_GPA, BOOT_GDT_BYTES},
        {BOOT_PVH_GPA, BOOT_PVH_BYTES},
        {BOOT_ZERO_PAGE_GPA, BOOT_ZERO_PAGE_BYTES},
        {BOOT_STACK_TOP_GPA - 0x1000, 0x1000},
        {BOOT_PAGE_TABLES_GPA, BOOT_PAGE_TABLES_BYTES},
        {BOOT_CMDLINE_GPA, BOOT_CMDLINE_BYTES},
        {BOOT_LOW_END_GPA, 0},
        {BOOT_ACPI_GPA, BOOT_ACPI_BYTES},
        {BOOT_RESTART_GPA, BOOT_MIB - BOOT_RESTART_GPA},
        {BOOT_KERNEL_MIN_GPA, 0},
        {BOOT_PCI32_GPA, BOOT_PCI32_BYTES},
        {BOOT_ECAM_GPA, 256 * BOOT_ECAM_BYTES_PER_BUS},
        {BOOT_VIRTIO_MMIO_GPA, BOOT_VIRTIO_MMIO_MAX * BOOT_VIRTIO_MMIO_BYTES},
        {BOOT_IOAPIC_GPA, 0x1000},
        {BOOT_LAPIC_GPA, 0x1000},
        {BOOT_HIGH_RAM_GPA, 0},
    };
    (void)state;
    for (size_t i = 1; i < sizeof(places) / sizeof(places[0]); i++)
        assert_true(places[i - 1].gpa + places[i - 1].bytes <= places[i].gpa);
    assert_true(BOOT_ACPI_TABLES_MAX <= BOOT_ACPI_BYTES);
}

static void inputs_of_timer_and_cascade_are_not_for_devices(void **state)
{
    (void)state;
    assert_false(boot_gsi_is_usable(0));
    assert_true(boot_gsi_is_usable(1));
    assert_false(boot_gsi_is_usable(2));
    assert_true(boot_gsi_is_usable(23));
    assert_false(boot_gsi_is_usable(24));
}

static void switching_off_sets_the_enable_bit(void **state)
{
    (void)state;
    assert_int_equal(BOOT_SLEEP_OFF, 0x34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_memory_is_one_range),
        cmocka_unit_test(memory_up_to_the_hole_is_one_range),
        cmocka_unit_test(one_page_more_goes_above_4_gib),
        cmocka_unit_test(memory_of_1_tib_is_split_without_loss),
        cmocka_unit_test(fixed_places_do_not_overlap),
        cmocka_unit_test(inputs_of_timer_and_cascade_are_not_for_devices),
        cmocka_unit_test(switching_off_sets_the_enable_bit),
    };
    return cmocka_run_group_tests_name("boot/layout", tests, NULL, NULL);
}
