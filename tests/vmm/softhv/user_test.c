/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/softhv/user.h"

#define PAGE 4096u

/* Four pages: writable, read-only, no access, not mapped. */
struct fixture {
    uint8_t *rw, *ro, *none, *hole;
};

static uint64_t at(const void *p)
{
    return (uintptr_t)p;
}

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));
    assert_non_null(f);
    uint8_t *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    memset(p, 0x5a, 3 * PAGE);
    f->rw = p;
    f->ro = p + PAGE;
    f->none = p + 2 * PAGE;
    f->hole = p + 3 * PAGE;
    mprotect(f->ro, PAGE, PROT_READ);
    mprotect(f->none, PAGE, PROT_NONE);
    munmap(f->hole, PAGE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    munmap(f->rw, 3 * PAGE);
    free(f);
    return 0;
}

static void this_process_may_copy(void **state)
{
    (void)state;
    assert_int_equal(softhv_user_check(), 0);
}

static void read_copies_bytes(void **state)
{
    const struct fixture *f = *state;
    uint8_t b[16] = {0};
    f->rw[3] = 7;
    assert_int_equal(softhv_user_read(b, at(f->rw), sizeof(b)), 0);
    assert_int_equal(b[3], 7);
    assert_int_equal(b[15], 0x5a);
}

static void read_works_on_read_only_memory(void **state)
{
    const struct fixture *f = *state;
    uint8_t b = 0;
    assert_int_equal(softhv_user_read(&b, at(f->ro), 1), 0);
    assert_int_equal(b, 0x5a);
}

static void read_crosses_pages(void **state)
{
    const struct fixture *f = *state;
    uint8_t b[32] = {0};
    assert_int_equal(softhv_user_read(b, at(f->ro) - 16, sizeof(b)), 0);
    assert_int_equal(b[31], 0x5a);
}

static void read_refuses_bad_addresses(void **state)
{
    const struct fixture *f = *state;
    uint8_t b[32];
    const uint64_t bad[] = {0,
                            8,
                            at(f->none),
                            at(f->none) - 1,
                            at(f->hole),
                            UINT64_C(0x7ffffffff000),
                            UINT64_C(0x800000000000),
                            UINT64_C(0x4141414141414141),
                            UINT64_C(0xffffffff81000000),
                            UINT64_MAX - 31,
                            UINT64_MAX - 3,
                            UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(softhv_user_read(b, bad[i], sizeof(b)), -EFAULT);
}

static void read_refuses_absurd_lengths(void **state)
{
    const struct fixture *f = *state;
    /* Sizes that no buffer could have: refused before anything is copied. */
    assert_int_equal(softhv_user_read(f->rw, at(f->rw), SIZE_MAX), -EFAULT);
    assert_int_equal(softhv_user_read(f->rw, at(f->rw), (size_t)1 << 62), -EFAULT);
}

static void empty_copies_succeed_anywhere(void **state)
{
    (void)state;
    uint8_t b;
    assert_int_equal(softhv_user_read(&b, UINT64_MAX, 0), 0);
    assert_int_equal(softhv_user_write(8, &b, 0), 0);
}

static void write_copies_bytes(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(softhv_user_write(at(f->rw) + 5, "abc", 3), 0);
    assert_memory_equal(f->rw + 4,
                        "\x5a"
                        "abc\x5a",
                        5);
}

static void write_refuses_bad_addresses(void **state)
{
    const struct fixture *f = *state;
    uint8_t b[32] = {0};
    const uint64_t bad[] = {0,         at(f->ro), at(f->ro) - 1, at(f->none), at(f->hole), UINT64_C(0x8000000000000000),
                            UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(softhv_user_write(bad[i], b, sizeof(b)), -EFAULT);
    assert_int_equal(f->ro[0], 0x5a);
}

static void range_knows_the_end_of_user_space(void **state)
{
    (void)state;
    const uint64_t end = UINT64_C(0x7ffffffff000);
    assert_true(softhv_user_range(0, end));
    assert_true(softhv_user_range(end - PAGE, PAGE));
    assert_false(softhv_user_range(end - PAGE, 2 * PAGE));
    assert_false(softhv_user_range(PAGE, UINT64_MAX));
    assert_false(softhv_user_range(UINT64_MAX - PAGE + 1, PAGE));
}

static void mapped_ignores_rights_and_sees_holes(void **state)
{
    const struct fixture *f = *state;
    assert_true(softhv_user_mapped(at(f->rw), 3 * PAGE));
    assert_true(softhv_user_mapped(at(f->none), PAGE));
    assert_false(softhv_user_mapped(at(f->hole), PAGE));
    assert_false(softhv_user_mapped(at(f->rw), 4 * PAGE));
    assert_false(softhv_user_mapped(0, PAGE));
    assert_false(softhv_user_mapped(UINT64_MAX - PAGE + 1, PAGE));
}

static void fault_in_keeps_contents(void **state)
{
    const struct fixture *f = *state;
    f->rw[9] = 9;
    assert_int_equal(softhv_user_fault_in(at(f->rw), PAGE), 0);
    assert_int_equal(f->rw[9], 9);
}

static void fault_in_wants_every_page_writable(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(softhv_user_fault_in(at(f->ro), PAGE), -EFAULT);
    assert_int_equal(softhv_user_fault_in(at(f->rw), 2 * PAGE), -EFAULT);
    assert_int_equal(softhv_user_fault_in(at(f->none), PAGE), -EFAULT);
    assert_int_equal(softhv_user_fault_in(at(f->hole), PAGE), -EFAULT);
    assert_int_equal(softhv_user_fault_in(0, PAGE), -EFAULT);
}

/* Memory behind the end of a file is mapped and would raise SIGBUS. */
static void fault_in_refuses_beyond_the_file(void **state)
{
    (void)state;
    int fd = memfd_create("short", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, PAGE), 0);
    uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(softhv_user_fault_in(at(p), PAGE), 0);
    assert_int_equal(softhv_user_fault_in(at(p), 2 * PAGE), -EFAULT);
    munmap(p, 2 * PAGE);
    close(fd);
}

static void pin_check_finds_what_cannot_be_written(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(softhv_user_pin_check(at(f->rw), PAGE), 0);
    assert_int_equal(softhv_user_pin_check(at(f->ro), PAGE), -EFAULT);
    assert_int_equal(softhv_user_pin_check(at(f->rw), 2 * PAGE), -EFAULT);
    assert_int_equal(softhv_user_pin_check(at(f->rw), 4 * PAGE), -EFAULT);
    assert_int_equal(softhv_user_pin_check(at(f->hole), PAGE), -EFAULT);
}

static void pin_check_of_sparse_memory_is_cheap(void **state)
{
    (void)state;
    const size_t bytes = (size_t)64 << 30;
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(p != MAP_FAILED);
    madvise(p, bytes, MADV_NOHUGEPAGE);
    assert_int_equal(softhv_user_pin_check(at(p), bytes), 0);
    munmap(p + bytes / 2 + PAGE, PAGE);
    assert_int_equal(softhv_user_pin_check(at(p), bytes), -EFAULT);
    munmap(p, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_may_copy),
        cmocka_unit_test_setup_teardown(read_copies_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(read_works_on_read_only_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(read_crosses_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(read_refuses_bad_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(read_refuses_absurd_lengths, setup, teardown),
        cmocka_unit_test(empty_copies_succeed_anywhere),
        cmocka_unit_test_setup_teardown(write_copies_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(write_refuses_bad_addresses, setup, teardown),
        cmocka_unit_test(range_knows_the_end_of_user_space),
        cmocka_unit_test_setup_teardown(mapped_ignores_rights_and_sees_holes, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_in_keeps_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_in_wants_every_page_writable, setup, teardown),
        cmocka_unit_test(fault_in_refuses_beyond_the_file),
        cmocka_unit_test_setup_teardown(pin_check_finds_what_cannot_be_written, setup, teardown),
        cmocka_unit_test(pin_check_of_sparse_memory_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
