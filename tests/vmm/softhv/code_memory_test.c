/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/code_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/smaps.h"

#define BYTES ((size_t)3 * 4096)

static int set_up(void **state)
{
    struct code_memory *m = test_malloc(sizeof(*m));
    struct err err = {.code = 0};
    *state = m;
    if (code_memory_init(m, BYTES, &err) == 0)
        return 0;
    print_error("%s\n", err.text);
    return -1;
}

static int tear_down(void **state)
{
    code_memory_fini(*state);
    test_free(*state);
    return 0;
}

static int call(const uint8_t *code)
{
    int (*function)(void);
    memcpy(&function, &code, sizeof(function));
    return function();
}

static void what_is_written_through_one_view_runs_in_the_other(void **state)
{
    static const uint8_t return_42[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
    const struct code_memory *m = *state;
    memcpy(m->writable + 4096, return_42, sizeof(return_42));
    assert_int_equal(call(m->executable + 4096), 42);
    m->writable[4097] = 43;
    assert_int_equal(call(m->executable + 4096), 43);
}

static void no_view_is_writable_and_executable(void **state)
{
    const struct code_memory *m = *state;
    struct smaps_entry e;
    assert_true(smaps_find(m->writable, &e));
    assert_string_equal(e.rights, "rw-s");
    assert_int_equal(e.end - e.begin, BYTES);
    assert_true(smaps_find(m->executable, &e));
    assert_string_equal(e.rights, "r-xs");
    assert_int_equal(e.end - e.begin, BYTES);
}

static void the_executable_view_never_becomes_writable(void **state)
{
    const struct code_memory *m = *state;
    void *at = (void *)(uintptr_t)m->executable;
    assert_int_equal(mprotect(at, BYTES, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(errno, EACCES);
}

static void both_views_have_guards_and_are_in_no_dump_and_no_child(void **state)
{
    const struct code_memory *m = *state;
    const uint8_t *views[] = {m->writable, m->executable};
    struct smaps_entry e;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(smaps_is_guarded(views[i], BYTES));
        assert_true(smaps_find(views[i], &e));
        assert_true(smaps_has_flag(&e, "dd"));
        assert_true(smaps_has_flag(&e, "dc"));
    }
}

/* By the mapping itself, since the descriptor is closed. */
static int open_file_of(const void *view)
{
    char path[64];
    struct smaps_entry e;
    assert_true(smaps_find(view, &e));
    (void)snprintf(path, sizeof(path), "/proc/self/map_files/%zx-%zx", e.begin, e.end);
    return open(path, O_RDWR | O_CLOEXEC);
}

static void the_file_behind_it_stays_as_it_is(void **state)
{
    const struct code_memory *m = *state;
    int fd = open_file_of(m->executable);
    if (fd < 0)
        skip(); /* needs CAP_CHECKPOINT_RESTORE */
    assert_int_equal(ftruncate(fd, 4096), -1);
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(write(fd, "a", 1), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    close(fd);
}

static void no_descriptor_stays(void **state)
{
    struct code_memory m;
    (void)state;
    int before = dup(STDERR_FILENO);
    close(before);
    assert_int_equal(code_memory_init(&m, BYTES, NULL), 0);
    int after = dup(STDERR_FILENO);
    close(after);
    code_memory_fini(&m);
    assert_int_equal(after, before);
}

static void sizes_that_are_no_whole_pages_are_refused_with_words(void **state)
{
    struct code_memory m;
    struct err err;
    (void)state;
    assert_int_equal(code_memory_init(&m, 0, &err), -EINVAL);
    assert_int_equal(code_memory_init(&m, 4097, &err), -EINVAL);
    assert_non_null(strstr(err.text, "make memory for translated code"));
    assert_int_equal(m.bytes, 0);
}

static void a_failure_half_way_leaves_nothing(void **state)
{
    struct code_memory m;
    struct rlimit before, little;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    int code = code_memory_init(&m, BYTES, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(code, -EFBIG);
    assert_null(m.writable);
    assert_null(m.executable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_through_one_view_runs_in_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_view_is_writable_and_executable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_executable_view_never_becomes_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_views_have_guards_and_are_in_no_dump_and_no_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_file_behind_it_stays_as_it_is, set_up, tear_down),
        cmocka_unit_test(no_descriptor_stays),
        cmocka_unit_test(sizes_that_are_no_whole_pages_are_refused_with_words),
        cmocka_unit_test(a_failure_half_way_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
