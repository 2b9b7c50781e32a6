/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of capabilities from names. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/caps.h"

static void names_have_the_kernels_numbers(void **state)
{
    (void)state;
    assert_int_equal(caps_number("CAP_CHOWN"), 0);
    assert_int_equal(caps_number("cap_sys_admin"), 21);
    assert_int_equal(caps_number("CAP_MKNOD"), 27);
    assert_int_equal(caps_number("CAP_SETFCAP"), 31);
    assert_int_equal(caps_number("CAP_SYSLOG"), 34);
    assert_int_equal(caps_number("CAP_CHECKPOINT_RESTORE"), 40);
    assert_int_equal(caps_number("CHOWN"), -1);
    assert_int_equal(caps_number("CAP_"), -1);
    assert_int_equal(caps_number("CAP_CHOWNX"), -1);
}

static void this_kernel_knows_some(void **state)
{
    (void)state;
    assert_in_range(caps_last(), 37, 63);
}

static void count_unknown(void *context, const char *name)
{
    int *count = context;
    assert_non_null(name);
    *count += 1;
}

static void names_that_the_kernel_lacks_are_left_out_and_told(void **state)
{
    char *names[] = {(char[]){"CAP_KILL"}, (char[]){"CAP_NONE"}, (char[]){"CAP_BPF"}};
    const grpc_LinuxCapabilities c = {.Bounding = names, .Bounding_count = 3};
    struct caps caps;
    int unknown = 0;
    (void)state;
    assert_int_equal(caps_parse(&c, 37, count_unknown, &unknown, &caps, NULL), 0);
    assert_int_equal(unknown, 2);
    assert_int_equal(caps.bounding, 1u << 5);
}

static void none_given_are_none(void **state)
{
    struct caps caps;
    (void)state;
    assert_int_equal(caps_parse(NULL, 40, NULL, NULL, &caps, NULL), 0);
    assert_true(caps.bounding == 0 && caps.effective == 0 && caps.permitted == 0 && caps.inheritable == 0);
}

static void what_the_larger_set_lacks_is_left_out_and_told(void **state)
{
    char *names[] = {(char[]){"CAP_KILL"}};
    struct caps caps;
    int missing = 0;
    grpc_LinuxCapabilities c = {.Effective = names, .Effective_count = 1};
    (void)state;
    assert_int_equal(caps_parse(&c, 40, count_unknown, &missing, &caps, NULL), 0);
    assert_true(caps.effective == 0 && missing == 1);
    c = (grpc_LinuxCapabilities){.Ambient = names, .Ambient_count = 1, .Permitted = names, .Permitted_count = 1};
    assert_int_equal(caps_parse(&c, 40, count_unknown, &missing, &caps, NULL), 0);
    assert_true(caps.ambient == 0 && missing == 2);
    c.Inheritable = names;
    c.Inheritable_count = 1;
    assert_int_equal(caps_parse(&c, 40, count_unknown, &missing, &caps, NULL), 0);
    assert_true(caps.ambient == 1u << 5 && missing == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_the_kernels_numbers),
        cmocka_unit_test(this_kernel_knows_some),
        cmocka_unit_test(names_that_the_kernel_lacks_are_left_out_and_told),
        cmocka_unit_test(none_given_are_none),
        cmocka_unit_test(what_the_larger_set_lacks_is_left_out_and_told),
    };
    return cmocka_run_group_tests_name("container/caps", tests, NULL, NULL);
}
