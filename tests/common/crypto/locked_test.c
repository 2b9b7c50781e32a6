/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/crypto/locked.h"
#include "common/crypto/random.h"
#include "tests/lib/smaps.h"

/* AddressSanitizer puts an mlock that does nothing in the place of the C library's. */
#if defined(__SANITIZE_ADDRESS__)
#define LOCKS false
#else
#define LOCKS true
#endif

static void memory_is_zero_locked_and_left_out_of_dumps(void **state)
{
    (void)state;
    void *memory;
    static const uint8_t zeros[5000];
    if (!LOCKS)
        skip();
    assert_int_equal(locked_new(5000, &memory), 0);
    assert_memory_equal(memory, zeros, 5000);
    struct smaps_entry e;
    assert_true(smaps_find(memory, &e));
    assert_true(smaps_has_flag(&e, "lo"));
    assert_true(smaps_has_flag(&e, "dd"));
    locked_free(memory, 5000);
}

static void memory_lies_between_guards_and_is_wiped_in_children(void **state)
{
    (void)state;
    void *memory;
    struct smaps_entry e;
    assert_int_equal(locked_new(5000, &memory), 0);
    assert_true(smaps_is_guarded(memory, 8192));
    assert_true(smaps_find(memory, &e));
    assert_true(smaps_has_flag(&e, "wf"));
    locked_free(memory, 5000);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    locked_free(NULL, 4096);
}

/* In a child without privileges and without a limit that would let it. */
static int code_without_permission(void)
{
    const struct rlimit none = {0, 0};
    void *memory;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
        return 0;
    return -locked_new(4096, &memory);
}

static void who_may_not_lock_gets_no_memory(void **state)
{
    (void)state;
    int status;
    if (!LOCKS)
        skip();
    pid_t child = fork();
    if (child == 0)
        _exit(code_without_permission());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == EPERM || WEXITSTATUS(status) == ENOMEM || WEXITSTATUS(status) == EAGAIN);
}

static void random_numbers_fill_all_and_differ(void **state)
{
    (void)state;
    uint8_t a[300] = {0}, b[300] = {0};
    assert_int_equal(random_fill(a, sizeof a), 0);
    assert_int_equal(random_for_mbedtls(NULL, b, sizeof b), 0);
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a + 284, (uint8_t[16]){0}, 16);
    assert_memory_not_equal(b + 284, (uint8_t[16]){0}, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zero_locked_and_left_out_of_dumps),
        cmocka_unit_test(memory_lies_between_guards_and_is_wiped_in_children),
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(who_may_not_lock_gets_no_memory),
        cmocka_unit_test(random_numbers_fill_all_and_differ),
    };
    return cmocka_run_group_tests_name("locked", tests, NULL, NULL);
}
