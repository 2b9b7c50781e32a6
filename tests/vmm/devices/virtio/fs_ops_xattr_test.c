/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"

#include <sys/xattr.h>

struct sized {
    uint32_t size, other;
};

static int set(struct fs_rig *r, uint64_t node, const char *name, const void *value, uint32_t bytes, uint32_t flags)
{
    uint8_t *arg = malloc(8 + strlen(name) + 1 + bytes);
    const struct sized in = {bytes, flags};
    memcpy(arg, &in, 8);
    memcpy(arg + 8, name, strlen(name) + 1);
    memcpy(arg + 8 + strlen(name) + 1, value, bytes);
    int code = fs_call(r, FUSE_SETXATTR, node, arg, 8 + strlen(name) + 1 + bytes, 0);
    free(arg);
    return code;
}

static int get(struct fs_rig *r, uint64_t node, const char *name, uint32_t size)
{
    const struct sized in = {size, 0};
    return fs_call_names(r, FUSE_GETXATTR, node, &in, sizeof(in), name, NULL, size == 0 ? 8 : size);
}

static int list(struct fs_rig *r, uint64_t node, uint32_t size)
{
    const struct sized in = {size, 0};
    return fs_call(r, FUSE_LISTXATTR, node, &in, sizeof(in), size == 0 ? 8 : size);
}

static uint32_t told_size(const struct fs_rig *r)
{
    struct fuse_getxattr_out out;
    assert_int_equal(r->out_bytes, sizeof(out));
    memcpy(&out, r->out, sizeof(out));
    return out.size;
}

/* A device with one file, if the file system of the folder has extended attributes. */
static bool start(struct fs_rig *r, const struct fs_config *config, uint64_t *node)
{
    fs_host_put(r, "file", "content");
    int fd = openat(r->tree, "file", O_RDONLY | O_CLOEXEC);
    bool has = fsetxattr(fd, "user.host", "value", 5, 0) == 0;
    close(fd);
    fs_rig_start(r, config);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", node), 0);
    if (!has)
        print_message("no extended attributes in /tmp: skipped\n");
    return has;
}

static void values_are_read_written_and_removed(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    char value[16];
    if (!start(r, NULL, &node))
        return;
    assert_int_equal(get(r, node, "user.host", 0), 0);
    assert_int_equal(told_size(r), 5);
    assert_int_equal(get(r, node, "user.host", 5), 0);
    assert_int_equal(r->out_bytes, 5);
    assert_memory_equal(r->out, "value", 5);
    assert_int_equal(get(r, node, "user.host", 4), -ERANGE);
    assert_int_equal(get(r, node, "user.none", 5), -ENODATA);
    assert_int_equal(set(r, node, "user.guest", "abc", 3, 0), 0);
    int fd = openat(r->tree, "file", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fgetxattr(fd, "user.guest", value, sizeof(value)), 3);
    assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, node, NULL, 0, "user.guest", NULL, 0), 0);
    assert_int_equal(fgetxattr(fd, "user.guest", value, sizeof(value)), -1);
    assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, node, NULL, 0, "user.guest", NULL, 0), -ENODATA);
    close(fd);
}

static void set_may_demand_that_it_is_new_or_not(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    if (!start(r, NULL, &node))
        return;
    assert_int_equal(set(r, node, "user.host", "x", 1, XATTR_CREATE), -EEXIST);
    assert_int_equal(set(r, node, "user.new", "x", 1, XATTR_REPLACE), -ENODATA);
    assert_int_equal(set(r, node, "user.host", "x", 1, 0x80), -EINVAL);
}

static void the_list_shows_what_is_served(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    if (!start(r, NULL, &node))
        return;
    assert_int_equal(list(r, node, 0), 0);
    assert_int_equal(told_size(r), 10);
    assert_int_equal(list(r, node, 9), -ERANGE);
    assert_int_equal(list(r, node, 4096), 0);
    assert_int_equal(r->out_bytes, 10);
    assert_memory_equal(r->out, "user.host", 10);
}

static void labels_and_access_lists_of_the_host_are_left_alone(void **state)
{
    struct fs_rig *r = *state;
    static const char *const names[] = {
        "security.selinux", "security.ima", "system.posix_acl_access", "user", "x.y", "security.capability2", "os2.x"};
    uint64_t node;
    (void)start(r, NULL, &node);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(get(r, node, names[i], 100), -EOPNOTSUPP);
        assert_int_equal(set(r, node, names[i], "x", 1, 0), -EOPNOTSUPP);
        assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, node, NULL, 0, names[i], NULL, 0), -EOPNOTSUPP);
    }
}

static void names_have_a_length(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    char name[300];
    (void)start(r, NULL, &node);
    memset(name, 'n', sizeof(name));
    memcpy(name, "user.", 5);
    name[256] = '\0';
    assert_int_equal(get(r, node, "", 100), -ERANGE);
    assert_int_equal(get(r, node, name, 100), -ERANGE);
    assert_int_equal(set(r, node, name, "x", 1, 0), -ERANGE);
}

static void a_value_is_inside_of_the_request(void **state)
{
    struct fs_rig *r = *state;
    struct {
        struct sized in;
        char name[8];
        uint8_t value[8];
    } arg = {.in = {.size = 9}, .name = "user.ab"};
    uint64_t node;
    (void)start(r, NULL, &node);
    assert_int_equal(fs_call(r, FUSE_SETXATTR, node, &arg, 24, 0), -EINVAL);
    arg.in.size = UINT32_MAX;
    assert_int_equal(fs_call(r, FUSE_SETXATTR, node, &arg, 24, 0), -EINVAL);
    uint8_t *big = calloc(1, 65537);
    assert_int_equal(set(r, node, "user.big", big, 65537, 0), -E2BIG);
    free(big);
}

static void nothing_is_set_in_a_read_only_folder(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config read_only = {.read_only = true};
    uint64_t node;
    bool has = start(r, &read_only, &node);
    assert_int_equal(set(r, node, "user.x", "x", 1, 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, node, NULL, 0, "user.host", NULL, 0), -EROFS);
    if (has)
        assert_int_equal(get(r, node, "user.host", 5), 0);
}

static void a_symbolic_link_has_no_attributes(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, link;
    if (!start(r, NULL, &node))
        return;
    assert_int_equal(symlinkat("file", r->tree, "link"), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &link), 0);
    assert_int_equal(get(r, link, "user.host", 100), -ENODATA);
    assert_int_equal(set(r, link, "user.host", "evil", 4, 0), -EPERM);
    assert_int_equal(list(r, link, 0), 0);
    assert_int_equal(told_size(r), 0);
    assert_int_equal(get(r, node, "user.host", 5), 0);
    assert_memory_equal(r->out, "value", 5);
    assert_int_equal(list(r, 999, 0), -ENOENT);
    assert_int_equal(get(r, 999, "user.x", 0), -ENOENT);
}

static void trusted_attributes_are_the_hosts_decision(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, link;
    if (!start(r, NULL, &node))
        return;
    int fd = openat(r->tree, "file", O_RDONLY | O_CLOEXEC);
    bool may = fsetxattr(fd, "trusted.test", "x", 1, 0) == 0;
    close(fd);
    assert_int_equal(set(r, node, "trusted.overlay.x", "y", 1, 0), may ? 0 : -EPERM);
    if (!may)
        return;
    assert_int_equal(get(r, node, "trusted.overlay.x", 1), 0);
    assert_int_equal(symlinkat("file", r->tree, "link"), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &link), 0);
    assert_int_equal(set(r, link, "trusted.mine", "z", 1, 0), -EPERM);
    assert_int_equal(get(r, link, "trusted.mine", 1), -ENODATA);
    assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, link, NULL, 0, "trusted.overlay.x", NULL, 0), -EPERM);
    assert_int_equal(get(r, node, "trusted.overlay.x", 1), 0);
    assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, 999, NULL, 0, "trusted.mine", NULL, 0), -ENOENT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(values_are_read_written_and_removed),
        CASE(set_may_demand_that_it_is_new_or_not),
        CASE(the_list_shows_what_is_served),
        CASE(labels_and_access_lists_of_the_host_are_left_alone),
        CASE(names_have_a_length),
        CASE(a_value_is_inside_of_the_request),
        CASE(nothing_is_set_in_a_read_only_folder),
        CASE(a_symbolic_link_has_no_attributes),
        CASE(trusted_attributes_are_the_hosts_decision),
    };
    return cmocka_run_group_tests_name("virtio/fs_ops_xattr", tests, NULL, NULL);
}
