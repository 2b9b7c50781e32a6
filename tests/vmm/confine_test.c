/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine's devices make of its jail. Each case has its own process: what is given up does not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/confine.h"

#define NO_ROOT 100 /* this host does not allow one */

static const struct confine_options plain = {.off = false};

static int prepare(struct confine *c, const struct confine_options *options, struct io_config *io)
{
    const struct confine_machine machine = {.io = io, .folder = -1, .pid_step = 1};
    return confine_prepare(c, options, &machine, NULL);
}

/* Exit code of a process that calls it: 0 is good. */
static void in_a_process(int (*what)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(what());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (!CONFIG_JAIL || WEXITSTATUS(status) == NO_ROOT)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int vsock_and_streams(void)
{
    struct io_config io = {
        .vsock = {.path = "/tmp/caisson-v"},
        .nets = {{.kind = IO_NET_TAP, .name = "tap0"}, {.kind = IO_NET_STREAM, .name = "/tmp/p.sock"}},
        .net_count = 2};
    struct confine c;
    if (prepare(&c, &plain, &io) != 0)
        return 1;
    if (!jail_has_root(&c.jail))
        return NO_ROOT;
    if (strcmp(io.vsock.inside, "/vsock/caisson-v") != 0 || strcmp(io.nets[1].inside, "/net1/p.sock") != 0)
        return 2;
    if (io.nets[0].inside != NULL || c.jail.cfg.main_folder < 0)
        return 3;
    return strcmp(confine_path(&c, "/in", "/out"), "/in") == 0 ? 0 : 4;
}

static void sockets_get_paths_from_inside(void **state)
{
    (void)state;
    in_a_process(vsock_and_streams);
}

static int relative(void)
{
    struct io_config io = {.vsock = {.path = "v"}};
    struct confine c;
    if (chdir("/tmp") != 0 || prepare(&c, &plain, &io) != 0)
        return 1;
    if (!jail_has_root(&c.jail))
        return NO_ROOT;
    if (confine_enter(&c, NULL) != 0)
        return 2;
    return strcmp(io.vsock.inside, "/vsock/v") == 0 && access("/vsock", X_OK) == 0 ? 0 : 3;
}

static void relative_paths_are_meant_from_where_it_started(void **state)
{
    (void)state;
    in_a_process(relative);
}

static int shares(void)
{
    struct io_config io = {.shares = {{.tag = "a", .path = "/tmp"}}, .share_count = 1};
    struct confine c;
    if (prepare(&c, &plain, &io) != 0 || c.jail.cfg.serves_as_root != (geteuid() == 0) || c.jail.cfg.exports)
        return 1;
    /* Nobody knows how many files a guest opens. */
    if (c.jail.cfg.descriptors != 0 || io.as_user)
        return 2;
    io.shares[0].exports = true;
    return prepare(&c, &plain, &io) == 0 && c.jail.cfg.exports ? 0 : 3;
}

static void shares_of_root_are_served_by_root(void **state)
{
    (void)state;
    in_a_process(shares);
}

static int shares_of_a_user(void)
{
    const struct confine_options options = {.drops_ids = true, .uid = 1000, .gid = 1000};
    struct io_config io = {.shares = {{.tag = "a", .path = "/tmp"}}, .share_count = 1};
    struct confine c;
    return prepare(&c, &options, &io) == 0 && !c.jail.cfg.serves_as_root && io.as_user ? 0 : 1;
}

static void who_becomes_a_user_serves_as_that_user(void **state)
{
    (void)state;
    in_a_process(shares_of_a_user);
}

static void switched_off_it_does_nothing(void **state)
{
    const struct confine_options off = {.off = true};
    struct io_config io = {.vsock = {.path = "/none/such/v"}};
    struct confine c;
    (void)state;
    assert_int_equal(prepare(&c, &off, &io), 0);
    assert_null(io.vsock.inside);
    assert_int_equal(confine_enter(&c, NULL), 0);
    assert_string_equal(confine_path(&c, "/in", "/out"), "/out");
    confine_fini(&c);
    confine_fini(&c);
}

static void a_socket_in_no_folder_is_an_error(void **state)
{
    struct io_config io = {.vsock = {.path = "/none/such/v"}};
    struct confine c;
    (void)state;
    if (!CONFIG_JAIL)
        skip();
    assert_int_equal(prepare(&c, &plain, &io), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_get_paths_from_inside),
        cmocka_unit_test(relative_paths_are_meant_from_where_it_started),
        cmocka_unit_test(shares_of_root_are_served_by_root),
        cmocka_unit_test(who_becomes_a_user_serves_as_that_user),
        cmocka_unit_test(switched_off_it_does_nothing),
        cmocka_unit_test(a_socket_in_no_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
