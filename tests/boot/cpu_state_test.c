/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/cpu_state.h"
#include "common/bytes.h"
#include "tests/lib/boot_fixture.h"

#define ENTRY UINT64_C(0x1000200)

/* The caller ends *parts. */
static struct boot_cpu_state build(enum boot_protocol protocol, struct boot_parts *parts)
{
    struct boot_cpu_state cpu;
    struct boot_kernel kernel = {.protocol = protocol, .entry_gpa = ENTRY};
    assert_int_equal(boot_parts_init(parts, 64 * BOOT_MIB, NULL), 0);
    assert_int_equal(boot_cpu_state_place(&kernel, parts, &cpu, NULL), 0);
    return cpu;
}

static void linux64_starts_in_long_mode(void **state)
{
    struct boot_parts parts;
    struct boot_cpu_state cpu = build(BOOT_PROTOCOL_LINUX64, &parts);
    (void)state;
    assert_true(cpu.rip == ENTRY && cpu.rsi == BOOT_ZERO_PAGE_GPA && cpu.rbx == 0);
    assert_true(cpu.rflags == 2);
    assert_true(cpu.cr0 == 0x80000011 && cpu.cr4 == 0x20 && cpu.efer == 0x500);
    assert_true(cpu.cr3 == BOOT_PAGE_TABLES_GPA);
    assert_int_equal(cpu.cs.attr, 0xa09b); /* L, not D */
    boot_parts_fini(&parts);
}

static void pvh_starts_in_protected_mode_without_paging(void **state)
{
    struct boot_parts parts;
    struct boot_cpu_state cpu = build(BOOT_PROTOCOL_PVH, &parts);
    (void)state;
    assert_true(cpu.rip == ENTRY && cpu.rbx == BOOT_PVH_GPA && cpu.rsi == 0);
    assert_true(cpu.rflags == 2);
    assert_true(cpu.cr0 == 0x11 && cpu.cr3 == 0 && cpu.cr4 == 0 && cpu.efer == 0);
    assert_int_equal(cpu.cs.attr, 0xc09b); /* D, not L */
    assert_true(cpu.tr.base == 0 && cpu.tr.limit == 0x67);
    boot_parts_fini(&parts);
}

static void segments_are_flat(void **state)
{
    struct boot_parts parts;
    struct boot_cpu_state cpu = build(BOOT_PROTOCOL_LINUX64, &parts);
    const struct boot_segment *data[] = {&cpu.ds, &cpu.es, &cpu.fs, &cpu.gs, &cpu.ss};
    (void)state;
    assert_int_equal(cpu.cs.selector, 0x10);
    assert_true(cpu.cs.base == 0 && cpu.cs.limit == UINT32_MAX);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(data[i]->selector, 0x18);
        assert_int_equal(data[i]->attr, 0xc093);
        assert_true(data[i]->base == 0 && data[i]->limit == UINT32_MAX);
    }
    boot_parts_fini(&parts);
}

/* Known values of the two descriptors every flat GDT has, and of a busy TSS. */
static void gdt_matches_the_hidden_registers(void **state)
{
    struct boot_parts parts;
    struct boot_cpu_state cpu = build(BOOT_PROTOCOL_LINUX64, &parts);
    const struct boot_part *gdt = boot_fixture_part(&parts, BOOT_PART_GDT, 0);
    (void)state;
    assert_non_null(gdt);
    assert_true(gdt->gpa.value == cpu.gdt.base);
    assert_int_equal(gdt->length, (uint64_t)cpu.gdt.limit + 1);
    assert_true(bytes_load_le64(gdt->bytes) == 0);
    assert_true(bytes_load_le64(gdt->bytes + 0x10) == UINT64_C(0x00af9b000000ffff));
    assert_true(bytes_load_le64(gdt->bytes + 0x18) == UINT64_C(0x00cf93000000ffff));
    assert_true(bytes_load_le64(gdt->bytes + 0x20) == UINT64_C(0x00008b0000000067));
    boot_parts_fini(&parts);
}

static void pvh_gdt_has_32_bit_code(void **state)
{
    struct boot_parts parts;
    (void)build(BOOT_PROTOCOL_PVH, &parts);
    const struct boot_part *gdt = boot_fixture_part(&parts, BOOT_PART_GDT, 0);
    (void)state;
    assert_non_null(gdt);
    assert_true(bytes_load_le64(gdt->bytes + 0x10) == UINT64_C(0x00cf9b000000ffff));
    boot_parts_fini(&parts);
}

/* Walk as the processor does. Returns the physical address, or UINT64_MAX. */
static uint64_t translate(const struct boot_parts *parts, uint64_t cr3, uint64_t address)
{
    uint64_t table = cr3;
    for (unsigned shift = 39; shift >= 21; shift -= 9) {
        uint8_t entry[8];
        for (unsigned i = 0; i < 8; i++)
            entry[i] = boot_fixture_byte(parts, table + (address >> shift & 511) * 8 + i);
        uint64_t value = bytes_load_le64(entry);
        if ((value & 3) != 3)
            return UINT64_MAX;
        table = value & UINT64_C(0x000ffffffffff000);
        if ((value & 0x80) != 0)
            return table + (address & ((UINT64_C(1) << shift) - 1));
    }
    return UINT64_MAX;
}

static void the_first_4_gib_are_mapped_one_to_one(void **state)
{
    struct boot_parts parts;
    struct boot_cpu_state cpu = build(BOOT_PROTOCOL_LINUX64, &parts);
    (void)state;
    for (uint64_t address = 0; address < 4 * BOOT_GIB; address += 2 * BOOT_MIB) {
        assert_true(translate(&parts, cpu.cr3, address) == address);
        assert_true(translate(&parts, cpu.cr3, address + 0x1fffff) == address + 0x1fffff);
    }
    assert_true(translate(&parts, cpu.cr3, 4 * BOOT_GIB) == UINT64_MAX);
    assert_true(translate(&parts, cpu.cr3, UINT64_C(1) << 39) == UINT64_MAX);
    boot_parts_fini(&parts);
}

static void pvh_needs_no_page_tables(void **state)
{
    struct boot_parts parts;
    (void)build(BOOT_PROTOCOL_PVH, &parts);
    (void)state;
    assert_null(boot_fixture_part(&parts, BOOT_PART_PAGE_TABLES, 0));
    boot_parts_fini(&parts);
}

static void a_used_up_arena_is_reported(void **state)
{
    struct boot_parts parts;
    struct boot_cpu_state cpu = {.rip = 7};
    struct boot_kernel kernel = {.protocol = BOOT_PROTOCOL_LINUX64};
    (void)state;
    assert_int_equal(boot_parts_init(&parts, 64 * BOOT_MIB, NULL), 0);
    assert_non_null(boot_parts_alloc(&parts, BOOT_ARENA_BYTES - 64, NULL));
    assert_int_equal(boot_cpu_state_place(&kernel, &parts, &cpu, NULL), -ENOMEM);
    assert_int_equal(boot_cpu_state_place(&kernel, &parts, &cpu, NULL), -ENOMEM);
    assert_true(cpu.rip == 7);
    boot_parts_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux64_starts_in_long_mode), cmocka_unit_test(pvh_starts_in_protected_mode_without_paging),
        cmocka_unit_test(segments_are_flat),           cmocka_unit_test(gdt_matches_the_hidden_registers),
        cmocka_unit_test(pvh_gdt_has_32_bit_code),     cmocka_unit_test(the_first_4_gib_are_mapped_one_to_one),
        cmocka_unit_test(pvh_needs_no_page_tables),    cmocka_unit_test(a_used_up_arena_is_reported),
    };
    return cmocka_run_group_tests_name("boot/cpu_state", tests, NULL, NULL);
}
