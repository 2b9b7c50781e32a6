/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/verity_fixture.h"
#include "vmm/verity.h"

#define OFFSET ((off_t)VERITY_FIXTURE_BLOCKS * VERITY_BLOCK_BYTES)
#define WHOLE  (OFFSET + (off_t)(1 + VERITY_FIXTURE_TREE) * VERITY_BLOCK_BYTES)

/* A file with nothing but a superblock, which is all that is looked at. */
static int make_image(off_t bytes, off_t offset)
{
    char path[] = "/tmp/caisson-verity.XXXXXX";
    uint8_t super[VERITY_SUPER_BYTES];
    verity_fixture_super(super);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    assert_int_equal(pwrite(fd, super, sizeof super, offset), sizeof super);
    return fd;
}

static void refuses(int fd, int code, const char *words)
{
    struct verity_super s = {.data_blocks = 77};
    const char *why = "";
    uint64_t offset = 77;
    int result = verity_image_look(fd, &offset, &s, &why);
    if (result != code || strstr(why, words) == NULL)
        fail_msg("%d: %s", result, why);
    assert_int_equal(offset, 77);
    assert_int_equal(s.data_blocks, 77);
    if (fd >= 0)
        close(fd);
}

static void an_image_is_found_to_be_one(void **state)
{
    int fd = make_image(WHOLE, OFFSET);
    struct verity_super s;
    const char *why;
    uint64_t offset;
    (void)state;
    assert_int_equal(verity_image_look(fd, &offset, &s, &why), 0);
    assert_int_equal(offset, OFFSET);
    assert_int_equal(s.data_blocks, VERITY_FIXTURE_BLOCKS);
    close(fd);
}

static void a_file_of_another_size_is_refused(void **state)
{
    (void)state;
    refuses(make_image(WHOLE + 1, OFFSET), -EINVAL, "its size is not that of");
    refuses(make_image(WHOLE + 512, OFFSET), -EINVAL, "its size is not that of");
    refuses(make_image(WHOLE - VERITY_BLOCK_BYTES, OFFSET), -EINVAL, "no superblock of dm-verity");
    refuses(make_image(WHOLE + VERITY_BLOCK_BYTES, OFFSET), -EINVAL, "no superblock of dm-verity");
    refuses(make_image(VERITY_BLOCK_BYTES, 0), -EINVAL, "its size is not that of");
}

static void a_superblock_at_another_place_is_not_found(void **state)
{
    (void)state;
    refuses(make_image(WHOLE, OFFSET - VERITY_BLOCK_BYTES), -EINVAL, "no superblock of dm-verity");
    refuses(make_image(WHOLE, OFFSET + 512), -EINVAL, "no superblock of dm-verity");
}

static void a_superblock_that_counts_otherwise_is_refused(void **state)
{
    int fd = make_image(WHOLE, OFFSET);
    const uint8_t fewer = VERITY_FIXTURE_BLOCKS - 1;
    (void)state;
    assert_int_equal(pwrite(fd, &fewer, 1, OFFSET + 72), 1);
    refuses(fd, -EINVAL, "do not end where");
}

static void what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    refuses(open("/dev/zero", O_RDONLY | O_CLOEXEC), -EINVAL, "no regular file");
    refuses(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -EINVAL, "no regular file");
    refuses(-1, -EBADF, "ad file descriptor");
}

static void a_file_that_cannot_be_read_is_refused_with_the_words_of_the_system(void **state)
{
    char path[64];
    int fd = make_image(WHOLE, OFFSET);
    (void)state;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    refuses(open(path, O_WRONLY | O_CLOEXEC), -EBADF, "ad file descriptor");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_found_to_be_one),
        cmocka_unit_test(a_file_of_another_size_is_refused),
        cmocka_unit_test(a_superblock_at_another_place_is_not_found),
        cmocka_unit_test(a_superblock_that_counts_otherwise_is_refused),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_refused_with_the_words_of_the_system),
    };
    return cmocka_run_group_tests_name("vmm/verity", tests, NULL, NULL);
}
