/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/backends/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define IMAGE_BYTES 0x200000u

/* ---- Files ---- */

struct rig {
    char path[64];
    struct disk d;
    struct err err;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    (void)snprintf(r->path, sizeof(r->path), "/tmp/caisson-disk-test-XXXXXX");
    int fd = mkstemp(r->path);
    int code = fd < 0 ? -1 : ftruncate(fd, IMAGE_BYTES);
    close(fd);
    return code;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    disk_close(&r->d);
    unlink(r->path);
    free(r);
    return 0;
}

static void open_image(struct rig *r, bool read_only)
{
    assert_int_equal(disk_open(&r->d, r->path, read_only, &r->err), 0);
}

static void refuse(struct rig *r, const char *path, bool read_only, int code, const char *word)
{
    struct disk d;
    assert_int_equal(disk_open(&d, path, read_only, &r->err), code);
    assert_int_equal(r->err.code, code);
    assert_non_null(strstr(r->err.text, word));
    assert_non_null(strstr(r->err.text, path));
    assert_null(d.name);
}

static void put(struct disk *d, uint64_t offset, uint8_t byte, size_t n)
{
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    memset(bytes, byte, n);
    struct iovec iov = {.iov_base = bytes, .iov_len = n};
    assert_int_equal(disk_write(d, &iov, 1, offset), 0);
    free(bytes);
}

static void assert_all(struct disk *d, uint64_t offset, uint8_t byte, size_t n)
{
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    struct iovec iov = {.iov_base = bytes, .iov_len = n};
    assert_int_equal(disk_read(d, &iov, 1, offset), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], byte);
    free(bytes);
}

static void what_was_written_to_a_file_is_read(void **state)
{
    struct rig *r = *state;
    open_image(r, false);
    assert_int_equal(r->d.bytes, IMAGE_BYTES);
    put(&r->d, 1024, 7, 512);
    assert_all(&r->d, 1024, 7, 512);
    assert_all(&r->d, 0, 0, 1024);
    assert_int_equal(disk_sync(&r->d), 0);
}

static void an_image_can_be_opened_to_read_only(void **state)
{
    struct rig *r = *state;
    uint8_t byte = 1;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    open_image(r, true);
    assert_true(r->d.read_only);
    assert_int_equal(disk_write(&r->d, &iov, 1, 0), -EBADF);
}

static void part_of_a_sector_at_the_end_is_not_shown(void **state)
{
    struct rig *r = *state;
    assert_int_equal(truncate(r->path, 1024 + 511), 0);
    open_image(r, false);
    assert_int_equal(r->d.bytes, 1024);
}

static void an_image_without_a_sector_is_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(truncate(r->path, 511), 0);
    refuse(r, r->path, false, -EINVAL, "not even one sector");
}

static void what_is_no_image_is_refused(void **state)
{
    struct rig *r = *state;
    char fifo[80];
    refuse(r, "/dev/null", false, -EINVAL, "neither a regular file nor a block device");
    refuse(r, "/tmp", true, -EINVAL, "neither a regular file nor a block device");
    refuse(r, "/tmp", false, -EISDIR, "directory");
    refuse(r, "/nonexistent/disk", true, -ENOENT, "No such file");
    (void)snprintf(fifo, sizeof(fifo), "%s.fifo", r->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refuse(r, fifo, true, -EINVAL, "neither");
    unlink(fifo);
}

static void two_machines_do_not_write_one_image(void **state)
{
    struct rig *r = *state;
    open_image(r, false);
    refuse(r, r->path, false, -EBUSY, "another machine has it open");
    refuse(r, r->path, true, -EBUSY, "another machine has it open for writing");
    disk_close(&r->d);
    open_image(r, false);
}

static void many_machines_read_one_image_and_none_writes_it(void **state)
{
    struct rig *r = *state;
    struct disk second;
    open_image(r, true);
    assert_int_equal(disk_open(&second, r->path, true, &r->err), 0);
    refuse(r, r->path, false, -EBUSY, "another machine has it open");
    disk_close(&second);
}

static int open_as(const struct rig *r, int flags)
{
    int fd = open(r->path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void a_descriptor_is_taken_as_it_is(void **state)
{
    struct rig *r = *state;
    assert_int_equal(disk_adopt(&r->d, open_as(r, O_RDWR), "given", false, &r->err), 0);
    assert_string_equal(r->d.name, "given");
    put(&r->d, 0, 1, 512);
}

static void a_descriptor_of_the_wrong_kind_is_refused_and_closed(void **state)
{
    struct rig *r = *state;
    static const struct {
        int flags;
        bool read_only;
        const char *word;
    } cases[] = {
        {O_RDONLY, false, "not open for writing"},
        {O_WRONLY, false, "not open for reading"},
        {O_PATH, true, "not open for reading"},
        {O_RDWR | O_APPEND, false, "for appending"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = open_as(r, cases[i].flags);
        assert_int_equal(disk_adopt(&r->d, fd, "given", cases[i].read_only, &r->err), -EINVAL);
        assert_non_null(strstr(r->err.text, cases[i].word));
        assert_int_equal(fcntl(fd, F_GETFD), -1);
    }
    assert_int_equal(disk_adopt(&r->d, 9999, "given", true, &r->err), -EBADF);
}

static void reading_beyond_the_end_of_a_shrunken_file_fails(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[1024];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    open_image(r, false);
    assert_int_equal(truncate(r->path, 512), 0);
    assert_int_equal(disk_read(&r->d, &iov, 1, 0), -EIO);
    iov = (struct iovec){.iov_base = bytes, .iov_len = sizeof(bytes)};
    assert_int_equal(disk_read(&r->d, &iov, 1, 4096), -EIO);
}

/* Where the file system has no holes there is nothing to see. */
static void discarding_gives_whole_blocks_back(void **state)
{
    struct rig *r = *state;
    struct stat before, after;
    open_image(r, false);
    put(&r->d, 0, 9, 0x10000);
    assert_int_equal(disk_sync(&r->d), 0);
    assert_int_equal(stat(r->path, &before), 0);
    int code = disk_discard(&r->d, 512, 0x10000 - 1024);
    if (code == -EOPNOTSUPP)
        skip();
    assert_int_equal(code, 0);
    assert_int_equal(stat(r->path, &after), 0);
    assert_true(after.st_blocks < before.st_blocks);
    assert_int_equal(after.st_size, before.st_size);
    assert_all(&r->d, 0, 9, r->d.block_bytes);
    assert_all(&r->d, 0x10000 - r->d.block_bytes, 9, r->d.block_bytes);
}

static void zeroed_bytes_read_as_zeroes_and_their_neighbours_stay(void **state)
{
    struct rig *r = *state;
    open_image(r, false);
    for (unsigned unmap = 0; unmap < 2; unmap++) {
        put(&r->d, 0, 9, 0x10000);
        for (uint64_t at = 512, n; at < 0x10000 - 512; at += n) {
            n = 0x10000 - 512 - at;
            assert_int_equal(disk_zero(&r->d, at, &n, unmap != 0), 0);
            assert_true(n > 0);
        }
        assert_all(&r->d, 0, 9, 512);
        assert_all(&r->d, 512, 0, 0x10000 - 1024);
        assert_all(&r->d, 0x10000 - 512, 9, 512);
    }
}

/* Show the image as a block device; false where this user may not, or there are none. *holder keeps it. */
static bool make_device(const struct rig *r, char path[32], int *holder)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), image = open(r->path, O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    (void)snprintf(path, 32, "/dev/loop%d", number);
    *holder = number < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
    bool good = *holder >= 0 && ioctl(*holder, LOOP_SET_FD, image) == 0;
    if (!good && *holder >= 0)
        close(*holder);
    close(image);
    if (control >= 0)
        close(control);
    return good;
}

static void a_block_device_is_a_disk(void **state)
{
    struct rig *r = *state;
    char path[32];
    int holder;
    if (!make_device(r, path, &holder))
        skip();
    int code = disk_open(&r->d, path, false, &r->err);
    if (code == 0) {
        uint64_t n = 1024;
        assert_int_equal(r->d.bytes, IMAGE_BYTES);
        put(&r->d, 0, 9, 0x10000);
        assert_int_equal(disk_zero(&r->d, 512, &n, false), 0);
        assert_all(&r->d, 0, 9, 512);
        assert_all(&r->d, 512, 0, 1024);
        n = 4096;
        assert_int_equal(disk_zero(&r->d, 4096, &n, true), 0);
        assert_all(&r->d, 4096, 0, 4096);
        code = disk_discard(&r->d, 0x8000, 0x4000);
        assert_true(code == 0 || code == -EOPNOTSUPP);
        assert_all(&r->d, 0xc000, 9, 512);
        assert_int_equal(disk_sync(&r->d), 0);
        refuse(r, path, false, -EBUSY, "another machine has it open");
        disk_close(&r->d);
    }
    (void)ioctl(holder, LOOP_CLR_FD, 0);
    close(holder);
    assert_int_equal(code, 0);
}

static void closing_twice_is_harmless(void **state)
{
    struct rig *r = *state;
    open_image(r, false);
    disk_close(&r->d);
    disk_close(&r->d);
    assert_null(r->d.name);
}

/* ---- A host that misbehaves: each call takes the next result of a list, and moves so many bytes ---- */

#define SCRIPT_BYTES 64u

struct script {
    ssize_t results[8];
    unsigned at, count;
    uint8_t content[SCRIPT_BYTES];
    uint64_t asked_offset, asked_bytes;
    int zero;
};

static ssize_t next(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset, bool in)
{
    struct script *s = d->ctx;
    assert_true(s->at < s->count && count > 0 && iov[0].iov_len > 0);
    ssize_t n = s->results[s->at++];
    size_t left = n > 0 ? (size_t)n : 0;
    for (unsigned i = 0; i < count && left > 0; i++) {
        size_t piece = left < iov[i].iov_len ? left : iov[i].iov_len;
        memcpy(in ? iov[i].iov_base : s->content + offset, in ? s->content + offset : iov[i].iov_base, piece);
        offset += piece;
        left -= piece;
    }
    return n;
}

static ssize_t script_read(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    return next(d, iov, count, offset, true);
}

static ssize_t script_write(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    return next(d, iov, count, offset, false);
}

static ssize_t count_write(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    struct script *s = d->ctx;
    ssize_t n = 0;
    for (unsigned i = 0; i < count; i++)
        n += (ssize_t)iov[i].iov_len;
    assert_int_equal(offset, s->asked_offset + s->asked_bytes);
    s->asked_bytes += (uint64_t)n;
    return n;
}

static int script_discard(struct disk *d, uint64_t offset, uint64_t bytes)
{
    struct script *s = d->ctx;
    s->asked_offset = offset;
    s->asked_bytes = bytes;
    return s->zero;
}

static int script_zero(struct disk *d, uint64_t offset, uint64_t bytes, bool unmap)
{
    struct script *s = d->ctx;
    (void)offset;
    (void)bytes;
    (void)unmap;
    return s->zero;
}

static const struct disk_ops script_ops = {
    .read = script_read, .write = script_write, .discard = script_discard, .zero = script_zero};

static struct disk scripted(struct script *s, const struct disk_ops *ops)
{
    return (struct disk){.ops = ops, .ctx = s, .name = "script", .bytes = UINT64_C(1) << 40, .block_bytes = 4096};
}

static void short_and_interrupted_transfers_go_on(void **state)
{
    struct script s = {.results = {3, -EINTR, 1, 6, -EINTR, 2}, .count = 6};
    struct disk d = scripted(&s, &script_ops);
    uint8_t one[4], two[8];
    struct iovec iov[3] = {{one, sizeof(one)}, {NULL, 0}, {two, sizeof(two)}};
    (void)state;
    for (uint8_t i = 0; i < SCRIPT_BYTES; i++)
        s.content[i] = i;
    assert_int_equal(disk_read(&d, iov, 3, 5), 0);
    assert_int_equal(s.at, 6);
    assert_memory_equal(one, s.content + 5, 4);
    assert_memory_equal(two, s.content + 9, 8);
}

static void short_writes_go_on(void **state)
{
    struct script s = {.results = {1, 2, -EINTR, 5}, .count = 4};
    struct disk d = scripted(&s, &script_ops);
    char text[] = "abcdefgh";
    struct iovec iov[2] = {{text, 5}, {text + 5, 3}};
    (void)state;
    assert_int_equal(disk_write(&d, iov, 2, 10), 0);
    assert_memory_equal(s.content + 10, "abcdefgh", 8);
}

static void errors_of_the_host_are_returned(void **state)
{
    struct script s = {.results = {2, -EIO, 2, -ENOSPC, 0}, .count = 5};
    struct disk d = scripted(&s, &script_ops);
    uint8_t bytes[4];
    struct iovec iov = {bytes, sizeof(bytes)};
    (void)state;
    assert_int_equal(disk_read(&d, &iov, 1, 0), -EIO);
    iov = (struct iovec){bytes, sizeof(bytes)};
    assert_int_equal(disk_write(&d, &iov, 1, 0), -ENOSPC);
    iov = (struct iovec){bytes, sizeof(bytes)};
    assert_int_equal(disk_write(&d, &iov, 1, 0), -EIO);
}

static void an_empty_transfer_asks_nobody(void **state)
{
    struct script s = {.count = 0};
    struct disk d = scripted(&s, &script_ops);
    struct iovec iov = {NULL, 0};
    (void)state;
    assert_int_equal(disk_read(&d, &iov, 1, 0), 0);
    assert_int_equal(disk_write(&d, NULL, 0, 0), 0);
}

static void a_discard_shrinks_to_whole_blocks(void **state)
{
    struct script s = {.zero = 0};
    struct disk d = scripted(&s, &script_ops);
    (void)state;
    assert_int_equal(disk_discard(&d, 512, 0x3000), 0);
    assert_int_equal(s.asked_offset, 0x1000);
    assert_int_equal(s.asked_bytes, 0x2000);
    s.asked_bytes = 0;
    assert_int_equal(disk_discard(&d, 512, 0x1000), 0);
    assert_int_equal(s.asked_bytes, 0);
}

static void a_host_that_cannot_discard_says_so_in_one_way(void **state)
{
    struct script s = {.zero = -ENOTTY};
    struct disk d = scripted(&s, &script_ops);
    (void)state;
    assert_int_equal(disk_discard(&d, 0, 0x1000), -EOPNOTSUPP);
    s.zero = -ENOSYS;
    assert_int_equal(disk_discard(&d, 0, 0x1000), -EOPNOTSUPP);
    s.zero = -EIO;
    assert_int_equal(disk_discard(&d, 0, 0x1000), -EIO);
}

static void zeroes_are_written_in_pieces_where_nothing_is_quicker(void **state)
{
    static const struct disk_ops ops = {.write = count_write, .zero = script_zero};
    static const int codes[] = {-EOPNOTSUPP, -EINVAL, -ENOSYS};
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct script s = {.zero = codes[i], .asked_offset = 1024};
        struct disk d = scripted(&s, &ops);
        uint64_t bytes = 3 * DISK_ZERO_BYTES;
        assert_int_equal(disk_zero(&d, 1024, &bytes, false), 0);
        assert_int_equal(bytes, DISK_ZERO_BYTES);
        assert_int_equal(s.asked_bytes, DISK_ZERO_BYTES);
        s.asked_bytes = 0;
        bytes = 4096 + 512;
        assert_int_equal(disk_zero(&d, 1024, &bytes, true), 0);
        assert_int_equal(bytes, 4096 + 512);
        assert_int_equal(s.asked_bytes, 4096 + 512);
    }
}

static void zeroing_fails_as_the_host_does(void **state)
{
    struct script s = {.zero = -ENOSPC};
    struct disk d = scripted(&s, &script_ops);
    uint64_t bytes = 512;
    (void)state;
    assert_int_equal(disk_zero(&d, 0, &bytes, false), -ENOSPC);
    s = (struct script){.zero = -EOPNOTSUPP, .results = {-EIO}, .count = 1};
    assert_int_equal(disk_zero(&d, 0, &bytes, false), -EIO);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_written_to_a_file_is_read),
        CASE(an_image_can_be_opened_to_read_only),
        CASE(part_of_a_sector_at_the_end_is_not_shown),
        CASE(an_image_without_a_sector_is_refused),
        CASE(what_is_no_image_is_refused),
        CASE(two_machines_do_not_write_one_image),
        CASE(many_machines_read_one_image_and_none_writes_it),
        CASE(a_descriptor_is_taken_as_it_is),
        CASE(a_descriptor_of_the_wrong_kind_is_refused_and_closed),
        CASE(reading_beyond_the_end_of_a_shrunken_file_fails),
        CASE(discarding_gives_whole_blocks_back),
        CASE(zeroed_bytes_read_as_zeroes_and_their_neighbours_stay),
        CASE(a_block_device_is_a_disk),
        CASE(closing_twice_is_harmless),
        cmocka_unit_test(short_and_interrupted_transfers_go_on),
        cmocka_unit_test(short_writes_go_on),
        cmocka_unit_test(errors_of_the_host_are_returned),
        cmocka_unit_test(an_empty_transfer_asks_nobody),
        cmocka_unit_test(a_discard_shrinks_to_whole_blocks),
        cmocka_unit_test(a_host_that_cannot_discard_says_so_in_one_way),
        cmocka_unit_test(zeroes_are_written_in_pieces_where_nothing_is_quicker),
        cmocka_unit_test(zeroing_fails_as_the_host_does),
    };
    return cmocka_run_group_tests_name("backends/disk", tests, NULL, NULL);
}
