/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"

/* ---- The device ---- */

static void the_configuration_has_the_tag_and_the_queues(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config config = {.tag = "a tag of exactly thirty-six bytes ..", .queues = 4};
    fs_rig_start_silent(r, &config);
    for (unsigned i = 0; i < FS_TAG_BYTES; i++)
        assert_int_equal(virtio_read_config(r->d.v, i, 1), config.tag[i]);
    assert_int_equal(virtio_read_config(r->d.v, FS_TAG_BYTES, 4), 4);
    assert_int_equal(virtio_read_config(r->d.v, FS_TAG_BYTES + 4, 4), 0);
    assert_int_equal(virtio_get_queue(r->d.v, 4, VIRTIO_QUEUE_SIZE_MAX), 1024);
    assert_int_equal(virtio_get_queue(r->d.v, 5, VIRTIO_QUEUE_SIZE_MAX), 0);
}

static void a_short_tag_is_followed_by_zeros(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start_silent(r, NULL);
    assert_int_equal(virtio_read_config(r->d.v, 0, 8), UINT64_C(0x646572616873));
    assert_int_equal(virtio_read_config(r->d.v, 8, 8), 0);
}

static void impossible_configurations_are_refused(void **state)
{
    struct fs_rig *r = *state;
    const struct fs_config good = {.memory = &r->d.memory, .tag = "x", .queues = 1, .root_fd = r->tree};
    struct fs_config bad[] = {good, good, good, good, good, good, good};
    struct fs *fs = NULL;
    bad[0].tag = "";
    bad[1].tag = "a tag of more than thirty-six bytes..";
    bad[2].tag = NULL;
    bad[3].queues = 0;
    bad[4].queues = FS_REQUEST_QUEUES_MAX + 1;
    bad[5].fd_budget = FS_BUDGET_MIN - 1;
    bad[6].nodes_max = FS_NODES_MAX + 1;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {.code = 0};
        assert_int_equal(fs_new(&bad[i], &fs, &err), -EINVAL);
        assert_non_null(strstr(err.text, "tag"));
    }
    assert_null(fs);
}

static void what_is_no_folder_cannot_be_shared(void **state)
{
    struct fs_rig *r = *state;
    struct fs_config config = {.memory = &r->d.memory, .tag = "x", .queues = 1};
    struct fs *fs = NULL;
    struct err err;
    fs_host_put(r, "file", "");
    config.root_fd = openat(r->tree, "file", O_PATH | O_CLOEXEC);
    assert_int_equal(fs_new(&config, &fs, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, "folder"));
    close(config.root_fd);
    config.root_fd = -1;
    assert_int_equal(fs_new(&config, &fs, &err), -EBADF);
}

static void all_descriptors_are_closed_in_the_end(void **state)
{
    struct fs_rig *r = *state;
    unsigned before = fs_host_descriptors();
    uint64_t node;
    fs_host_put(r, "file", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, NULL), 0);
    fs_free(r->fs);
    r->fs = NULL;
    assert_int_equal(fs_host_descriptors(), before);
}

static void a_file_is_made_written_and_read(void **state)
{
    struct fs_rig *r = *state;
    uint64_t node, fh;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_create(r, FUSE_ROOT_ID, "new", O_RDWR, S_IFREG | 0640, &node, &fh), 0);
    assert_int_equal(fs_write(r, fh, 0, "hello world", 11), 11);
    assert_int_equal(fs_read(r, fh, 6, 100), 5);
    assert_memory_equal(r->out, "world", 5);
    assert_int_equal(fs_release(r, fh), 0);
    assert_true(fs_host_has(r, "new", "hello world"));
    assert_int_equal(fs_host_lstat(r, "new").st_mode, S_IFREG | 0640);
}

/* ---- The session ---- */

static struct fuse_init_out init_out(const struct fs_rig *r)
{
    struct fuse_init_out out;
    assert_int_equal(r->out_bytes, sizeof(out));
    memcpy(&out, r->out, sizeof(out));
    return out;
}

static void init_agrees_on_the_lower_version(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start_silent(r, NULL);
    assert_int_equal(fs_rig_init(r, 31, 0), 0);
    assert_int_equal(init_out(r).minor, 31);
    assert_int_equal(fs_rig_init(r, 45, 0x7fffffff), 0);
    struct fuse_init_out out = init_out(r);
    assert_int_equal(out.major, 7);
    assert_int_equal(out.minor, 38);
    assert_int_equal(out.max_write, 1u << 20);
    assert_int_equal(out.max_pages, 256);
    assert_int_equal(out.max_readahead, 131072);
    assert_int_equal(out.time_gran, 1);
}

static void init_of_the_short_form_is_understood(void **state)
{
    struct fs_rig *r = *state;
    const uint32_t in[4] = {7, 31, 4096, FUSE_ASYNC_READ};
    fs_rig_start_silent(r, NULL);
    assert_int_equal(fs_call(r, FUSE_INIT, 0, in, sizeof(in), 64), 0);
    assert_int_equal(init_out(r).flags, FUSE_ASYNC_READ);
}

static void init_takes_only_flags_that_were_offered(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start_silent(r, NULL);
    assert_int_equal(fs_rig_init(r, 38, FUSE_POSIX_ACL | FUSE_WRITEBACK_CACHE | FUSE_EXPORT_SUPPORT), 0);
    assert_int_equal(r->init_flags, 0);
    assert_int_equal(fs_rig_init(r, 38, 0x7fffffff), 0);
    assert_int_equal(r->init_flags, FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_DONT_MASK |
                                        FUSE_ASYNC_DIO | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                                        FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 |
                                        FUSE_AUTO_INVAL_DATA);
}

static void init_of_an_older_protocol_is_refused_and_of_a_newer_told_ours(void **state)
{
    struct fs_rig *r = *state;
    struct fuse_init_in in = {.major = 6, .minor = 40};
    fs_rig_start_silent(r, NULL);
    assert_int_equal(fs_call(r, FUSE_INIT, 0, &in, sizeof(in), 64), -EPROTO);
    assert_int_equal(fs_rig_init(r, 30, 0), -EPROTO);
    in.major = 8;
    assert_int_equal(fs_call(r, FUSE_INIT, 0, &in, sizeof(in), 64), 0);
    assert_int_equal(init_out(r).major, 7);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "x", NULL), -EIO);
}

static void nothing_is_served_before_init(void **state)
{
    struct fs_rig *r = *state;
    fs_rig_start_silent(r, NULL);
    assert_int_equal(fs_getattr(r, FUSE_ROOT_ID, NULL), -EIO);
    assert_int_equal(fs_rig_init(r, 38, 0), 0);
    assert_int_equal(fs_getattr(r, FUSE_ROOT_ID, NULL), 0);
}

/* Ends a session in some way, and sees that nodes and handles ended with it. */
static void check_forgotten(struct fs_rig *r, void (*end)(struct fs_rig *r))
{
    uint64_t node, fh;
    fs_host_put(r, "file", "content");
    fs_rig_start(r, NULL);
    unsigned before = fs_host_descriptors();
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
    assert_int_equal(fs_open(r, node, O_RDONLY, &fh), 0);
    assert_int_equal(fs_host_descriptors(), before + 2);
    end(r);
    assert_int_equal(fs_host_descriptors(), before);
    assert_int_equal(fs_rig_init(r, 38, 0), 0);
    assert_int_equal(fs_getattr(r, node, NULL), -ENOENT);
    assert_int_equal(fs_read(r, fh, 0, 10), -EBADF);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &node), 0);
}

static void by_destroy(struct fs_rig *r)
{
    assert_int_equal(fs_call(r, FUSE_DESTROY, 0, NULL, 0, 0), 0);
    assert_int_equal(fs_getattr(r, FUSE_ROOT_ID, NULL), -EIO);
}

static void by_init(struct fs_rig *r)
{
    assert_int_equal(fs_rig_init(r, 38, 0), 0);
}

static void by_reset(struct fs_rig *r)
{
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, 0));
}

static void destroy_ends_nodes_and_handles(void **state)
{
    check_forgotten(*state, by_destroy);
}

static void a_second_init_ends_nodes_and_handles(void **state)
{
    check_forgotten(*state, by_init);
}

static void a_reset_ends_nodes_and_handles(void **state)
{
    check_forgotten(*state, by_reset);
}

static void statfs_tells_what_the_host_has(void **state)
{
    struct fs_rig *r = *state;
    struct statvfs st;
    struct fuse_statfs_out out;
    fs_rig_start(r, NULL);
    assert_int_equal(fs_call(r, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, sizeof(out)), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(fstatvfs(r->tree, &st), 0);
    assert_int_equal(out.st.blocks, st.f_blocks);
    assert_int_equal(out.st.bsize, st.f_bsize);
    assert_int_equal(out.st.frsize, st.f_frsize);
    assert_int_equal(out.st.namelen, 255);
    assert_int_equal(fs_call(r, FUSE_STATFS, 99, NULL, 0, sizeof(out)), -ENOENT);
}

static void syncfs_is_served_and_ioctl_is_not(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config read_only = {.read_only = true};
    const uint64_t padding = 0;
    const struct fuse_ioctl_in in = {.cmd = 1};
    fs_rig_start(r, &read_only);
    assert_int_equal(fs_call(r, FUSE_SYNCFS, FUSE_ROOT_ID, &padding, sizeof(padding), 0), 0);
    assert_int_equal(fs_call(r, FUSE_IOCTL, FUSE_ROOT_ID, &in, sizeof(in), 16), -ENOTTY);
}

/* ---- Malformed requests ---- */

static void unknown_requests_are_enosys(void **state)
{
    struct fs_rig *r = *state;
    static const uint32_t unknown[] = {
        0, 7, 19, FUSE_BMAP, FUSE_POLL, FUSE_NOTIFY_REPLY, FUSE_SETUPMAPPING, FUSE_REMOVEMAPPING, 53, 4096, UINT32_MAX};
    uint8_t arg[128] = {0};
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(fs_call(r, unknown[i], FUSE_ROOT_ID, arg, sizeof(arg), 256), -ENOSYS);
}

static void every_request_that_is_cut_short_is_refused(void **state)
{
    struct fs_rig *r = *state;
    static const struct {
        uint32_t opcode, bytes;
    } cases[] = {
        {FUSE_GETATTR, 16},
        {FUSE_SETATTR, 88},
        {FUSE_MKNOD, 16},
        {FUSE_MKDIR, 8},
        {FUSE_RENAME, 8},
        {FUSE_LINK, 8},
        {FUSE_OPEN, 8},
        {FUSE_READ, 40},
        {FUSE_WRITE, 40},
        {FUSE_RELEASE, 24},
        {FUSE_FSYNC, 16},
        {FUSE_SETXATTR, 8},
        {FUSE_GETXATTR, 8},
        {FUSE_LISTXATTR, 8},
        {FUSE_FLUSH, 24},
        {FUSE_INIT, 16},
        {FUSE_OPENDIR, 8},
        {FUSE_READDIR, 40},
        {FUSE_RELEASEDIR, 24},
        {FUSE_FSYNCDIR, 16},
        {FUSE_GETLK, 48},
        {FUSE_SETLK, 48},
        {FUSE_SETLKW, 48},
        {FUSE_ACCESS, 8},
        {FUSE_CREATE, 16},
        {FUSE_IOCTL, 32},
        {FUSE_FALLOCATE, 32},
        {FUSE_READDIRPLUS, 40},
        {FUSE_RENAME2, 16},
        {FUSE_LSEEK, 24},
        {FUSE_COPY_FILE_RANGE, 56},
        {FUSE_SYNCFS, 8},
        {FUSE_TMPFILE, 16},
        {FS_OP_STATX, 24},
        {FUSE_LOOKUP, 1},
        {FUSE_SYMLINK, 1},
        {FUSE_UNLINK, 1},
        {FUSE_RMDIR, 1},
        {FUSE_REMOVEXATTR, 1},
    };
    static const uint8_t arg[128];
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (uint32_t bytes = 0; bytes < cases[i].bytes; bytes++)
            assert_int_equal(fs_call(r, cases[i].opcode, FUSE_ROOT_ID, arg, bytes, 512), -EINVAL);
}

static void requests_without_room_for_the_answer_do_nothing(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_mkdir_in in = {.mode = 0755};
    const struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
    fs_rig_start(r, NULL);
    for (uint32_t room = 0; room < sizeof(struct fuse_entry_out); room++)
        assert_int_equal(fs_call_names(r, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), "d", NULL, room), -EINVAL);
    assert_int_equal(fs_call_names(r, FUSE_CREATE, FUSE_ROOT_ID, &create, sizeof(create), "d", NULL, 143), -EINVAL);
    assert_false(fs_host_exists(r, "d"));
}

static void a_request_without_room_for_the_header_comes_back_empty(void **state)
{
    struct fs_rig *r = *state;
    struct {
        struct fuse_in_header head;
        struct fuse_mkdir_in in;
        char name[2];
    } request = {.head = {.len = 50, .opcode = FUSE_MKDIR, .nodeid = FUSE_ROOT_ID}, .in = {.mode = 0755}, .name = "d"};
    fs_rig_start(r, NULL);
    for (uint32_t room = 0; room < 16; room++) {
        (void)fs_raw(r, FS_RIG_QUEUE, &request, 50, room);
        assert_int_equal(r->written, 0);
    }
    assert_false(fs_host_exists(r, "d"));
}

static void a_header_that_is_cut_short_comes_back_empty(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_in_header head = {.len = 40, .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID};
    fs_rig_start(r, NULL);
    for (uint32_t bytes = 1; bytes < sizeof(head); bytes++) {
        (void)fs_raw(r, FS_RIG_QUEUE, &head, bytes, 128);
        assert_int_equal(r->written, 0);
    }
    (void)fs_raw(r, FS_RIG_QUEUE, NULL, 0, 128);
    assert_int_equal(r->written, 0);
    assert_int_equal(fs_raw(r, FS_RIG_QUEUE, &head, sizeof(head), 128), 0);
}

static void a_header_that_lies_about_its_length_is_refused(void **state)
{
    struct fs_rig *r = *state;
    static const uint32_t lies[] = {0, 1, 39, 41, 4096, UINT32_MAX};
    struct fuse_in_header head = {.opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID};
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        head.len = lies[i];
        assert_int_equal(fs_raw(r, FS_RIG_QUEUE, &head, sizeof(head), 128), -EINVAL);
    }
}

static void what_is_behind_the_announced_length_is_not_looked_at(void **state)
{
    struct fs_rig *r = *state;
    struct {
        struct fuse_in_header head;
        char name[8];
    } request = {.head = {.len = 43, .opcode = FUSE_LOOKUP, .nodeid = FUSE_ROOT_ID}, .name = "abc"};
    fs_host_put(r, "abc", "");
    fs_rig_start(r, NULL);
    assert_int_equal(fs_raw(r, FS_RIG_QUEUE, &request, 48, 256), -EINVAL); /* the NUL is behind it */
    request.head.len = 44;
    assert_int_equal(fs_raw(r, FS_RIG_QUEUE, &request, 48, 256), 0);
}

static void names_without_an_end_are_refused(void **state)
{
    struct fs_rig *r = *state;
    static const char two[] = {'a', 0, 'b'};
    fs_rig_start(r, NULL);
    assert_int_equal(fs_call(r, FUSE_UNLINK, FUSE_ROOT_ID, "abc", 3, 0), -EINVAL);
    assert_int_equal(fs_call(r, FUSE_SYMLINK, FUSE_ROOT_ID, two, sizeof(two), 256), -EINVAL);
    assert_int_equal(fs_call(r, FUSE_SYMLINK, FUSE_ROOT_ID, two, 2, 256), -EINVAL);
    assert_int_equal(fs_call(r, FUSE_REMOVEXATTR, FUSE_ROOT_ID, "user.x", 6, 0), -EINVAL);
    assert_false(fs_host_exists(r, "a"));
}

static void an_argument_that_is_too_long_is_refused(void **state)
{
    struct fs_rig *r = *state;
    uint8_t *arg = calloc(1, 1u << 20);
    fs_rig_start(r, NULL);
    memset(arg, 'a', 1u << 19);
    assert_int_equal(fs_call(r, FUSE_LOOKUP, FUSE_ROOT_ID, arg, 1u << 20, 256), -EINVAL);
    free(arg);
}

static void the_urgent_queue_takes_urgent_requests_only(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_in_header head = {.len = 40, .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID};
    struct {
        struct fuse_in_header head;
        struct fuse_interrupt_in in;
    } interrupt = {.head = {.len = 48, .opcode = FUSE_INTERRUPT}, .in = {.unique = 1}};
    fs_rig_start(r, NULL);
    assert_int_equal(fs_raw(r, FS_RIG_URGENT, &head, sizeof(head), 128), -EINVAL);
    (void)fs_raw(r, FS_RIG_URGENT, &interrupt, sizeof(interrupt), 128);
    assert_int_equal(r->written, 0);
}

/* A request in pieces of one byte, and an answer in pieces, too. */
static void requests_come_in_any_pieces(void **state)
{
    struct fs_rig *r = *state;
    struct {
        struct fuse_in_header head;
        char name[4];
    } request = {.head = {.len = 44, .opcode = FUSE_LOOKUP, .unique = 5, .nodeid = FUSE_ROOT_ID}, .name = "abc"};
    struct vdrv_buffer pieces[60];
    struct fuse_out_header out;
    unsigned n = 0;
    uint32_t written;
    fs_host_put(r, "abc", "12345");
    fs_rig_start(r, NULL);
    uint64_t from = vdrv_put(&r->d, &request, 44), to = vdrv_alloc(&r->d, 144, 8);
    for (; n < 44; n++)
        pieces[n] = (struct vdrv_buffer){.gpa = from + n, .bytes = 1};
    for (unsigned i = 0; i < 16; i++)
        pieces[n++] = (struct vdrv_buffer){.gpa = to + 9 * i, .bytes = 9, .writable = true};
    (void)vdrv_post(&r->d, FS_RIG_QUEUE, pieces, n);
    vdrv_kick(&r->d, FS_RIG_QUEUE);
    assert_true(vdrv_take(&r->d, FS_RIG_QUEUE, NULL, &written));
    assert_int_equal(written, 144);
    memcpy(&out, vdrv_at(&r->d, to, sizeof(out)), sizeof(out));
    assert_int_equal(out.len, 144);
    assert_int_equal(out.error, 0);
    assert_int_equal(out.unique, 5);
}

static void many_requests_are_served_by_one_notification(void **state)
{
    struct fs_rig *r = *state;
    const struct fuse_in_header head = {.len = 40, .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID};
    unsigned came = 0;
    fs_rig_start(r, NULL);
    for (unsigned i = 0; i < 30; i++) {
        const struct vdrv_buffer pair[2] = {{.gpa = vdrv_put(&r->d, &head, sizeof(head)), .bytes = sizeof(head)},
                                            {.gpa = vdrv_alloc(&r->d, 96, 8), .bytes = 96, .writable = true}};
        (void)vdrv_post(&r->d, FS_RIG_QUEUE, pair, 2);
    }
    vdrv_kick(&r->d, FS_RIG_QUEUE);
    while (vdrv_take(&r->d, FS_RIG_QUEUE, NULL, NULL))
        came++;
    assert_int_equal(came, 30);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_configuration_has_the_tag_and_the_queues),
        CASE(a_short_tag_is_followed_by_zeros),
        CASE(impossible_configurations_are_refused),
        CASE(what_is_no_folder_cannot_be_shared),
        CASE(all_descriptors_are_closed_in_the_end),
        CASE(a_file_is_made_written_and_read),
        CASE(init_agrees_on_the_lower_version),
        CASE(init_of_the_short_form_is_understood),
        CASE(init_takes_only_flags_that_were_offered),
        CASE(init_of_an_older_protocol_is_refused_and_of_a_newer_told_ours),
        CASE(nothing_is_served_before_init),
        CASE(destroy_ends_nodes_and_handles),
        CASE(a_second_init_ends_nodes_and_handles),
        CASE(a_reset_ends_nodes_and_handles),
        CASE(statfs_tells_what_the_host_has),
        CASE(syncfs_is_served_and_ioctl_is_not),
        CASE(unknown_requests_are_enosys),
        CASE(every_request_that_is_cut_short_is_refused),
        CASE(requests_without_room_for_the_answer_do_nothing),
        CASE(a_request_without_room_for_the_header_comes_back_empty),
        CASE(a_header_that_is_cut_short_comes_back_empty),
        CASE(a_header_that_lies_about_its_length_is_refused),
        CASE(what_is_behind_the_announced_length_is_not_looked_at),
        CASE(names_without_an_end_are_refused),
        CASE(an_argument_that_is_too_long_is_refused),
        CASE(the_urgent_queue_takes_urgent_requests_only),
        CASE(requests_come_in_any_pieces),
        CASE(many_requests_are_served_by_one_notification),
    };
    return cmocka_run_group_tests_name("virtio/fs", tests, NULL, NULL);
}
