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

#define ENTRY sizeof(struct fuse_entry_out)

static const struct fs_config read_only = {.read_only = true};

static int mknod_as(struct fs_rig *r, const char *name, uint32_t mode, uint32_t rdev)
{
    const struct fuse_mknod_in in = {.mode = mode, .rdev = rdev, .umask = 022};
    return fs_call_names(r, FUSE_MKNOD, FUSE_ROOT_ID, &in, sizeof(in), name, NULL, ENTRY);
}

static void mkdir_makes_a_folder_with_the_umask_of_the_guest(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    mode_t before = umask(077);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0777, &node), 0);
    assert_int_equal(fs_host_lstat(r, "d").st_mode, S_IFDIR | 0755);
    assert_int_equal(umask(before), 077); /* ours stays what it was */
    assert_int_equal(fs_mkdir(r, node, "inner", 0700, NULL), 0);
    assert_true(fs_host_exists(r, "d/inner"));
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0777, NULL), -EEXIST);
    assert_int_equal(fs_mkdir(r, 1234, "x", 0777, NULL), -ENOENT);
}

static void mknod_makes_files_fifos_and_sockets(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start(r, NULL);
    assert_int_equal(mknod_as(r, "file", S_IFREG | 0666, 0), 0);
    assert_int_equal(fs_host_lstat(r, "file").st_mode, S_IFREG | 0644);
    assert_int_equal(mknod_as(r, "fifo", S_IFIFO | 0600, 0), 0);
    assert_true(S_ISFIFO(fs_host_lstat(r, "fifo").st_mode));
    assert_int_equal(mknod_as(r, "socket", S_IFSOCK | 0600, 0), 0);
    assert_true(S_ISSOCK(fs_host_lstat(r, "socket").st_mode));
}

static void mknod_makes_no_devices(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start(r, NULL);
    assert_int_equal(mknod_as(r, "x", S_IFCHR | 0666, 0x103), -EPERM);
    assert_int_equal(mknod_as(r, "x", S_IFBLK | 0666, 0x800), -EPERM);
    assert_int_equal(mknod_as(r, "x", S_IFBLK | 0666, 0), -EPERM);
    assert_int_equal(mknod_as(r, "x", S_IFDIR | 0666, 0), -EINVAL);
    assert_int_equal(mknod_as(r, "x", 0666, 0), -EINVAL);
    assert_false(fs_host_exists(r, "x"));
}

static void mknod_makes_the_marks_of_overlays(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start(r, NULL);
    assert_int_equal(mknod_as(r, "removed", S_IFCHR, 0), 0);
    assert_true(S_ISCHR(fs_host_lstat(r, "removed").st_mode));
    assert_int_equal(fs_host_lstat(r, "removed").st_rdev, 0);
}

static void symlink_keeps_any_target_as_it_is(void **state)
{
    struct fs_rig *r = *state;
    char target[32];
    fs_rig_start(r, NULL);
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "link", "../../etc/passwd", ENTRY), 0);
    assert_int_equal(readlinkat(r->tree, "link", target, sizeof(target)), 16);
    assert_memory_equal(target, "../../etc/passwd", 16);
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "empty", "", ENTRY), -ENOENT);
    char *long_target = malloc(4097);
    memset(long_target, 't', 4096);
    long_target[4096] = '\0';
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "long", long_target, ENTRY), -ENAMETOOLONG);
    long_target[4095] = '\0';
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "long", long_target, ENTRY), 0);
    free(long_target);
}

static void unlink_and_rmdir_remove_their_own_kind(void **state)
{
    struct fs_rig *r = *state;
    fs_host_put(r, "file", "");
    assert_int_equal(mkdirat(r->tree, "d", 0755), 0);
    fs_host_put(r, "d/inner", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_call_names(r, FUSE_RMDIR, FUSE_ROOT_ID, NULL, 0, "file", NULL, 0), -ENOTDIR);
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, FUSE_ROOT_ID, NULL, 0, "d", NULL, 0), -EISDIR);
    assert_int_equal(fs_call_names(r, FUSE_RMDIR, FUSE_ROOT_ID, NULL, 0, "d", NULL, 0), -ENOTEMPTY);
    assert_int_equal(unlinkat(r->tree, "d/inner", 0), 0);
    assert_int_equal(fs_call_names(r, FUSE_RMDIR, FUSE_ROOT_ID, NULL, 0, "d", NULL, 0), 0);
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, FUSE_ROOT_ID, NULL, 0, "file", NULL, 0), 0);
    assert_false(fs_host_exists(r, "d") || fs_host_exists(r, "file"));
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, 99, NULL, 0, "file", NULL, 0), -ENOENT);
}

static void unlink_of_a_link_leaves_its_target(void **state)
{
    struct fs_rig *r = *state;
    fs_host_put(r, "../target", "safe");
    assert_int_equal(symlinkat("../target", r->tree, "link"), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, FUSE_ROOT_ID, NULL, 0, "link", NULL, 0), 0);
    assert_true(fs_host_has(r, "../target", "safe"));
}

static int rename2(struct fs_rig *r, uint64_t to, const char *from_name, const char *to_name, uint32_t flags)
{
    const struct fuse_rename2_in in = {.newdir = to, .flags = flags};
    return fs_call_names(r, FUSE_RENAME2, FUSE_ROOT_ID, &in, sizeof(in), from_name, to_name, 0);
}

static void rename_moves_between_folders_and_replaces(void **state)
{
    struct fs_rig *r = *state;
    uint64_t folder, node;
    const uint64_t nowhere = 999;
    fs_host_put(r, "a", "first");
    fs_host_put(r, "b", "second");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "a", &node), 0);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0755, &folder), 0);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, FUSE_ROOT_ID, &folder, 8, "a", "c", 0), 0);
    assert_true(fs_host_has(r, "d/c", "first"));
    assert_int_equal(fs_getattr(r, node, NULL), 0);
    assert_int_equal(rename2(r, folder, "b", "c", 0), 0);
    assert_true(fs_host_has(r, "d/c", "second"));
    assert_int_equal(rename2(r, folder, "none", "c", 0), -ENOENT);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, FUSE_ROOT_ID, &nowhere, 8, "d", "c", 0), -ENOENT);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, nowhere, &folder, 8, "d", "c", 0), -ENOENT);
}

static void rename_of_a_folder_into_itself_is_refused(void **state)
{
    struct fs_rig *r = *state;
    uint64_t folder;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0755, &folder), 0);
    assert_int_equal(rename2(r, folder, "d", "inner", 0), -EINVAL);
}

static void rename2_keeps_exchanges_and_refuses_what_it_does_not_know(void **state)
{
    struct fs_rig *r = *state;
    fs_host_put(r, "a", "first");
    fs_host_put(r, "b", "second");
    fs_rig_start(r, NULL);
    assert_int_equal(rename2(r, FUSE_ROOT_ID, "a", "b", 1), -EEXIST);
    assert_int_equal(rename2(r, FUSE_ROOT_ID, "a", "b", 2), 0);
    assert_true(fs_host_has(r, "a", "second") && fs_host_has(r, "b", "first"));
    assert_int_equal(rename2(r, FUSE_ROOT_ID, "a", "b", 8), -EINVAL);
    assert_int_equal(rename2(r, FUSE_ROOT_ID, "a", "b", 0x80000000), -EINVAL);
}

static int link_to(struct fs_rig *r, uint64_t node, const char *name)
{
    return fs_call_names(r, FUSE_LINK, FUSE_ROOT_ID, &node, 8, name, NULL, ENTRY);
}

static void link_gives_a_file_another_name(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    struct fuse_entry_out out;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(link_to(r, node, "other"), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.nodeid, node);
    assert_int_equal(out.attr.nlink, 2);
    assert_int_equal(fs_host_lstat(r, "other").st_ino, fs_host_lstat(r, "file").st_ino);
    assert_int_equal(link_to(r, node, "other"), -EEXIST);
    assert_int_equal(link_to(r, FUSE_ROOT_ID, "dir"), -EPERM);
    assert_int_equal(link_to(r, 999, "x"), -ENOENT);
    fs_forget(r, node, 1);
    assert_int_equal(fs_getattr(r, node, NULL), 0); /* LINK counted as a lookup */
}

static void link_of_a_symbolic_link_is_that_link(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    fs_host_put(r, "../secret", "secret");
    assert_int_equal(symlinkat("../secret", r->tree, "link"), 0);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "link", &node), 0);
    assert_int_equal(link_to(r, node, "other"), 0);
    assert_true(S_ISLNK(fs_host_lstat(r, "other").st_mode));
    assert_int_equal(fs_host_lstat(r, "../secret").st_nlink, 1);
}

static void a_read_only_folder_does_not_change(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_mkdir_in dir = {.mode = 0755};
    const struct fuse_setattr_in attr = {.valid = FATTR_MODE};
    const struct fuse_create_in create = {.flags = O_RDONLY, .mode = 0644};
    const struct fuse_rename2_in rename = {.newdir = FUSE_ROOT_ID};
    const uint64_t root = FUSE_ROOT_ID;
    uint64_t node;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, &read_only);
    struct stat before = fs_host_lstat(r, ".");
    assert_int_equal(fs_lookup(r, root, "file", &node), 0);
    assert_int_equal(fs_call_names(r, FUSE_MKDIR, root, &dir, sizeof(dir), "d", NULL, ENTRY), -EROFS);
    assert_int_equal(mknod_as(r, "n", S_IFREG | 0644, 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, root, NULL, 0, "l", "to", ENTRY), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, root, NULL, 0, "file", NULL, 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_RMDIR, root, NULL, 0, "d", NULL, 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, root, &root, 8, "file", "x", 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_RENAME2, root, &rename, sizeof(rename), "file", "x", 0), -EROFS);
    assert_int_equal(link_to(r, node, "x"), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_CREATE, root, &create, sizeof(create), "c", NULL, 144), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_TMPFILE, root, &create, sizeof(create), "c", NULL, 144), -EROFS);
    assert_int_equal(fs_call(r, FUSE_SETATTR, node, &attr, sizeof(attr), 104), -EROFS);
    struct stat after = fs_host_lstat(r, ".");
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
    assert_true(fs_host_has(r, "file", "content"));
}

/* ---- As root ---- */

static bool as_root(struct fs_rig *r)
{
    static const struct fs_config config = {.as_root = true};
    if (geteuid() != 0) {
        print_message("not root: skipped\n");
        return false;
    }
    fs_rig_start(r, &config);
    assert_int_equal(fchmodat(r->tree, ".", 0700, 0), 0);
    return true;
}

static void what_is_created_belongs_to_who_asked(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    if (!as_root(r))
        return;
    r->uid = 4321;
    r->gid = 8765;
    /* The folder is closed to that user: what the guest's kernel allowed is not asked again. */
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0640, &node, &fh), 0);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0755, NULL), 0);
    assert_int_equal(mknod_as(r, "fifo", S_IFIFO | 0644, 0), 0);
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "link", "to", ENTRY), 0);
    static const char *const names[] = {"file", "d", "fifo", "link"};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fs_host_lstat(r, names[i]).st_uid, 4321);
        assert_int_equal(fs_host_lstat(r, names[i]).st_gid, 8765);
    }
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), 0);
    r->uid = UINT32_MAX;
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "nobody", 0755, NULL), -EINVAL);
    r->uid = 0;
    r->gid = UINT32_MAX;
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "nobody", 0755, NULL), -EINVAL);
}

static void a_folders_group_is_inherited(void **state)
{
    struct fs_rig *r = *state;
    uint64_t folder;
    if (!as_root(r))
        return;
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0777, &folder), 0);
    assert_int_equal(fchownat(r->tree, "d", 0, 77, 0), 0);
    assert_int_equal(fchmodat(r->tree, "d", 02777, 0), 0);
    r->uid = 4321;
    r->gid = 8765;
    assert_int_equal(fs_create(r, folder, "file", O_RDWR, 0644, NULL, NULL), 0);
    assert_int_equal(fs_host_lstat(r, "d/file").st_uid, 4321);
    assert_int_equal(fs_host_lstat(r, "d/file").st_gid, 77);
}

static void access_is_asked_for_the_user(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_access_in in = {.mask = W_OK};
    if (!as_root(r))
        return;
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &in, sizeof(in), 0), 0);
    r->uid = 4321;
    r->gid = 8765;
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &in, sizeof(in), 0), -EACCES);
    assert_int_equal(geteuid(), 0);
}

static void only_root_serves_as_root(void **state)
{
    struct fs_rig *r = *state;
    const struct fs_config config = {
        .memory = &r->d.memory, .tag = "x", .queues = 1, .root_fd = r->tree, .as_root = true};
    struct fs *fs = NULL;
    struct err err;
    if (geteuid() == 0 && seteuid(4321) < 0)
        return;
    assert_int_equal(fs_new(&config, &fs, &err), -EPERM);
    assert_non_null(strstr(err.text, "root"));
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(mkdir_makes_a_folder_with_the_umask_of_the_guest),
        CASE(mknod_makes_files_fifos_and_sockets),
        CASE(mknod_makes_no_devices),
        CASE(mknod_makes_the_marks_of_overlays),
        CASE(symlink_keeps_any_target_as_it_is),
        CASE(unlink_and_rmdir_remove_their_own_kind),
        CASE(unlink_of_a_link_leaves_its_target),
        CASE(rename_moves_between_folders_and_replaces),
        CASE(rename_of_a_folder_into_itself_is_refused),
        CASE(rename2_keeps_exchanges_and_refuses_what_it_does_not_know),
        CASE(link_gives_a_file_another_name),
        CASE(link_of_a_symbolic_link_is_that_link),
        CASE(a_read_only_folder_does_not_change),
        CASE(what_is_created_belongs_to_who_asked),
        CASE(a_folders_group_is_inherited),
        CASE(access_is_asked_for_the_user),
        CASE(only_root_serves_as_root),
    };
    return cmocka_run_group_tests_name("virtio/fs_ops_name", tests, NULL, NULL);
}
