/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/layout.h"
#include "vmm/devices/table.h"
#include "vmm/mshv/abi.h"

/* Call `look` for each place there is. */
static void each_place(void (*look)(const struct device_place *, void *), void *ctx)
{
    struct device_place p;
    for (unsigned kind = 0; kind < DEVICE_KINDS; kind++)
        for (unsigned i = 0; device_table_place((enum device_kind)kind, i, &p); i++)
            look(&p, ctx);
}

static void take_slot(const struct device_place *p, void *ctx)
{
    uint32_t *taken = ctx;
    assert_in_range(p->slot, 1, DEVICE_SLOTS - 1);
    assert_int_equal(*taken >> p->slot & 1, 0);
    *taken |= UINT32_C(1) << p->slot;
}

static void no_two_devices_share_a_slot(void **state)
{
    uint32_t taken = 1; /* the host bridge */
    (void)state;
    each_place(take_slot, &taken);
    assert_int_equal(taken, 0x00ffff1f);
}

static void look_at_bar(const struct device_place *p, void *ctx)
{
    uint64_t *last = ctx;
    assert_true(p->bar.value >= *last);
    assert_int_equal(p->bar.value % DEVICE_BAR_STRIDE, 0);
    assert_true(p->bar.value >= BOOT_PCI32_GPA);
    assert_true(p->bar.value + DEVICE_BAR_STRIDE <= BOOT_PCI32_GPA + BOOT_PCI32_BYTES);
    *last = p->bar.value + DEVICE_BAR_STRIDE;
}

/* Kinds are in the order of their slots, so that each place has to begin where the last one ended, or later. */
static void bars_lie_apart_in_the_window(void **state)
{
    uint64_t last = 0;
    (void)state;
    each_place(look_at_bar, &last);
}

static void look_at_gsi(const struct device_place *p, void *ctx)
{
    uint32_t *last = ctx;
    assert_true(p->first_gsi >= *last && p->first_gsi >= BOOT_GSI_COUNT);
    *last = p->first_gsi + DEVICE_GSIS_PER_SLOT;
    assert_true(*last <= MSHV_MAX_GUEST_IRQS);
}

static void interrupt_numbers_lie_apart_above_the_io_apic(void **state)
{
    uint32_t last = 0;
    (void)state;
    each_place(look_at_gsi, &last);
}

/* Measured: a change here changes what guests see, and is meant to fail. */
static void the_numbers_are_these(void **state)
{
    static const struct {
        enum device_kind kind;
        unsigned instance, slot;
        uint64_t bar;
        uint32_t gsi;
    } want[] = {
        {DEVICE_CONSOLE, 0, 1, 0xc0010000, 64}, {DEVICE_VSOCK, 0, 2, 0xc0020000, 96},
        {DEVICE_RNG, 0, 3, 0xc0030000, 128},    {DEVICE_BALLOON, 0, 4, 0xc0040000, 160},
        {DEVICE_BLK, 0, 8, 0xc0080000, 288},    {DEVICE_BLK, 7, 15, 0xc00f0000, 512},
        {DEVICE_FS, 0, 16, 0xc0100000, 544},    {DEVICE_FS, 3, 19, 0xc0130000, 640},
        {DEVICE_NET, 0, 20, 0xc0140000, 672},   {DEVICE_NET, 3, 23, 0xc0170000, 768},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct device_place p;
        assert_true(device_table_place(want[i].kind, want[i].instance, &p));
        assert_int_equal(p.slot, want[i].slot);
        assert_int_equal(p.bar.value, want[i].bar);
        assert_int_equal(p.first_gsi, want[i].gsi);
    }
}

static void there_are_no_more_of_a_kind_than_it_says(void **state)
{
    struct device_place p = {.slot = 99};
    (void)state;
    for (unsigned kind = 0; kind < DEVICE_KINDS; kind++) {
        unsigned count = device_kind_count((enum device_kind)kind);
        assert_false(device_table_place((enum device_kind)kind, count, &p));
        assert_false(device_table_place((enum device_kind)kind, UINT32_MAX, &p));
        assert_int_equal(p.slot, 99);
        assert_true(count > 0 && device_kind_name((enum device_kind)kind)[0] != '\0');
    }
    assert_string_equal(device_kind_name(DEVICE_BLK), "blk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_devices_share_a_slot),
        cmocka_unit_test(bars_lie_apart_in_the_window),
        cmocka_unit_test(interrupt_numbers_lie_apart_above_the_io_apic),
        cmocka_unit_test(the_numbers_are_these),
        cmocka_unit_test(there_are_no_more_of_a_kind_than_it_says),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
