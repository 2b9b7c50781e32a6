/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/device.h"

#define DEV 3

static const uint64_t bank0 = 0x1111, bank1 = 0x2222;

static void expect_probe(struct port_script *script)
{
    port_expect_open(script, DEV);
    port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY, &bank0, 8);
    port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY, &bank1, 8);
}

static void new_kernel_tells_the_features_of_the_host(void **state)
{
    (void)state;
    struct mshv_device device;
    struct port_script *script = port_script_new();
    port_expect_open(script, DEV);
    struct port_step *first = port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY, &bank0, 8);
    struct port_step *second = port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY, &bank1, 8);
    port_expect_close(script, DEV);
    assert_int_equal(mshv_device_open(&device, port_script_port(script), NULL), 0);
    assert_true(device.has_hvcall);
    assert_int_equal(device.cpu_features[0], 0x1111);
    assert_int_equal(device.cpu_features[1], 0x2222);
    assert_memory_equal(first->input, "\0\0\0\0\0\0\0\0\x0a\0\x06\0\0\0\0\0", 16);
    assert_memory_equal(second->input, "\0\0\0\0\0\0\0\0\x0b\0\x06\0\0\0\0\0", 16);
    mshv_device_close(&device);
    port_script_end(script);
}

static void old_kernel_is_known_by_enotty(void **state)
{
    (void)state;
    struct mshv_device device;
    struct port_script *script = port_script_new();
    port_expect_open(script, DEV);
    port_expect_refusal(script, DEV, HVCALL_GET_PARTITION_PROPERTY, -ENOTTY, 0);
    port_expect_close(script, DEV);
    assert_int_equal(mshv_device_open(&device, port_script_port(script), NULL), 0);
    assert_false(device.has_hvcall);
    assert_int_equal(device.cpu_features[0], 0);
    mshv_device_close(&device);
    port_script_end(script);
}

static void failing_probe_closes_the_device(void **state)
{
    (void)state;
    static const struct {
        int failing; /* which of the two questions */
        int code;
    } cases[] = {{0, -EIO}, {0, -ENOMEM}, {1, -EIO}, {1, -ENOTTY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mshv_device device;
        struct err err;
        struct port_script *script = port_script_new();
        port_expect_open(script, DEV);
        if (cases[i].failing == 1) {
            port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY, &bank0, 8);
        }
        port_expect_refusal(script, DEV, HVCALL_GET_PARTITION_PROPERTY, cases[i].code, HV_STATUS_ACCESS_DENIED);
        port_expect_close(script, DEV);
        assert_int_equal(mshv_device_open(&device, port_script_port(script), &err), cases[i].code);
        assert_non_null(strstr(err.text, "HV_STATUS_ACCESS_DENIED"));
        mshv_device_close(&device); /* nothing left to close */
        port_script_end(script);
    }
}

static void text_of_a_failing_open_says_what_to_do(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *word;
    } cases[] = {
        {-ENOENT, "parent partition"}, {-EACCES, "run as a user"}, {-EPERM, "run as a user"}, {-EMFILE, "log"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mshv_device device;
        struct err err;
        struct port_script *script = port_script_new();
        port_expect_open(script, cases[i].code);
        assert_int_equal(mshv_device_open(&device, port_script_port(script), &err), cases[i].code);
        assert_non_null(strstr(err.text, "cannot open the script"));
        assert_non_null(strstr(err.text, cases[i].word));
        mshv_device_close(&device);
        port_script_end(script);
    }
}

static void property_of_the_host_is_read_or_its_refusal_told(void **state)
{
    (void)state;
    struct mshv_device device;
    struct err err;
    const uint64_t width = 48;
    uint64_t value = 0;
    struct port_script *script = port_script_new();
    expect_probe(script);
    port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY, &width, 8);
    port_expect_refusal(script, DEV, HVCALL_GET_PARTITION_PROPERTY, -EIO, HV_STATUS_UNKNOWN_PROPERTY);
    port_expect_close(script, DEV);
    mshv_device_open(&device, port_script_port(script), NULL);
    assert_int_equal(mshv_device_get_property(&device, HV_PARTITION_PROPERTY_PHYSICAL_ADDRESS_WIDTH, &value, &err), 0);
    assert_int_equal(value, 48);
    assert_int_equal(mshv_device_get_property(&device, 0x666, &value, &err), -EIO);
    assert_int_equal(value, 48);
    assert_non_null(strstr(err.text, "HV_STATUS_UNKNOWN_PROPERTY"));
    mshv_device_close(&device);
    port_script_end(script);
}

static void synthetic_features_are_told_where_they_can_be(void **state)
{
    (void)state;
    static const struct hv_output_get_partition_property_ex none = {0}, one = {.bank_count = 1, .bank = {0xf00}};
    struct mshv_device device;
    uint64_t mask = 0;
    struct port_script *script = port_script_new();
    expect_probe(script);
    struct port_step *step = port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY_EX, &one, sizeof one);
    port_expect_hvcall(script, DEV, HVCALL_GET_PARTITION_PROPERTY_EX, &none, sizeof none);
    port_expect_refusal(script, DEV, HVCALL_GET_PARTITION_PROPERTY_EX, -EINVAL, 0);
    port_expect_close(script, DEV);
    mshv_device_open(&device, port_script_port(script), NULL);
    assert_int_equal(mshv_device_synthetic_features(&device, &mask), 0);
    assert_int_equal(mask, 0xf00);
    assert_int_equal(step->output_bytes, 4072);
    assert_memory_equal(step->input + 8, "\x09\0\x09\0", 4);
    assert_int_equal(mshv_device_synthetic_features(&device, &mask), -EOPNOTSUPP);
    assert_true(mask == UINT64_MAX);
    assert_int_equal(mshv_device_synthetic_features(&device, &mask), -EOPNOTSUPP);
    mshv_device_close(&device);
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_kernel_tells_the_features_of_the_host),
        cmocka_unit_test(old_kernel_is_known_by_enotty),
        cmocka_unit_test(failing_probe_closes_the_device),
        cmocka_unit_test(text_of_a_failing_open_says_what_to_do),
        cmocka_unit_test(property_of_the_host_is_read_or_its_refusal_told),
        cmocka_unit_test(synthetic_features_are_told_where_they_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
