/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/smaps.h"

#define MIB UINT64_C(0x100000)
#define GIB (MIB << 10)

static const struct memory_range two[] = {{.gpa = {0}, .bytes = 2 * MIB}, {.gpa = {4 * GIB}, .bytes = MIB}};

static void make(struct memory *m)
{
    struct err err;
    assert_int_equal(memory_init(m, two, 2, &err), 0);
}

static void refuse(const struct memory_range *ranges, unsigned count)
{
    struct memory m;
    struct err err = {.code = 0};
    assert_int_equal(memory_init(&m, ranges, count, &err), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_null(m.mapping);
}

static void memory_starts_as_zeros(void **state)
{
    static const uint8_t zeros[64];
    uint8_t bytes[64];
    struct memory m;
    (void)state;
    make(&m);
    assert_true(memory_read(&m, gpa_make(2 * MIB - 64), bytes, 64));
    assert_memory_equal(bytes, zeros, 64);
    memory_fini(&m);
}

static void what_was_written_is_read(void **state)
{
    uint32_t value = 0x12345678, seen = 0;
    struct memory m;
    (void)state;
    make(&m);
    assert_true(memory_write(&m, gpa_make(4 * GIB + 4), &value, 4));
    assert_true(memory_read(&m, gpa_make(4 * GIB + 4), &seen, 4));
    assert_int_equal(seen, value);
    memory_fini(&m);
}

static void an_access_across_the_end_copies_nothing(void **state)
{
    uint8_t bytes[2] = {7, 7};
    struct memory m;
    (void)state;
    make(&m);
    assert_false(memory_read(&m, gpa_make(2 * MIB - 1), bytes, 2));
    assert_int_equal(bytes[0], 7);
    assert_false(memory_write(&m, gpa_make(4 * GIB + MIB - 1), bytes, 2));
    assert_true(memory_read(&m, gpa_make(4 * GIB + MIB - 1), bytes, 1));
    assert_int_equal(bytes[0], 0);
    memory_fini(&m);
}

static void the_hole_has_no_address(void **state)
{
    struct memory m;
    (void)state;
    make(&m);
    assert_null(memory_at(&m, gpa_make(2 * MIB), 0));
    assert_null(memory_at(&m, gpa_make(4 * GIB - 1), 1));
    assert_null(memory_at(&m, gpa_make(UINT64_MAX), 1));
    memory_fini(&m);
}

static void a_length_that_wraps_has_no_address(void **state)
{
    struct memory m;
    (void)state;
    make(&m);
    assert_null(memory_at(&m, gpa_make(4096), UINT64_MAX));
    assert_null(memory_at(&m, gpa_make(4096), UINT64_MAX - 4096));
    assert_non_null(memory_at(&m, gpa_make(0), 2 * MIB));
    assert_null(memory_at(&m, gpa_make(0), 2 * MIB + 1));
    memory_fini(&m);
}

static void ranges_may_touch(void **state)
{
    static const struct memory_range touching[] = {{.gpa = {0}, .bytes = MIB}, {.gpa = {MIB}, .bytes = MIB}};
    struct memory m;
    struct err err;
    (void)state;
    assert_int_equal(memory_init(&m, touching, 2, &err), 0);
    assert_null(memory_at(&m, gpa_make(MIB - 1), 2));
    memory_fini(&m);
}

static void sparse_memory_larger_than_the_host_can_be_had(void **state)
{
    static const struct memory_range large[] = {{.gpa = {0}, .bytes = 64 * GIB}};
    struct memory m;
    struct err err;
    (void)state;
    assert_int_equal(memory_init(&m, large, 1, &err), 0);
    assert_non_null(memory_at(&m, gpa_make(64 * GIB - 1), 1));
    memory_fini(&m);
}

static void overlapping_ranges_are_refused(void **state)
{
    static const struct memory_range r[] = {{.gpa = {0}, .bytes = 2 * MIB}, {.gpa = {MIB}, .bytes = MIB}};
    (void)state;
    refuse(r, 2);
}

static void ranges_that_are_no_whole_pages_are_refused(void **state)
{
    static const struct memory_range bytes = {.gpa = {0}, .bytes = 4097}, start = {.gpa = {1}, .bytes = 4096},
                                     none = {.gpa = {0}, .bytes = 0};
    (void)state;
    refuse(&bytes, 1);
    refuse(&start, 1);
    refuse(&none, 1);
}

static void a_range_that_wraps_is_refused(void **state)
{
    static const struct memory_range r = {.gpa = {UINT64_MAX - 4095}, .bytes = 8192},
                                     whole = {.gpa = {0}, .bytes = UINT64_MAX - 4095};
    (void)state;
    refuse(&r, 1);
    refuse(&whole, 1);
}

static void too_many_ranges_are_refused(void **state)
{
    static const struct memory_range r[3] = {
        {.gpa = {0}, .bytes = MIB}, {.gpa = {MIB}, .bytes = MIB}, {.gpa = {2 * MIB}, .bytes = MIB}};
    (void)state;
    refuse(r, 3);
    refuse(r, 0);
}

static void a_file_can_be_shown_and_written_to_without_harm(void **state)
{
    char path[] = "/tmp/caisson-memory-test-XXXXXX";
    uint8_t page[4096], seen = 0;
    struct memory m;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    memset(page, 7, sizeof(page));
    assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
    make(&m);
    assert_int_equal(memory_show_file(&m, gpa_make(8192), fd, 0, 4096), 0);
    assert_true(memory_read(&m, gpa_make(8192 + 4095), &seen, 1));
    assert_int_equal(seen, 7);
    assert_true(memory_write(&m, gpa_make(8192), "a", 1));
    assert_int_equal(pread(fd, page, 1, 0), 1);
    assert_int_equal(page[0], 7);
    assert_true(memory_read(&m, gpa_make(8191), &seen, 1));
    assert_int_equal(seen, 0);
    memory_fini(&m);
    close(fd);
    unlink(path);
}

static void a_file_is_shown_in_whole_pages_of_one_range(void **state)
{
    struct memory m;
    (void)state;
    make(&m);
    assert_int_equal(memory_show_file(&m, gpa_make(1), 0, 0, 4096), -EINVAL);
    assert_int_equal(memory_show_file(&m, gpa_make(0), 0, 1, 4096), -EINVAL);
    assert_int_equal(memory_show_file(&m, gpa_make(0), 0, 0, 4097), -EINVAL);
    assert_int_equal(memory_show_file(&m, gpa_make(2 * MIB - 4096), 0, 0, 8192), -EINVAL);
    assert_int_equal(memory_show_file(&m, gpa_make(0), -1, 0, 4096), -EBADF);
    memory_fini(&m);
}

static void a_host_address_leads_back_to_the_guests(void **state)
{
    struct memory m;
    gpa_t gpa = gpa_make(1);
    (void)state;
    make(&m);
    assert_true(memory_gpa(&m, memory_at(&m, gpa_make(0), 1), &gpa));
    assert_int_equal(gpa.value, 0);
    assert_true(memory_gpa(&m, memory_at(&m, gpa_make(4 * GIB + MIB - 1), 1), &gpa));
    assert_int_equal(gpa.value, 4 * GIB + MIB - 1);
    assert_false(memory_gpa(&m, memory_at(&m, gpa_make(0), 1) + 2 * MIB, &gpa));
    assert_false(memory_gpa(&m, memory_at(&m, gpa_make(0), 1) - 1, &gpa));
    assert_false(memory_gpa(&m, NULL, &gpa));
    assert_int_equal(gpa.value, 4 * GIB + MIB - 1);
    memory_fini(&m);
}

static void discarded_pages_are_zero_and_their_neighbours_stay(void **state)
{
    static const uint8_t zeros[8192];
    uint8_t bytes[8192];
    struct memory m;
    (void)state;
    make(&m);
    memset(memory_at(&m, gpa_make(0), 4 * 4096), 7, 4 * 4096);
    assert_int_equal(memory_discard(&m, gpa_make(4096), 8192), 0);
    assert_true(memory_read(&m, gpa_make(4096), bytes, 8192));
    assert_memory_equal(bytes, zeros, 8192);
    assert_int_equal(*memory_at(&m, gpa_make(4095), 1), 7);
    assert_int_equal(*memory_at(&m, gpa_make(12288), 1), 7);
    assert_true(memory_write(&m, gpa_make(4096), "a", 1));
    assert_int_equal(*memory_at(&m, gpa_make(4096), 1), 'a');
    memory_fini(&m);
}

static void only_whole_pages_of_one_range_are_discarded(void **state)
{
    struct memory m;
    (void)state;
    make(&m);
    memset(memory_at(&m, gpa_make(2 * MIB - 4096), 4096), 7, 4096);
    assert_int_equal(memory_discard(&m, gpa_make(2 * MIB - 4096), 8192), -EINVAL);
    assert_int_equal(memory_discard(&m, gpa_make(2 * MIB - 2048), 2048), -EINVAL);
    assert_int_equal(memory_discard(&m, gpa_make(2 * MIB - 4096), 2048), -EINVAL);
    assert_int_equal(memory_discard(&m, gpa_make(2 * MIB - 4096), 0), -EINVAL);
    assert_int_equal(memory_discard(&m, gpa_make(2 * MIB), 4096), -EINVAL);
    assert_int_equal(memory_discard(&m, gpa_make(UINT64_MAX - 4095), 4096), -EINVAL);
    assert_int_equal(*memory_at(&m, gpa_make(2 * MIB - 1), 1), 7);
    memory_fini(&m);
}

static void a_discarded_page_of_a_shown_file_is_the_files_again(void **state)
{
    char path[] = "/tmp/caisson-memory-test-XXXXXX";
    uint8_t page[4096];
    struct memory m;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    memset(page, 7, sizeof(page));
    assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
    make(&m);
    assert_int_equal(memory_show_file(&m, gpa_make(8192), fd, 0, 4096), 0);
    assert_true(memory_write(&m, gpa_make(8192), "a", 1));
    assert_int_equal(memory_discard(&m, gpa_make(8192), 4096), 0);
    assert_int_equal(*memory_at(&m, gpa_make(8192), 1), 7);
    memory_fini(&m);
    close(fd);
    unlink(path);
}

static void ending_twice_is_harmless(void **state)
{
    struct memory m;
    (void)state;
    make(&m);
    memory_fini(&m);
    memory_fini(&m);
    assert_null(memory_at(&m, gpa_make(0), 1));
}

/* How many huge pages this machine has set aside and free. */
static long free_huge_pages(void)
{
    long pages = 0;
    FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
    if (f != NULL && fscanf(f, "%ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages;
}

static const struct memory_range odd[] = {{.bytes = 0x9f000}, {.gpa = {0x100000}, .bytes = 0x301000}};

static void huge_pages_that_are_not_there_are_missed_at_once_with_words(void **state)
{
    (void)state;
    struct memory m;
    struct err err;
    const struct memory_range more = {.bytes = (uint64_t)(free_huge_pages() + 1) << 21};
    assert_true(memory_init_huge(&m, &more, 1, &err) < 0);
    assert_non_null(strstr(err.text, "vm.nr_hugepages"));
    assert_null(m.mapping);
}

static void memory_of_huge_pages_is_neither_shown_nor_discarded(void **state)
{
    (void)state;
    struct memory m;
    struct err err;
    if (free_huge_pages() < 3)
        skip();
    assert_int_equal(memory_init_huge(&m, odd, 2, &err), 0);
    assert_true(memory_write(&m, gpa_make(0x400000), "end", 4));
    assert_int_equal(memory_show_file(&m, gpa_make(0x200000), 0, 0, 0x200000), -EOPNOTSUPP);
    assert_int_equal(memory_discard(&m, gpa_make(0x200000), 0x200000), -EOPNOTSUPP);
    assert_memory_equal(memory_at(&m, gpa_make(0x400000), 4), "end", 4);
    memory_fini(&m);
}

static void guest_memory_is_in_no_dump_and_in_no_child(void **state)
{
    struct memory m;
    struct smaps_entry e;
    (void)state;
    make(&m);
    for (unsigned i = 0; i < m.count; i++) {
        assert_true(smaps_find(m.range[i].host, &e));
        assert_true(smaps_has_flag(&e, "dd"));
        assert_true(smaps_has_flag(&e, "dc"));
    }
    memory_fini(&m);
}

static void a_shown_file_is_in_no_dump_and_in_no_child_either(void **state)
{
    struct memory m;
    struct smaps_entry e;
    (void)state;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    make(&m);
    assert_int_equal(memory_show_file(&m, gpa_make(0), fd, 0, 4096), 0);
    assert_true(smaps_find(m.range[0].host, &e));
    assert_int_equal(e.end - e.begin, 4096);
    assert_true(smaps_has_flag(&e, "dd"));
    assert_true(smaps_has_flag(&e, "dc"));
    memory_fini(&m);
    close(fd);
}

static void there_are_guards_around_each_range(void **state)
{
    struct memory m;
    (void)state;
    make(&m);
    for (unsigned i = 0; i < m.count; i++)
        assert_true(smaps_is_guarded(m.range[i].host, m.range[i].bytes));
    memory_fini(&m);
}

static void locked_memory_is_locked_as_it_is_touched_and_can_be_discarded(void **state)
{
    struct memory m;
    struct smaps_entry e;
    struct err err;
    (void)state;
    make(&m);
    assert_int_equal(memory_lock(&m, &err), 0);
    *memory_at(&m, gpa_make(0), 1) = 1;
    assert_true(smaps_find(m.range[0].host, &e));
    assert_true(smaps_has_flag(&e, "lo"));
    assert_true(e.locked_kib >= 4);
    int code = memory_discard(&m, gpa_make(0), 4096);
    if (code != -EINVAL) { /* Linux before 5.18 */
        assert_int_equal(code, 0);
        assert_int_equal(*memory_at(&m, gpa_make(0), 1), 0);
    }
    memory_fini(&m);
}

/* In a child, which gives up what root may do beyond the limit. */
static void a_limit_that_is_too_low_is_named_with_what_to_do(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct memory m;
        struct err err = {.code = 0};
        const struct rlimit little = {.rlim_cur = 4096, .rlim_max = 64 << 10};
        make(&m);
        if (setrlimit(RLIMIT_MEMLOCK, &little) < 0 || setuid(65534) < 0)
            _exit(2);
        bool good = memory_lock(&m, &err) == -ENOMEM && !m.locked && strstr(err.text, "may lock 64 KiB") != NULL &&
                    strstr(err.text, "it has 3072 KiB") != NULL && strstr(err.text, "ulimit -l") != NULL;
        if (!good)
            print_error("%s\n", err.text);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        skip(); /* needs root */
    assert_int_equal(status, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_starts_as_zeros),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(an_access_across_the_end_copies_nothing),
        cmocka_unit_test(the_hole_has_no_address),
        cmocka_unit_test(a_length_that_wraps_has_no_address),
        cmocka_unit_test(ranges_may_touch),
        cmocka_unit_test(sparse_memory_larger_than_the_host_can_be_had),
        cmocka_unit_test(overlapping_ranges_are_refused),
        cmocka_unit_test(ranges_that_are_no_whole_pages_are_refused),
        cmocka_unit_test(a_range_that_wraps_is_refused),
        cmocka_unit_test(too_many_ranges_are_refused),
        cmocka_unit_test(a_file_can_be_shown_and_written_to_without_harm),
        cmocka_unit_test(a_file_is_shown_in_whole_pages_of_one_range),
        cmocka_unit_test(a_host_address_leads_back_to_the_guests),
        cmocka_unit_test(discarded_pages_are_zero_and_their_neighbours_stay),
        cmocka_unit_test(only_whole_pages_of_one_range_are_discarded),
        cmocka_unit_test(a_discarded_page_of_a_shown_file_is_the_files_again),
        cmocka_unit_test(ending_twice_is_harmless),
        cmocka_unit_test(guest_memory_is_in_no_dump_and_in_no_child),
        cmocka_unit_test(a_shown_file_is_in_no_dump_and_in_no_child_either),
        cmocka_unit_test(there_are_guards_around_each_range),
        cmocka_unit_test(locked_memory_is_locked_as_it_is_touched_and_can_be_discarded),
        cmocka_unit_test(a_limit_that_is_too_low_is_named_with_what_to_do),
        cmocka_unit_test(huge_pages_that_are_not_there_are_missed_at_once_with_words),
        cmocka_unit_test(memory_of_huge_pages_is_neither_shown_nor_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
