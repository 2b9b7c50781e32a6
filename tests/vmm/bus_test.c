/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/bus.h"

/* A device that remembers the last access and answers with a constant. */
struct probe {
    uint64_t answer;
    unsigned reads, writes;
    uint64_t offset, value;
    unsigned bytes;
};

static uint64_t probe_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct probe *p = dev;
    p->reads++;
    p->offset = offset;
    p->bytes = bytes;
    return p->answer;
}

static void probe_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct probe *p = dev;
    p->writes++;
    p->offset = offset;
    p->bytes = bytes;
    p->value = value;
}

static const struct bus_ops ops = {.read = probe_read, .write = probe_write};

static int ports(struct bus *bus, const char *name, uint16_t first, uint32_t count, struct probe *dev)
{
    return bus_add_ports(bus, name, first, count, &ops, dev, NULL);
}

static int mmio(struct bus *bus, const char *name, uint64_t base, uint64_t bytes, struct probe *dev)
{
    return bus_add_mmio(bus, name, gpa_make(base), bytes, &ops, dev, NULL);
}

/* ---- Looking up ---- */

static void nobody_is_on_an_empty_bus(void **state)
{
    (void)state;
    struct bus bus = {0};
    uint64_t value = 5;
    assert_false(bus_port_read(&bus, 0, 1, &value));
    assert_false(bus_port_write(&bus, 0xffff, 1, 1));
    assert_false(bus_mmio_read(&bus, gpa_make(UINT64_MAX), 1, &value));
    assert_false(bus_mmio_write(&bus, gpa_make(0), 8, 1));
    assert_int_equal(value, 5);
}

static void port_accesses_reach_their_device_with_offset_and_width(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {.answer = 0x1234};
    uint64_t value = 0;
    assert_int_equal(ports(&bus, "p", 0x3f8, 8, &p), 0);
    bus_freeze(&bus);
    assert_true(bus_port_read(&bus, 0x3fd, 2, &value));
    assert_int_equal(value, 0x1234);
    assert_int_equal(p.offset, 5);
    assert_int_equal(p.bytes, 2);
    assert_true(bus_port_write(&bus, 0x3f8, 4, 0xdeadbeef));
    assert_int_equal(p.offset, 0);
    assert_int_equal(p.bytes, 4);
    assert_int_equal(p.value, 0xdeadbeef);
}

static void mmio_accesses_reach_their_device_with_offset_and_width(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {.answer = UINT64_MAX};
    uint64_t value = 0;
    assert_int_equal(mmio(&bus, "p", 0xfec00000, 0x1000, &p), 0);
    assert_true(bus_mmio_read(&bus, gpa_make(0xfec00ff8), 8, &value));
    assert_true(value == UINT64_MAX);
    assert_int_equal(p.offset, 0xff8);
    assert_true(bus_mmio_write(&bus, gpa_make(0xfec00010), 8, UINT64_MAX));
    assert_true(p.value == UINT64_MAX);
    assert_int_equal(p.bytes, 8);
}

static void values_are_cut_to_the_width_both_ways(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {.answer = UINT64_MAX};
    uint64_t value = 0;
    assert_int_equal(ports(&bus, "p", 0, 8, &p), 0);
    assert_true(bus_port_read(&bus, 0, 1, &value));
    assert_int_equal(value, 0xff);
    assert_true(bus_port_read(&bus, 0, 4, &value));
    assert_int_equal(value, 0xffffffff);
    assert_true(bus_port_write(&bus, 0, 2, UINT64_MAX));
    assert_int_equal(p.value, 0xffff);
}

static void first_and_last_byte_of_a_range_belong_to_it_and_no_other(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    uint64_t value;
    assert_int_equal(ports(&bus, "p", 0x10, 0x10, &p), 0);
    assert_false(bus_port_read(&bus, 0xf, 1, &value));
    assert_true(bus_port_read(&bus, 0x10, 1, &value));
    assert_true(bus_port_read(&bus, 0x1f, 1, &value));
    assert_false(bus_port_read(&bus, 0x20, 1, &value));
}

static void accesses_across_the_end_of_a_range_belong_to_nobody(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0}, q = {0};
    uint64_t value;
    assert_int_equal(ports(&bus, "p", 0x10, 0x10, &p), 0);
    assert_int_equal(ports(&bus, "q", 0x20, 0x10, &q), 0);
    assert_false(bus_port_read(&bus, 0xf, 2, &value));
    assert_false(bus_port_write(&bus, 0x1f, 2, 0));
    assert_false(bus_port_write(&bus, 0x1d, 4, 0));
    assert_false(bus_port_read(&bus, 0x2f, 2, &value));
    assert_true(bus_port_read(&bus, 0x1e, 2, &value));
    assert_int_equal(p.reads + p.writes + q.reads + q.writes, 1);
}

static void ends_of_the_address_spaces_can_be_used_and_do_not_wrap(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    uint64_t value;
    assert_int_equal(ports(&bus, "high", 0xfffe, 2, &p), 0);
    assert_int_equal(ports(&bus, "low", 0, 4, &p), 0);
    assert_int_equal(mmio(&bus, "high", UINT64_MAX - 7, 8, &p), 0);
    assert_int_equal(mmio(&bus, "low", 0, 8, &p), 0);
    assert_true(bus_port_read(&bus, 0xffff, 1, &value));
    assert_false(bus_port_read(&bus, 0xffff, 2, &value));
    assert_true(bus_mmio_read(&bus, gpa_make(UINT64_MAX - 7), 8, &value));
    assert_false(bus_mmio_read(&bus, gpa_make(UINT64_MAX - 6), 8, &value));
    assert_true(bus_mmio_read(&bus, gpa_make(UINT64_MAX), 1, &value));
}

static void one_range_can_be_the_whole_space(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    uint64_t value;
    assert_int_equal(ports(&bus, "all", 0, 0x10000, &p), 0);
    assert_true(bus_port_read(&bus, 0xfffc, 4, &value));
    assert_int_equal(p.offset, 0xfffc);
}

static void widths_no_processor_has_belong_to_nobody(void **state)
{
    (void)state;
    static const unsigned widths[] = {0, 3, 5, 6, 7, 9, 16, 64, UINT32_MAX};
    struct bus bus = {0};
    struct probe p = {0};
    uint64_t value;
    assert_int_equal(ports(&bus, "p", 0, 0x10000, &p), 0);
    assert_int_equal(mmio(&bus, "p", 0, UINT64_MAX, &p), 0);
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        assert_false(bus_port_read(&bus, 0, widths[i], &value));
        assert_false(bus_port_write(&bus, 0, widths[i], 0));
        assert_false(bus_mmio_read(&bus, gpa_make(0), widths[i], &value));
        assert_false(bus_mmio_write(&bus, gpa_make(0), widths[i], 0));
    }
    assert_false(bus_port_read(&bus, 0, 8, &value));
    assert_false(bus_port_write(&bus, 0, 8, 0));
    assert_int_equal(p.reads + p.writes, 0);
}

/* ---- Building ---- */

static void ranges_added_in_any_order_are_all_found(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p[BUS_PORT_RANGES] = {0};
    uint64_t value;
    for (unsigned i = 0; i < BUS_PORT_RANGES; i++) {
        unsigned slot = i * 13 % BUS_PORT_RANGES;
        assert_int_equal(ports(&bus, "p", (uint16_t)(slot * 16), 4, &p[slot]), 0);
    }
    for (unsigned i = 0; i < BUS_PORT_RANGES; i++) {
        assert_true(bus_port_read(&bus, (uint16_t)(i * 16 + 3), 1, &value));
        assert_false(bus_port_read(&bus, (uint16_t)(i * 16 + 4), 1, &value));
        assert_int_equal(p[i].reads, 1);
    }
}

static void same_numbers_in_the_two_spaces_do_not_meet(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0}, m = {0};
    uint64_t value;
    assert_int_equal(ports(&bus, "p", 0x100, 4, &p), 0);
    assert_int_equal(mmio(&bus, "m", 0x100, 4, &m), 0);
    assert_true(bus_mmio_read(&bus, gpa_make(0x100), 4, &value));
    assert_int_equal(p.reads, 0);
    assert_int_equal(m.reads, 1);
}

static void overlaps_are_refused_on_either_side_inside_and_around(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    assert_int_equal(ports(&bus, "p", 0x10, 0x10, &p), 0);
    assert_int_equal(ports(&bus, "q", 0x0f, 2, &p), -EEXIST);
    assert_int_equal(ports(&bus, "q", 0x1f, 2, &p), -EEXIST);
    assert_int_equal(ports(&bus, "q", 0x14, 1, &p), -EEXIST);
    assert_int_equal(ports(&bus, "q", 0, 0x10000, &p), -EEXIST);
    assert_int_equal(ports(&bus, "q", 0x10, 0x10, &p), -EEXIST);
    assert_int_equal(ports(&bus, "q", 0x0f, 1, &p), 0);
    assert_int_equal(ports(&bus, "q", 0x20, 1, &p), 0);
}

static void overlap_message_names_both_devices_and_ranges(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    struct err err;
    assert_int_equal(mmio(&bus, "ioapic", 0xfec00000, 0x1000, &p), 0);
    assert_int_equal(bus_add_mmio(&bus, "net0", gpa_make(0xfec00800), 0x1000, &ops, &p, &err), -EEXIST);
    assert_int_equal(err.code, -EEXIST);
    assert_string_equal(err.text,
                        "cannot add device net0: its addresses 0xfec00800 to 0xfec017ff overlap those of ioapic, "
                        "0xfec00000 to 0xfec00fff; move one of the two or leave it out");
}

static void empty_and_wrapping_ranges_are_refused(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    struct err err;
    assert_int_equal(ports(&bus, "p", 0, 0, &p), -EINVAL);
    assert_int_equal(ports(&bus, "p", 0xffff, 2, &p), -EINVAL);
    assert_int_equal(ports(&bus, "p", 0, 0x10001, &p), -EINVAL);
    assert_int_equal(ports(&bus, "p", 1, UINT32_MAX, &p), -EINVAL);
    assert_int_equal(mmio(&bus, "p", 0, 0, &p), -EINVAL);
    assert_int_equal(mmio(&bus, "p", UINT64_MAX, 2, &p), -EINVAL);
    assert_int_equal(bus_add_mmio(&bus, "p", gpa_make(2), UINT64_MAX, &ops, &p, &err), -EINVAL);
    assert_non_null(strstr(err.text, "device p: its range is empty or leaves the address space"));
    assert_int_equal(bus.port_count + bus.mmio_count, 0);
}

static void frozen_bus_takes_no_device(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    struct err err;
    uint64_t value;
    bus_freeze(&bus);
    assert_int_equal(bus_add_ports(&bus, "late", 0, 1, &ops, &p, &err), -EBUSY);
    assert_non_null(strstr(err.text, "late"));
    assert_int_equal(mmio(&bus, "late", 0, 1, &p), -EBUSY);
    assert_false(bus_port_read(&bus, 0, 1, &value));
}

static void full_bus_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct probe p = {0};
    uint64_t value;
    for (unsigned i = 0; i < BUS_PORT_RANGES; i++) {
        assert_int_equal(ports(&bus, "p", (uint16_t)(i + 1), 1, &p), 0);
    }
    for (unsigned i = 0; i < BUS_MMIO_RANGES; i++) {
        assert_int_equal(mmio(&bus, "p", i + 1, 1, &p), 0);
    }
    assert_int_equal(ports(&bus, "one too many", 0, 1, &p), -ENOSPC);
    assert_int_equal(mmio(&bus, "one too many", 0, 1, &p), -ENOSPC);
    assert_false(bus_port_read(&bus, 0, 1, &value));
    assert_true(bus_port_read(&bus, BUS_PORT_RANGES, 1, &value));
    assert_true(bus_mmio_read(&bus, gpa_make(BUS_MMIO_RANGES), 1, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_on_an_empty_bus),
        cmocka_unit_test(port_accesses_reach_their_device_with_offset_and_width),
        cmocka_unit_test(mmio_accesses_reach_their_device_with_offset_and_width),
        cmocka_unit_test(values_are_cut_to_the_width_both_ways),
        cmocka_unit_test(first_and_last_byte_of_a_range_belong_to_it_and_no_other),
        cmocka_unit_test(accesses_across_the_end_of_a_range_belong_to_nobody),
        cmocka_unit_test(ends_of_the_address_spaces_can_be_used_and_do_not_wrap),
        cmocka_unit_test(one_range_can_be_the_whole_space),
        cmocka_unit_test(widths_no_processor_has_belong_to_nobody),
        cmocka_unit_test(ranges_added_in_any_order_are_all_found),
        cmocka_unit_test(same_numbers_in_the_two_spaces_do_not_meet),
        cmocka_unit_test(overlaps_are_refused_on_either_side_inside_and_around),
        cmocka_unit_test(overlap_message_names_both_devices_and_ranges),
        cmocka_unit_test(empty_and_wrapping_ranges_are_refused),
        cmocka_unit_test(frozen_bus_takes_no_device),
        cmocka_unit_test(full_bus_refuses_and_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
