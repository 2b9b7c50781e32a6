/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"
#include "tests/lib/namespace.h"

static struct fuse_open_out open_out(const struct fs_rig *r)
{
    struct fuse_open_out out;
    assert_true(r->out_bytes >= sizeof(out));
    memcpy(&out, r->out + r->out_bytes - sizeof(out), sizeof(out));
    return out;
}

static void check_flags(struct fs_rig *r, enum fs_cache cache, uint32_t file, uint32_t folder)
{
    const struct fs_config config = {.cache = cache};
    uint64_t node;
    fs_host_put(r, "file", "");
    fs_rig_start(r, &config);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, NULL), 0);
    assert_int_equal(open_out(r).open_flags, file);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, NULL), 0);
    assert_int_equal(open_out(r).open_flags, folder);
}

static void without_a_cache_files_are_opened_for_direct_io(void **state)
{
    check_flags(*state, FS_CACHE_NONE, FOPEN_DIRECT_IO, 0);
}

static void the_automatic_cache_begins_anew_at_each_open(void **state)
{
    check_flags(*state, FS_CACHE_AUTO, 0, 0);
}

static void the_full_cache_keeps_contents_and_listings(void **state)
{
    check_flags(*state, FS_CACHE_ALWAYS, FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
}

static void open_takes_files_and_opendir_folders(void **state)
{
    struct fs_rig *r = *state;
    uint64_t file, fh;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &file), 0);
    assert_int_equal(fs_open(r, FUSE_ROOT_ID, O_RDONLY, NULL), -EISDIR);
    assert_int_equal(fs_opendir(r, file, NULL), -ENOTDIR);
    assert_int_equal(fs_open(r, 999, O_RDONLY, NULL), -ENOENT);
    assert_int_equal(fs_opendir(r, 999, NULL), -ENOENT);
    assert_int_equal(fs_open(r, file, 3, NULL), -EINVAL);
    /* A handle is of one kind. */
    assert_int_equal(fs_open(r, file, O_RDONLY, &fh), 0);
    const struct fuse_release_in in = {.fh = fh};
    assert_int_equal(fs_call(r, FUSE_RELEASEDIR, file, &in, sizeof(in), 0), -EBADF);
    assert_int_equal(fs_release(r, fh), 0);
    assert_int_equal(fs_release(r, fh), -EBADF);
    assert_int_equal(fs_read(r, fh, 0, 1), -EBADF);
}

static void flags_of_open_that_would_do_harm_are_left_out(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY | O_PATH | O_DIRECT | O_CREAT | O_EXCL | O_DIRECTORY | O_ASYNC, &fh), 0);
    assert_int_equal(fs_read(r, fh, 3, 2), 2);
    assert_memory_equal(r->out, "te", 2);
}

static void open_cuts_a_file_when_asked(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_WRONLY | O_TRUNC, NULL), 0);
    assert_true(fs_host_has(r, "file", ""));
}

static void a_read_only_folder_opens_nothing_to_write(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config config = {.read_only = true};
    uint64_t node, fh;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, &config);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_WRONLY, NULL), -EROFS);
    assert_int_equal(fs_open(r, node, O_RDWR, NULL), -EROFS);
    assert_int_equal(fs_open(r, node, O_RDONLY | O_TRUNC, NULL), -EROFS);
    assert_int_equal(fs_open(r, node, O_RDONLY, &fh), 0);
    assert_int_equal(fs_read(r, fh, 0, 100), 7);
    assert_int_equal(fs_write(r, fh, 0, "x", 1), -EROFS);
    assert_true(fs_host_has(r, "file", "content"));
}

static void there_are_no_more_handles_than_allowed(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh = 0;
    unsigned count = 0;
    int code;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    while ((code = fs_open(r, node, O_RDONLY, &fh)) == 0 && count <= FS_HANDLES_MAX)
        count++;
    /* The process may have no more descriptors before. */
    assert_true(code == -ENFILE ? count == FS_HANDLES_MAX : code == -EMFILE);
    assert_int_equal(fs_read(r, fh, 0, 100), 7);
    assert_int_equal(fs_release(r, fh), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, &fh), 0);
    const struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
    unsigned before = fs_host_descriptors();
    assert_int_equal(fs_call_names(r, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), "file", NULL, 144), code);
    assert_int_equal(fs_host_descriptors(), before);
}

/* ---- Creating ---- */

static void create_opens_what_is_there_unless_it_is_to_be_new(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR | O_EXCL, 0644, NULL, NULL), -EEXIST);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0600, &node, &fh), 0);
    assert_int_equal(fs_read(r, fh, 0, 100), 7);
    assert_int_equal(fs_host_lstat(r, "file").st_mode, S_IFREG | 0644);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR | O_TRUNC, 0600, NULL, NULL), 0);
    assert_true(fs_host_has(r, "file", ""));
    assert_int_equal(fs_mkdir(r, FUSE_ROOT_ID, "d", 0755, NULL), 0);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "d", O_RDWR, 0600, NULL, NULL), -EISDIR);
    assert_int_equal(fs_create(r, 999, "x", O_RDWR, 0600, NULL, NULL), -ENOENT);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "x", 3, 0600, NULL, NULL), -EINVAL);
    assert_false(fs_host_exists(r, "x"));
}

static void create_gives_a_lookup_and_a_handle(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    unsigned before;
    fs_rig_start(r, NULL);
    before = fs_host_descriptors();
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0666, &node, &fh), 0);
    assert_int_equal(fs_host_lstat(r, "file").st_mode, S_IFREG | 0644);
    assert_int_equal(fs_host_descriptors(), before + 2);
    assert_int_equal(fs_release(r, fh), 0);
    fs_forget(r, node, 1);
    assert_int_equal(fs_host_descriptors(), before);
}

static void tmpfile_has_no_name_until_it_is_linked(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_create_in in = {.flags = O_RDWR, .mode = 0640};
    struct fuse_entry_out entry;
    fs_rig_start(r, NULL);
    int code = fs_call_names(r, FUSE_TMPFILE, FUSE_ROOT_ID, &in, sizeof(in), "", NULL, 144);
    if (code == -EOPNOTSUPP)
        return; /* the file system has none */
    assert_int_equal(code, 0);
    memcpy(&entry, r->out, sizeof(entry));
    uint64_t fh = open_out(r).fh;
    assert_int_equal(entry.attr.nlink, 0);
    assert_int_equal(fs_write(r, fh, 0, "nameless", 8), 8);
    assert_int_equal(fs_call_names(r, FUSE_LINK, FUSE_ROOT_ID, &entry.nodeid, 8, "named", NULL, 128), 0);
    assert_true(fs_host_has(r, "named", "nameless"));
    assert_int_equal(fs_call_names(r, FUSE_TMPFILE, 999, &in, sizeof(in), "", NULL, 144), -ENOENT);
}

/* ---- Reading and writing ---- */

static void read_stops_at_the_end_and_at_the_room(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_host_put(r, "file", "0123456789");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, &fh), 0);
    assert_int_equal(fs_read(r, fh, 8, 100), 2);
    assert_int_equal(fs_read(r, fh, 10, 100), 0);
    assert_int_equal(fs_read(r, fh, 1000000, 100), 0);
    assert_int_equal(fs_read(r, fh, 0, 0), 0);
    assert_int_equal(fs_read(r, fh, UINT64_MAX, 100), -EINVAL);
    assert_int_equal(fs_read(r, fh, INT64_MAX, 0), 0);
    const struct fuse_read_in in = {.fh = fh, .offset = 2, .size = UINT32_MAX};
    assert_int_equal(fs_call(r, FUSE_READ, node, &in, sizeof(in), 3), 0);
    assert_int_equal(r->out_bytes, 3);
    assert_memory_equal(r->out, "234", 3);
    assert_int_equal(fs_read(r, fh + (UINT64_C(1) << 32), 0, 1), -EBADF);
}

static void a_read_for_a_writer_fails(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_WRONLY, 0644, NULL, &fh), 0);
    assert_int_equal(fs_read(r, fh, 0, 10), -EBADF);
}

static void a_megabyte_moves_at_once(void **state)
{
    struct fs_rig *r = *state;
    const uint32_t bytes = 1u << 20;
    uint8_t *data = malloc(bytes + 1);
    uint64_t fh;
    for (uint32_t i = 0; i <= bytes; i++)
        data[i] = (uint8_t)(i ^ i >> 8);
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0644, NULL, &fh), 0);
    assert_int_equal(fs_write(r, fh, 5, data, bytes), bytes);
    assert_int_equal(fs_read(r, fh, 5, bytes), bytes);
    assert_memory_equal(r->out, data, bytes);
    assert_int_equal(fs_host_lstat(r, "file").st_size, bytes + 5);
    assert_int_equal(fs_write(r, fh, 0, data, bytes + 1), -EINVAL);
    free(data);
}

static void a_write_that_announces_more_than_it_has_is_refused(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh;
    struct {
        struct fuse_write_in in;
        char data[8];
    } w = {.data = "abcdefg"};
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0644, NULL, &fh), 0);
    w.in = (struct fuse_write_in){.fh = fh, .size = 9};
    assert_int_equal(fs_call(r, FUSE_WRITE, 0, &w, sizeof(w.in) + 8, 8), -EINVAL);
    w.in.size = UINT32_MAX;
    assert_int_equal(fs_call(r, FUSE_WRITE, 0, &w, sizeof(w.in) + 8, 8), -EINVAL);
    w.in.size = 4;
    w.in.offset = UINT64_MAX;
    assert_int_equal(fs_call(r, FUSE_WRITE, 0, &w, sizeof(w.in) + 8, 8), -EINVAL);
    w.in.offset = 0;
    assert_int_equal(fs_call(r, FUSE_WRITE, 0, &w, sizeof(w.in) + 8, 8), 0);
    assert_true(fs_host_has(r, "file", "abcd"));
    w.in.fh = 77;
    assert_int_equal(fs_call(r, FUSE_WRITE, 0, &w, sizeof(w.in) + 8, 8), -EBADF);
    assert_int_equal(fs_write(r, fh, INT64_MAX, "x", 1), -EINVAL);
}

/* In namespaces of its own, on a file system of 16 pages. */
static int fill_disk(void *ctx)
{
    struct fs_rig *r = ctx;
    static const uint8_t data[1u << 18];
    char where[96];
    uint64_t fh;
    (void)snprintf(where, sizeof(where), "%s/tree", r->base);
    if (mount("tmpfs", where, "tmpfs", 0, "size=65536") < 0)
        return NAMESPACE_REFUSED;
    r->tree = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fs_rig_start(r, NULL);
    if (fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0644, NULL, &fh) != 0)
        return 1;
    int first = fs_write(r, fh, 0, data, sizeof(data));
    if (first <= 0 || first > 65536 || fs_host_lstat(r, "file").st_size != first)
        return 2;
    if (fs_write(r, fh, (uint64_t)first, data, sizeof(data)) != -ENOSPC)
        return 3;
    const struct fuse_fallocate_in in = {.fh = fh, .length = 1u << 20};
    return fs_call(r, FUSE_FALLOCATE, 0, &in, sizeof(in), 0) == -ENOSPC ? 0 : 4;
}

static void a_full_disk_is_told(void **state)
{
    int code = namespace_run(CLONE_NEWNS, fill_disk, *state);
    if (code == NAMESPACE_REFUSED)
        skip();
    assert_int_equal(code, 0);
}

/* One byte at offset 4, by a file whose flags are these at the moment. */
static int write_byte(struct fs_rig *r, uint64_t node, uint64_t fh, uint32_t flags, char byte)
{
    struct {
        struct fuse_write_in in;
        char data[8];
    } w = {.in = {.fh = fh, .offset = 4, .size = 1, .flags = flags}, .data = {byte}};
    return fs_call(r, FUSE_WRITE, node, &w, sizeof(w.in) + 1, 8);
}

static void appending_writes_go_to_the_end(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_host_put(r, "file", "0123");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_WRONLY | O_APPEND, &fh), 0);
    fs_host_put(r, "file", "0123456789");
    assert_int_equal(write_byte(r, node, fh, O_WRONLY | O_APPEND, 'x'), 0);
    assert_true(fs_host_has(r, "file", "0123456789x"));
    /* fcntl(F_SETFL) in the guest; nobody tells us but by the next write. */
    assert_int_equal(write_byte(r, node, fh, O_WRONLY, 'y'), 0);
    assert_true(fs_host_has(r, "file", "0123y56789x"));
}

static uint32_t mode_after(struct fs_rig *r, uint64_t node, uint64_t fh, uint32_t write_flags)
{
    struct {
        struct fuse_write_in in;
        char data[8];
    } w = {.in = {.fh = fh, .size = 1, .write_flags = write_flags}, .data = "x"};
    struct fuse_attr attr;
    assert_int_equal(fchmodat(r->tree, "file", 06755, 0), 0);
    assert_int_equal(fs_call(r, FUSE_WRITE, node, &w, sizeof(w.in) + 1, 8), 0);
    assert_int_equal(fs_getattr(r, node, &attr), 0);
    return attr.mode;
}

static void writes_take_set_id_bits_away_when_asked(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0755, &node, &fh), 0);
    assert_int_equal(mode_after(r, node, fh, FUSE_WRITE_KILL_SUIDGID), S_IFREG | 0755);
    /* Root keeps them when it may; all others lose them anyway. */
    if (geteuid() == 0)
        assert_int_equal(mode_after(r, node, fh, 0), S_IFREG | 06755);
}

static void cutting_takes_set_id_bits_away_when_asked(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fchmodat(r->tree, "file", 06755, 0), 0);
    const struct fuse_setattr_in in = {.valid = FATTR_SIZE | FATTR_KILL_SUIDGID, .size = 1};
    assert_int_equal(fs_call(r, FUSE_SETATTR, node, &in, sizeof(in), 104), 0);
    assert_int_equal(fs_host_lstat(r, "file").st_mode, S_IFREG | 0755);
    assert_int_equal(fchmodat(r->tree, "file", 06755, 0), 0);
    const struct fuse_open_in open = {.flags = O_WRONLY | O_TRUNC, .open_flags = FUSE_OPEN_KILL_SUIDGID};
    assert_int_equal(fs_call(r, FUSE_OPEN, node, &open, sizeof(open), 16), 0);
    assert_int_equal(fs_host_lstat(r, "file").st_mode, S_IFREG | 0755);
}

/* ---- The rest ---- */

static void flush_and_fsync_take_handles_of_their_kind(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh, dir;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0644, NULL, &fh), 0);
    assert_int_equal(fs_opendir(r, FUSE_ROOT_ID, &dir), 0);
    struct fuse_flush_in flush = {.fh = fh};
    struct fuse_fsync_in sync = {.fh = fh};
    assert_int_equal(fs_call(r, FUSE_FLUSH, 0, &flush, sizeof(flush), 0), 0);
    assert_int_equal(fs_call(r, FUSE_FSYNC, 0, &sync, sizeof(sync), 0), 0);
    sync.fsync_flags = FUSE_FSYNC_FDATASYNC;
    assert_int_equal(fs_call(r, FUSE_FSYNC, 0, &sync, sizeof(sync), 0), 0);
    assert_int_equal(fs_call(r, FUSE_FSYNCDIR, 0, &sync, sizeof(sync), 0), -EBADF);
    sync.fh = dir;
    assert_int_equal(fs_call(r, FUSE_FSYNCDIR, 0, &sync, sizeof(sync), 0), 0);
    assert_int_equal(fs_call(r, FUSE_FSYNC, 0, &sync, sizeof(sync), 0), -EBADF);
    flush.fh = dir;
    assert_int_equal(fs_call(r, FUSE_FLUSH, 0, &flush, sizeof(flush), 0), -EBADF);
    const struct fuse_release_in release = {.fh = dir};
    assert_int_equal(fs_call(r, FUSE_RELEASEDIR, 0, &release, sizeof(release), 0), 0);
}

static void fallocate_makes_room_and_refuses_what_moves_data(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0644, NULL, &fh), 0);
    struct fuse_fallocate_in in = {.fh = fh, .offset = 0, .length = 8192};
    assert_int_equal(fs_call(r, FUSE_FALLOCATE, 0, &in, sizeof(in), 0), 0);
    assert_int_equal(fs_host_lstat(r, "file").st_size, 8192);
    in.mode = 8; /* collapse */
    assert_int_equal(fs_call(r, FUSE_FALLOCATE, 0, &in, sizeof(in), 0), -EOPNOTSUPP);
    in.mode = 0;
    in.length = UINT64_MAX;
    assert_int_equal(fs_call(r, FUSE_FALLOCATE, 0, &in, sizeof(in), 0), -EINVAL);
    in.length = 1;
    in.fh = 77;
    assert_int_equal(fs_call(r, FUSE_FALLOCATE, 0, &in, sizeof(in), 0), -EBADF);
}

static void lseek_finds_data_and_holes(void **state)
{
    struct fs_rig *r = *state;
    uint64_t fh, at;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "file", O_RDWR, 0644, NULL, &fh), 0);
    assert_int_equal(fs_write(r, fh, 1u << 20, "x", 1), 1);
    struct fuse_lseek_in in = {.fh = fh, .whence = SEEK_HOLE};
    assert_int_equal(fs_call(r, FUSE_LSEEK, 0, &in, sizeof(in), 8), 0);
    memcpy(&at, r->out, sizeof(at));
    assert_int_equal(at, 0);
    in.whence = SEEK_DATA;
    assert_int_equal(fs_call(r, FUSE_LSEEK, 0, &in, sizeof(in), 8), 0);
    in.offset = (1u << 20) + 1;
    assert_int_equal(fs_call(r, FUSE_LSEEK, 0, &in, sizeof(in), 8), -ENXIO);
    in.offset = UINT64_MAX;
    assert_int_equal(fs_call(r, FUSE_LSEEK, 0, &in, sizeof(in), 8), -ENXIO);
    in = (struct fuse_lseek_in){.fh = fh, .whence = SEEK_END};
    assert_int_equal(fs_call(r, FUSE_LSEEK, 0, &in, sizeof(in), 8), -EINVAL);
    in = (struct fuse_lseek_in){.fh = 77, .whence = SEEK_DATA};
    assert_int_equal(fs_call(r, FUSE_LSEEK, 0, &in, sizeof(in), 8), -EBADF);
}

static void copy_file_range_copies_on_the_host(void **state)
{
    struct fs_rig *r = *state;
    uint64_t from, to, node;
    struct fuse_write_out out;
    fs_host_put(r, "from", "0123456789");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "from", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, &from), 0);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "to", O_RDWR, 0644, NULL, &to), 0);
    struct fuse_copy_file_range_in in = {.fh_in = from, .off_in = 2, .fh_out = to, .len = UINT64_MAX};
    assert_int_equal(fs_call(r, FUSE_COPY_FILE_RANGE, 0, &in, sizeof(in), sizeof(out)), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.size, 8);
    assert_true(fs_host_has(r, "to", "23456789"));
    in.flags = 1;
    assert_int_equal(fs_call(r, FUSE_COPY_FILE_RANGE, 0, &in, sizeof(in), sizeof(out)), -EINVAL);
    in.flags = 0;
    in.off_out = UINT64_MAX;
    assert_int_equal(fs_call(r, FUSE_COPY_FILE_RANGE, 0, &in, sizeof(in), sizeof(out)), -EINVAL);
    in.off_out = 0;
    in.fh_out = 77;
    assert_int_equal(fs_call(r, FUSE_COPY_FILE_RANGE, 0, &in, sizeof(in), sizeof(out)), -EBADF);
    in.fh_in = 77;
    in.fh_out = to;
    assert_int_equal(fs_call(r, FUSE_COPY_FILE_RANGE, 0, &in, sizeof(in), sizeof(out)), -EBADF);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_cache_files_are_opened_for_direct_io),
        CASE(the_automatic_cache_begins_anew_at_each_open),
        CASE(the_full_cache_keeps_contents_and_listings),
        CASE(open_takes_files_and_opendir_folders),
        CASE(flags_of_open_that_would_do_harm_are_left_out),
        CASE(open_cuts_a_file_when_asked),
        CASE(a_read_only_folder_opens_nothing_to_write),
        CASE(there_are_no_more_handles_than_allowed),
        CASE(create_opens_what_is_there_unless_it_is_to_be_new),
        CASE(create_gives_a_lookup_and_a_handle),
        CASE(tmpfile_has_no_name_until_it_is_linked),
        CASE(read_stops_at_the_end_and_at_the_room),
        CASE(a_read_for_a_writer_fails),
        CASE(a_megabyte_moves_at_once),
        CASE(a_write_that_announces_more_than_it_has_is_refused),
        CASE(a_full_disk_is_told),
        CASE(appending_writes_go_to_the_end),
        CASE(writes_take_set_id_bits_away_when_asked),
        CASE(cutting_takes_set_id_bits_away_when_asked),
        CASE(flush_and_fsync_take_handles_of_their_kind),
        CASE(fallocate_makes_room_and_refuses_what_moves_data),
        CASE(lseek_finds_data_and_holes),
        CASE(copy_file_range_copies_on_the_host),
    };
    return cmocka_run_group_tests_name("virtio/fs_ops_file", tests, NULL, NULL);
}
