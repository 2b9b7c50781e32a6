/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: properties of partitions and of the machine, by hypercalls 0x44, 0x45 and 0x101.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/abi_rig.h"

#define PROPERTY(name) HV_PARTITION_PROPERTY_##name

static int ready(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, partition);
    return partition;
}

static uint64_t get(struct abi *a, int fd, uint32_t property)
{
    uint64_t value = 0;
    uint16_t status = abi_get_property(a, fd, property, &value);
    if (status != HV_STATUS_SUCCESS)
        print_error("property %#x: status %#x\n", property, status);
    assert_int_equal(status, HV_STATUS_SUCCESS);
    return value;
}

/* ---- Reading ---- */

/* What existing clients read of an initialised partition. */
static void clients_find_what_they_read(struct abi *a)
{
    static const uint32_t properties[] = {
        PROPERTY(SYNTHETIC_PROC_FEATURES),
        PROPERTY(PROCESSOR_XSAVE_FEATURES),
        PROPERTY(PROCESSOR_FEATURES0),
        PROPERTY(PROCESSOR_FEATURES1),
        PROPERTY(XSAVE_STATES),
        PROPERTY(MAX_XSAVE_DATA_SIZE),
        PROPERTY(REFERENCE_TIME),
        PROPERTY(PROCESSOR_VENDOR),
        PROPERTY(PHYSICAL_ADDRESS_WIDTH),
    };
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    for (size_t i = 0; i < ABI_COUNT(properties); i++) {
        uint64_t on_partition = get(a, partition, properties[i]), on_vp = get(a, vp, properties[i]);
        assert_true(on_partition == on_vp);
    }
    abi_close(a, vp);
    abi_close(a, partition);
}

/* All that have a name, read and set to what was read; the choice is what softhv knows of them. */
static void every_named_property_is_known_or_unknown(struct abi *a)
{
    enum { NO = HV_STATUS_UNKNOWN_PROPERTY, YES = HV_STATUS_SUCCESS };
    static const struct {
        const char *question;
        uint32_t property;
        uint16_t get, set;
    } rows[] = {
        {"property PRIVILEGE_FLAGS", PROPERTY(PRIVILEGE_FLAGS), YES, HV_STATUS_INVALID_PARTITION_STATE},
        {"property SYNTHETIC_PROC_FEATURES", PROPERTY(SYNTHETIC_PROC_FEATURES), YES, HV_STATUS_INVALID_PARTITION_STATE},
        {"property SUSPEND", PROPERTY(SUSPEND), NO, NO},
        {"property CPU_RESERVE", PROPERTY(CPU_RESERVE), NO, NO},
        {"property CPU_CAP", PROPERTY(CPU_CAP), NO, NO},
        {"property CPU_WEIGHT", PROPERTY(CPU_WEIGHT), NO, NO},
        {"property CPU_GROUP_ID", PROPERTY(CPU_GROUP_ID), NO, NO},
        {"property INTEGRATED_SCHEDULER_ENABLED", PROPERTY(INTEGRATED_SCHEDULER_ENABLED), NO, NO},
        {"property TIME_FREEZE", PROPERTY(TIME_FREEZE), YES, YES},
        {"property APIC_FREQUENCY", PROPERTY(APIC_FREQUENCY), YES, HV_STATUS_OPERATION_DENIED},
        {"property REFERENCE_TIME", PROPERTY(REFERENCE_TIME), YES, YES},
        {"property VIRTUAL_TLB_PAGE_COUNT", PROPERTY(VIRTUAL_TLB_PAGE_COUNT), NO, NO},
        {"property PROCESSORS_PER_SOCKET", PROPERTY(PROCESSORS_PER_SOCKET), YES, YES},
        {"property NESTED_TLB_SIZE", PROPERTY(NESTED_TLB_SIZE), NO, NO},
        {"property GPA_PAGE_ACCESS_TRACKING", PROPERTY(GPA_PAGE_ACCESS_TRACKING), YES, YES},
        {"property ISOLATION_STATE", PROPERTY(ISOLATION_STATE), NO, NO},
        {"property ISOLATION_CONTROL", PROPERTY(ISOLATION_CONTROL), NO, NO},
        {"property IMPLEMENTED_PHYSICAL_ADDRESS_BITS", PROPERTY(IMPLEMENTED_PHYSICAL_ADDRESS_BITS), NO, NO},
        {"property ISOLATION_POLICY", PROPERTY(ISOLATION_POLICY), NO, NO},
        {"property UNIMPLEMENTED_MSR_ACTION", PROPERTY(UNIMPLEMENTED_MSR_ACTION), YES, YES},
        {"property SEV_VMGEXIT_OFFLOADS", PROPERTY(SEV_VMGEXIT_OFFLOADS), NO, NO},
        {"property PROCESSOR_VENDOR", PROPERTY(PROCESSOR_VENDOR), YES, HV_STATUS_OPERATION_DENIED},
        {"property PROCESSOR_XSAVE_FEATURES", PROPERTY(PROCESSOR_XSAVE_FEATURES), YES, HV_STATUS_OPERATION_DENIED},
        {"property PROCESSOR_CL_FLUSH_SIZE", PROPERTY(PROCESSOR_CL_FLUSH_SIZE), NO, NO},
        {"property COMPATIBILITY_VERSION", PROPERTY(COMPATIBILITY_VERSION), NO, NO},
        {"property PHYSICAL_ADDRESS_WIDTH", PROPERTY(PHYSICAL_ADDRESS_WIDTH), YES, HV_STATUS_OPERATION_DENIED},
        {"property XSAVE_STATES", PROPERTY(XSAVE_STATES), YES, HV_STATUS_OPERATION_DENIED},
        {"property MAX_XSAVE_DATA_SIZE", PROPERTY(MAX_XSAVE_DATA_SIZE), YES, HV_STATUS_OPERATION_DENIED},
        {"property PROCESSOR_CLOCK_FREQUENCY", PROPERTY(PROCESSOR_CLOCK_FREQUENCY), YES, HV_STATUS_OPERATION_DENIED},
        {"property PROCESSOR_FEATURES0", PROPERTY(PROCESSOR_FEATURES0), YES, HV_STATUS_OPERATION_DENIED},
        {"property PROCESSOR_FEATURES1", PROPERTY(PROCESSOR_FEATURES1), YES, HV_STATUS_OPERATION_DENIED},
        {"property GUEST_OS_ID", PROPERTY(GUEST_OS_ID), YES, HV_STATUS_OPERATION_DENIED},
        {"property PROCESSOR_VIRTUALIZATION_FEATURES", PROPERTY(PROCESSOR_VIRTUALIZATION_FEATURES), NO, NO},
        {"property VMM_CAPABILITIES, by the short call", PROPERTY(VMM_CAPABILITIES), NO, NO},
        {"property ASSIGNABLE_SYNTHETIC_PROC_FEATURES, by the short call", PROPERTY(ASSIGNABLE_SYNTHETIC_PROC_FEATURES),
         NO, NO},
    };
    int partition = ready(a);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        uint64_t value = 0;
        (void)abi_uncertain(a, rows[i].question, abi_get_property(a, partition, rows[i].property, &value), rows[i].get);
        (void)abi_uncertain(a, rows[i].question, abi_set_property(a, partition, rows[i].property, value), rows[i].set);
    }
    abi_close(a, partition);
}

static void what_nobody_named_is_unknown(struct abi *a)
{
    static const uint32_t properties[] = {0, 1, 0x12345678, UINT32_MAX};
    int partition = ready(a);
    for (size_t i = 0; i < ABI_COUNT(properties); i++) {
        uint64_t value;
        assert_int_equal(abi_get_property(a, partition, properties[i], &value), HV_STATUS_UNKNOWN_PROPERTY);
        assert_int_equal(abi_set_property(a, partition, properties[i], 0), HV_STATUS_UNKNOWN_PROPERTY);
    }
    abi_close(a, partition);
}

static void values_make_sense(struct abi *a)
{
    int partition = ready(a);
    assert_in_range(get(a, partition, PROPERTY(PROCESSOR_VENDOR)), HV_PROCESSOR_VENDOR_AMD, HV_PROCESSOR_VENDOR_HYGON);
    assert_in_range(get(a, partition, PROPERTY(PHYSICAL_ADDRESS_WIDTH)), 32, 52);
    assert_int_equal(get(a, partition, PROPERTY(XSAVE_STATES)) & 3, 3); /* x87 and SSE */
    assert_in_range(get(a, partition, PROPERTY(MAX_XSAVE_DATA_SIZE)), HV_XSAVE_MIN_BYTES, 0x10000);
    abi_close(a, partition);
}

static void a_partition_has_no_more_than_the_machine(struct abi *a)
{
    static const uint32_t properties[] = {PROPERTY(PROCESSOR_FEATURES0), PROPERTY(PROCESSOR_FEATURES1),
                                          PROPERTY(PROCESSOR_XSAVE_FEATURES)};
    if (!a->facts->device_hvcall)
        return;
    int partition = ready(a);
    for (size_t i = 0; i < ABI_COUNT(properties); i++)
        assert_true((get(a, partition, properties[i]) & ~get(a, a->device, properties[i])) == 0);
    abi_close(a, partition);
}

static void the_machine_tells_of_itself(struct abi *a)
{
    static const uint32_t properties[] = {PROPERTY(PROCESSOR_FEATURES0), PROPERTY(PROCESSOR_FEATURES1),
                                          PROPERTY(PHYSICAL_ADDRESS_WIDTH), PROPERTY(PROCESSOR_XSAVE_FEATURES)};
    uint64_t value;
    if (!a->facts->device_hvcall)
        return;
    for (size_t i = 0; i < ABI_COUNT(properties); i++)
        (void)get(a, a->device, properties[i]);
    assert_int_equal(abi_get_property(a, a->device, 0x12345678, &value), HV_STATUS_UNKNOWN_PROPERTY);
}

/* ---- Early and late ---- */

static void early_properties_are_set_before_initializing(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    assert_int_equal(abi_set_property(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES), ABI_SYNTHETIC), 0);
    assert_int_equal(abi_set_property(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES), 3), 0); /* the last one stays */
    abi_initialize(a, partition);
    (void)abi_uncertain(a, "status of an early property after INITIALIZE",
                        abi_set_property(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES), ABI_SYNTHETIC),
                        HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(get(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES)), 3);
    abi_close(a, partition);
}

static void late_properties_are_set_after_initializing(struct abi *a)
{
    static const uint32_t late[] = {PROPERTY(TIME_FREEZE), PROPERTY(UNIMPLEMENTED_MSR_ACTION), PROPERTY(REFERENCE_TIME),
                                    PROPERTY(GPA_PAGE_ACCESS_TRACKING), PROPERTY(PROCESSORS_PER_SOCKET)};
    int partition = abi_new_partition(a, ABI_FLAGS);
    for (size_t i = 0; i < ABI_COUNT(late); i++)
        (void)abi_uncertain(a, "status of a late property before INITIALIZE",
                            abi_set_property(a, partition, late[i], 1), HV_STATUS_INVALID_PARTITION_STATE);
    abi_initialize(a, partition);
    for (size_t i = 0; i < ABI_COUNT(late); i++)
        assert_int_equal(abi_set_property(a, partition, late[i], 1), HV_STATUS_SUCCESS);
    abi_close(a, partition);
}

static void unknown_features_are_not_shown(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    if (abi_uncertain(a, "synthetic features that nobody has",
                      abi_set_property(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES), UINT64_MAX), 0)) {
        abi_initialize(a, partition);
        assert_int_equal(get(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES)) & 3, 3);
        assert_true(get(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES)) != UINT64_MAX);
    }
    abi_close(a, partition);
}

/* ---- Those that do something ---- */

static void ranges_are_kept(struct abi *a)
{
    static const struct {
        uint32_t property;
        uint64_t value;
        uint16_t status;
    } rows[] = {
        {PROPERTY(TIME_FREEZE), 0, HV_STATUS_SUCCESS},
        {PROPERTY(TIME_FREEZE), 1, HV_STATUS_SUCCESS},
        {PROPERTY(TIME_FREEZE), 2, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
        {PROPERTY(UNIMPLEMENTED_MSR_ACTION), 0, HV_STATUS_SUCCESS},
        {PROPERTY(UNIMPLEMENTED_MSR_ACTION), 1, HV_STATUS_SUCCESS},
        {PROPERTY(UNIMPLEMENTED_MSR_ACTION), 2, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
        {PROPERTY(UNIMPLEMENTED_MSR_ACTION), UINT64_MAX, HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE},
        {PROPERTY(PROCESSORS_PER_SOCKET), 1, HV_STATUS_SUCCESS},
        {PROPERTY(PROCESSORS_PER_SOCKET), 2, HV_STATUS_SUCCESS},
        {PROPERTY(GPA_PAGE_ACCESS_TRACKING), 1, HV_STATUS_SUCCESS},
        {PROPERTY(GPA_PAGE_ACCESS_TRACKING), 0, HV_STATUS_SUCCESS}, /* no page is clean where there is none */
    };
    int partition = ready(a);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        uint16_t status = abi_set_property(a, partition, rows[i].property, rows[i].value);
        (void)abi_uncertain(a, "range of a property", status, rows[i].status);
        if (status == HV_STATUS_SUCCESS)
            assert_int_equal(get(a, partition, rows[i].property), rows[i].value);
    }
    abi_close(a, partition);
}

/* No VP has run: time stands, and is what it was set to. */
static void reference_time_can_be_set(struct abi *a)
{
    int partition = ready(a);
    assert_int_equal(abi_set_property(a, partition, PROPERTY(REFERENCE_TIME), 123456789), HV_STATUS_SUCCESS);
    uint64_t now = get(a, partition, PROPERTY(REFERENCE_TIME));
    assert_true(now >= 123456789);
    (void)abi_uncertain(a, "reference time passes while no VP may run", now > 123456789, false);
    abi_close(a, partition);
}

static void frozen_time_stands_still(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xe6, 0x80, 0xeb, 0xfc); /* out 0x80, al; jmp back */
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    uint64_t before = get(a, vm.partition, PROPERTY(REFERENCE_TIME));
    for (unsigned i = 0; i < 1000 && get(a, vm.partition, PROPERTY(REFERENCE_TIME)) == before; i++)
        (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    assert_true(get(a, vm.partition, PROPERTY(REFERENCE_TIME)) > before);
    assert_int_equal(abi_set_property(a, vm.partition, PROPERTY(TIME_FREEZE), 1), HV_STATUS_SUCCESS);
    before = get(a, vm.partition, PROPERTY(REFERENCE_TIME));
    assert_true(get(a, vm.partition, PROPERTY(REFERENCE_TIME)) == before);
    assert_int_equal(abi_set_property(a, vm.partition, PROPERTY(TIME_FREEZE), 0), HV_STATUS_SUCCESS);
    abi_vm_fini(&vm);
}

/* RDMSR of one that does not exist: #GP, or zero. */
static void unknown_msrs_do_as_the_property_says(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0x66, 0xb9, 0x34, 0x12, 0x00, 0x60, /* mov ecx, 0x60001234 */
            0x0f, 0x32,                                        /* rdmsr */
            0xe6, 0x80);                                       /* out 0x80, al */
    ABI_PUT(&vm, ABI_HANDLER, 0xe6, 0x81);
    abi_vm_set_vector(&vm, 13, ABI_HANDLER);
    assert_int_equal(abi_set_property(a, vm.partition, PROPERTY(UNIMPLEMENTED_MSR_ACTION), 0), HV_STATUS_SUCCESS);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    assert_int_equal(abi_set_property(a, vm.partition, PROPERTY(UNIMPLEMENTED_MSR_ACTION), 1), HV_STATUS_SUCCESS);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RAX, 0x55);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RIP, ABI_CODE);
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x80) & 0xff, 0);
    abi_vm_fini(&vm);
}

/* ---- The longer call ---- */

static struct abi_call get_ex(struct abi *a, int fd, uint32_t property, uint64_t arg,
                              struct hv_output_get_partition_property_ex *out)
{
    const struct hv_input_get_partition_property_ex in = {.property_code = property, .arg = arg};
    return abi_hvcall(a, fd, HVCALL_GET_PARTITION_PROPERTY_EX, 0, &in, sizeof(in), out, sizeof(*out));
}

static void the_longer_call_came_with_6_19(struct abi *a)
{
    struct hv_output_get_partition_property_ex out;
    int partition = ready(a);
    struct abi_call c = get_ex(a, partition, PROPERTY(ASSIGNABLE_SYNTHETIC_PROC_FEATURES), 0, &out);
    assert_int_equal(c.result, a->facts->property_ex ? 0 : -EINVAL);
    abi_close(a, partition);
}

static void assignable_features_come_in_banks(struct abi *a)
{
    static const uint32_t properties[] = {PROPERTY(ASSIGNABLE_SYNTHETIC_PROC_FEATURES), PROPERTY(VMM_CAPABILITIES)};
    if (!a->facts->device_hvcall)
        return;
    for (size_t i = 0; i < ABI_COUNT(properties); i++) {
        struct hv_output_get_partition_property_ex out;
        memset(&out, 0xff, sizeof(out));
        assert_int_equal(get_ex(a, a->device, properties[i], 0, &out).result, 0);
        assert_true(out.bank_count >= 1);
        assert_int_equal(out.reserved[0] | out.reserved[1] | out.reserved[2], 0);
        assert_true(out.bank[0] != 0 && out.bank[0] != UINT64_MAX);
    }
}

/* What may be assigned can be assigned. */
static void assignable_features_can_be_assigned(struct abi *a)
{
    struct hv_output_get_partition_property_ex out;
    if (!a->facts->device_hvcall)
        return;
    assert_int_equal(get_ex(a, a->device, PROPERTY(ASSIGNABLE_SYNTHETIC_PROC_FEATURES), 0, &out).result, 0);
    uint64_t wanted = UINT64_C(0x0020004006400ffb) & out.bank[0];
    int partition = abi_new_partition(a, ABI_FLAGS);
    assert_int_equal(abi_set_property(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES), wanted), HV_STATUS_SUCCESS);
    abi_initialize(a, partition);
    assert_true(get(a, partition, PROPERTY(SYNTHETIC_PROC_FEATURES)) == wanted);
    abi_close(a, partition);
}

static void the_longer_call_knows_two_properties(struct abi *a)
{
    static const uint32_t properties[] = {PROPERTY(PROCESSOR_FEATURES0), 0x12345678};
    struct hv_output_get_partition_property_ex out;
    if (!a->facts->device_hvcall)
        return;
    for (size_t i = 0; i < ABI_COUNT(properties); i++) {
        struct abi_call c = get_ex(a, a->device, properties[i], 0, &out);
        (void)abi_uncertain(a, "status of the longer call for another property", c.status, HV_STATUS_UNKNOWN_PROPERTY);
    }
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(clients_find_what_they_read),
        ABI_CASE(every_named_property_is_known_or_unknown),
        ABI_CASE(what_nobody_named_is_unknown),
        ABI_CASE(values_make_sense),
        ABI_CASE(a_partition_has_no_more_than_the_machine),
        ABI_CASE(the_machine_tells_of_itself),
        ABI_CASE(early_properties_are_set_before_initializing),
        ABI_CASE(late_properties_are_set_after_initializing),
        ABI_CASE(unknown_features_are_not_shown),
        ABI_CASE(ranges_are_kept),
        ABI_CASE(reference_time_can_be_set),
        ABI_CASE(frozen_time_stands_still),
        ABI_CASE(unknown_msrs_do_as_the_property_says),
        ABI_CASE(the_longer_call_came_with_6_19),
        ABI_CASE(assignable_features_come_in_banks),
        ABI_CASE(assignable_features_can_be_assigned),
        ABI_CASE(the_longer_call_knows_two_properties),
    };
    return ABI_MAIN(cases);
}
