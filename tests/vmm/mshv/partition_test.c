/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/partition.h"

#define DEV 3
#define PT  5
#define V2  (UINT64_C(1) << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)

static struct mshv_device device_of(struct port_script *script, bool has_hvcall)
{
    return (struct mshv_device){.port = port_script_port(script), .fd = DEV, .has_hvcall = has_hvcall};
}

static struct mshv_partition partition_of(struct port_script *script)
{
    return (struct mshv_partition){.port = port_script_port(script), .fd = PT};
}

static const struct mshv_partition_config config = {
    .flags = 7, .disabled_cpu_features = {0xaa, 0xbb}, .disabled_xsave_features = 0xcc};

static struct mshv_create_partition_v2 argument(const struct port_step *step)
{
    struct mshv_create_partition_v2 args;
    memcpy(&args, step->argument, sizeof args);
    return args;
}

/* ---- Create ------------------------------------------------------------------------------------------------------ */

static void new_kernel_gets_the_longer_form_with_the_masks(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, true);
    struct port_step *step = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, PT);
    port_expect_close(script, PT);
    assert_int_equal(mshv_partition_create(&partition, &device, &config, NULL), 0);
    const struct mshv_create_partition_v2 args = argument(step);
    assert_int_equal(args.pt_flags, 7 | V2);
    assert_int_equal(args.pt_isolation, 0);
    assert_int_equal(args.pt_num_cpu_fbanks, 2);
    assert_int_equal(args.pt_cpu_fbanks[0], 0xaa);
    assert_int_equal(args.pt_cpu_fbanks[1], 0xbb);
    assert_int_equal(args.pt_disabled_xsave, 0xcc);
    assert_int_equal(partition.fd, PT);
    assert_true(partition.features_applied);
    mshv_partition_destroy(&partition);
    mshv_partition_destroy(&partition); /* the second time is nothing */
    port_script_end(script);
}

static void old_kernel_gets_the_short_form_at_once(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, false);
    struct port_step *step = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, PT);
    assert_int_equal(mshv_partition_create(&partition, &device, &config, NULL), 0);
    assert_int_equal(argument(step).pt_flags, 7);
    assert_false(partition.features_applied);
    port_script_end(script);
}

static void refused_longer_form_is_followed_by_the_short_one(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, true);
    port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, -EINVAL);
    struct port_step *second = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, PT);
    assert_int_equal(mshv_partition_create(&partition, &device, &config, NULL), 0);
    assert_int_equal(argument(second).pt_flags, 7);
    assert_false(partition.features_applied);
    port_script_end(script);
}

static void optional_flags_are_given_up_before_the_masks(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct mshv_partition_config wish = config;
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, true);
    wish.optional_flags = 1u << MSHV_PT_BIT_SMT_ENABLED_GUEST;
    struct port_step *first = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, -EINVAL);
    struct port_step *second = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, PT);
    assert_int_equal(mshv_partition_create(&partition, &device, &wish, NULL), 0);
    assert_int_equal(argument(first).pt_flags, 0x27 | V2);
    assert_int_equal(argument(second).pt_flags, 7 | V2);
    assert_int_equal(partition.flags, 7 | V2);
    port_script_end(script);
}

static void optional_flags_are_tried_on_an_old_kernel_too(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct mshv_partition_config wish = {.flags = 1, .optional_flags = 6};
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, false);
    struct port_step *first = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, -EINVAL);
    struct port_step *second = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, PT);
    assert_int_equal(mshv_partition_create(&partition, &device, &wish, NULL), 0);
    assert_int_equal(argument(first).pt_flags, 7);
    assert_int_equal(argument(second).pt_flags, 1);
    port_script_end(script);
}

static void masks_that_are_needed_are_not_given_up(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct mshv_partition_config wish = config;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_device device = device_of(script, false);
    wish.need_features = true;
    assert_int_equal(mshv_partition_create(&partition, &device, &wish, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "6.19"));
    device.has_hvcall = true;
    port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, -EINVAL);
    assert_int_equal(mshv_partition_create(&partition, &device, &wish, &err), -EINVAL);
    mshv_partition_destroy(&partition);
    port_script_end(script);
}

static void other_errors_end_the_search(void **state)
{
    (void)state;
    static const int codes[] = {-ENOMEM, -EMFILE, -EIO, -EFAULT};
    for (size_t i = 0; i < 4; i++) {
        struct mshv_partition partition;
        struct err err;
        struct port_script *script = port_script_new();
        const struct mshv_device device = device_of(script, true);
        port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, codes[i]);
        assert_int_equal(mshv_partition_create(&partition, &device, &config, &err), codes[i]);
        assert_non_null(strstr(err.text, "create a partition on the script"));
        assert_null(partition.port);
        mshv_partition_destroy(&partition);
        port_script_end(script);
    }
}

static void a_signal_during_creation_is_no_failure(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, true);
    port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, -EINTR);
    struct port_step *second = port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, PT);
    assert_int_equal(mshv_partition_create(&partition, &device, &config, NULL), 0);
    assert_int_equal(argument(second).pt_flags, 7 | V2);
    port_script_end(script);
}

static void signals_without_end_are_a_failure(void **state)
{
    (void)state;
    struct mshv_partition partition;
    struct port_script *script = port_script_new();
    const struct mshv_device device = device_of(script, true);
    for (int i = 0; i < 100; i++) {
        port_expect_ioctl(script, DEV, MSHV_CREATE_PARTITION, -EINTR);
    }
    assert_int_equal(mshv_partition_create(&partition, &device, &config, NULL), -EINTR);
    port_script_end(script);
}

/* ---- Initialize, properties -------------------------------------------------------------------------------------- */

static void partition_is_initialized_once(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_INITIALIZE_PARTITION, -ENOMEM);
    port_expect_ioctl(script, PT, MSHV_INITIALIZE_PARTITION, 0);
    assert_int_equal(mshv_partition_initialize(&partition, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "initialize the partition"));
    assert_false(partition.initialized);
    assert_int_equal(mshv_partition_initialize(&partition, &err), 0);
    assert_int_equal(mshv_partition_initialize(&partition, &err), 0);
    port_script_end(script);
}

static void property_is_set(void **state)
{
    (void)state;
    struct hv_input_set_partition_property in;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *step = port_expect_hvcall(script, PT, HVCALL_SET_PARTITION_PROPERTY, NULL, 0);
    assert_int_equal(
        mshv_partition_set_property(&partition, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, 0x6400ffb, NULL), 0);
    assert_int_equal(step->input_bytes, sizeof in);
    memcpy(&in, step->input, sizeof in);
    assert_int_equal(in.partition_id, 0);
    assert_int_equal(in.property_code, 0x10001);
    assert_int_equal(in.property_value, 0x6400ffb);
    port_script_end(script);
}

static void refused_property_is_named(void **state)
{
    (void)state;
    struct err err;
    uint64_t value = 5;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_refusal(script, PT, HVCALL_SET_PARTITION_PROPERTY, -EIO, HV_STATUS_INVALID_PARTITION_STATE);
    port_expect_refusal(script, PT, HVCALL_GET_PARTITION_PROPERTY, -EIO, HV_STATUS_UNKNOWN_PROPERTY);
    assert_int_equal(mshv_partition_freeze_time(&partition, true, &err), -EIO);
    assert_non_null(strstr(err.text, "set partition property HV_PARTITION_PROPERTY_TIME_FREEZE: the hypervisor answers "
                                     "HV_STATUS_INVALID_PARTITION_STATE (0x07)"));
    assert_int_equal(mshv_partition_get_property(&partition, 0xabcdef, &value, &err), -EIO);
    assert_non_null(strstr(err.text, "read partition property 0x00abcdef"));
    assert_int_equal(value, 5);
    port_script_end(script);
}

static void property_is_read(void **state)
{
    (void)state;
    const uint64_t answer = UINT64_MAX - 1;
    uint64_t value = 0;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_hvcall(script, PT, HVCALL_GET_PARTITION_PROPERTY, &answer, 8);
    assert_int_equal(mshv_partition_get_property(&partition, HV_PARTITION_PROPERTY_REFERENCE_TIME, &value, NULL), 0);
    assert_true(value == answer);
    port_script_end(script);
}

static void time_is_frozen_by_one_and_runs_by_zero(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *freeze = port_expect_hvcall(script, PT, HVCALL_SET_PARTITION_PROPERTY, NULL, 0);
    struct port_step *thaw = port_expect_hvcall(script, PT, HVCALL_SET_PARTITION_PROPERTY, NULL, 0);
    assert_int_equal(mshv_partition_freeze_time(&partition, true, NULL), 0);
    assert_int_equal(mshv_partition_freeze_time(&partition, false, NULL), 0);
    assert_memory_equal(freeze->input + 8, "\x03\0\x03\0\0\0\0\0\x01\0\0\0\0\0\0\0", 16);
    assert_memory_equal(thaw->input + 8, "\x03\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    port_script_end(script);
}

static void synthetic_features_are_set_before_initialization_only(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *step = port_expect_hvcall(script, PT, HVCALL_SET_PARTITION_PROPERTY, NULL, 0);
    assert_int_equal(mshv_partition_set_synthetic_features(&partition, HV_FEATURE(HV_SYNTHETIC_HV1), &err), 0);
    assert_memory_equal(step->input + 8, "\x01\0\x01\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16);
    partition.initialized = true;
    assert_int_equal(mshv_partition_set_synthetic_features(&partition, 3, &err), -EBUSY);
    assert_non_null(strstr(err.text, "before it is initialized"));
    port_script_end(script);
}

static void intercept_is_installed_or_refused(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *step = port_expect_hvcall(script, PT, HVCALL_INSTALL_INTERCEPT, NULL, 0);
    port_expect_refusal(script, PT, HVCALL_INSTALL_INTERCEPT, -EINVAL, HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(mshv_partition_install_intercept(&partition, HV_INTERCEPT_TYPE_X64_CPUID,
                                                      HV_INTERCEPT_ACCESS_MASK_EXECUTE, 7, &err),
                     0);
    assert_memory_equal(step->input + 8, "\x04\0\0\0\x02\0\0\0\x07\0\0\0\0\0\0\0", 16);
    assert_int_equal(mshv_partition_install_intercept(&partition, 0x99, 1, 0, &err), -EINVAL);
    assert_non_null(strstr(err.text, "HV_STATUS_INVALID_PARAMETER"));
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_kernel_gets_the_longer_form_with_the_masks),
        cmocka_unit_test(old_kernel_gets_the_short_form_at_once),
        cmocka_unit_test(refused_longer_form_is_followed_by_the_short_one),
        cmocka_unit_test(optional_flags_are_given_up_before_the_masks),
        cmocka_unit_test(optional_flags_are_tried_on_an_old_kernel_too),
        cmocka_unit_test(masks_that_are_needed_are_not_given_up),
        cmocka_unit_test(other_errors_end_the_search),
        cmocka_unit_test(a_signal_during_creation_is_no_failure),
        cmocka_unit_test(signals_without_end_are_a_failure),
        cmocka_unit_test(partition_is_initialized_once),
        cmocka_unit_test(property_is_set),
        cmocka_unit_test(refused_property_is_named),
        cmocka_unit_test(property_is_read),
        cmocka_unit_test(time_is_frozen_by_one_and_runs_by_zero),
        cmocka_unit_test(synthetic_features_are_set_before_initialization_only),
        cmocka_unit_test(intercept_is_installed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
