/* SPDX-License-Identifier: Apache-2.0 */
/* Where cgroups lie, and what their files say. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/cgroup.h"
#include "guest-init/container/cgroup_stats.h"

static void expect_path(const char *cgroups_path, const char *id, const char *expected)
{
    char path[128];
    assert_int_equal(cgroup_path("/base", cgroups_path, id, path, sizeof path), 0);
    assert_string_equal(path, expected);
}

static void the_id_is_the_path_if_none_is_given(void **state)
{
    (void)state;
    expect_path(NULL, "id", "/base/id");
    expect_path("", "id", "/base/id");
}

static void paths_lie_below_the_base(void **state)
{
    (void)state;
    expect_path("/a/b", "id", "/base/a/b");
    expect_path("a/b", "id", "/base/a/b");
    expect_path("/a:b", "id", "/base/a:b");
}

static void the_form_of_systemd_becomes_a_path(void **state)
{
    (void)state;
    expect_path("kube.slice:cri:abc", "id", "/base/kube.slice/cri-abc.scope");
    expect_path(":cri:abc", "id", "/base/cri-abc.scope");
    expect_path("s.slice::abc", "id", "/base/s.slice/abc.scope");
}

static void paths_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const wrong[] = {"..", "/a/../b", "a/.", "/", "a\nb", "a:b:", "a:b:c:d", "../x:y:z"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(cgroup_path("/base", wrong[i], "id", path, sizeof path), -EINVAL);
    assert_int_equal(cgroup_path("/base", "a-long-name", "id", path, 12), -ENAMETOOLONG);
}

static void numbers_are_found_by_whole_words(void **state)
{
    (void)state;
    assert_int_equal(cgroup_number_of("oom 3\noom_kill 7\n", "oom_kill"), 7);
    assert_int_equal(cgroup_number_of("oom_kill 7\noom 3", "oom"), 3);
    assert_int_equal(cgroup_number_of("x_oom 3\n", "oom"), 0);
    assert_int_equal(cgroup_number_of("", "oom"), 0);
}

static void a_path_outside_the_mount_is_refused(void **state)
{
    struct cgroup c;
    struct err err;
    (void)state;
    assert_int_equal(cgroup_create(&c, "/sys/fs/cgroup", "/tmp/x", &err), -EINVAL);
    assert_int_equal(c.fd, -1);
    assert_int_equal(cgroup_processes(&c, NULL, 0), -ENOENT);
    assert_int_equal(cgroup_signal(&c, 9), -ENOENT);
    assert_int_equal(cgroup_destroy(&c, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_id_is_the_path_if_none_is_given), cmocka_unit_test(paths_lie_below_the_base),
        cmocka_unit_test(the_form_of_systemd_becomes_a_path),  cmocka_unit_test(paths_that_lead_elsewhere_are_refused),
        cmocka_unit_test(numbers_are_found_by_whole_words),    cmocka_unit_test(a_path_outside_the_mount_is_refused),
    };
    return cmocka_run_group_tests_name("container/cgroup", tests, NULL, NULL);
}
