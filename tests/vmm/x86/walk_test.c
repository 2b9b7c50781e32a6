/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/core.h"

/*
 * Page tables by hand, in free memory of the fixture, looked at through x86_cpu_translate: 0 and the address, or the
 * page-fault error code + 1.
 */

#define TOP   0x100000u /* PML4, page directory of 2-level paging, or PDPT of PAE paging */
#define UPPER 0x101000u
#define LOWER 0x102000u
#define LEAF  0x103000u

#define P   UINT64_C(1)
#define RW  UINT64_C(2)
#define US  UINT64_C(4)
#define A   UINT64_C(0x20)
#define D   UINT64_C(0x40)
#define PS  UINT64_C(0x80)
#define NX  (UINT64_C(1) << 63)
#define ALL (P | RW | US)

#define FAULT(error) ((error) + 1)

static void put(struct x86_fixture *f, uint64_t at, uint64_t v, unsigned size)
{
    memcpy(f->mem + at, &v, size);
}

static uint64_t get(const struct x86_fixture *f, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, f->mem + at, size);
    return v;
}

static void set_control(struct x86_fixture *f, uint64_t cr3, uint64_t cr4_set, uint64_t cr4_clear, uint64_t efer)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.cr0 |= X86_CR0_PE | X86_CR0_PG;
    s.cr3 = cr3;
    s.cr4 = (s.cr4 | cr4_set) & ~cr4_clear;
    s.efer = (s.efer & ~(uint64_t)X86_EFER_NXE) | efer;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
}

/* Tables exist already when a mode is chosen: PAE loads its four top entries then. */
static struct x86_fixture *two_level(void **state, uint64_t cr4)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_PROT32);
    *state = f;
    put(f, TOP, LEAF | ALL, 4);
    put(f, LEAF + 4 * 5, 0x7000 | ALL, 4);
    set_control(f, TOP, cr4, X86_CR4_PAE, 0);
    return f;
}

static struct x86_fixture *pae(void **state, uint64_t pdpte, uint64_t efer)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_PROT32);
    *state = f;
    put(f, TOP + 0x20, pdpte, 8);
    put(f, LOWER, LEAF | ALL, 8);
    put(f, LEAF + 8 * 5, 0x7000 | ALL, 8);
    set_control(f, TOP + 0x20, X86_CR4_PAE, 0, efer);
    return f;
}

static struct x86_fixture *four_level(void **state, uint64_t efer)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    *state = f;
    put(f, TOP, UPPER | ALL, 8);
    put(f, UPPER, LOWER | ALL, 8);
    put(f, LOWER, LEAF | ALL, 8);
    put(f, LEAF + 8 * 5, 0x7000 | ALL, 8);
    set_control(f, TOP, 0, 0, efer | X86_EFER_LME | X86_EFER_LMA);
    return f;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static int translate(struct x86_fixture *f, uint64_t lin, enum x86_access kind, unsigned cpl, uint64_t *gpa)
{
    return x86_cpu_translate(f->cpu, lin, kind, cpl, false, gpa);
}

static void assert_at(struct x86_fixture *f, uint64_t lin, uint64_t want)
{
    uint64_t gpa = 0;
    assert_int_equal(translate(f, lin, X86_ACCESS_READ, 0, &gpa), 0);
    assert_int_equal(gpa, want);
}

static void assert_fault(struct x86_fixture *f, uint64_t lin, enum x86_access kind, unsigned cpl, int error)
{
    uint64_t gpa = 0;
    assert_int_equal(translate(f, lin, kind, cpl, &gpa), FAULT(error));
}

/* ---- Two levels ---- */

static void two_levels_lead_to_a_page(void **state)
{
    struct x86_fixture *f = two_level(state, 0);
    assert_at(f, 0x5123, 0x7123);
    assert_int_equal(get(f, TOP, 4) & (A | D), A);
    assert_int_equal(get(f, LEAF + 20, 4) & (A | D), A);
    assert_fault(f, 0x6000, X86_ACCESS_READ, 0, 0);
}

static void only_the_leaf_becomes_dirty(void **state)
{
    struct x86_fixture *f = two_level(state, 0);
    uint64_t gpa;
    assert_int_equal(translate(f, 0x5000, X86_ACCESS_WRITE, 3, &gpa), 0);
    assert_int_equal(get(f, TOP, 4) & (A | D), A);
    assert_int_equal(get(f, LEAF + 20, 4) & (A | D), A | D);
}

static void refused_access_marks_nothing(void **state)
{
    struct x86_fixture *f = two_level(state, 0);
    put(f, LEAF + 20, 0x7000 | P | US, 4);
    assert_fault(f, 0x5000, X86_ACCESS_WRITE, 3, 7);
    assert_int_equal(get(f, TOP, 4) & A, 0);
    assert_int_equal(get(f, LEAF + 20, 4) & (A | D), 0);
}

static void rights_are_those_of_both_levels(void **state)
{
    struct x86_fixture *f = two_level(state, 0);
    put(f, TOP, LEAF | P | US, 4);
    assert_fault(f, 0x5000, X86_ACCESS_WRITE, 3, 7);
    put(f, TOP, LEAF | P | RW, 4);
    assert_fault(f, 0x5000, X86_ACCESS_READ, 3, 5);
}

static void page_size_bit_needs_pse(void **state)
{
    struct x86_fixture *f = two_level(state, 0);
    put(f, TOP, LEAF | ALL | PS, 4);
    assert_at(f, 0x5123, 0x7123);
}

static void four_mib_page_takes_22_bits_of_offset(void **state)
{
    struct x86_fixture *f = two_level(state, X86_CR4_PSE);
    put(f, TOP + 4, 0x00c00000 | ALL | PS, 4);
    assert_at(f, 0x7abcde, 0x00c00000 + 0x3abcde);
}

static void pse36_extends_the_address_to_40_bits(void **state)
{
    struct x86_fixture *f = two_level(state, X86_CR4_PSE);
    put(f, TOP + 4, 0x00c00000 | ALL | PS | UINT64_C(0xa5) << 13, 4);
    assert_at(f, 0x400010, 0xa500c00010);
}

static void bit_21_of_a_large_entry_is_reserved(void **state)
{
    struct x86_fixture *f = two_level(state, X86_CR4_PSE);
    put(f, TOP + 4, 0x00200000 | ALL | PS, 4);
    assert_fault(f, 0x400000, X86_ACCESS_READ, 0, 9);
}

static void address_bits_are_reserved_without_pse36(void **state)
{
    struct x86_fixture *f = two_level(state, X86_CR4_PSE);
    x86_feature_set(&f->cpu->features, X86_F_PSE36, false);
    put(f, TOP + 4, ALL | PS | 1u << 13, 4);
    assert_fault(f, 0x400000, X86_ACCESS_READ, 0, 9);
}

/* ---- PAE ---- */

static void pae_reads_the_top_level_with_cr3_only(void **state)
{
    struct x86_fixture *f = pae(state, LOWER | P, 0);
    put(f, TOP + 0x20, 0, 8);
    assert_at(f, 0x5123, 0x7123);
}

static void absent_pdpte_faults_below_it(void **state)
{
    struct x86_fixture *f = pae(state, LOWER | P, 0);
    assert_fault(f, 0x40005000, X86_ACCESS_READ, 0, 0);
}

static int load_pdptes(struct x86_fixture *f, uint64_t first)
{
    uint64_t pdpte[4];
    put(f, TOP + 0x20, first, 8);
    return x86_mmu_load_pdptes(f->cpu, TOP + 0x20, f->cpu->cr4, pdpte);
}

static void pdpte_with_reserved_bits_is_gp(void **state)
{
    static const uint64_t reserved[] = {RW, US, A, D, PS, 0x100, NX, UINT64_C(1) << 48, UINT64_C(1) << 62};
    struct x86_fixture *f = pae(state, LOWER | P, 0);
    assert_int_equal(load_pdptes(f, LOWER | P | 0xe18), X86_NEXT);
    for (unsigned i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        assert_int_equal(load_pdptes(f, LOWER | P | reserved[i]), X86_FAULT);
        assert_int_equal(load_pdptes(f, LOWER | reserved[i]), X86_NEXT);
    }
}

static void state_with_bad_pdptes_maps_nothing(void **state)
{
    struct x86_fixture *f = pae(state, LOWER | P | RW, 0);
    assert_fault(f, 0x5000, X86_ACCESS_READ, 0, 0);
}

static void pae_reserves_bits_52_to_62(void **state)
{
    struct x86_fixture *f = pae(state, LOWER | P, X86_EFER_NXE);
    put(f, LEAF + 40, 0x7000 | ALL | UINT64_C(1) << 52, 8);
    assert_fault(f, 0x5000, X86_ACCESS_READ, 0, 9);
    put(f, LEAF + 40, 0x7000 | ALL | NX, 8);
    assert_at(f, 0x5000, 0x7000);
}

static void pae_two_mib_page_reserves_bits_13_to_20(void **state)
{
    struct x86_fixture *f = pae(state, LOWER | P, 0);
    put(f, LOWER + 8, 0x600000 | ALL | PS | 0x1000, 8); /* bit 12 is PAT */
    assert_at(f, 0x3abcde, 0x600000 + 0x1abcde);
    put(f, LOWER + 8, 0x600000 | ALL | PS | 0x2000, 8);
    assert_fault(f, 0x200000, X86_ACCESS_READ, 0, 9);
}

/* ---- Four levels ---- */

static void four_levels_lead_to_a_page(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    assert_at(f, 0x5fff, 0x7fff);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(get(f, TOP + 0x1000 * i, 8) & (A | D), A);
}

static void page_size_in_the_top_level_is_reserved(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, TOP, UPPER | ALL | PS, 8);
    assert_fault(f, 0x5000, X86_ACCESS_READ, 3, 0xd);
}

static void no_execute_bit_is_reserved_while_it_is_off(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, UPPER, LOWER | ALL | NX, 8);
    assert_fault(f, 0x5000, X86_ACCESS_READ, 0, 9);
    assert_fault(f, 0x5000, X86_ACCESS_FETCH, 0, 9);
}

static void no_execute_counts_at_every_level(void **state)
{
    struct x86_fixture *f = four_level(state, X86_EFER_NXE);
    put(f, UPPER, LOWER | ALL | NX, 8);
    assert_at(f, 0x5000, 0x7000);
    assert_fault(f, 0x5000, X86_ACCESS_FETCH, 0, 0x11);
    assert_fault(f, 0x5000, X86_ACCESS_FETCH, 3, 0x15);
}

static void bits_52_to_62_are_free_in_long_mode(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, LEAF + 40, 0x7000 | ALL | UINT64_C(0x7ff) << 52, 8);
    assert_at(f, 0x5000, 0x7000);
}

static void addresses_beyond_the_physical_width_are_reserved(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, LOWER, LEAF | ALL | UINT64_C(1) << 48, 8);
    assert_fault(f, 0x5000, X86_ACCESS_READ, 0, 9);
}

static void absent_entry_has_no_reserved_bits(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, LOWER, UINT64_MAX & ~P, 8);
    assert_fault(f, 0x5000, X86_ACCESS_WRITE, 3, 6);
}

static void one_gib_page_takes_30_bits_of_offset(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, UPPER + 8, UINT64_C(0x80000000) | ALL | PS | 0x1000, 8);
    assert_at(f, 0x7abcdef1, 0xbabcdef1);
}

static void one_gib_page_reserves_bits_13_to_29(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    for (unsigned bit = 13; bit < 30; bit++) {
        put(f, UPPER + 8, UINT64_C(0x80000000) | ALL | PS | UINT64_C(1) << bit, 8);
        assert_fault(f, 0x40000000, X86_ACCESS_READ, 0, 9);
    }
}

static void one_gib_page_is_reserved_where_it_is_not_offered(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    x86_feature_set(&f->cpu->features, X86_F_PDPE1GB, false);
    put(f, UPPER + 8, UINT64_C(0x80000000) | ALL | PS, 8);
    assert_fault(f, 0x40000000, X86_ACCESS_READ, 0, 9);
}

static void upper_half_uses_the_upper_entries(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    put(f, TOP + 8 * 511, UPPER | ALL, 8);
    assert_at(f, UINT64_C(0xffffff8000005123), 0x7123);
}

static void non_canonical_address_is_not_there(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    assert_fault(f, UINT64_C(0x0001000000005000), X86_ACCESS_READ, 0, 0);
}

/* Every level is the same entry: the marks a walk makes change what it has already read. */
static void table_that_maps_itself_is_walked_to_the_end(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    uint64_t lin =
        UINT64_C(0xffff000000000000) | UINT64_C(0x1fe) << 39 | UINT64_C(0x1fe) << 30 | 0x1fe << 21 | 0x1fe << 12;
    uint64_t gpa;
    put(f, TOP + 8 * 0x1fe, TOP | ALL, 8);
    assert_int_equal(translate(f, lin, X86_ACCESS_WRITE, 0, &gpa), 0);
    assert_int_equal(gpa, TOP);
    assert_int_equal(get(f, TOP + 8 * 0x1fe, 8), TOP | ALL | A | D);
}

static void tables_behind_callbacks_are_read_and_marked_there(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    uint64_t gpa;
    put(f, LOWER, X86_FIXTURE_MMIO | ALL, 8);
    f->in_value = 0x7000 | (uint32_t)ALL; /* what a read there gives */
    assert_int_equal(translate(f, 0x5000, X86_ACCESS_WRITE, 0, &gpa), 0);
    assert_int_equal(gpa, 0x7000);
    assert_int_equal(f->io_count, 2);
    assert_int_equal(f->io[0].where, X86_FIXTURE_MMIO + 40);
    assert_true(f->io[1].write);
    assert_int_equal(f->io[1].value, 0x7000 | ALL | A | D);
}

static void refused_table_is_an_error_of_its_own(void **state)
{
    struct x86_fixture *f = four_level(state, 0);
    uint64_t gpa;
    put(f, LOWER, X86_FIXTURE_MMIO | ALL, 8);
    f->refuse = true;
    assert_int_equal(translate(f, 0x5000, X86_ACCESS_READ, 0, &gpa), -EIO);
}

#define CASE(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(two_levels_lead_to_a_page),
        CASE(only_the_leaf_becomes_dirty),
        CASE(refused_access_marks_nothing),
        CASE(rights_are_those_of_both_levels),
        CASE(page_size_bit_needs_pse),
        CASE(four_mib_page_takes_22_bits_of_offset),
        CASE(pse36_extends_the_address_to_40_bits),
        CASE(bit_21_of_a_large_entry_is_reserved),
        CASE(address_bits_are_reserved_without_pse36),
        CASE(pae_reads_the_top_level_with_cr3_only),
        CASE(absent_pdpte_faults_below_it),
        CASE(pdpte_with_reserved_bits_is_gp),
        CASE(state_with_bad_pdptes_maps_nothing),
        CASE(pae_reserves_bits_52_to_62),
        CASE(pae_two_mib_page_reserves_bits_13_to_20),
        CASE(four_levels_lead_to_a_page),
        CASE(page_size_in_the_top_level_is_reserved),
        CASE(no_execute_bit_is_reserved_while_it_is_off),
        CASE(no_execute_counts_at_every_level),
        CASE(bits_52_to_62_are_free_in_long_mode),
        CASE(addresses_beyond_the_physical_width_are_reserved),
        CASE(absent_entry_has_no_reserved_bits),
        CASE(one_gib_page_takes_30_bits_of_offset),
        CASE(one_gib_page_reserves_bits_13_to_29),
        CASE(one_gib_page_is_reserved_where_it_is_not_offered),
        CASE(upper_half_uses_the_upper_entries),
        CASE(non_canonical_address_is_not_there),
        CASE(table_that_maps_itself_is_walked_to_the_end),
        CASE(tables_behind_callbacks_are_read_and_marked_there),
        CASE(refused_table_is_an_error_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
