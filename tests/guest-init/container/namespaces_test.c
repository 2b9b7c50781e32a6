/* SPDX-License-Identifier: Apache-2.0 */
/* Which namespaces a container gets. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/namespaces.h"

static const struct container_pod alone = {-1, -1, -1, -1, NULL, NULL};

struct list {
    grpc_LinuxNamespace entries[8];
    grpc_Linux l;
};

static void add(struct list *l, char *type, char *path)
{
    l->entries[l->l.Namespaces_count++] = (grpc_LinuxNamespace){type, path};
    l->l.Namespaces = l->entries;
}

static int plan(const struct list *l, const struct container_pod *pod, bool pod_pid_ns, struct namespaces *n)
{
    return namespaces_plan(&l->l, pod, pod_pid_ns, n, NULL);
}

static void listed_ones_are_made_and_the_network_is_the_pods(void **state)
{
    struct list l = {.l = {.Namespaces_count = 0}};
    struct namespaces n;
    (void)state;
    add(&l, (char[]){"pid"}, NULL);
    add(&l, (char[]){"ipc"}, (char[]){""});
    add(&l, (char[]){"uts"}, NULL);
    add(&l, (char[]){"network"}, NULL);
    assert_int_equal(plan(&l, &alone, false, &n), 0);
    assert_false(n.make[NAMESPACE_NETWORK]);
    assert_int_equal(namespaces_clone_flags(&n), CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS);
}

static void what_the_pod_has_is_joined(void **state)
{
    const struct container_pod pod = {10, 11, 12, 13, NULL, NULL};
    struct list l = {.l = {.Namespaces_count = 0}};
    struct namespaces n;
    (void)state;
    add(&l, (char[]){"pid"}, NULL);
    add(&l, (char[]){"ipc"}, NULL);
    assert_int_equal(plan(&l, &pod, false, &n), 0);
    assert_true(n.fd[NAMESPACE_NETWORK] == 10 && n.fd[NAMESPACE_IPC] == 11 && n.fd[NAMESPACE_UTS] == 12);
    assert_true(n.fd[NAMESPACE_PID] == -1 && n.make[NAMESPACE_PID]);
    assert_int_equal(plan(&l, &pod, true, &n), 0);
    assert_true(n.fd[NAMESPACE_PID] == 13 && !n.make[NAMESPACE_PID]);
}

static void a_path_goes_before_the_pod(void **state)
{
    const struct container_pod pod = {10, 11, 12, 13, NULL, NULL};
    struct list l = {.l = {.Namespaces_count = 0}};
    struct namespaces n;
    (void)state;
    add(&l, (char[]){"ipc"}, (char[]){"/proc/1/ns/ipc"});
    assert_int_equal(plan(&l, &pod, false, &n), 0);
    assert_int_equal(n.fd[NAMESPACE_IPC], -1);
    assert_string_equal(n.path[NAMESPACE_IPC], "/proc/1/ns/ipc");
    assert_false(n.make[NAMESPACE_IPC]);
}

static void process_ids_are_never_the_guests_own(void **state)
{
    const struct container_pod pod = {-1, -1, -1, 13, NULL, NULL};
    struct list l = {.l = {.Namespaces_count = 0}};
    struct namespaces n;
    struct err err;
    (void)state;
    assert_int_equal(plan(&l, &alone, false, &n), 0);
    assert_true(n.make[NAMESPACE_PID] && namespaces_clone_flags(&n) == (CLONE_NEWPID | CLONE_NEWNS));
    assert_int_equal(plan(&l, &alone, true, &n), 0);
    assert_true(n.make[NAMESPACE_PID]);
    assert_int_equal(plan(&l, &pod, false, &n), 0);
    assert_true(n.fd[NAMESPACE_PID] == 13 && !n.make[NAMESPACE_PID]);
    assert_false(namespaces_lists_pid(&l.l));
    add(&l, (char[]){"pid"}, (char[]){"/proc/self/ns/pid"});
    assert_true(namespaces_lists_pid(&l.l));
    assert_int_equal(plan(&l, &pod, false, &n), 0);
    assert_true(n.fd[NAMESPACE_PID] == -1 && !n.make[NAMESPACE_PID]);
    assert_int_equal(namespaces_join(&n, &err), -EPERM);
    assert_non_null(strstr(err.text, "nothing may share the guest's own"));
}

static void expect_refusal(struct list *l, int code, const char *text)
{
    struct namespaces n;
    struct err err = {0};
    assert_int_equal(namespaces_plan(&l->l, &alone, false, &n, &err), code);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s", err.text);
}

static void lists_that_cannot_be_are_refused(void **state)
{
    grpc_LinuxIDMapping map = {0, 0, 1};
    grpc_LinuxTimeOffset offset = {.Secs = 1};
    struct list l = {.l = {.Namespaces_count = 0}};
    (void)state;
    add(&l, (char[]){"pid"}, NULL);
    add(&l, (char[]){"pid"}, NULL);
    expect_refusal(&l, -EINVAL, "listed twice");
    l.l.Namespaces_count = 0;
    add(&l, (char[]){"dream"}, NULL);
    expect_refusal(&l, -EINVAL, "no such type");
    l.l.Namespaces_count = 0;
    add(&l, (char[]){"ipc"}, (char[]){"ns"});
    expect_refusal(&l, -EINVAL, "not absolute");
    l.l.Namespaces_count = 0;
    add(&l, (char[]){"mount"}, (char[]){"/proc/1/ns/mnt"});
    expect_refusal(&l, -ENOTSUP, "mount namespace");
    l.l.Namespaces_count = 0;
    add(&l, (char[]){"user"}, NULL);
    expect_refusal(&l, -EINVAL, "needs mappings");
    l.l.Namespaces_count = 0;
    l.l.UIDMappings = &map;
    l.l.UIDMappings_count = 1;
    expect_refusal(&l, -EINVAL, "not listed");
    l.l.UIDMappings_count = 0;
    l.l.TimeOffsets = &offset;
    l.l.TimeOffsets_count = 1;
    expect_refusal(&l, -EINVAL, "time namespace");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_ones_are_made_and_the_network_is_the_pods),
        cmocka_unit_test(what_the_pod_has_is_joined),
        cmocka_unit_test(a_path_goes_before_the_pod),
        cmocka_unit_test(process_ids_are_never_the_guests_own),
        cmocka_unit_test(lists_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("container/namespaces", tests, NULL, NULL);
}
