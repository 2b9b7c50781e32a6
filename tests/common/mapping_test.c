/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mapping.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/smaps.h"

/* How a child ends that writes to an address: the signal, or 0. */
static int signal_of_write(uint8_t *at)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void pages_are_zero_and_can_be_written(void **state)
{
    static const uint8_t zeros[10000];
    void *pages;
    (void)state;
    assert_int_equal(mapping_new(sizeof(zeros), 0, &pages), 0);
    assert_memory_equal(pages, zeros, sizeof(zeros));
    memset(pages, 1, sizeof(zeros));
    mapping_free(pages, sizeof(zeros));
}

static void whoever_runs_over_either_end_dies_of_it(void **state)
{
    void *pages;
    (void)state;
    assert_int_equal(mapping_new(2 * MAPPING_PAGE_BYTES, 0, &pages), 0);
    uint8_t *first = pages, *behind = first + 2 * MAPPING_PAGE_BYTES;
    assert_int_equal(signal_of_write(first), 0);
    assert_int_equal(signal_of_write(behind - 1), 0);
    assert_int_equal(signal_of_write(first - 1), SIGSEGV);
    assert_int_equal(signal_of_write(first - MAPPING_GUARD_BYTES), SIGSEGV);
    assert_int_equal(signal_of_write(behind), SIGSEGV);
    assert_int_equal(signal_of_write(behind + MAPPING_GUARD_BYTES - 1), SIGSEGV);
    mapping_free(pages, 2 * MAPPING_PAGE_BYTES);
}

static void pages_are_left_out_of_core_dumps_unless_asked_for(void **state)
{
    void *secret, *dumped;
    struct smaps_entry e;
    (void)state;
    assert_int_equal(mapping_new(1, 0, &secret), 0);
    assert_int_equal(mapping_new(1, MAPPING_DUMPED, &dumped), 0);
    assert_true(smaps_find(secret, &e));
    assert_true(smaps_has_flag(&e, "dd"));
    assert_true(smaps_find(dumped, &e));
    assert_false(smaps_has_flag(&e, "dd"));
    mapping_free(secret, 1);
    mapping_free(dumped, 1);
}

static void sparse_pages_take_nothing_of_what_the_host_has_promised(void **state)
{
    void *pages;
    struct smaps_entry e;
    (void)state;
    assert_int_equal(mapping_new(1, MAPPING_SPARSE, &pages), 0);
    assert_true(smaps_find(pages, &e));
    assert_true(smaps_has_flag(&e, "nr"));
    mapping_free(pages, 1);
}

static void a_page_of_shared_memory_can_be_shown_a_second_time(void **state)
{
    void *pages;
    (void)state;
    assert_int_equal(mapping_new(2 * MAPPING_PAGE_BYTES, MAPPING_SHARED, &pages), 0);
    uint8_t *second = (uint8_t *)pages + MAPPING_PAGE_BYTES;
    uint8_t *again = mremap(second, 0, MAPPING_PAGE_BYTES, MREMAP_MAYMOVE);
    assert_ptr_not_equal(again, MAP_FAILED);
    second[5] = 77;
    assert_int_equal(again[5], 77);
    munmap(again, MAPPING_PAGE_BYTES);
    mapping_free(pages, 2 * MAPPING_PAGE_BYTES);
}

static void no_bytes_and_too_many_are_refused(void **state)
{
    void *pages = state;
    assert_int_equal(mapping_new(0, 0, &pages), -EINVAL);
    assert_int_equal(mapping_new(SIZE_MAX, 0, &pages), -EINVAL);
    assert_int_equal(mapping_new(SIZE_MAX / 2, 0, &pages), -ENOMEM);
    assert_ptr_equal(pages, state);
}

/* By a call that maps nothing itself. */
static bool is_mapped(void *page)
{
    return msync(page, MAPPING_PAGE_BYTES, MS_ASYNC) == 0;
}

static void nothing_stays_mapped(void **state)
{
    void *pages;
    (void)state;
    assert_int_equal(mapping_new(5000, 0, &pages), 0);
    uint8_t *first = pages, *last = first + MAPPING_PAGE_BYTES + MAPPING_GUARD_BYTES;
    assert_true(is_mapped(first - MAPPING_GUARD_BYTES));
    assert_true(is_mapped(last));
    mapping_free(pages, 5000);
    assert_false(is_mapped(first - MAPPING_GUARD_BYTES));
    assert_false(is_mapped(first));
    assert_false(is_mapped(last));
    mapping_free(NULL, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_zero_and_can_be_written),
        cmocka_unit_test(whoever_runs_over_either_end_dies_of_it),
        cmocka_unit_test(pages_are_left_out_of_core_dumps_unless_asked_for),
        cmocka_unit_test(sparse_pages_take_nothing_of_what_the_host_has_promised),
        cmocka_unit_test(a_page_of_shared_memory_can_be_shown_a_second_time),
        cmocka_unit_test(no_bytes_and_too_many_are_refused),
        cmocka_unit_test(nothing_stays_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
