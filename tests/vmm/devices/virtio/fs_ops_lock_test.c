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

#include <sys/file.h>

static const struct fs_config on_host = {.locks = true};

struct two {
    uint64_t node, fh;
    int fd; /* the host's own */
};

static struct two start(struct fs_rig *r, const struct fs_config *config)
{
    struct two t;
    fs_host_put(r, "file", "0123456789");
    fs_rig_start(r, config);
    assert_int_equal(fs_lookup(r, FUSE_ROOT_ID, "file", &t.node), 0);
    assert_int_equal(fs_open(r, t.node, config->read_only ? O_RDONLY : O_RDWR, &t.fh), 0);
    t.fd = openat(r->tree, "file", O_RDWR | O_CLOEXEC);
    return t;
}

static int lock(struct fs_rig *r, uint32_t opcode, const struct two *t, uint64_t owner, uint32_t type, uint64_t first,
                uint64_t last)
{
    const struct fuse_lk_in in = {
        .fh = t->fh, .owner = owner, .lk = {.start = first, .end = last, .type = type, .pid = 1}};
    return fs_call(r, opcode, t->node, &in, sizeof(in), sizeof(struct fuse_lk_out));
}

static bool host_locks(int fd, short type, off_t start, off_t bytes)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
    return fcntl(fd, F_OFD_SETLK, &range) == 0;
}

static void without_the_option_locks_are_the_guests_own(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config off = {.locks = false};
    struct two t = start(r, &off);
    assert_int_equal(r->init_flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), 0);
    assert_int_equal(lock(r, FUSE_GETLK, &t, 1, F_WRLCK, 0, 9), -ENOSYS);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_WRLCK, 0, 9), -ENOSYS);
    assert_int_equal(lock(r, FUSE_SETLKW, &t, 1, F_WRLCK, 0, 9), -ENOSYS);
    close(t.fd);
}

static void locks_hold_on_the_host_until_they_are_given_back(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    assert_int_equal(r->init_flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_WRLCK, 2, 4), 0);
    assert_false(host_locks(t.fd, F_WRLCK, 4, 1));
    assert_true(host_locks(t.fd, F_WRLCK, 5, 1));
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_UNLCK, 2, 4), 0);
    assert_true(host_locks(t.fd, F_WRLCK, 4, 1));
    close(t.fd);
}

static void owners_exclude_each_other_and_nobody_waits(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    assert_int_equal(lock(r, FUSE_SETLKW, &t, 1, F_WRLCK, 0, INT64_MAX), 0);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 2, F_RDLCK, 0, 0), -EAGAIN);
    assert_int_equal(lock(r, FUSE_SETLKW, &t, 2, F_RDLCK, 0, 0), -EAGAIN);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_RDLCK, 0, INT64_MAX), 0);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 2, F_RDLCK, 0, 0), 0);
    close(t.fd);
}

static void getlk_tells_what_is_in_the_way(void **state)
{
    struct fs_rig *r = *state;
    struct fuse_lk_out out;
    struct two t = start(r, &on_host);
    assert_true(host_locks(t.fd, F_WRLCK, 3, 4));
    assert_int_equal(lock(r, FUSE_GETLK, &t, 1, F_RDLCK, 0, 9), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.lk.type, F_WRLCK);
    assert_int_equal(out.lk.start, 3);
    assert_int_equal(out.lk.end, 6);
    assert_int_equal(lock(r, FUSE_GETLK, &t, 1, F_RDLCK, 7, 9), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.lk.type, F_UNLCK);
    assert_true(host_locks(t.fd, F_WRLCK, 3, 0));
    assert_int_equal(lock(r, FUSE_GETLK, &t, 1, F_RDLCK, 7, 9), 0);
    memcpy(&out, r->out, sizeof(out));
    assert_int_equal(out.lk.end, INT64_MAX);
    close(t.fd);
}

static void a_flush_ends_the_owners_locks(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    unsigned before = fs_host_descriptors();
    assert_int_equal(lock(r, FUSE_SETLK, &t, 7, F_WRLCK, 0, 9), 0);
    assert_int_equal(fs_host_descriptors(), before + 1);
    struct fuse_flush_in in = {.fh = t.fh, .lock_owner = 8};
    assert_int_equal(fs_call(r, FUSE_FLUSH, 0, &in, sizeof(in), 0), 0);
    assert_false(host_locks(t.fd, F_WRLCK, 0, 1));
    in.lock_owner = 7;
    assert_int_equal(fs_call(r, FUSE_FLUSH, 0, &in, sizeof(in), 0), 0);
    assert_true(host_locks(t.fd, F_WRLCK, 0, 1));
    assert_int_equal(fs_host_descriptors(), before);
    close(t.fd);
}

static void a_reset_ends_all_locks(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 7, F_WRLCK, 0, 9), 0);
    vdrv_reset(&r->d);
    assert_true(host_locks(t.fd, F_WRLCK, 0, 1));
    close(t.fd);
}

static void ranges_that_are_none_are_refused(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_WRLCK, 5, 4), -EINVAL);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_WRLCK, UINT64_MAX, UINT64_MAX), -EINVAL);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, 9, 0, 4), -EINVAL);
    assert_int_equal(lock(r, FUSE_GETLK, &t, 1, F_WRLCK, 5, 4), -EINVAL);
    t.fh = 77;
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_WRLCK, 0, 4), -EBADF);
    assert_int_equal(lock(r, FUSE_GETLK, &t, 1, F_WRLCK, 0, 4), -EBADF);
    close(t.fd);
}

static int whole(struct fs_rig *r, const struct two *t, uint32_t type)
{
    const struct fuse_lk_in in = {.fh = t->fh, .lk = {.type = type}, .lk_flags = FUSE_LK_FLOCK};
    return fs_call(r, FUSE_SETLKW, t->node, &in, sizeof(in), 0);
}

static void whole_files_are_locked_by_the_handle(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    assert_int_equal(whole(r, &t, F_WRLCK), 0);
    assert_int_equal(flock(t.fd, LOCK_SH | LOCK_NB), -1);
    assert_int_equal(whole(r, &t, F_RDLCK), 0);
    assert_int_equal(flock(t.fd, LOCK_SH | LOCK_NB), 0);
    assert_int_equal(whole(r, &t, F_WRLCK), -EAGAIN);
    assert_int_equal(whole(r, &t, 9), -EINVAL);
    assert_int_equal(fs_release(r, t.fh), 0);
    assert_int_equal(flock(t.fd, LOCK_EX | LOCK_NB), 0);
    close(t.fd);
}

static void readers_lock_in_a_read_only_folder(void **state)
{
    struct fs_rig *r = *state;
    static const struct fs_config config = {.locks = true, .read_only = true};
    struct two t = start(r, &config);
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_RDLCK, 0, 4), 0);
    assert_false(host_locks(t.fd, F_WRLCK, 0, 1));
    assert_int_equal(lock(r, FUSE_SETLK, &t, 1, F_WRLCK, 0, 4), -EBADF);
    close(t.fd);
}

static void there_are_only_so_many_owners(void **state)
{
    struct fs_rig *r = *state;
    struct two t = start(r, &on_host);
    int code = 0;
    uint64_t owner = 1;
    for (; code == 0 && owner < 2000; owner++)
        code = lock(r, FUSE_SETLK, &t, owner, F_RDLCK, 0, 9);
    /* The process may have no more descriptors before. */
    assert_true(code == -EMFILE || (code == -ENOLCK && owner == 1026));
    close(t.fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_the_option_locks_are_the_guests_own),
        CASE(locks_hold_on_the_host_until_they_are_given_back),
        CASE(owners_exclude_each_other_and_nobody_waits),
        CASE(getlk_tells_what_is_in_the_way),
        CASE(a_flush_ends_the_owners_locks),
        CASE(a_reset_ends_all_locks),
        CASE(ranges_that_are_none_are_refused),
        CASE(whole_files_are_locked_by_the_handle),
        CASE(readers_lock_in_a_read_only_folder),
        CASE(there_are_only_so_many_owners),
    };
    return cmocka_run_group_tests_name("virtio/fs_ops_lock", tests, NULL, NULL);
}
