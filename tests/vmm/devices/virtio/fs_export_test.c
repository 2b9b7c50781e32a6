/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"
#include "tests/lib/namespace.h"

#define ENTRY    sizeof(struct fuse_entry_out)
#define MUTATORS 3
#define ROUNDS   2000

static const struct fs_config exports = {.exports = true, .cache = FS_CACHE_ALWAYS};

static int show(struct fs_rig *r, const char *path, const char *name, bool read_only)
{
    int fd = openat(r->tree, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    int code = fs_export_add(r->fs, name, fd, read_only);
    close(fd);
    return code;
}

/* A device with two folders, "rw" and "ro", which are the host's "a" and "b", with a file each. */
static void start_with_two(struct fs_rig *r, uint64_t node[2])
{
    fs_rig_start(r, &exports);
    assert_int_equal(mkdirat(r->tree, "a", 0755), 0);
    assert_int_equal(mkdirat(r->tree, "b", 0755), 0);
    fs_host_put(r, "a/file", "of a");
    fs_host_put(r, "b/file", "of b");
    assert_int_equal(show(r, "a", "rw", false), 0);
    assert_int_equal(show(r, "b", "ro", true), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "rw", &node[0]), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "ro", &node[1]), 0);
}

static struct fuse_entry_out last_entry(const struct fs_rig *r)
{
    struct fuse_entry_out out;
    assert_int_equal(r->out_bytes, sizeof(out));
    memcpy(&out, r->out, sizeof(out));
    return out;
}

/* The names in the root folder, each followed by a blank. */
static void list(struct fs_rig *r, uint32_t opcode, uint32_t size, char *names, size_t room)
{
    struct fuse_read_in in = {.size = size};
    uint32_t head = opcode == FUSE_READDIRPLUS ? (uint32_t)ENTRY : 0;
    names[0] = '\0';
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &in.fh), 0);
    while (fs_call(r, opcode, FUSE_ROOT_ID, &in, sizeof(in), size) == 0 && r->out_bytes > 0) {
        for (uint32_t at = 0; at < r->out_bytes;) {
            struct fuse_dirent entry;
            memcpy(&entry, r->out + at + head, FUSE_NAME_OFFSET);
            size_t used = strlen(names);
            (void)snprintf(names + used, room - used, "%.*s ", (int)entry.namelen,
                           (const char *)r->out + at + head + FUSE_NAME_OFFSET);
            in.offset = entry.off;
            at += (uint32_t)FUSE_REC_ALIGN(head + FUSE_NAME_OFFSET + entry.namelen);
        }
    }
    assert_int_equal(fs_call(r, FUSE_RELEASEDIR, 0, &(struct fuse_release_in){.fh = in.fh}, 24, 0), 0);
}

static void the_root_is_an_empty_folder_that_cannot_be_changed(void **state)
{
    struct fs_rig *r = *state;
    struct fuse_attr attr;
    char names[64];
    fs_rig_start(r, &exports);
    assert_int_equal(fs_getattr(r, FUSE_ROOT_ID, &attr), 0);
    assert_int_equal(attr.mode, S_IFDIR | 0555);
    assert_int_equal(attr.ino, FUSE_ROOT_ID);
    list(r, FUSE_READDIR, 4096, names, sizeof(names));
    assert_string_equal(names, ". .. ");
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "tree", NULL), -ENOENT);
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0777, NULL), -EROFS);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "f", O_WRONLY, 0666, NULL, NULL), -EROFS);
    assert_int_equal(fs_open(r, FUSE_ROOT_ID, O_RDONLY, NULL), -EISDIR);
    assert_int_equal(fs_call(r, FUSE_SETATTR, FUSE_ROOT_ID, &(struct fuse_setattr_in){.valid = FATTR_MODE}, 88, 104),
                     -EROFS);
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &(struct fuse_access_in){.mask = W_OK}, 8, 0), -EROFS);
    assert_int_equal(fs_call(r, FUSE_ACCESS, FUSE_ROOT_ID, &(struct fuse_access_in){.mask = R_OK | X_OK}, 8, 0), 0);
    assert_int_equal(fs_call(r, FUSE_READLINK, FUSE_ROOT_ID, NULL, 0, 64), -EINVAL);
    assert_int_equal(fs_call(r, FUSE_SYNCFS, FUSE_ROOT_ID, &(struct fuse_syncfs_in){.padding = 0}, 8, 0), 0);
}

static void the_root_has_neither_attributes_nor_room(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_getxattr_in in = {.size = 64};
    struct fuse_statfs_out out;
    uint64_t fh;
    fs_rig_start(r, &exports);
    assert_int_equal(fs_call_names(r, FUSE_GETXATTR, FUSE_ROOT_ID, &in, sizeof(in), "user.x", NULL, 64), -EOPNOTSUPP);
    assert_int_equal(fs_call(r, FUSE_LISTXATTR, FUSE_ROOT_ID, &in, sizeof(in), 64), -EOPNOTSUPP);
    assert_int_equal(fs_call(r, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, sizeof(out)), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.st.blocks, 0);
    assert_int_equal(out.st.namelen, 255);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &fh), 0);
    assert_int_equal(fs_call(r, FUSE_FSYNCDIR, FUSE_ROOT_ID, &(struct fuse_fsync_in){.fh = fh}, 16, 0), 0);
}

static void an_export_shows_what_is_in_its_folder(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], file, fh;
    start_with_two(r, node);
    assert_int_equal(fs_lookup(r, node[0], "file", &file), 0);
    assert_int_equal(fs_open(r, file, O_RDONLY, &fh), 0);
    assert_int_equal(fs_read(r, fh, 0, 10), 4);
    assert_memory_equal(r->out, "of a", 4);
    assert_int_equal(fs_create(r, node[0], "new", O_WRONLY, 0644, NULL, &fh), 0);
    assert_int_equal(fs_write(r, fh, 0, "data", 4), 4);
    assert_true(fs_host_has(r, "a/new", "data"));
}

static void all_exports_are_written_to_disk_at_once(void **state)
{
    const struct fuse_syncfs_in in = {.padding = 0};
    struct fs_rig *r = *state;
    uint64_t node[2];
    start_with_two(r, node);
    fs_host_put(r, "file", "");
    assert_int_equal(show(r, "file", "name", false), 0);
    assert_int_equal(fs_call(r, FUSE_SYNCFS, FUSE_ROOT_ID, &in, sizeof(in), 0), 0);
}

static void names_of_exports_are_never_to_be_cached(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2];
    start_with_two(r, node);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "rw", NULL), 0);
    assert_int_equal(last_entry(r).entry_valid, 0);
    assert_int_equal(last_entry(r).nodeid, node[0]); /* one node, however often it is looked up */
    assert_int_equal(fs_lookup(r, node[0], "file", NULL), 0);
    assert_int_equal(last_entry(r).entry_valid, 24 * 60 * 60);
}

static void a_file_is_an_export_with_nothing_below(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_rig_start(r, &exports);
    fs_host_put(r, "file", "content");
    assert_int_equal(show(r, "file", "name", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "name", &node), 0);
    assert_int_equal(last_entry(r).attr.mode, S_IFREG | 0644);
    assert_int_equal(fs_open(r, node, O_RDWR, &fh), 0);
    assert_int_equal(fs_write(r, fh, 0, "C", 1), 1);
    assert_true(fs_host_has(r, "file", "Content"));
    assert_int_equal(fs_lookup(r, node, "x", NULL), -ENOTDIR);
    assert_int_equal(fs_mkdir(r, node, "x", 0777, NULL), -ENOTDIR);
    assert_int_equal(fs_opendir(r, node, NULL), -ENOTDIR);
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, FUSE_ROOT_ID, NULL, 0, "name", NULL, 0), -EROFS);
    assert_true(fs_host_exists(r, "file"));
}

static void nothing_below_a_read_only_export_can_be_changed(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], file;
    const struct fuse_setattr_in cut = {.valid = FATTR_SIZE, .size = 0};
    start_with_two(r, node);
    assert_int_equal(fs_lookup(r, node[1], "file", &file), 0);
    assert_int_equal(fs_open(r, file, O_WRONLY, NULL), -EROFS);
    assert_int_equal(fs_open(r, file, O_RDONLY | O_TRUNC, NULL), -EROFS);
    assert_int_equal(fs_create(r, node[1], "file", O_WRONLY, 0644, NULL, NULL), -EROFS);
    assert_int_equal(fs_mkdir(r, node[1], "d", 0777, NULL), -EROFS);
    assert_int_equal(fs_call(r, FUSE_SETATTR, file, &cut, sizeof(cut), 104), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_UNLINK, node[1], NULL, 0, "file", NULL, 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_SYMLINK, node[1], NULL, 0, "l", "t", ENTRY), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_REMOVEXATTR, file, NULL, 0, "user.x", NULL, 0), -EROFS);
    assert_int_equal(fs_call(r, FUSE_ACCESS, file, &(struct fuse_access_in){.mask = W_OK}, 8, 0), -EROFS);
    assert_true(fs_host_has(r, "b/file", "of b"));
}

/* The request names a node that may be changed, and an open file that may not. */
static void an_open_file_does_not_get_rights_from_another_node(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], file, writable, fh;
    start_with_two(r, node);
    assert_int_equal(fs_lookup(r, node[1], "file", &file), 0);
    assert_int_equal(fs_lookup(r, node[0], "file", &writable), 0);
    assert_int_equal(fs_open(r, file, O_RDONLY, &fh), 0);
    struct {
        struct fuse_write_in in;
        char data[4];
    } w = {.in = {.fh = fh, .size = 4}, .data = "evil"};
    const struct fuse_setattr_in cut = {.valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 0};
    const struct fuse_fallocate_in hole = {.fh = fh, .length = 4, .mode = 3};
    const struct fuse_copy_file_range_in copy = {.fh_in = fh, .fh_out = fh, .len = 4};
    assert_true(fs_call(r, FUSE_WRITE, writable, &w, sizeof(w), 8) < 0);
    assert_true(fs_call(r, FUSE_SETATTR, writable, &cut, sizeof(cut), 104) < 0);
    assert_true(fs_call(r, FUSE_FALLOCATE, writable, &hole, sizeof(hole), 0) < 0);
    assert_true(fs_call(r, FUSE_COPY_FILE_RANGE, writable, &copy, sizeof(copy), 8) < 0);
    assert_true(fs_host_has(r, "b/file", "of b"));
}

static void a_copy_goes_from_a_read_only_export_to_another(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], from;
    struct fuse_copy_file_range_in copy = {.len = 4};
    start_with_two(r, node);
    assert_int_equal(fs_lookup(r, node[1], "file", &from), 0);
    assert_int_equal(fs_open(r, from, O_RDONLY, &copy.fh_in), 0);
    assert_int_equal(fs_create(r, node[0], "copy", O_WRONLY, 0644, NULL, &copy.fh_out), 0);
    assert_int_equal(fs_call(r, FUSE_COPY_FILE_RANGE, from, &copy, sizeof(copy), 8), 0);
    assert_true(fs_host_has(r, "a/copy", "of b"));
}

static void nothing_is_moved_or_linked_from_one_export_to_another(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], other, file;
    start_with_two(r, node);
    assert_int_equal(show(r, "b", "b-too", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "b-too", &other), 0);
    assert_int_equal(fs_lookup(r, other, "file", &file), 0);
    const struct fuse_rename_in into_other = {.newdir = other}, into_ro = {.newdir = node[1]},
                                into_root = {.newdir = 1};
    const struct fuse_link_in link = {.oldnodeid = file};
    assert_int_equal(fs_call_names(r, FUSE_RENAME, node[0], &into_other, 8, "file", "new", 0), -EXDEV);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, node[0], &into_ro, 8, "file", "new", 0), -EXDEV);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, node[0], &into_root, 8, "file", "new", 0), -EXDEV);
    assert_int_equal(fs_call_names(r, FUSE_RENAME, node[1], &into_other, 8, "file", "new", 0), -EROFS);
    assert_int_equal(fs_call_names(r, FUSE_LINK, node[0], &link, sizeof(link), "new", NULL, ENTRY), -EXDEV);
    assert_int_equal(fs_call_names(r, FUSE_LINK, other, &link, sizeof(link), "new", NULL, ENTRY), 0);
    assert_true(fs_host_exists(r, "a/file") && fs_host_exists(r, "b/new"));
}

static void the_same_object_in_two_exports_has_the_rights_of_each(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], other, ro, rw;
    start_with_two(r, node);
    assert_int_equal(show(r, "b", "b-too", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "b-too", &other), 0);
    assert_int_equal(fs_lookup(r, node[1], "file", &ro), 0);
    assert_int_equal(fs_lookup(r, other, "file", &rw), 0);
    assert_int_not_equal(ro, rw);
    assert_int_equal(fs_open(r, ro, O_WRONLY, NULL), -EROFS);
    assert_int_equal(fs_open(r, rw, O_WRONLY, NULL), 0);
}

static void names_come_and_go_while_the_guest_runs(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node[2], again, file, fh;
    start_with_two(r, node);
    assert_int_equal(fs_lookup(r, node[0], "file", &file), 0);
    assert_int_equal(fs_export_remove(r->fs, "rw"), 0);
    assert_int_equal(fs_export_remove(r->fs, "rw"), -ENOENT);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "rw", NULL), -ENOENT);
    assert_int_equal(fs_open(r, file, O_RDONLY, &fh), 0);
    assert_int_equal(fs_lookup(r, node[0], "file", NULL), 0);
    assert_int_equal(show(r, "b", "rw", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "rw", &again), 0);
    assert_int_not_equal(again, node[0]);
    assert_int_equal(fs_read(r, fh, 0, 10), 4);
    assert_memory_equal(r->out, "of a", 4);
}

static void descriptors_stay_until_the_guest_forgets(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, file;
    fs_rig_start(r, &exports);
    assert_int_equal(mkdirat(r->tree, "a", 0755), 0);
    fs_host_put(r, "a/file", "");
    unsigned before = fs_host_descriptors();
    assert_int_equal(show(r, "a", "x", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "x", &node), 0);
    assert_int_equal(fs_lookup(r, node, "file", &file), 0);
    assert_int_equal(fs_export_remove(r->fs, "x"), 0);
    assert_true(fs_host_descriptors() > before);
    fs_forget(r, node, 1);
    assert_int_equal(fs_open(r, file, O_RDONLY, NULL), 0);
    assert_int_equal(fs_rig_init(r, 38, 0), 0); /* the session begins anew: everything is forgotten */
    assert_int_equal(fs_host_descriptors(), before);
}

static void an_export_is_found_again_when_it_lost_its_descriptor(void **state)
{
    static const struct fs_config few = {.exports = true, .fd_budget = FS_BUDGET_MIN};
    struct fs_rig *r = *state;
    uint64_t node, file;
    char name[16];
    fs_rig_forbid_keys(r);
    fs_rig_start(r, &few);
    assert_int_equal(mkdirat(r->tree, "a", 0755), 0);
    for (unsigned i = 0; i < 2 * FS_BUDGET_MIN; i++) {
        (void)snprintf(name, sizeof(name), "a/f%u", i);
        fs_host_put(r, name, "");
    }
    assert_int_equal(show(r, "a", "x", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "x", &node), 0);
    assert_int_equal(fs_lookup(r, node, "f0", &file), 0);
    assert_int_equal(fs_export_remove(r->fs, "x"), 0);
    assert_int_equal(renameat(r->tree, "a", r->tree, "elsewhere"), 0);
    for (unsigned i = 1; i < 2 * FS_BUDGET_MIN; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        assert_int_equal(fs_lookup(r, node, name, NULL), 0);
    }
    assert_int_equal(fs_getattr(r, file, NULL), 0);
}

static void an_export_wants_one_good_name(void **state)
{
    struct fs_rig *r = *state;
    char name[258];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    fs_rig_start(r, &exports);
    fs_host_put(r, "file", "");
    assert_int_equal(show(r, "file", "", false), -EINVAL);
    assert_int_equal(show(r, "file", ".", false), -EINVAL);
    assert_int_equal(show(r, "file", "..", false), -EINVAL);
    assert_int_equal(show(r, "file", "a/b", false), -EINVAL);
    assert_int_equal(show(r, "file", name, false), -EINVAL);
    name[255] = '\0';
    assert_int_equal(show(r, "file", name, false), 0);
    assert_int_equal(show(r, "file", name, false), -EEXIST);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, name, NULL), 0);
}

static void links_and_fifos_are_no_exports(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start(r, &exports);
    unsigned before = fs_host_descriptors();
    assert_int_equal(symlinkat("/etc/passwd", r->tree, "link"), 0);
    assert_int_equal(mkfifoat(r->tree, "fifo", 0600), 0);
    assert_int_equal(show(r, "link", "a", false), -EINVAL);
    assert_int_equal(show(r, "fifo", "a", false), -EINVAL);
    assert_int_equal(fs_export_add(r->fs, "a", -1, false), -EBADF);
    assert_int_equal(fs_host_descriptors(), before);
}

static void a_device_with_one_folder_takes_no_exports(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start(r, NULL);
    fs_host_put(r, "file", "");
    assert_int_equal(show(r, "file", "name", false), -EINVAL);
}

static void there_are_at_most_256_exports(void **state)
{
    struct fs_rig *r = *state;
    char name[16];
    fs_rig_start(r, &exports);
    fs_host_put(r, "file", "");
    for (unsigned i = 0; i < FS_EXPORTS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "x%u", i);
        assert_int_equal(show(r, "file", name, false), 0);
    }
    assert_int_equal(show(r, "file", "more", false), -ENOSPC);
    assert_int_equal(fs_export_remove(r->fs, "x7"), 0);
    assert_int_equal(show(r, "file", "more", false), 0);
}

static void listing_goes_on_where_it_was_though_names_go(void **state)
{
    struct fs_rig *r = *state;
    char names[256];
    fs_rig_start(r, &exports);
    fs_host_put(r, "file", "");
    for (const char *const *name = (const char *const[]){"one", "two", "three", NULL}; *name != NULL; name++)
        assert_int_equal(show(r, "file", *name, false), 0);
    list(r, FUSE_READDIR, 32, names, sizeof(names)); /* one at a time */
    assert_string_equal(names, ". .. one two three ");
    list(r, FUSE_READDIRPLUS, 4096, names, sizeof(names));
    assert_string_equal(names, ". .. one two three ");
    assert_int_equal(fs_export_remove(r->fs, "one"), 0);
    assert_int_equal(show(r, "file", "one", false), 0);
    list(r, FUSE_READDIR, 4096, names, sizeof(names));
    assert_string_equal(names, ". .. two three one ");
    struct fuse_read_in in = {.offset = UINT64_MAX, .size = 4096};
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &in.fh), 0);
    assert_int_equal(fs_call(r, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in), 4096), 0);
    assert_int_equal(r->out_bytes, 0);
    in.size = 8;
    in.offset = 0;
    assert_int_equal(fs_call(r, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in), 8), -EINVAL);
}

/* In namespaces of its own: a file system is mounted below what is exported. */
static int enter_mount(void *context)
{
    struct fs_rig *r = context;
    uint64_t node, inner, file, outer;
    char path[128];
    fs_rig_start(r, &exports);
    assert_int_equal(mkdirat(r->tree, "a", 0755), 0);
    assert_int_equal(mkdirat(r->tree, "a/m", 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/tree/a/m", r->base);
    if (mount("tmpfs", path, "tmpfs", 0, "size=64k") < 0)
        return NAMESPACE_REFUSED;
    /* The descriptor from outside leads to a tree where that was not mounted. */
    (void)snprintf(path, sizeof(path), "%s/tree", r->base);
    close(r->tree);
    r->tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fs_host_put(r, "a/m/file", "inside");
    fs_host_put(r, "a/file", "outside");
    assert_int_equal(show(r, "a", "x", false), 0);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "x", &node), 0);
    assert_int_equal(fs_lookup(r, node, "m", &inner), 0);
    assert_int_equal(fs_lookup(r, inner, "file", &file), 0);
    uint64_t ino = last_entry(r).attr.ino;
    assert_int_equal(fs_lookup(r, node, "file", &outer), 0);
    assert_int_equal(last_entry(r).attr.ino, fs_host_lstat(r, "a/file").st_ino);
    assert_int_not_equal(ino, fs_host_lstat(r, "a/m/file").st_ino); /* marked: the guest sees one file system */
    assert_int_equal(fs_open(r, file, O_RDONLY, &outer), 0);
    assert_int_equal(fs_read(r, outer, 0, 10), 6);
    return 0;
}

static void mounts_below_an_export_are_entered(void **state)
{
    int code = namespace_run(CLONE_NEWNS, enter_mount, *state);
    if (code == NAMESPACE_REFUSED)
        skip();
    assert_int_equal(code, 0);
}

static void *come_and_go(void *ctx)
{
    struct fs_rig *r = ctx;
    int fd = openat(r->tree, "a", O_PATH | O_CLOEXEC);
    for (unsigned i = 0; i < ROUNDS; i++)
        if (fs_export_add(r->fs, "moving", fd, false) == 0) {
            sched_yield();
            (void)fs_export_remove(r->fs, "moving");
        }
    close(fd);
    return NULL;
}

static void exports_come_and_go_under_requests_of_the_guest(void **state)
{
    struct fs_rig *r = *state;
    pthread_t thread[MUTATORS];
    uint64_t node[2], moving;
    start_with_two(r, node);
    unsigned before = fs_host_descriptors(), found = 0;
    for (unsigned i = 0; i < MUTATORS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, r), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int code = fs_lookup(r, FUSE_ROOT_ID, "moving", &moving);
        assert_true(code == 0 || code == -ENOENT);
        if (code < 0)
            continue;
        found++;
        assert_int_equal(fs_lookup(r, moving, "file", NULL), 0);
        fs_forget(r, last_entry(r).nodeid, 1);
        fs_forget(r, moving, 1);
    }
    for (unsigned i = 0; i < MUTATORS; i++)
        pthread_join(thread[i], NULL);
    print_message("found %u times\n", found);
    (void)fs_export_remove(r->fs, "moving");
    assert_int_equal(fs_host_descriptors(), before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_root_is_an_empty_folder_that_cannot_be_changed),
        CASE(the_root_has_neither_attributes_nor_room),
        CASE(an_export_shows_what_is_in_its_folder),
        CASE(all_exports_are_written_to_disk_at_once),
        CASE(names_of_exports_are_never_to_be_cached),
        CASE(a_file_is_an_export_with_nothing_below),
        CASE(nothing_below_a_read_only_export_can_be_changed),
        CASE(an_open_file_does_not_get_rights_from_another_node),
        CASE(a_copy_goes_from_a_read_only_export_to_another),
        CASE(nothing_is_moved_or_linked_from_one_export_to_another),
        CASE(the_same_object_in_two_exports_has_the_rights_of_each),
        CASE(names_come_and_go_while_the_guest_runs),
        CASE(descriptors_stay_until_the_guest_forgets),
        CASE(an_export_is_found_again_when_it_lost_its_descriptor),
        CASE(an_export_wants_one_good_name),
        CASE(links_and_fifos_are_no_exports),
        CASE(a_device_with_one_folder_takes_no_exports),
        CASE(there_are_at_most_256_exports),
        CASE(listing_goes_on_where_it_was_though_names_go),
        CASE(mounts_below_an_export_are_entered),
        CASE(exports_come_and_go_under_requests_of_the_guest),
    };
    return cmocka_run_group_tests_name("virtio/fs_export", tests, NULL, NULL);
}
