/* SPDX-License-Identifier: Apache-2.0 */
/* Names of kernel parameters as paths. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/sysctl.h"

static void dots_separate_unless_a_slash_comes_first(void **state)
{
    static const char *const pairs[][2] = {
        {"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
        {"net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"},
        {"net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"},
        {"kernel", "kernel"},
    };
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(sysctl_path(pairs[i][0], path, sizeof path), 0);
        assert_string_equal(path, pairs[i][1]);
    }
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const wrong[] = {"", ".", "..", "a..b", "a/../b", "/etc/passwd", "a.", ".a", "a/./b", "a.//.b"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (sysctl_path(wrong[i], path, sizeof path) != -EINVAL)
            fail_msg("'%s' becomes '%s'", wrong[i], path);
    assert_int_equal(sysctl_path("a.long.name", path, 11), -EINVAL);
}

static void the_host_name_has_its_own_place(void **state)
{
    grpc_Linux_SysctlEntry e = {(char[]){"kernel.hostname"}, (char[]){"x"}};
    struct err err;
    (void)state;
    assert_int_equal(sysctl_apply(&e, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "kernel.hostname"));
    assert_int_equal(sysctl_apply(NULL, 0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_separate_unless_a_slash_comes_first),
        cmocka_unit_test(names_that_lead_elsewhere_are_refused),
        cmocka_unit_test(the_host_name_has_its_own_place),
    };
    return cmocka_run_group_tests_name("container/sysctl", tests, NULL, NULL);
}
