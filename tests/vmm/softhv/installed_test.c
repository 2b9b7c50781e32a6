/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table of installed intercepts and of results for MSRs.
 */
#include "vmm/softhv/installed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NONE    HV_INTERCEPT_ACCESS_MASK_NONE
#define READ    HV_INTERCEPT_ACCESS_MASK_READ
#define WRITE   HV_INTERCEPT_ACCESS_MASK_WRITE
#define EXECUTE HV_INTERCEPT_ACCESS_MASK_EXECUTE
#define FAULT   HV_UNIMPLEMENTED_MSR_ACTION_FAULT
#define IGNORE  HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO

static enum hv_status change(struct softhv_installed *t, uint32_t type, uint32_t access, uint64_t parameter)
{
    const struct hv_input_install_intercept in = {
        .access_type = access, .intercept_type = type, .intercept_parameter = parameter};
    return softhv_installed_change(t, &in);
}

static enum hv_status add(struct softhv_msr_results *r, uint32_t msr, uint32_t access, uint32_t action)
{
    const struct hv_register_x64_msr_result_parameters in = {.msr_index = msr, .access_type = access, .action = action};
    return softhv_msr_results_add(r, &in);
}

/* ---- Intercepts ---- */

static void nothing_is_installed_at_first(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    assert_false(softhv_installed_exception(&t, 0));
    assert_false(softhv_installed_leaf(&t, 0));
    assert_false(softhv_installed_msr(&t, 0, READ));
    assert_false(softhv_installed_unhandled_msr(&t, WRITE));
    assert_false(softhv_installed_on(&t, HV_INTERCEPT_TYPE_HYPERCALL));
}

static void an_msr_has_its_own_accesses(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, WRITE, 0x10), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_msr(&t, 0x10, WRITE));
    assert_false(softhv_installed_msr(&t, 0x10, READ));
    assert_false(softhv_installed_msr(&t, 0x11, WRITE));
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, READ, 0x10), HV_STATUS_SUCCESS);
    assert_false(softhv_installed_msr(&t, 0x10, WRITE));
    assert_true(softhv_installed_msr(&t, 0x10, READ));
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, NONE, 0x10), HV_STATUS_SUCCESS);
    assert_false(softhv_installed_msr(&t, 0x10, READ));
}

static void number_zero_is_a_number(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 0), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_leaf(&t, 0));
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, NONE, 0), HV_STATUS_SUCCESS);
    assert_false(softhv_installed_leaf(&t, 0));
}

static void a_full_table_takes_no_more_and_a_removed_entry_makes_room(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    for (uint32_t i = 0; i < SOFTHV_INSTALLED_ENTRIES; i++)
        assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, i), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 0x40000000), HV_STATUS_NO_RESOURCES);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, NONE, 0x40000000), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 5), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, NONE, 7), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 0x40000000), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_leaf(&t, 0x40000000));
    assert_true(softhv_installed_leaf(&t, SOFTHV_INSTALLED_ENTRIES - 1));
    assert_false(softhv_installed_leaf(&t, 7));
}

/* A number that is there is found behind a free place, and is not put in twice. */
static void a_number_behind_a_free_place_is_removed(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, READ, i), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, NONE, 1), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, READ | WRITE, 3), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, NONE, 3), HV_STATUS_SUCCESS);
    assert_false(softhv_installed_msr(&t, 3, READ));
}

static void every_leaf_is_not_each_leaf(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 7), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID, EXECUTE, 99), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_leaf(&t, 0x80000000));
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID, NONE, 0), HV_STATUS_SUCCESS);
    assert_false(softhv_installed_leaf(&t, 0x80000000));
    assert_true(softhv_installed_leaf(&t, 7));
}

static void exceptions_go_by_vector(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 31), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 6), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_EXCEPTION, NONE, 31), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_exception(&t, 6));
    assert_false(softhv_installed_exception(&t, 31));
    assert_false(softhv_installed_exception(&t, 38));
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 32), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 0xffff), HV_STATUS_INVALID_PARAMETER);
}

static void reading_the_patch_level_is_one_msr_of_its_own(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    const uint32_t type = HV_INTERCEPT_TYPE_MC_UPDATE_PATCH_LEVEL_MSR_READ;
    assert_int_equal(change(&t, type, READ | WRITE, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(change(&t, type, READ, 0), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR_INDEX, NONE, 0x8b), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_msr(&t, 0x8b, READ));
    assert_false(softhv_installed_msr(&t, 0x8b, WRITE));
    assert_false(softhv_installed_msr(&t, 0x8c, READ));
}

static void unhandled_msrs_are_one_switch(void **state)
{
    (void)state;
    struct softhv_installed t = {0};
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR, READ, 0), HV_STATUS_SUCCESS);
    assert_true(softhv_installed_unhandled_msr(&t, READ));
    assert_false(softhv_installed_unhandled_msr(&t, WRITE));
    assert_false(softhv_installed_msr(&t, 0, READ));
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_MSR, NONE, 0), HV_STATUS_SUCCESS);
    assert_false(softhv_installed_unhandled_msr(&t, READ));
}

/* Ports exit with or without, so only the arguments can be wrong. */
static void ports_are_taken_and_checked(void **state)
{
    (void)state;
    struct softhv_installed t = {0}, empty = {0};
    const uint64_t garbage = UINT64_C(0xdeadbeef00000000);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_IO_PORT, READ | WRITE, garbage | 0xffff), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_IO_PORT, EXECUTE, 0x80), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE, WRITE, garbage | 0x00800070), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE, WRITE, 0x00700070), HV_STATUS_SUCCESS);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE, WRITE, 0x006f0070), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(change(&t, HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE, NONE, 0x00800070), HV_STATUS_SUCCESS);
    assert_memory_equal(&t, &empty, sizeof(t));
}

static void accesses_fit_their_type(void **state)
{
    (void)state;
    static const struct {
        uint32_t type, good;
    } rows[] = {
        {HV_INTERCEPT_TYPE_X64_IO_PORT, READ | WRITE},
        {HV_INTERCEPT_TYPE_X64_MSR, READ | WRITE},
        {HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE},
        {HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE},
        {HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID, EXECUTE},
        {HV_INTERCEPT_TYPE_HYPERCALL, EXECUTE},
        {HV_INTERCEPT_TYPE_MC_UPDATE_PATCH_LEVEL_MSR_READ, READ},
        {HV_INTERCEPT_TYPE_X64_MSR_INDEX, READ | WRITE},
        {HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION, EXECUTE},
        {HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE, EXECUTE},
        {HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE, READ | WRITE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (uint32_t access = 0; access < 16; access++) {
            struct softhv_installed t = {0}, empty = {0};
            bool good = (access & ~rows[i].good) == 0;
            assert_int_equal(change(&t, rows[i].type, access, 0),
                             good ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER);
            if (!good)
                assert_memory_equal(&t, &empty, sizeof(t));
        }
}

static void other_types_are_refused(void **state)
{
    (void)state;
    static const uint32_t refused[] = {0x4,
                                       HV_INTERCEPT_TYPE_MMIO,
                                       HV_INTERCEPT_TYPE_X64_APIC_SMI,
                                       HV_INTERCEPT_TYPE_X64_APIC_INIT_SIPI,
                                       HV_INTERCEPT_TYPE_X64_APIC_WRITE,
                                       HV_INTERCEPT_TYPE_X64_APIC_EOI,
                                       0x10,
                                       0x12,
                                       0x20,
                                       UINT32_MAX};
    struct softhv_installed t = {0}, empty = {0};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        for (uint32_t access = 0; access <= EXECUTE; access++)
            assert_int_equal(change(&t, refused[i], access, 0), HV_STATUS_INVALID_PARAMETER);
    assert_memory_equal(&t, &empty, sizeof(t));
}

/* ---- Results ---- */

static void reading_and_writing_have_their_own_results(void **state)
{
    (void)state;
    struct softhv_msr_results r = {0};
    assert_int_equal(softhv_msr_results_find(&r, 0x606, READ), SOFTHV_MSR_SAID_NOTHING);
    assert_int_equal(add(&r, 0x606, READ, IGNORE), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_msr_results_find(&r, 0x606, READ), SOFTHV_MSR_SAID_IGNORE);
    assert_int_equal(softhv_msr_results_find(&r, 0x606, WRITE), SOFTHV_MSR_SAID_NOTHING);
    assert_int_equal(add(&r, 0x606, WRITE, FAULT), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_msr_results_find(&r, 0x606, READ), SOFTHV_MSR_SAID_IGNORE);
    assert_int_equal(softhv_msr_results_find(&r, 0x606, WRITE), SOFTHV_MSR_SAID_FAULT);
    assert_int_equal(add(&r, 0x606, READ | WRITE, FAULT), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_msr_results_find(&r, 0x606, READ), SOFTHV_MSR_SAID_FAULT);
    assert_int_equal(softhv_msr_results_find(&r, 0x607, READ), SOFTHV_MSR_SAID_NOTHING);
}

static void wrong_results_are_refused(void **state)
{
    (void)state;
    struct softhv_msr_results r = {0};
    assert_int_equal(add(&r, 1, NONE, IGNORE), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(add(&r, 1, READ | EXECUTE, IGNORE), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(add(&r, 1, READ, IGNORE + 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(softhv_msr_results_find(&r, 1, READ), SOFTHV_MSR_SAID_NOTHING);
    for (uint32_t i = 0; i < SOFTHV_INSTALLED_ENTRIES; i++)
        assert_int_equal(add(&r, i, READ, IGNORE), HV_STATUS_SUCCESS);
    assert_int_equal(add(&r, 1000, READ, IGNORE), HV_STATUS_NO_RESOURCES);
    assert_int_equal(add(&r, 5, WRITE, IGNORE), HV_STATUS_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_installed_at_first),
        cmocka_unit_test(an_msr_has_its_own_accesses),
        cmocka_unit_test(number_zero_is_a_number),
        cmocka_unit_test(a_full_table_takes_no_more_and_a_removed_entry_makes_room),
        cmocka_unit_test(a_number_behind_a_free_place_is_removed),
        cmocka_unit_test(every_leaf_is_not_each_leaf),
        cmocka_unit_test(exceptions_go_by_vector),
        cmocka_unit_test(reading_the_patch_level_is_one_msr_of_its_own),
        cmocka_unit_test(unhandled_msrs_are_one_switch),
        cmocka_unit_test(ports_are_taken_and_checked),
        cmocka_unit_test(accesses_fit_their_type),
        cmocka_unit_test(other_types_are_refused),
        cmocka_unit_test(reading_and_writing_have_their_own_results),
        cmocka_unit_test(wrong_results_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
