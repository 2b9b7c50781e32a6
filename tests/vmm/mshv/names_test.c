/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/mshv/abi.h"
#include "vmm/mshv/names.h"

static void numbers_have_the_names_of_the_abi(void **state)
{
    (void)state;
    assert_string_equal(mshv_name_hvcall(0x50), "HVCALL_GET_VP_REGISTERS");
    assert_string_equal(mshv_name_status(0x05), "HV_STATUS_INVALID_PARAMETER");
    assert_string_equal(mshv_name_property(0x30003), "HV_PARTITION_PROPERTY_TIME_FREEZE");
    assert_string_equal(mshv_name_register(0x80006), "HV_X64_REGISTER_SYSENTER_EIP");
    assert_string_equal(mshv_name_register(0x80007), "HV_X64_REGISTER_SYSENTER_ESP");
    assert_string_equal(mshv_name_register(0xa0010), "HV_REGISTER_SCONTROL");
    assert_string_equal(mshv_name_message(0x80010000), "HVMSG_X64_IO_PORT_INTERCEPT");
    assert_string_equal(mshv_name_intercept(0xd), "HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION");
    assert_string_equal(mshv_name_interrupt(9), "HV_X64_INTERRUPT_TYPE_LOCALINT1");
    assert_string_equal(mshv_name_translation(4), "HV_TRANSLATE_GVA_GPA_UNMAPPED");
    assert_string_equal(mshv_name_gpa_access(4), "HV_ACCESS_GPA_ILLEGAL_OVERLAY_ACCESS");
    assert_string_equal(mshv_name_cache_type(4), "HV_CACHE_TYPE_WRITE_THROUGH");
    assert_string_equal(mshv_name_vp_state(4), "MSHV_VP_STATE_SYNTHETIC_TIMERS");
    assert_string_equal(mshv_name_vp_mmap(0), "MSHV_VP_MMAP_OFFSET_REGISTERS");
    assert_string_equal(mshv_name_gpap_access_type(1), "MSHV_GPAP_ACCESS_TYPE_DIRTY");
    assert_string_equal(mshv_name_gpap_access_op(2), "MSHV_GPAP_ACCESS_OP_SET");
}

static void unknown_numbers_have_none(void **state)
{
    (void)state;
    assert_null(mshv_name_hvcall(0xffff));
    assert_null(mshv_name_status(0x01));
    assert_null(mshv_name_property(0));
    assert_null(mshv_name_register(0x666));
    assert_null(mshv_name_message(0x80000002));
    assert_null(mshv_name_intercept(0x4));
    assert_null(mshv_name_interrupt(HV_X64_INTERRUPT_TYPE_COUNT));
    assert_null(mshv_name_translation(10));
    assert_null(mshv_name_gpa_access(5));
    assert_null(mshv_name_cache_type(2));
    assert_null(mshv_name_vp_state(MSHV_VP_STATE_COUNT));
    assert_null(mshv_name_vp_mmap(MSHV_VP_MMAP_OFFSET_COUNT));
    assert_null(mshv_name_vp_mmap(UINT64_C(1) << 32));
    assert_null(mshv_name_gpap_access_type(MSHV_GPAP_ACCESS_TYPE_COUNT));
    assert_null(mshv_name_gpap_access_op(MSHV_GPAP_ACCESS_OP_COUNT));
}

static void statuses_become_the_drivers_errno(void **state)
{
    (void)state;
    static const struct {
        uint32_t status;
        int error;
    } cases[] = {{HV_STATUS_SUCCESS, 0},
                 {HV_STATUS_INVALID_HYPERCALL_INPUT, EINVAL},
                 {HV_STATUS_INVALID_VP_INDEX, EINVAL},
                 {HV_STATUS_INVALID_REGISTER_VALUE, EINVAL},
                 {HV_STATUS_ACCESS_DENIED, EIO},
                 {HV_STATUS_INVALID_PARTITION_STATE, EIO},
                 {HV_STATUS_INSUFFICIENT_MEMORY, ENOMEM},
                 {HV_STATUS_INSUFFICIENT_CONTIGUOUS_ROOT_MEMORY, ENOMEM},
                 {0x7777, EIO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mshv_status_errno(cases[i].status), cases[i].error);
    }
}

static void names_of_registers_are_distinct_and_in_order(void **state)
{
    (void)state;
    static const uint32_t values[] = {
#define HV_REGISTER(name, value) (value),
#include "vmm/mshv/abi_regs.def"
    };
    for (size_t i = 1; i < sizeof values / sizeof values[0]; i++) {
        assert_true(values[i - 1] < values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_the_names_of_the_abi),
        cmocka_unit_test(unknown_numbers_have_none),
        cmocka_unit_test(statuses_become_the_drivers_errno),
        cmocka_unit_test(names_of_registers_are_distinct_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
